//! A post as the bytes that clients get, with its like counter spliced in.

use std::io::Write;
use std::sync::Mutex;

use crate::model::{Position, Post, PostId, UserId};

/// A post, rendered once: `{"id","author":{"id","handle","name"},"text","created_at","likes"}`.
#[derive(Debug)]
pub struct RenderedPost {
    id: PostId,
    author: UserId,
    /// Everything up to the counter.
    head: Box<[u8]>,
    /// The likes, and the position in the log that they are from.
    likes: Mutex<(u64, Position)>,
}

impl RenderedPost {
    /// Renders `post`, whose counter was read when the node was at `position`.
    pub fn new(post: &Post, position: Position) -> Self {
        let mut head = Vec::with_capacity(200 + post.text.len());
        let string = |head: &mut Vec<u8>, text: &str| {
            serde_json::to_writer(head, text).expect("a string is JSON, and a Vec takes every write");
        };
        write!(
            head,
            r#"{{"id":"{}","author":{{"id":"{}","handle":"{}","name":"#,
            post.id, post.author.id, post.author.handle
        )
        .expect("a Vec takes every write");
        string(&mut head, &post.author.name);
        head.extend_from_slice(br#"},"text":"#);
        string(&mut head, &post.text);
        write!(head, r#","created_at":"{}","likes":"#, post.id.created_at()).expect("a Vec takes every write");
        Self { id: post.id, author: post.author.id, head: head.into(), likes: Mutex::new((post.likes, position)) }
    }

    /// The post's id.
    pub fn id(&self) -> PostId {
        self.id
    }

    /// Who wrote it.
    pub fn author(&self) -> UserId {
        self.author
    }

    /// Bytes it takes in memory, roughly.
    pub fn weight(&self) -> usize {
        self.head.len() + size_of::<Self>() + 64
    }

    /// Appends the JSON object to `out`; the likes that it tells.
    pub fn write_json(&self, out: &mut Vec<u8>) -> u64 {
        let likes = self.likes().0;
        out.extend_from_slice(&self.head);
        serde_json::to_writer(&mut *out, &likes).expect("a number is JSON, and a Vec takes every write");
        out.push(b'}');
        likes
    }

    /// The event at `position` says that the post has `likes` likes; older news is passed over.
    pub fn set_likes(&self, likes: u64, position: Position) {
        let mut now = self.likes();
        if position > now.1 {
            *now = (likes, position);
        }
    }

    fn likes(&self) -> std::sync::MutexGuard<'_, (u64, Position)> {
        self.likes.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
