//! Fuzz targets for what the engine decodes and everybody may call: tokens, packed ids, windows, runs, events, notes, and
//! a whole node under whatever the log brings ([`node`]). Those of private parsers stand beside these. Folders beside this
//! file keep inputs that are tried every time.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod node;
mod notes;

use tributary_engine::limits::POPULAR_POSTS;
use tributary_engine::model::{Channel, Epoch, Event, LoggedEvent, NumberedEvent, Position, PostId, Stamp, UserId};
use tributary_engine::read::POPULAR_CURSOR_CHARS;
use tributary_engine::testkit::fuzz;
use tributary_engine::timeline::packed::{
    pack, pack_unordered, put_number, take_number, unordered_bytes, unpack, unpack_unordered,
};
use tributary_engine::timeline::{ListId, Run, SegmentHeader, Signer, Window, fold};

const EPOCH: Epoch = Epoch(7);

macro_rules! kept {
    ($name:literal) => {
        concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fuzz/", $name)
    };
}
pub(crate) use kept;

fn ids(count: u64) -> Vec<PostId> {
    (0..count).map(|n| PostId((1 << 61) - n * n * 1_000_003)).collect()
}

fn window(entries: u64) -> Window {
    Window { epoch: EPOCH, floor: PostId(9), position: Position(400), stamp: Stamp(30), entries: ids(entries) }
}

fn encoded(window: &Window) -> Vec<u8> {
    let mut bytes = Vec::new();
    window.encode(&mut bytes);
    bytes
}

#[test]
fn a_token_is_opened_only_if_it_was_sealed() {
    let signer = Signer::new(&[1; 32]);
    let (home, other) = (ListId::Home(UserId(5)), ListId::Fresh(UserId(5)));
    let sealed = [
        signer.seal(home, [7, 8, 9]),
        signer.seal(home, [0, u64::MAX, 1 << 40]),
        signer.seal(other, [7, 8, 9]),
        signer.seal(home, [7, 8]),
        signer.seal(home, [7, 8, 9, 10]),
        signer.seal_bytes(home, &[7, 8]),
    ];
    assert_ne!(sealed[0], sealed[2], "the list is sealed as well");
    fuzz(kept!("token"), sealed.iter().map(|token| token.clone().into_bytes()).collect(), |input| {
        let Ok(text) = std::str::from_utf8(input) else { return false };
        let opened = signer.open::<3>(home, text);
        assert_eq!(
            opened.is_some(),
            sealed[..2].iter().any(|token| token == text),
            "{text:?} was opened as {opened:?}"
        );
        opened.is_some()
    });
}

#[test]
fn a_token_of_bytes_is_opened_only_if_it_was_sealed() {
    let (signer, older) = (Signer::new(&[1; 32]).and_opens(&[2; 32]), Signer::new(&[2; 32]));
    let sealed = [
        signer.seal_bytes(ListId::Popular, b""),
        signer.seal_bytes(ListId::Popular, &[7; 40]),
        older.seal_bytes(ListId::Popular, &[8; 3]),
    ];
    let foreign = [
        Signer::new(&[3; 32]).seal_bytes(ListId::Popular, &[7; 40]),
        signer.seal_bytes(ListId::Tunings, &[7; 40]),
        // Longer than any cursor of ours.
        signer.seal_bytes(ListId::Popular, &[7; POPULAR_CURSOR_CHARS]),
    ];
    let seeds = sealed.iter().chain(&foreign).map(|token| token.clone().into_bytes()).collect();
    fuzz(kept!("token_bytes"), seeds, |input| {
        let Ok(text) = std::str::from_utf8(input) else { return false };
        let opened = signer.open_bytes(ListId::Popular, text, POPULAR_CURSOR_CHARS);
        assert_eq!(opened.is_some(), sealed.iter().any(|token| token == text), "{text:?} was opened as {opened:?}");
        opened.is_some()
    });
}

#[test]
fn ids_in_any_order_are_bounded_and_packed_again_the_same() {
    let packed = |ids: &[PostId]| {
        let mut bytes = Vec::new();
        pack_unordered(ids, &mut bytes);
        bytes
    };
    let mut shuffled = ids(40);
    shuffled.rotate_left(13);
    let seeds = vec![packed(&[]), packed(&shuffled), packed(&ids(POPULAR_POSTS as u64)), packed(&[PostId::MAX])];
    fuzz(kept!("unordered"), seeds, |input| {
        let Some(ids) = unpack_unordered(input, POPULAR_POSTS) else { return false };
        assert!(ids.len() <= POPULAR_POSTS.min(input.len()) && ids.iter().all(|id| *id <= PostId::MAX), "{ids:?}");
        let again = packed(&ids);
        assert!(again.len() <= unordered_bytes(ids.len()));
        assert_eq!(unpack_unordered(&again, ids.len()), Some(ids));
        true
    });
}

#[test]
fn packed_ids_are_bounded_and_packed_again_the_same() {
    let mut packed = Vec::new();
    pack(ids(30), &mut packed);
    fuzz(kept!("packed"), vec![packed, vec![0xff; 12]], |input| {
        let mut unpacked = unpack(input);
        let ids: Vec<PostId> = unpacked.by_ref().collect();
        assert!(ids.len() <= input.len(), "an id takes a byte at least");
        let mut again = Vec::new();
        pack(ids.iter().copied(), &mut again);
        assert_eq!(unpack(&again).collect::<Vec<_>>(), ids);
        unpacked.is_exhausted()
    });
}

#[test]
fn a_number_is_taken_whole_or_not_at_all() {
    let number = |number: u64| {
        let mut bytes = Vec::new();
        put_number(&mut bytes, number);
        bytes
    };
    fuzz(kept!("number"), vec![number(0), number(300), number(u64::MAX), vec![0x80; 9]], |input| {
        let mut rest = input;
        let Some(taken) = take_number(&mut rest) else {
            assert_eq!(rest, input);
            return false;
        };
        // Seven bits of each byte, in arithmetic that has room for all of them.
        let bytes = input[..input.len() - rest.len()].iter().enumerate();
        let naive = bytes.map(|(n, byte)| u128::from(byte & 0x7f) << (7 * n)).sum::<u128>();
        assert_eq!(u128::from(taken), naive);
        let mut again = number(taken);
        assert!(again.len() <= input.len() - rest.len(), "no shorter form than ours");
        again.push(0xff);
        assert_eq!(take_number(&mut &*again), Some(taken));
        true
    });
}

#[test]
fn a_string_folds_to_a_window_no_larger_than_it_which_folds_to_itself() {
    let segment = |from: u64, to: u64, entries: u64| {
        let header = SegmentHeader { epoch: EPOCH, from: Position(from), to: Position(to), stamp: Stamp(20) };
        let mut bytes = Vec::new();
        header.encode(ids(entries), &mut bytes);
        bytes
    };
    let (fill, full) = (encoded(&window(12)), encoded(&window(800)));
    let strings = vec![
        [&fill[..], &segment(400, 410, 3), &segment(410, 450, 0)].concat(),
        [&fill[..], &segment(300, 350, 3)].concat(),
        [&full[..], &segment(390, 500, 800)].concat(),
        fill,
    ];
    fuzz(kept!("window"), strings, |input| {
        let Some((window, segments)) = fold(input, EPOCH) else { return false };
        assert!(window.entries.len() <= input.len() && segments <= input.len() / 3, "{window:?}");
        if segments > 0 {
            assert!(window.entries.len() <= 800 && window.entries.is_sorted_by(|a, b| a > b), "{window:?}");
        }
        assert_eq!(fold(&encoded(&window), EPOCH), Some((window, 0)));
        true
    });
}

/// The input says what is in the string: each piece of 8 bytes a segment, with its epoch, where it begins, how long it is,
/// its stamp, and some ids a step apart. What it comes to is reckoned from the pieces.
#[test]
fn a_string_of_segments_folds_to_what_they_say_together() {
    let seeds = vec![
        vec![0, 10, 5, 30, 3, 9, 1, 1],
        [[0, 10, 5, 20, 3, 9, 1, 1], [0, 15, 5, 25, 0, 0, 0, 0], [1, 20, 9, 9, 9, 9, 9, 9]].concat(),
        [[0, 9, 2, 9, 255, 200, 3, 0]; 8].concat(),
        [[0, 11, 9, 9, 1, 1, 1, 0x81], [0, 9, 1, 40, 1, 1, 1, 1]].concat(),
    ];
    fuzz(kept!("segments"), seeds, |input| {
        let (start, mut string) = (window(12), encoded(&window(12)));
        let mut set: std::collections::BTreeSet<PostId> = start.entries.iter().copied().collect();
        let (mut position, mut stamp, mut floor, mut count) = (start.position.0, start.stamp, start.floor, 0);
        let (pieces, rest) = input.as_chunks::<8>();
        for &[epoch, from, length, made, many, first, step, more] in pieces.iter().take(100) {
            let from = position.saturating_sub(10) + u64::from(from % 21);
            let to = from + u64::from(length);
            // More than a window has.
            let many = if more & 0x80 != 0 { 900 } else { u64::from(many) };
            let top = (1 << 61) - (u64::from(first) << 22);
            let ids: Vec<PostId> = (0..many).map(|n| PostId(top - n * (1 + u64::from(step)))).collect();
            let header = SegmentHeader {
                epoch: if epoch % 4 == 1 { Epoch(8) } else { EPOCH },
                from: Position(from),
                to: Position(to),
                stamp: Stamp(made.into()),
            };
            header.encode(ids.iter().copied(), &mut string);
            if header.epoch != EPOCH {
                continue;
            }
            count += 1;
            if many >= 800 {
                floor = floor.max(PostId(ids[799].0 - 1));
            }
            set.extend(ids.into_iter().take(800));
            if from <= position && to > position {
                (position, stamp) = (to, stamp.min(header.stamp));
            }
        }
        let (folded, segments) = fold(&string, EPOCH).expect("there is a fill in front");
        assert_eq!((segments, folded.position, folded.stamp), (count, Position(position), stamp));
        let all: Vec<PostId> = set.into_iter().rev().filter(|id| *id > floor).collect();
        let kept = &all[..all.len().min(800)];
        assert_eq!((&folded.entries[..], folded.floor), (kept, all.get(800).copied().unwrap_or(floor).max(floor)));
        rest.is_empty()
    });
}

/// The input says what comes: each piece of 16 bytes an id, and how far the run gets with it.
#[test]
fn a_run_that_is_brought_forward_is_what_a_set_would_be() {
    let piece = |id: u64, step: u64| [id.to_le_bytes(), step.to_le_bytes()].concat();
    let seeds = vec![
        piece(1 << 61, 5),
        piece(window(20).floor.0, 1),
        [piece(1 << 60, 1), piece(1 << 60, 1), piece(3, 0)].concat(),
        (0..200u64).flat_map(|n| piece((1 << 61) + n * n, n)).collect(),
    ];
    fuzz(kept!("run"), seeds, |input| {
        let start = window(20);
        let mut run = Run::new(&start);
        let mut set: std::collections::BTreeSet<PostId> = start.entries.iter().copied().collect();
        let (pieces, rest) = input.as_chunks::<16>();
        for piece in pieces.iter().take(1_000) {
            let [id, step] = [0, 8].map(|at| u64::from_le_bytes(*piece[at..].first_chunk().expect("8 of 16 bytes")));
            let id = PostId(id.clamp(1, PostId::MAX.0));
            let position = Position(run.position().0.saturating_add(step));
            run.advance(&[id], PostId(9), position, Stamp(30));
            set.extend(Some(id).filter(|id| *id > run.floor()));
        }
        let floor = run.floor();
        assert!(run.entries().eq(set.iter().rev().copied().filter(|id| *id > floor)), "{run:?}");
        assert!(run.weight() <= 64 * 1024, "{}", run.weight());
        rest.is_empty()
    });
}

#[test]
fn an_event_is_refused_or_exactly_these_bytes() {
    let (post, author) = (PostId(1 << 61), UserId(1 << 60));
    let events = [
        Event::Posted { post, author, channel: Channel::Pull, audience: u32::MAX },
        Event::Removed { post, author },
        Event::Followed { follower: author, followee: UserId(3) },
        Event::Unblocked { user: author, target: UserId(3) },
        Event::Liked { user: author, post, likes: u64::MAX },
        Event::Tuned { version: 12 },
        Event::Pinned { author },
    ];
    let bytes = |event: Event| LoggedEvent::new(EPOCH, NumberedEvent { position: Position(1), event }).bytes.to_vec();
    assert!(events.iter().all(|event| Event::decode(&bytes(*event)).is_ok_and(|decoded| decoded == *event)));
    fuzz(kept!("event"), events.map(bytes).to_vec(), |input| {
        let Ok(event) = Event::decode(input) else { return false };
        assert_eq!(bytes(event), input);
        true
    });
}
