//! Reading a world: its summary, and its files as streams of records that are checked as they are read.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::format::{BodyReader, Kind, VERSION};
use super::{END_SECOND, FIRST_SECOND, FileSummary, Summary};

/// A world on disk.
#[derive(Clone, Debug)]
pub struct World {
    folder: PathBuf,
    summary: Summary,
}

/// One post.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PostRecord {
    /// Unix time.
    pub second: u64,
    /// Index of the author.
    pub author: u32,
}

impl World {
    /// Opens a world and checks that its files belong together. What is in them is checked as it is read.
    ///
    /// # Errors
    /// When the folder holds no whole world of this version.
    pub fn open(folder: &Path) -> Result<Self> {
        let path = folder.join("world.json");
        let text = fs::read(&path).with_context(|| {
            format!("reading {}: is it the folder of a world, and was its making finished?", path.display())
        })?;
        let summary: Summary =
            serde_json::from_slice(&text).with_context(|| format!("{} is not a summary of a world", path.display()))?;
        ensure!(summary.version == VERSION, "{} has version {}, not {VERSION}", path.display(), summary.version);
        let world = Self { folder: folder.to_owned(), summary };
        world.body(Kind::Users)?;
        world.body(Kind::Follows)?;
        world.body(Kind::Posts)?;
        let users = world.summary.users.count;
        ensure!(users <= u64::from(u32::MAX), "{} has {users} users, more than 32 bits can number", path.display());
        Ok(world)
    }

    /// What it holds.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// What tells this world from every other: its counts and checksums.
    pub fn identity(&self) -> String {
        let part = |file: FileSummary| format!("{}:{:08x}", file.count, file.crc32);
        let Summary { users, follows, posts, .. } = self.summary;
        format!("{}/{}/{}", part(users), part(follows), part(posts))
    }

    /// The users' numbers, by index.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn users(&self) -> Result<UsersReader> {
        Ok(UsersReader { body: self.body(Kind::Users)?, read: 0, last: 0 })
    }

    /// Whom each user follows, by rising index of the follower.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn follows(&self) -> Result<FollowsReader> {
        Ok(FollowsReader {
            body: self.body(Kind::Follows)?,
            users: self.summary.users.count,
            read: 0,
            next_follower: 0,
        })
    }

    /// The posts, by time.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn posts(&self) -> Result<PostsReader> {
        Ok(PostsReader { body: self.body(Kind::Posts)?, users: self.summary.users.count, read: 0, second: 0 })
    }

    fn body(&self, kind: Kind) -> Result<BodyReader> {
        let body = BodyReader::open(&self.folder, kind)?;
        let said = match kind {
            Kind::Users => self.summary.users,
            Kind::Follows => self.summary.follows,
            Kind::Posts => self.summary.posts,
        };
        if body.summary() != said {
            return Err(body.damaged("it is not the one that world.json describes"));
        }
        Ok(body)
    }
}

/// A stream of users.
pub struct UsersReader {
    body: BodyReader,
    read: u64,
    last: u64,
}

impl UsersReader {
    /// The number of the next user; none at the end, where the whole file has been checked.
    ///
    /// # Errors
    /// When the file cannot be read or is damaged.
    pub fn next_user(&mut self) -> Result<Option<u64>> {
        if self.body.at_end(self.read)? {
            return Ok(None);
        }
        let step = self.body.varint()?;
        self.last = match self.last.checked_add(step) {
            Some(number) if step > 0 || self.read == 0 => number,
            _ => return Err(self.body.damaged("its numbers do not rise")),
        };
        self.read += 1;
        Ok(Some(self.last))
    }
}

/// A stream of follows.
pub struct FollowsReader {
    body: BodyReader,
    users: u64,
    read: u64,
    next_follower: u64,
}

impl FollowsReader {
    /// The index of the next follower, with its followees' by rising index in `followees`; none at the end,
    /// where the whole file has been checked.
    ///
    /// # Errors
    /// When the file cannot be read or is damaged.
    pub fn next_follower(&mut self, followees: &mut Vec<u32>) -> Result<Option<u32>> {
        followees.clear();
        if self.body.at_end(self.read)? {
            return Ok(None);
        }
        // The first follower is written as it is, later ones as a difference of at least one.
        let step = self.body.varint()?;
        let follower = if self.read == 0 { step } else { (self.next_follower - 1).saturating_add(step) };
        let count = self.body.varint()?;
        if follower < self.next_follower || follower >= self.users || count == 0 || count > self.users {
            return Err(self.body.damaged("a follower is out of order"));
        }
        let mut next = 0u64;
        for n in 0..count {
            let step = self.body.varint()?;
            let followee = if n == 0 { step } else { (next - 1).saturating_add(step) };
            if followee < next || followee >= self.users || followee == follower {
                return Err(self.body.damaged("a followee is out of order"));
            }
            followees.push(followee as u32);
            next = followee + 1;
        }
        self.read += count;
        self.next_follower = follower + 1;
        Ok(Some(follower as u32))
    }
}

/// A stream of posts.
pub struct PostsReader {
    body: BodyReader,
    users: u64,
    read: u64,
    second: u64,
}

impl PostsReader {
    /// The next post; none at the end, where the whole file has been checked.
    ///
    /// # Errors
    /// When the file cannot be read or is damaged.
    pub fn next_post(&mut self) -> Result<Option<PostRecord>> {
        if self.body.at_end(self.read)? {
            return Ok(None);
        }
        let second = self.second.saturating_add(self.body.varint()?);
        let author = self.body.varint()?;
        if !(FIRST_SECOND..END_SECOND).contains(&second) || author >= self.users {
            return Err(self.body.damaged("a post is out of bounds"));
        }
        self.second = second;
        self.read += 1;
        Ok(Some(PostRecord { second, author: author as u32 }))
    }
}

/// Everything in a world: the users' numbers, whom each follower follows, the posts.
#[cfg(test)]
pub type Contents = (Vec<u64>, Vec<(u32, Vec<u32>)>, Vec<PostRecord>);

#[cfg(test)]
impl World {
    /// Reads all of it.
    pub fn contents(&self) -> Result<Contents> {
        let (mut users, mut follows, mut posts) = Contents::default();
        let mut from = self.users()?;
        while let Some(number) = from.next_user()? {
            users.push(number);
        }
        let (mut from, mut followees) = (self.follows()?, Vec::new());
        while let Some(follower) = from.next_follower(&mut followees)? {
            follows.push((follower, followees.clone()));
        }
        let mut from = self.posts()?;
        while let Some(post) = from.next_post()? {
            posts.push(post);
        }
        Ok((users, follows, posts))
    }
}
