//! What a crowd of clients may do at the same time: each has a few users of its own. What they do commutes (blocks,
//! likes and removals stay among the users of one client), so the truth does not depend on whose command came first.
//! Each command changes something, so it can be seen whether it happened.

use std::ops::Range;

use tributary_engine::model::{Command, PostId, UserId};
use tributary_engine::testkit::Truth;

/// A command that is allowed and changes something, by one of `users[own]`. A post is told by its `number`.
pub fn choose(
    truth: &Truth,
    users: &[UserId],
    own: Range<usize>,
    number: u64,
    rng: &mut fastrand::Rng,
) -> (UserId, Command) {
    loop {
        let (actor, sibling) = (users[rng.usize(own.clone())], users[rng.usize(own.clone())]);
        let anyone = users[rng.usize(..users.len())];
        // Lists leave out who has blocked the caller: there, the end of a mute or block could not be seen.
        let seen = |command: &Command| match *command {
            Command::Unmute { user } | Command::Unblock { user } => !truth.blocked_by(actor).contains(&user),
            _ => true,
        };
        let post_by = |author, rng: &mut fastrand::Rng| rng.choice(truth.posts_by(author));
        let command = match rng.u8(..100) {
            0..45 => Some(Command::Publish { text: text(number, rng) }),
            45..52 => post_by(actor, rng).map(|post| Command::Remove { post }),
            52..68 => post_by(sibling, rng).map(|post| like_or_not(truth, actor, post)),
            68..88 if truth.following(actor).contains(&anyone) => Some(Command::Unfollow { user: anyone }),
            68..88 => Some(Command::Follow { user: anyone, limit: 0 }),
            88..94 if truth.mutes(actor).contains(&anyone) => Some(Command::Unmute { user: anyone }),
            88..94 => Some(Command::Mute { user: anyone }),
            _ if truth.blocks(actor).contains(&sibling) => Some(Command::Unblock { user: sibling }),
            _ => Some(Command::Block { user: sibling }),
        };
        if let Some(command) = command.filter(|command| truth.predict(actor, command).is_ok() && seen(command)) {
            return (actor, command);
        }
    }
}

/// A text that no other post has; now and then a long one.
pub fn text(number: u64, rng: &mut fastrand::Rng) -> Box<str> {
    let long = if rng.u8(..20) == 0 { "ü".repeat(1_900) } else { String::new() };
    format!("post {number} {long}.").into()
}

fn like_or_not(truth: &Truth, actor: UserId, post: PostId) -> Command {
    match truth.likes_of(actor).contains(&post) {
        true => Command::Unlike { post },
        false => Command::Like { post },
    }
}
