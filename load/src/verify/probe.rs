//! The freshness probe: from the acknowledgement of a post until a follower of its author is served it, at another
//! node where there is one. Author and follower are users of the probe's own, so that a feed of one entry tells, and
//! no reader of the world sees them.

use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use http::{HeaderValue, Method};
use serde_json::json;

use crate::api::page::{first_item, number};
use crate::api::tokens::sign_in;
use crate::api::{Ask, Target, Wire};

/// Posts of the probe: fewer than `limits.posts_per_minute` allows by default.
pub const EVERY: Duration = Duration::from_millis(1_100);
/// A post that is not seen by then is given up.
pub const GIVE_UP: Duration = Duration::from_secs(10);
/// Waits between looks: short at first, then as `limits.requests_per_second` allows by default.
const LOOK_FIRST: Duration = Duration::from_millis(1);
const LOOK_LAST: Duration = Duration::from_millis(32);
const AUTHOR: &str = "load_probe_author";
const READER: &str = "load_probe_reader";

/// An author, and a follower at each node.
pub struct Probe {
    author: (Wire, HeaderValue),
    readers: Vec<(Wire, HeaderValue)>,
    count: u64,
    run: u64,
}

impl Probe {
    /// Signs both in and makes one follow the other. The follower reads at the `others`, or where there are none at
    /// the same node as the author.
    ///
    /// # Errors
    /// When a node does not answer as it should.
    pub async fn start(node: &Target, others: &[Target], run: u64) -> Result<Self> {
        let mut author = Wire::new(node);
        let (author_token, author_id) = sign_in(&mut author, AUTHOR, false).await?;
        let (mut reader, mut readers) = (Wire::new(node), Vec::new());
        let (token, _) = sign_in(&mut reader, READER, false).await?;
        reader.json(&Ask::new(Method::PUT, format!("/v1/follows/{author_id}")).by(&token)).await?;
        for other in others {
            // Each node is asked for a token of its own: they share no key where they should not.
            let mut wire = Wire::new(other);
            let (token, _) = sign_in(&mut wire, READER, false).await?;
            readers.push((wire, token));
        }
        if readers.is_empty() {
            readers.push((reader, token));
        }
        Ok(Self { author: (author, author_token), readers, count: 0, run })
    }

    /// The author's token, for questions beside the load.
    pub fn token(&self) -> &HeaderValue {
        &self.author.1
    }

    /// Writes one post; its id and the time of its acknowledgement.
    ///
    /// # Errors
    /// When it is not acknowledged.
    pub async fn post(&mut self) -> Result<(u64, Instant)> {
        self.count += 1;
        let (wire, token) = &mut self.author;
        let ask = Ask::new(Method::POST, "/v1/posts").by(token).json(&json!({"text": format!("probe {}", self.count)}));
        let post = wire.json(&ask.key(format!("probe-{}-{}", self.run, self.count))).await?;
        Ok((number(&post["id"])?, Instant::now()))
    }

    /// Writes one post and waits until it is seen at each node: how long after its acknowledgement, or none where it
    /// was given up.
    ///
    /// # Errors
    /// When a node does not answer.
    pub async fn look(&mut self) -> Result<Vec<Option<Duration>>> {
        let (post, acked) = self.post().await?;
        let looks = self.readers.iter_mut().map(|(wire, token)| look(wire, token, post, acked));
        futures::future::try_join_all(looks).await
    }

    /// New tokens, before the old ones end.
    ///
    /// # Errors
    /// When a node does not answer.
    pub async fn renew(&mut self) -> Result<()> {
        let (wire, token) = &mut self.author;
        *token = sign_in(wire, AUTHOR, false).await?.0;
        for (wire, token) in &mut self.readers {
            *token = sign_in(wire, READER, false).await?.0;
        }
        Ok(())
    }
}

async fn look(wire: &mut Wire, token: &HeaderValue, post: u64, acked: Instant) -> Result<Option<Duration>> {
    let ask = Ask::get("/v1/feed?limit=1").by(token);
    let mut wait = LOOK_FIRST;
    while acked.elapsed() < GIVE_UP {
        let answer = wire.send(&ask).await.map_err(|why| anyhow!("{ask} at {}: {why}", wire.target().url))?;
        if first_item(&answer.body).is_some_and(|newest| newest >= post) {
            return Ok(Some(acked.elapsed()));
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(LOOK_LAST);
    }
    Ok(None)
}
