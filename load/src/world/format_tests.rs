//! World files: what is written is read, and what is damaged is found.

use std::fs;
use std::path::Path;

use super::*;
use crate::world::read::Contents;
use crate::world::{Origin, PostRecord, World, WorldWriter};

/// A small world with gaps in its numbers, and numbers of every length.
fn write(folder: &Path, rng: &mut fastrand::Rng) -> Contents {
    let mut users: Vec<u64> = (0..rng.usize(2..200)).map(|_| rng.u64(..) >> rng.u32(..64)).collect();
    users.sort_unstable();
    users.dedup();
    let count = users.len() as u32;
    let mut follows = Vec::new();
    for follower in 0..count {
        let followees: Vec<u32> = (0..count).filter(|&u| u != follower && rng.u8(..4) == 0).collect();
        if !followees.is_empty() {
            follows.push((follower, followees));
        }
    }
    let mut second = 1_300_000_000;
    let posts: Vec<PostRecord> = (0..rng.usize(..500))
        .map(|_| {
            let bits = rng.u32(..12);
            second += rng.u64(..1 << bits) / 2;
            PostRecord { second, author: rng.u32(..count) }
        })
        .collect();
    let mut writer = WorldWriter::create(folder).unwrap();
    users.iter().for_each(|&number| writer.user(number).unwrap());
    follows.iter().for_each(|(follower, followees)| writer.follower(*follower, followees).unwrap());
    posts.iter().for_each(|&post| writer.post(post).unwrap());
    writer.finish(Origin::Made { seed: 0, mean_follows: None }).unwrap();
    (users, follows, posts)
}

fn read(folder: &Path) -> Result<Contents> {
    World::open(folder)?.contents()
}

#[test]
fn what_is_written_is_read_again() {
    let mut rng = fastrand::Rng::with_seed(5);
    for _ in 0..50 {
        let folder = tempfile::tempdir().unwrap();
        let written = write(folder.path(), &mut rng);
        assert_eq!(read(folder.path()).unwrap(), written);
    }
}

#[test]
fn a_file_cut_anywhere_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &mut fastrand::Rng::with_seed(6));
    for kind in [Kind::Users, Kind::Follows, Kind::Posts] {
        let path = folder.path().join(kind.file_name());
        let whole = fs::read(&path).unwrap();
        for length in (0..whole.len()).step_by(7).chain([whole.len() - 1]) {
            fs::write(&path, &whole[..length]).unwrap();
            let error = format!("{:#}", read(folder.path()).unwrap_err());
            assert!(error.contains("truncated") || error.contains("cannot be"), "{length}: {error}");
        }
        fs::write(&path, &whole).unwrap();
    }
    assert!(read(folder.path()).is_ok());
}

#[test]
fn a_changed_byte_anywhere_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let mut rng = fastrand::Rng::with_seed(8);
    write(folder.path(), &mut rng);
    for kind in [Kind::Users, Kind::Follows, Kind::Posts] {
        let path = folder.path().join(kind.file_name());
        let whole = fs::read(&path).unwrap();
        for at in (0..whole.len()).step_by(5) {
            let mut changed = whole.clone();
            changed[at] ^= rng.u8(1..);
            fs::write(&path, &changed).unwrap();
            assert!(read(folder.path()).is_err(), "{kind:?} {at}");
        }
        fs::write(&path, &whole).unwrap();
    }
}

#[test]
fn a_folder_whose_making_was_interrupted_is_no_world() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = WorldWriter::create(folder.path()).unwrap();
    writer.user(1).unwrap();
    drop(writer);
    let error = format!("{:#}", World::open(folder.path()).unwrap_err());
    assert!(error.contains("was its making finished"), "{error}");
}

#[test]
fn another_version_is_refused_by_its_number() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &mut fastrand::Rng::with_seed(6));
    let path = folder.path().join(Kind::Posts.file_name());
    let mut bytes = fs::read(&path).unwrap();
    bytes[8] = 2;
    fs::write(&path, bytes).unwrap();
    assert!(format!("{:#}", World::open(folder.path()).unwrap_err()).contains("has version 2"));
}
