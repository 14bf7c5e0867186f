//! Fuzz targets for the files of worlds, and for the files that worlds are made of.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use flate2::Crc;
use tributary_engine::testkit::fuzz;

use super::format::Kind;
use super::read::Contents;
use super::{FIRST_SECOND, FileSummary, Origin, PostRecord, Summary, World, WorldWriter, tsv};

const KINDS: [Kind; 3] = [Kind::Users, Kind::Follows, Kind::Posts];

fn write(folder: &Path, (users, follows, posts): &Contents) {
    let mut writer = WorldWriter::create(folder).unwrap();
    users.iter().for_each(|&number| writer.user(number).unwrap());
    follows.iter().for_each(|(follower, followees)| writer.follower(*follower, followees).unwrap());
    posts.iter().for_each(|&post| writer.post(post).unwrap());
    writer.finish(Origin::Made { seed: 0, mean_follows: None }).unwrap();
}

fn small() -> Contents {
    let post = |after, author| PostRecord { second: FIRST_SECOND + after, author };
    (vec![0, 7, 300, u64::MAX], vec![(0, vec![1, 2]), (3, vec![0])], vec![post(0, 3), post(400, 0), post(400, 3)])
}

/// Puts `body` into the place of a file's own, with a frame that is in order and a summary that agrees: a checksum
/// keeps accidents out, not malice.
fn replace(folder: &Path, kind: Kind, count: u64, body: &[u8]) {
    let path = folder.join(kind.file_name());
    let mut file = fs::read(&path).unwrap()[..16].to_vec();
    file.extend_from_slice(body);
    file.extend(count.to_le_bytes());
    let mut crc = Crc::new();
    crc.update(&file);
    file.extend(crc.sum().to_le_bytes());
    fs::write(path, file).unwrap();
    let place = folder.join("world.json");
    let mut summary: Summary = serde_json::from_slice(&fs::read(&place).unwrap()).unwrap();
    let told = match kind {
        Kind::Users => &mut summary.users,
        Kind::Follows => &mut summary.follows,
        Kind::Posts => &mut summary.posts,
    };
    *told = FileSummary { count, crc32: crc.sum() };
    fs::write(place, serde_json::to_vec(&summary).unwrap()).unwrap();
}

/// The input: which file, its count (16 bits), its body.
#[test]
fn a_file_of_a_world_is_damaged_or_is_written_again_the_same() {
    let kept = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fuzz/world");
    let original = tempfile::tempdir().unwrap();
    write(original.path(), &small());
    let counts = [4, 3, 3];
    let seeds = KINDS.iter().zip(counts).zip(0..).map(|((kind, count), n)| {
        let file = fs::read(original.path().join(kind.file_name())).unwrap();
        [&[n, count, 0], &file[16..file.len() - 12]].concat()
    });
    // A user twice; a followee that there is not; somebody who follows nobody.
    let bad = [vec![0, 4, 0, 5, 0, 1, 1], vec![1, 1, 0, 0, 1, 9], vec![1, 1, 0, 0, 0, 1, 1, 0]];
    let seeds = seeds.chain(bad);
    fuzz(kept, seeds.collect(), |input| {
        let [file, low, high, body @ ..] = input else { return false };
        let kind = KINDS[usize::from(*file) % 3];
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &small());
        replace(folder.path(), kind, u64::from(u16::from_le_bytes([*low, *high])), body);
        let Ok(contents) = World::open(folder.path()).and_then(|world| world.contents()) else { return false };
        assert!(contents.0.len() + contents.2.len() <= 7 + body.len(), "a record takes a byte at least");
        assert!(contents.1.iter().all(|(_, followees)| !followees.is_empty()));
        let again = folder.path().join("again");
        write(&again, &contents);
        assert_eq!(World::open(&again).unwrap().contents().unwrap(), contents);
        true
    });
}

/// The numbers of a file that was understood, each in its one spelling.
fn numbers(path: &Path) -> Vec<[u64; 2]> {
    let text = String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
    let lines = text.split('\n').map(str::trim_ascii).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let number = |word: &str| {
        let number = word.parse().unwrap_or_else(|_| panic!("{word:?} was taken for a number"));
        assert_eq!(word, u64::to_string(&number));
        number
    };
    let pair = |line: &str| <[u64; 2]>::try_from(line.split_ascii_whitespace().map(number).collect::<Vec<_>>());
    lines.map(|line| pair(line).unwrap_or_else(|_| panic!("{line:?} was taken for a pair"))).collect()
}

/// The input: a file of follows, a vertical bar, a file of posts.
#[test]
fn files_give_a_world_or_a_reason() {
    let kept = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fuzz/tsv");
    let seeds = [
        "7\t5\n5 9\n# x\n|1300000001\t9\r\n1300000000 5",
        "1 1|1262304000 18446744073709551615",
        "+7 5\n|",
        "07 5\n|",
        "|",
    ];
    fuzz(kept, seeds.map(|text| text.as_bytes().to_vec()).to_vec(), |input| {
        let bar = input.iter().position(|byte| *byte == b'|').unwrap_or(input.len());
        let folder = tempfile::tempdir().unwrap();
        let [follows, posts, world] = ["follows", "posts", "world"].map(|name| folder.path().join(name));
        fs::write(&follows, &input[..bar]).unwrap();
        fs::write(&posts, input.get(bar + 1..).unwrap_or_default()).unwrap();
        let made = tsv::make(&follows, &posts, &world);
        let read = World::open(&world).and_then(|world| world.contents());
        assert_eq!(made.is_ok(), read.is_ok(), "{made:?}, {read:?}");
        if let Ok((users, _, stamped)) = &read {
            let (follows, posts) = (numbers(&follows), numbers(&posts));
            let named = follows.iter().flatten().chain(posts.iter().map(|[_, author]| author));
            assert!(named.collect::<BTreeSet<_>>().into_iter().eq(users), "users are who are named: {users:?}");
            assert_eq!(posts.len(), stamped.len());
        }
        read.is_ok()
    });
}
