//! A world from files: tab-separated (or by spaces), plain or gzipped. The edge where their lines are parsed:
//! whatever is wrong in one is an error with file, line and reason.
//!
//! Held in memory: 8 bytes a follow, 12 a post, 24 a user. Empty lines and lines that begin with `#` are skipped.

use std::fmt::Display;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use flate2::read::MultiGzDecoder;
use rustc_hash::FxHashMap;

use super::{END_SECOND, FIRST_SECOND, Origin, PostRecord, Summary, WorldWriter};
use crate::progress::Progress;

/// Bytes of a line at the most: two numbers and a little.
const LINE_BYTES: u64 = 256;
/// Users at the most: indices have 32 bits.
const USERS_MAX: usize = u32::MAX as usize;

/// Makes a world of two files: "follower followee" and "unix_seconds author". Users are all who are named.
///
/// # Errors
/// When a file cannot be read, a line is malformed, or the folder cannot be written.
pub fn make(follows: &Path, posts: &Path, folder: &Path) -> Result<Summary> {
    // Before the long work of reading.
    let mut writer = WorldWriter::create(folder)?;
    let mut people = People::default();
    let read_follows = read_follows(follows, &mut people)?;
    let mut posts = read_posts(posts, &mut people)?;
    let posts_were_sorted = posts.is_sorted_by_key(|post| post.second);
    if !posts_were_sorted {
        // Stable: posts of one second keep the order of the file.
        posts.sort_by_key(|post| post.second);
    }

    let (numbers, index_of) = people.by_number();
    let mut follows: Vec<(u32, u32)> =
        read_follows.pairs.into_iter().map(|(a, b)| (index_of[a as usize], index_of[b as usize])).collect();
    follows.sort_unstable();
    let with_duplicates = follows.len();
    follows.dedup();

    numbers.iter().try_for_each(|&number| writer.user(number))?;
    let mut followees = Vec::new();
    for group in follows.chunk_by(|a, b| a.0 == b.0) {
        followees.clear();
        followees.extend(group.iter().map(|&(_, followee)| followee));
        writer.follower(group[0].0, &followees)?;
    }
    for post in posts {
        writer.post(PostRecord { second: post.second, author: index_of[post.author as usize] })?;
    }
    writer.finish(Origin::Files {
        self_follows_dropped: read_follows.of_oneself,
        duplicate_follows_dropped: (with_duplicates - follows.len()) as u64,
        posts_were_sorted,
    })
}

/// Numbers in the files, interned in the order in which they are first seen.
#[derive(Default)]
struct People {
    seen: FxHashMap<u64, u32>,
}

impl People {
    fn intern(&mut self, number: u64) -> Result<u32, String> {
        let next = self.seen.len();
        if next >= USERS_MAX {
            return Err("too many users: at most 4,294,967,295 can be numbered".into());
        }
        Ok(*self.seen.entry(number).or_insert(next as u32))
    }

    /// The numbers, rising; and for each in the order seen its place among them.
    fn by_number(self) -> (Vec<u64>, Vec<u32>) {
        let mut pairs: Vec<(u64, u32)> = self.seen.into_iter().collect();
        pairs.sort_unstable();
        let mut index_of = vec![0; pairs.len()];
        for (index, &(_, seen)) in (0u32..).zip(&pairs) {
            index_of[seen as usize] = index;
        }
        (pairs.into_iter().map(|(number, _)| number).collect(), index_of)
    }
}

struct ReadFollows {
    pairs: Vec<(u32, u32)>,
    of_oneself: u64,
}

fn read_follows(path: &Path, people: &mut People) -> Result<ReadFollows> {
    let mut read = ReadFollows { pairs: Vec::new(), of_oneself: 0 };
    for_each_line(path, "reading follows", "follower followee", |follower, followee| {
        let pair = (people.intern(follower)?, people.intern(followee)?);
        if pair.0 == pair.1 {
            read.of_oneself += 1;
        } else {
            read.pairs.push(pair);
        }
        Ok(())
    })?;
    Ok(read)
}

fn read_posts(path: &Path, people: &mut People) -> Result<Vec<PostRecord>> {
    let mut posts = Vec::new();
    for_each_line(path, "reading posts", "unix_seconds author", |second, author| {
        if !(FIRST_SECOND..END_SECOND).contains(&second) {
            return Err(format!("{second} is not a Unix second from 2010-01-01 to 2079"));
        }
        posts.push(PostRecord { second, author: people.intern(author)? });
        Ok(())
    })?;
    Ok(posts)
}

/// Gives each line's two numbers to `take`, whose error is the reason why the line cannot be.
fn for_each_line(
    path: &Path,
    what: &'static str,
    shape: &str,
    mut take: impl FnMut(u64, u64) -> Result<(), String>,
) -> Result<()> {
    let mut lines = Lines::open(path)?;
    let mut progress = Progress::start(what, None);
    while lines.advance()? {
        let text = lines.line.trim_ascii();
        if !text.is_empty() && text[0] != b'#' {
            let numbers = two_numbers(text, shape);
            numbers.and_then(|(first, second)| take(first, second)).map_err(|reason| lines.error(reason))?;
        }
        progress.add(1);
    }
    progress.finish();
    Ok(())
}

fn two_numbers(line: &[u8], shape: &str) -> Result<(u64, u64), String> {
    let mut fields = line.split(u8::is_ascii_whitespace).filter(|field| !field.is_empty());
    match (fields.next(), fields.next(), fields.next()) {
        (Some(first), Some(second), None) => Ok((number(first)?, number(second)?)),
        _ => Err(format!("expected two numbers (\"{shape}\"), found {:?}", shown(line))),
    }
}

fn number(field: &[u8]) -> Result<u64, String> {
    // Digits only: `parse` alone would take a sign.
    let digits = field.iter().all(u8::is_ascii_digit).then(|| str::from_utf8(field).ok()).flatten();
    let digits = digits.ok_or_else(|| format!("{:?} is not a number", shown(field)))?;
    if digits.len() > 1 && digits.starts_with('0') {
        return Err(format!("{digits:?} has a leading zero: two spellings of one number would be one user"));
    }
    digits.parse().map_err(|_| format!("{digits} does not fit in 64 bits"))
}

/// What of a hostile line is fit for an error message.
fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(60)]).into_owned()
}

struct Lines {
    path: PathBuf,
    input: Box<dyn BufRead>,
    line: Vec<u8>,
    number: u64,
}

impl Lines {
    /// Whether it is gzipped is told by its first bytes, not by its name.
    fn open(path: &Path) -> Result<Self> {
        let opened = File::open(path).and_then(|mut file| {
            let mut magic = Vec::new();
            (&mut file).take(2).read_to_end(&mut magic)?;
            file.rewind()?;
            Ok((file, magic == [0x1f, 0x8b]))
        });
        let (file, gzipped) = opened.with_context(|| format!("reading {}", path.display()))?;
        let input: Box<dyn BufRead> =
            if gzipped { Box::new(BufReader::new(MultiGzDecoder::new(file))) } else { Box::new(BufReader::new(file)) };
        Ok(Self { path: path.to_owned(), input, line: Vec::new(), number: 0 })
    }

    /// Reads the next line into `line`; whether there was one.
    fn advance(&mut self) -> Result<bool> {
        self.line.clear();
        self.number += 1;
        let read = (&mut self.input).take(LINE_BYTES).read_until(b'\n', &mut self.line);
        let read = read.map_err(|error| self.error(format!("cannot be read: {error}")))?;
        if read as u64 == LINE_BYTES && self.line.last() != Some(&b'\n') {
            bail!(self.error(format!("the line has more than {LINE_BYTES} bytes")));
        }
        Ok(read > 0)
    }

    fn error(&self, reason: impl Display) -> anyhow::Error {
        anyhow!("{}:{}: {reason}", self.path.display(), self.number)
    }
}

#[cfg(test)]
#[path = "tsv_tests.rs"]
mod tests;
