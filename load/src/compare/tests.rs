//! The parts of a comparison that need no server: what is done, what is true, and whether a wrong arm is noticed.

use std::sync::Mutex;

use async_trait::async_trait;
use tributary_engine::model::PostId;

use super::arm::Page;
use super::graph::PAGE;
use super::sequence::Op;
use super::*;

fn graph() -> (tempfile::TempDir, Graph) {
    let folder = tempfile::tempdir().unwrap();
    made::make(made::Recipe { users: 300, seed: 3, mean_follows: Some(20.0) }, folder.path()).unwrap();
    let graph = Graph::load(&World::open(folder.path()).unwrap()).unwrap();
    (folder, graph)
}

#[test]
fn the_same_seed_gives_the_same_operations_in_the_shares_of_the_mix() {
    let (_folder, graph) = graph();
    for (mix, posts, follows, second) in [(Mix::Natural, 1.0 / 50.0, 0.0, 0.3), (Mix::Twip, 1.0 / 100.0, 0.1, 0.0)] {
        let [one, two] = [7, 7].map(|seed| Sequence::draw(&graph, mix, seed));
        let other = Sequence::draw(&graph, mix, 8);
        assert!((0..10_000).all(|n| one.op(n) == two.op(n)) && (0..10_000).any(|n| one.op(n) != other.op(n)));
        let (mut visits, mut pages, mut posted, mut followed) = (0.0, 0.0, 0.0, 0.0);
        for number in 0..200_000 {
            match one.op(number) {
                Op::Read { second, .. } => {
                    visits += 1.0;
                    pages += if second { 2.0 } else { 1.0 };
                }
                Op::Post { .. } => posted += 1.0,
                Op::Follow { .. } => followed += 1.0,
            }
        }
        let near = |found: f64, wanted: f64| (found - wanted).abs() <= wanted * 0.1 + 0.002;
        assert!(near(posted / pages, posts), "{mix:?}: {posted} posts to {pages} pages");
        assert!(near(followed / pages, follows), "{mix:?}: {followed} follows to {pages} pages");
        assert!(near(pages / visits - 1.0, second), "{mix:?}: {pages} pages in {visits} visits");
    }
}

#[test]
fn nobody_follows_themselves_however_long_it_goes_on() {
    let (_folder, graph) = graph();
    let twip = Sequence::draw(&graph, Mix::Twip, 1);
    for lap in 0..5 {
        let follows = (0..50_000).map(|n| twip.op(lap * (1 << 20) + n));
        let own = follows.filter(|op| matches!(op, Op::Follow { reader, followee } if reader == followee)).count();
        assert_eq!(own, 0, "lap {lap}");
    }
}

#[test]
fn the_truth_is_everything_by_followees_and_oneself_newest_first() {
    let (_folder, mut graph) = graph();
    let reader = (0..300).find(|&user| graph.followees[user].len() > 5).unwrap() as u32;
    let all = graph.home(reader, PostId::MAX, usize::MAX);
    let by = |user: u32| graph.posts[user as usize].len();
    let expected: usize = graph.followees[reader as usize].iter().map(|&user| by(user)).sum::<usize>() + by(reader);
    assert!(all.len() == expected && all.is_sorted_by(|a, b| a > b));
    assert_eq!(graph.home(reader, all[4], 3), all[5..8]);
    let stranger = (0..300).find(|user| *user != reader && !graph.followees[reader as usize].contains(user)).unwrap();
    let id = PostId(graph.newest.0 + 1);
    graph.post(stranger, id);
    assert_ne!(graph.home(reader, PostId::MAX, 1), [id]);
    graph.follow(reader, stranger);
    assert_eq!(graph.home(reader, PostId::MAX, 1), [id]);
}

/// An arm over the truth; where it is told to, one that never shows a reader's newest post, or shows the
/// first page twice.
struct Naive {
    graph: Mutex<Graph>,
    hides_newest: bool,
    repeats: bool,
}

#[async_trait]
impl Arm for Naive {
    fn name(&self) -> &'static str {
        "naive"
    }

    fn about(&self) -> String {
        "the truth".to_owned()
    }

    async fn read(&self, reader: u32, cursor: Option<&str>) -> Result<Page> {
        let below = cursor.filter(|_| !self.repeats).map_or(PostId::MAX, |id| PostId(id.parse().unwrap()));
        let mut ids = self.graph.lock().unwrap().home(reader, below, PAGE);
        if self.hides_newest && cursor.is_none() && !ids.is_empty() {
            ids.remove(0);
        }
        Ok(Page { next: ids.last().map(PostId::to_string), ids })
    }

    async fn write(&self, author: u32, id: PostId) -> Result<PostId> {
        self.graph.lock().unwrap().post(author, id);
        Ok(id)
    }

    fn can_follow(&self) -> bool {
        true
    }

    async fn follow(&self, reader: u32, followee: u32) -> Result<()> {
        self.graph.lock().unwrap().follow(reader, followee);
        Ok(())
    }

    fn servers(&self) -> Option<Vec<u32>> {
        Some(Vec::new())
    }

    async fn bytes_per_entry(&self) -> Result<Option<f64>> {
        Ok(None)
    }

    async fn close(&self) -> Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn an_arm_that_hides_a_post_or_repeats_one_is_not_timed() {
    let (_folder, graph) = graph();
    let twip = Sequence::draw(&graph, Mix::Twip, 1);
    for (hides_newest, repeats, right) in [(false, false, true), (true, false, false), (false, true, false)] {
        let arm = Arc::new(Naive { graph: Mutex::new(graph.clone()), hides_newest, repeats });
        let checked = Driven::new(arm, Arc::new(graph.clone())).check(&twip, 1).await;
        match checked {
            Ok(pages) => assert!(right && pages > 300, "{pages} pages were found right"),
            Err(error) => assert!(!right && error.to_string().contains("wrong timeline"), "{error:#}"),
        }
    }
}

#[test]
fn names_on_the_command_line_mean_peers() {
    assert_eq!("redis-push".parse(), Ok(Against(vec![Peer::Mastodon, Peer::Misskey])));
    assert_eq!("postgres-pull".parse(), Ok(Against(vec![Peer::Postgres])));
    assert!("redis".parse::<Against>().is_err());
}

#[test]
fn a_median_is_the_middle_and_goals_are_met_or_missed() {
    assert_eq!(figures::median(vec![3.0, 1.0, 2.0]), 2.0);
    assert_eq!(figures::median(Vec::new()), 0.0);
    assert!(Ratio::at_least(String::new(), 3.0, 3.0).met && !Ratio::at_least(String::new(), 2.9, 3.0).met);
    assert!(Ratio::at_most(String::new(), 6.0, 6.0).met && !Ratio::at_most(String::new(), f64::INFINITY, 6.0).met);
}
