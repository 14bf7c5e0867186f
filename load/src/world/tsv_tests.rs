//! Worlds from files of follows and posts.

use std::fs;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;
use crate::world::World;

struct Files {
    folder: tempfile::TempDir,
}

impl Files {
    fn new(follows: &[u8], posts: &[u8]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("follows.tsv"), follows).unwrap();
        fs::write(folder.path().join("posts.tsv"), posts).unwrap();
        Self { folder }
    }

    fn make(&self) -> Result<(World, Summary)> {
        let path = |name: &str| self.folder.path().join(name);
        let summary = make(&path("follows.tsv"), &path("posts.tsv"), &path("world"))?;
        Ok((World::open(&path("world"))?, summary))
    }
}

fn gzipped(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_world_of_files_holds_what_they_say() {
    let follows = b"# from a crawl\r\n7\t5\r\n\r\n5 9\n7\t7\n7\t5\n5\t7";
    let posts = b"1300000001\t9\n1300000000\t5\n1300000001\t20\n1300000001 9\n";
    let files = Files::new(follows, &gzipped(posts));
    let (world, summary) = files.make().unwrap();
    let (users, groups, written) = world.contents().unwrap();
    assert_eq!(users, [5, 7, 9, 20]);
    assert_eq!(groups, [(0, vec![1, 2]), (1, vec![0])]);
    let expected = [(1_300_000_000, 0), (1_300_000_001, 2), (1_300_000_001, 3), (1_300_000_001, 2)];
    assert_eq!(written, expected.map(|(second, author)| PostRecord { second, author }));
    let origin = Origin::Files { self_follows_dropped: 1, duplicate_follows_dropped: 1, posts_were_sorted: false };
    assert_eq!((summary.origin, summary.follows.count, summary.posts.count), (origin, 3, 4));
}

#[test]
fn a_bad_line_is_named_with_its_reason() {
    let long = [b"1\t2\n".to_vec(), vec![b'1'; 5_000]].concat();
    let cut = gzipped(&b"1300000000\t1\n".repeat(5_000));
    let good: &[u8] = b"1300000000\t1\n";
    for (follows, posts, said) in [
        (&b"1\t2\n3\n"[..], good, "follows.tsv:2: expected two numbers (\"follower followee\"), found \"3\""),
        (b"1\t2\t3\n", good, "follows.tsv:1: expected two numbers"),
        (b"1\t-2\n", good, "follows.tsv:1: \"-2\" is not a number"),
        (b"1\t+2\n", good, "follows.tsv:1: \"+2\" is not a number"),
        (b"1\t02\n", good, "follows.tsv:1: \"02\" has a leading zero"),
        (b"1\t\xff\xfe\n", good, "is not a number"),
        ("1\t\u{661}\n".as_bytes(), good, "is not a number"),
        (b"1\t18446744073709551616\n", good, "18446744073709551616 does not fit in 64 bits"),
        (&long, good, "follows.tsv:2: the line has more than 256 bytes"),
        (b"1\t2\n", b"1300000000\t1\n1262303999\t1\n", "posts.tsv:2: 1262303999 is not a Unix second"),
        (b"1\t2\n", b"9999999999\t1\n", "posts.tsv:1: 9999999999 is not a Unix second"),
        (b"1\t2\n", b"1300000000.5\t1\n", "posts.tsv:1: \"1300000000.5\" is not a number"),
        (b"1\t2\n", &cut[..cut.len() - 9], "cannot be read"),
    ] {
        let files = Files::new(follows, posts);
        let error = format!("{:#}", files.make().unwrap_err());
        assert!(error.contains(said), "{said:?} in {error:?}");
        assert!(!files.folder.path().join("world/world.json").exists());
    }
}

#[test]
fn any_bytes_give_a_world_or_an_error_but_never_a_panic() {
    let mut rng = fastrand::Rng::with_seed(11);
    for _ in 0..300 {
        let line = |rng: &mut fastrand::Rng| -> Vec<u8> {
            (0..rng.usize(..40)).map(|_| *rng.choice(b"0123456789\t\n #-\xff\r\0").unwrap()).collect()
        };
        let files = Files::new(&line(&mut rng), &line(&mut rng));
        if let Ok((world, _)) = files.make() {
            world.contents().unwrap();
        }
    }
}

#[test]
fn a_folder_that_holds_a_world_is_not_overwritten() {
    let files = Files::new(b"1\t2\n", b"1300000000\t1\n");
    files.make().unwrap();
    assert!(format!("{:#}", files.make().unwrap_err()).contains("holds a world already"));
}
