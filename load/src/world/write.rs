//! Writing a world: three files as streams, a tally of what they come to, and `world.json` as the last word.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::format::{BodyWriter, Kind, VERSION};
use super::shape::Tally;
use super::{Origin, PostRecord, Summary};

/// A world that is being written. Everything is given in the order of [`format`](super::format).
pub struct WorldWriter {
    folder: PathBuf,
    users: BodyWriter,
    follows: BodyWriter,
    posts: BodyWriter,
    last_user: u64,
    last_follower: u32,
    last_second: u64,
    tally: Tally,
}

impl WorldWriter {
    /// Begins a world in `folder`, which is made where it is missing.
    ///
    /// # Errors
    /// When there is a world already, or the files cannot be made.
    pub fn create(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder).with_context(|| format!("making the folder {}", folder.display()))?;
        let taken = folder.join("world.json").exists();
        ensure!(!taken, "{} holds a world already: choose another folder", folder.display());
        Ok(Self {
            folder: folder.to_owned(),
            users: BodyWriter::create(folder, Kind::Users)?,
            follows: BodyWriter::create(folder, Kind::Follows)?,
            posts: BodyWriter::create(folder, Kind::Posts)?,
            last_user: 0,
            last_follower: 0,
            last_second: 0,
            tally: Tally::default(),
        })
    }

    /// Adds a user with a number above the last one's.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn user(&mut self, number: u64) -> Result<()> {
        debug_assert!(self.tally.is_empty() || number > self.last_user, "numbers rise");
        self.users.varint(number - self.last_user)?;
        self.users.record();
        self.last_user = number;
        self.tally.user();
        Ok(())
    }

    /// Adds whom a user follows, by rising index, without the user. Followers come by rising index.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn follower(&mut self, follower: u32, followees: &[u32]) -> Result<()> {
        debug_assert!(followees.is_sorted_by(|a, b| a < b) && !followees.contains(&follower));
        if followees.is_empty() {
            return Ok(());
        }
        self.follows.varint(u64::from(follower - self.last_follower))?;
        self.follows.varint(followees.len() as u64)?;
        let mut last = 0;
        for &followee in followees {
            self.follows.varint(u64::from(followee - last))?;
            self.follows.record();
            last = followee;
        }
        self.last_follower = follower;
        self.tally.follower(follower, followees);
        Ok(())
    }

    /// Adds a post that is not older than the last one.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn post(&mut self, post: PostRecord) -> Result<()> {
        debug_assert!(post.second >= self.last_second, "posts come in order of time");
        self.posts.varint(post.second - self.last_second)?;
        self.posts.varint(u64::from(post.author))?;
        self.posts.record();
        self.last_second = post.second;
        self.tally.post(post);
        Ok(())
    }

    /// Ends the files and writes `world.json`: from now on it is a world.
    ///
    /// # Errors
    /// When the files cannot be written.
    pub fn finish(self, origin: Origin) -> Result<Summary> {
        let summary = Summary {
            version: VERSION,
            origin,
            users: self.users.finish()?,
            follows: self.follows.finish()?,
            posts: self.posts.finish()?,
            shape: self.tally.shape(),
        };
        let path = self.folder.join("world.json");
        let mut text = serde_json::to_vec_pretty(&summary).context("writing the summary as JSON")?;
        text.push(b'\n');
        // Under another name first: half a summary must not look like a world.
        let unfinished = self.folder.join("world.json.unfinished");
        let written = fs::File::create(&unfinished).and_then(|mut file| {
            file.write_all(&text)?;
            file.sync_all()?;
            fs::rename(&unfinished, &path)
        });
        written.with_context(|| format!("writing {}", path.display()))?;
        Ok(summary)
    }
}
