//! Fuzz targets for the rows of the embedded store: what a damaged file could hold.

use crate::embedded::codec::{KeyRow, PostRow, UserRow, put_number, take_number};
use crate::model::{Channel, Heat, Millis, Outcome, Post, PostId, Stamp, UserCard, UserId};
use crate::testkit::fuzz;

macro_rules! kept {
    ($name:literal) => {
        concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fuzz/", $name)
    };
}

fn ann() -> UserRow {
    let mut row = UserRow::new("ann".parse().expect("a handle"), "Ann Ä");
    (row.followers, row.last_post, row.widened) = (u64::MAX, PostId(1 << 61), Stamp(9));
    row.heat = Heat { hot: true, pin: Some(Channel::Pull) };
    row
}

#[test]
fn a_users_row_is_malformed_or_exactly_these_bytes() {
    let new = UserRow::new("b".parse().expect("a handle"), "");
    fuzz(kept!("user_row"), vec![ann().encode(), new.encode()], |input| {
        let row = UserRow::decode(input);
        assert!(row.as_ref().is_ok_and(|row| row.encode() == input) || row.is_err());
        row.is_ok()
    });
}

#[test]
fn a_posts_row_is_malformed_or_says_the_same_again() {
    let row = PostRow { author: UserId(7), channel: Channel::Pull, text: "Grüße" };
    fuzz(kept!("post_row"), vec![row.encode()], |input| {
        let Ok(row) = PostRow::decode(input) else { return false };
        let again = row.encode();
        assert_eq!((&again[1..], again[0]), (&input[1..], u8::from(input[0] != 0)));
        true
    });
}

#[test]
fn a_keys_row_is_malformed_or_says_the_same_again() {
    let card = UserCard { id: UserId(7), handle: "ann".parse().expect("a handle"), name: "Ann".into() };
    let post = Post { id: PostId(1 << 61), author: card, text: "x\"\n".into(), likes: 0 };
    let outcomes = [Outcome::Done, Outcome::Posted { post, channel: Channel::Push }];
    let row = |outcome| KeyRow { fingerprint: [3; 16], made_at: Millis(9), outcome }.encode();
    fuzz(kept!("key_row"), outcomes.map(row).to_vec(), |input| {
        let Ok(row) = KeyRow::decode(input) else { return false };
        if let Outcome::Posted { post, .. } = &row.outcome {
            assert_eq!(post.author.handle.as_str().parse(), Ok(post.author.handle.clone()), "it is a handle");
        }
        let again = KeyRow::decode(&row.encode()).expect("what we write we read");
        assert_eq!((again.fingerprint, again.made_at, again.outcome), (row.fingerprint, row.made_at, row.outcome));
        true
    });
}

#[test]
fn a_number_of_a_row_ends_within_ten_bytes() {
    fuzz(kept!("row_number"), vec![vec![0x80; 10], vec![0xff, 1]], |input| {
        let mut rest = input;
        let Some(number) = take_number(&mut rest) else { return false };
        let taken = &input[..input.len() - rest.len()];
        assert!(taken.len() <= 10);
        // Seven bits of each byte, in arithmetic that has room for all of them.
        let naive = taken.iter().enumerate().map(|(n, byte)| u128::from(byte & 0x7f) << (7 * n)).sum::<u128>();
        assert_eq!(u128::from(number), naive);
        let mut again = Vec::new();
        put_number(number, &mut again);
        assert_eq!(take_number(&mut &*again), Some(number));
        true
    });
}
