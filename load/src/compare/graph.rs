//! The world of a comparison in memory, and the naive truth over it: what every arm is filled from, and checked with.

use std::sync::Arc;

use anyhow::Result;
use tributary_engine::model::PostId;

use crate::import::PostIds;
use crate::world::World;

/// Entries of a page.
pub const PAGE: usize = 20;

/// Who follows whom, and who posted what. Users are named by index.
#[derive(Clone)]
pub struct Graph {
    /// The users' handles.
    pub handles: Arc<[String]>,
    /// Whom each user follows, in no order.
    pub followees: Vec<Vec<u32>>,
    /// Who follows each user, in no order.
    pub followers: Vec<Vec<u32>>,
    /// Each author's posts, oldest first.
    pub posts: Vec<Vec<PostId>>,
    /// The authors of all posts, in their order.
    pub authors: Arc<[u32]>,
    /// The newest post.
    pub newest: PostId,
}

impl Graph {
    /// Reads a world.
    ///
    /// # Errors
    /// When it is damaged.
    pub fn load(world: &World) -> Result<Self> {
        let (mut users, mut handles) = (world.users()?, Vec::new());
        while let Some(number) = users.next_user()? {
            handles.push(format!("u{number}"));
        }
        let mut followees = vec![Vec::new(); handles.len()];
        let mut followers = vec![Vec::new(); handles.len()];
        let (mut follows, mut some) = (world.follows()?, Vec::new());
        while let Some(follower) = follows.next_follower(&mut some)? {
            some.iter().for_each(|&followee| followers[followee as usize].push(follower));
            followees[follower as usize].clone_from(&some);
        }
        let mut posts = vec![Vec::new(); handles.len()];
        let (mut records, mut ids, mut authors, mut newest) =
            (world.posts()?, PostIds::default(), Vec::new(), PostId::MIN);
        while let Some(post) = records.next_post()? {
            newest = ids.next(post)?;
            posts[post.author as usize].push(newest);
            authors.push(post.author);
        }
        Ok(Self { handles: handles.into(), followees, followers, posts, authors: authors.into(), newest })
    }

    /// Notes a post.
    pub fn post(&mut self, author: u32, id: PostId) {
        self.posts[author as usize].push(id);
    }

    /// Notes a follow.
    pub fn follow(&mut self, reader: u32, followee: u32) {
        if !self.followees[reader as usize].contains(&followee) {
            self.followees[reader as usize].push(followee);
            self.followers[followee as usize].push(reader);
        }
    }

    /// The truth: of everything by whom the reader follows and by the reader, the newest `count` below an id.
    pub fn home(&self, reader: u32, below: PostId, count: usize) -> Vec<PostId> {
        let authors = self.followees[reader as usize].iter().chain(std::iter::once(&reader));
        // Of one author no more than `count` can be on it.
        let newest = |&author: &u32| {
            let posts = &self.posts[author as usize];
            posts[..posts.partition_point(|id| *id < below)].iter().rev().take(count).copied()
        };
        let mut ids: Vec<PostId> = authors.flat_map(newest).collect();
        ids.sort_unstable_by(|a, b| b.cmp(a));
        ids.truncate(count);
        ids
    }
}
