//! Commands: under a key, committed or not (law 7), shown to their actor at once, never waiting for a cache (law 8).

mod sessions;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use thiserror::Error;

use crate::cache::Tier;
use crate::model::{Command, CommandKey, Committed, Event, Outcome, Rejection, Request, UserId};
use crate::ports::{CommitError, Store, StoreError};
use crate::retry::Backoff;

pub use sessions::{Renewal, Sessions};

/// How often the outcome of an interrupted commit is looked up before the client is told to try again.
const LOOK_UPS: usize = 5;
/// Keys that a node makes begin with this byte; clients send visible ASCII.
const MADE_HERE: u8 = 0;

/// A client's idempotency key, validated at the edge, with a digest of the request it came with.
#[derive(Clone, Debug)]
pub struct ClientKey {
    /// 1 to 255 visible ASCII characters.
    pub key: String,
    /// Digest of method, path, `If-Match` and body.
    pub fingerprint: [u8; 16],
}

/// Why a command was not acknowledged.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum CommandError {
    /// It breaks a rule; nothing was changed.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// The store is gone or the outcome unknown: trying again with the same key settles it. The text is for the log.
    #[error("unavailable: {0}")]
    Unavailable(String),
}

impl From<StoreError> for CommandError {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

/// Actors and keys that are being worked on.
type InFlight = Mutex<HashSet<(UserId, Box<[u8]>)>>;

/// Executes commands.
#[derive(Clone)]
pub struct Commands {
    store: Arc<dyn Store>,
    tier: Arc<Tier>,
    in_flight: Arc<InFlight>,
}

impl Commands {
    /// Commands into `store`, whose effects are shown in `tier`.
    pub fn new(store: Arc<dyn Store>, tier: Arc<Tier>) -> Self {
        Self { store, tier, in_flight: Arc::default() }
    }

    /// Commits a command and shows its effect to the actor.
    ///
    /// # Errors
    /// [`CommandError`]. After `Unavailable` it may have been committed or not; the same key tells.
    pub async fn execute(
        &self,
        actor: UserId,
        command: Command,
        key: Option<ClientKey>,
    ) -> Result<Committed, CommandError> {
        let key = match key {
            Some(ClientKey { key, fingerprint }) => CommandKey { key: key.into_bytes().into(), fingerprint },
            None => made_here(),
        };
        let Some(_claim) = Claim::new(&self.in_flight, (actor, key.key.clone())) else {
            return Err(Rejection::KeyInFlight.into());
        };
        let request = Request { actor, key, command };
        let result = self.settle(&request).await;
        if !matches!(result, Err(CommandError::Rejected(_))) {
            self.show(&request, result.as_ref().ok());
        }
        result
    }

    /// Commits, and looks the outcome up where the commit did not tell.
    async fn settle(&self, request: &Request) -> Result<Committed, CommandError> {
        match self.store.commit(request).await {
            Ok(committed) => {
                if let Committed { outcome: Outcome::Posted { channel, .. }, replayed: false } = &committed {
                    metrics::counter!("posts_total", "channel" => channel.name()).increment(1);
                }
                Ok(committed)
            }
            Err(CommitError::Rejected(rejection)) => Err(rejection.into()),
            Err(CommitError::Store(StoreError::OutcomeUnknown(reason))) => {
                tracing::warn!(reason, "the outcome of a commit is unknown; looking it up");
                self.look_up(request).await
            }
            Err(CommitError::Store(error)) => Err(CommandError::Unavailable(error.to_string())),
        }
    }

    async fn look_up(&self, request: &Request) -> Result<Committed, CommandError> {
        let mut backoff = Backoff::default();
        for _ in 0..LOOK_UPS {
            match self.store.settled(request).await {
                // It was this very request that committed it.
                Ok(Some(committed)) => return Ok(Committed { replayed: false, ..committed }),
                Ok(None) => return Err(CommandError::Unavailable("the commit did not happen".to_owned())),
                Err(CommitError::Rejected(rejection)) => return Err(rejection.into()),
                Err(CommitError::Store(_)) => tokio::time::sleep(backoff.pause()).await,
            }
        }
        Err(CommandError::Unavailable("the outcome of the commit is still unknown".to_owned()))
    }

    /// Own effects, before the event comes back through the log.
    fn show(&self, request: &Request, committed: Option<&Committed>) {
        let actor = request.actor;
        if let Some(Committed { outcome: Outcome::Posted { post, .. }, replayed }) = committed {
            self.tier.unlogged.acknowledged(actor, post.id, *replayed, &self.tier.ring);
            self.tier.watchers.wake_reader(actor);
        }
        if let Some(event) = effect(actor, &request.command) {
            // A command whose outcome is unknown is shown too: forgetting a cached value is always safe, and a
            // removed post that turns out to be there is loaded again.
            match event {
                Event::Removed { post, .. } if committed.is_none() => self.tier.posts.invalidate(post),
                _ => self.tier.invalidate(&event),
            }
        }
    }
}

/// The event that a command comes to, as far as caches care.
fn effect(actor: UserId, command: &Command) -> Option<Event> {
    Some(match *command {
        Command::Remove { post } => Event::Removed { post, author: actor },
        Command::Like { post } | Command::Unlike { post } => Event::Liked { user: actor, post, likes: 0 },
        Command::Follow { user, .. } | Command::Unfollow { user } => {
            Event::Followed { follower: actor, followee: user }
        }
        Command::Mute { user } | Command::Unmute { user } => Event::Muted { user: actor, target: user },
        Command::Block { user } | Command::Unblock { user } => Event::Blocked { user: actor, target: user },
        Command::Publish { .. } | Command::Tune { .. } | Command::Pin { .. } => return None,
    })
}

fn made_here() -> CommandKey {
    let mut key = vec![MADE_HERE];
    key.extend(fastrand::u128(..).to_le_bytes());
    CommandKey { key: key.into(), fingerprint: [0; 16] }
}

/// A key that is being worked on.
struct Claim<'a> {
    keys: &'a InFlight,
    key: (UserId, Box<[u8]>),
}

impl<'a> Claim<'a> {
    fn new(keys: &'a InFlight, key: (UserId, Box<[u8]>)) -> Option<Self> {
        let new = keys.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone());
        new.then_some(Self { keys, key })
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}
