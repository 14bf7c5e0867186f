//! Bulk import: repeatable, right at the end, and a new epoch, so that nothing cached before stays.

use std::sync::Arc;

use super::stamps::late_view;
use super::world::World;
use crate::model::{
    ChangedBy, Channel, Command, CommandKey, Epoch, Handle, Millis, PostId, Request, SlotRange, TuningSettings, UserId,
};
use crate::ports::{ImportedPost, ImportedUser, Store, UserList};

const USERS: u16 = 12;
/// Users whom many follow: hot under the tuning of these tests.
const HOT: usize = 0;

fn handle(n: usize) -> Handle {
    format!("u{n}").parse().expect("a valid handle")
}

struct Imported {
    users: Vec<ImportedUser>,
    follows: Vec<(UserId, Vec<UserId>)>,
    posts: Vec<ImportedPost>,
}

impl Imported {
    /// Everyone follows the first and the next two, and (which is to be dropped) themselves.
    fn new() -> Self {
        let at = |second: u64| Millis(1_500_000_000_000 + 1_000 * second);
        let ids: Vec<UserId> = (0..USERS).map(|n| UserId::new(at(0), 85 * n, n)).collect();
        let users = ids.iter().enumerate().map(|(n, &id)| ImportedUser { id, handle: handle(n) }).collect();
        let follows = ids.iter().enumerate().map(|(n, &id)| {
            let of = |n: usize| ids[n % ids.len()];
            (id, vec![of(n), of(HOT), of(n + 1), of(n + 2)])
        });
        let posts = (0..100_u64).map(|n| {
            let author = ids[n as usize * 7 % ids.len()];
            let id = PostId::new(at(n / 30), author.shard(), n as u16);
            ImportedPost { id, author, text: format!("imported {n}").into() }
        });
        Self { users, follows: follows.collect(), posts: posts.collect() }
    }

    async fn load_into(&self, store: &Arc<dyn Store>) {
        for users in self.users.chunks(5) {
            store.import_users(users).await.expect("users are imported");
        }
        for follows in self.follows.chunks(5) {
            store.import_follows(follows).await.expect("follows are imported");
        }
        for posts in self.posts.chunks(17) {
            store.import_posts(posts).await.expect("posts are imported");
        }
    }

    fn followed_by(&self, n: usize) -> Vec<UserId> {
        let (reader, followees) = &self.follows[n];
        let mut followees: Vec<UserId> = followees.iter().copied().filter(|followee| followee != reader).collect();
        followees.sort_unstable();
        followees.dedup();
        followees
    }

    fn followers_of(&self, n: usize) -> u64 {
        (0..self.users.len()).filter(|&other| self.followed_by(other).contains(&self.users[n].id)).count() as u64
    }

    fn home(&self, n: usize) -> Vec<PostId> {
        let followees = self.followed_by(n);
        let seen = |post: &&ImportedPost| post.author == self.users[n].id || followees.contains(&post.author);
        let mut posts: Vec<PostId> = self.posts.iter().filter(seen).map(|post| post.id).collect();
        posts.sort_unstable_by(|one, two| two.cmp(one));
        posts
    }

    /// Whether the store holds exactly this.
    async fn check(&self, world: &World) {
        for (n, ImportedUser { id, handle }) in self.users.iter().enumerate() {
            let user = world.store.user_by_handle(handle).await.expect("the store reads").expect("was imported");
            let counts = (user.followers, user.following);
            assert_eq!((user.card.id, counts), (*id, (self.followers_of(n), self.followed_by(n).len() as u64)));
            assert_eq!(world.list(*id, UserList::Following, 2).await, self.followed_by(n));
            assert_eq!(world.list(*id, UserList::Followers, 2).await.len() as u64, self.followers_of(n));
            assert_eq!(world.home(*id, true, 9).await, self.home(n));
            assert_eq!(world.home(*id, false, 9).await, self.home(n));
            assert_eq!(late_view(world, *id).await.follows.len(), self.followed_by(n).len());
            let author = world.store.author(*id).await.expect("the store reads").expect("was imported");
            let hot = if n == HOT { Channel::Pull } else { Channel::Push };
            assert_eq!((author.followers, author.channel()), (self.followers_of(n), hot));
        }
        let ids: Vec<PostId> = self.posts.iter().map(|post| post.id).collect();
        for (post, told) in self.posts.iter().zip(world.store.posts(&ids).await.expect("the store reads")) {
            let told = told.expect("was imported");
            assert_eq!((told.id, told.author.id, &told.text, told.likes), (post.id, post.author, &post.text, 0));
        }
        let newest = self.posts.iter().filter(|post| post.author == self.users[HOT].id).map(|post| post.id).max();
        let pull = world.store.pull_authors(UserId(0), 99).await;
        assert_eq!(pull, Ok(vec![(self.users[HOT].id, newest.expect("the hot author posts"))]));
    }
}

/// A store with thresholds that make one imported author hot, and its epoch.
async fn ready(store: Arc<dyn Store>) -> (World, Epoch) {
    let settings = TuningSettings { enter_followers: 8, leave_followers: 6, ..TuningSettings::default() };
    let command = Command::Tune { expected: None, settings, by: ChangedBy::Config };
    let key = CommandKey { key: (*b"tune").into(), fingerprint: [0; 16] };
    store.commit(&Request { actor: UserId::default(), key, command }).await.expect("the tuning changes");
    let epoch = store.epoch(None).await.expect("the store has an epoch");
    assert_eq!(store.epoch(None).await, Ok(epoch), "an epoch lasts");
    (World::new(store), epoch)
}

pub(super) async fn an_import_is_right_and_a_new_epoch(store: Arc<dyn Store>) {
    let (world, before) = ready(store).await;
    let imported = Imported::new();
    imported.load_into(&world.store).await;
    let after = world.store.finish_import().await.expect("the import ends");
    assert_ne!(after, before);
    assert_eq!(world.store.epoch(None).await, Ok(after));
    imported.check(&world).await;
}

pub(super) async fn an_import_repeated_changes_nothing(store: Arc<dyn Store>) {
    let (world, _) = ready(store).await;
    let imported = Imported::new();
    // As after an interruption: some of it again, then all of it, then once more after the end.
    world.store.import_users(&imported.users[..7]).await.expect("users are imported");
    imported.load_into(&world.store).await;
    imported.load_into(&world.store).await;
    world.store.finish_import().await.expect("the import ends");
    imported.check(&world).await;
    imported.load_into(&world.store).await;
    world.store.finish_import().await.expect("the import ends");
    imported.check(&world).await;
}

pub(super) async fn an_imported_world_goes_on_living(store: Arc<dyn Store>) {
    let (mut world, _) = ready(store).await;
    let imported = Imported::new();
    imported.load_into(&world.store).await;
    world.store.finish_import().await.expect("the import ends");
    let found = world.store.make_user(&handle(3), "another name").await.expect("the user is found");
    assert_eq!(found.card.id, imported.users[3].id);
    let (hot, reader) = (imported.users[HOT].id, imported.users[5].id);
    let newest = imported.posts.iter().map(|post| post.id).max();
    let request = world.request(hot, Command::Publish { text: "after the import".into() });
    let committed = world.store.commit(&request).await.expect("the post is committed");
    let crate::model::Outcome::Posted { post, channel } = committed.outcome else { panic!("{committed:?}") };
    assert!(Some(post.id) > newest && channel == Channel::Pull);
    assert_eq!(world.store.home_all(reader, PostId::MAX, 1).await, Ok(vec![post.id]));
    for user in &imported.users[6..] {
        let request = world.request(user.id, Command::Unfollow { user: hot });
        world.store.commit(&request).await.expect("the follow ends");
    }
    let author = world.store.author(hot).await.expect("the store reads").expect("was imported");
    assert_eq!((author.followers, author.channel()), (5, Channel::Push));
    let new = world.user("newcomer").await;
    let request = world.request(reader, Command::Follow { user: new, limit: 0 });
    world.store.commit(&request).await.expect("the follow is committed");
    assert!(world.store.view(reader).await.expect("the store gives a view").follows(new));
}

/// Longer than any packed piece of a list.
pub(super) async fn long_lists_are_whole_in_any_pages(store: Arc<dyn Store>) {
    const MANY: u64 = 3_000;
    let mut world = World::new(store);
    let ids: Vec<UserId> =
        (0..=MANY).map(|n| UserId::new(Millis(1_500_000_000_000 + n * 9), (n * 7) as u16, 0)).collect();
    let (ann, others) = (ids[0], &ids[1..]);
    let user = |(n, &id): (usize, &UserId)| ImportedUser { id, handle: handle(n) };
    world.store.import_users(&ids.iter().enumerate().map(user).collect::<Vec<_>>()).await.expect("users are imported");
    let follows: Vec<_> = others.iter().map(|&other| (other, vec![ann])).chain([(ann, others.to_vec())]).collect();
    for follows in follows.chunks(700) {
        world.store.import_follows(follows).await.expect("follows are imported");
    }
    world.store.finish_import().await.expect("the import ends");
    let mut left = others.to_vec();
    // Whole pieces end, at the beginning, in the middle and at the end; one follow comes back.
    for gone in [0..1, 2_500..2_999, 400..1_100] {
        for user in left.drain(gone) {
            let both = [(ann, user), (user, ann)];
            let ends = both.map(|(actor, user)| world.request(actor, Command::Unfollow { user }));
            let commits = ends.iter().map(|request| world.store.commit(request));
            futures::future::try_join_all(commits).await.expect("the follows end");
        }
    }
    left.insert(0, others[0]);
    for (actor, user) in [(ann, others[0]), (others[0], ann)] {
        let request = world.request(actor, Command::Follow { user, limit: 0 });
        world.store.commit(&request).await.expect("the follow is committed");
    }
    for limit in [100, 1_024, 10_000] {
        assert_eq!(world.list(ann, UserList::Followers, limit).await, left);
        assert_eq!(world.list(ann, UserList::Following, limit).await, left);
    }
    let slots = SlotRange { start: 1_000, end: 3_000 };
    let mut readers = Vec::new();
    let mut after = Some(UserId(0));
    while let Some(from) = after {
        let page = world.store.followers(ann, slots, from, 333).await.expect("the store gives a page");
        readers.extend(page.readers);
        after = page.next;
    }
    left.retain(|&reader| slots.holds(reader));
    assert_eq!(readers, left);
}
