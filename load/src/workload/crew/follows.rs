//! How the crew follows and unfollows. Sampled readers do so only among authors whose posts are known, one command at a
//! time, so that the truth of each is known; others follow anybody.

use std::time::Instant;

use anyhow::Result;
use fastrand::Rng;
use http::Method;
use tributary_engine::model::UserId;

use super::{Caller, Crew, Step};
use crate::api::tokens::sign_in;
use crate::api::{Ask, Wire};
use crate::import::user_id;
use crate::verify::Reader;
use crate::workload::figures::Kind;

/// The share of follows by sampled readers, so that what verification looks at changes.
const BY_SAMPLED: f64 = 0.25;

impl Crew {
    /// Follows or unfollows somebody, as the dice say.
    pub(super) async fn follow_somebody(&self, wire: &mut Wire, who: u32, dice: u64, at: &mut Instant) {
        let mut rng = Rng::with_seed(dice);
        let sampled = if rng.f64() < BY_SAMPLED { rng.choice(&self.sample.readers) } else { self.sample.reader(who) };
        match sampled {
            Some(reader) => self.sampled_follow(wire, reader, &mut rng, at).await,
            None => self.other_follow(wire, who, &mut rng, at).await,
        }
    }

    async fn sampled_follow(&self, wire: &mut Wire, reader: &Reader, rng: &mut Rng, at: &mut Instant) {
        let Some(caller) = self.session(wire, reader.user, at).await else { return };
        let pool = if rng.bool() { &reader.follows } else { &self.known_authors };
        let author = pool[rng.usize(..pool.len())];
        let follows = {
            let mut ledger = self.ledger.borrow_mut();
            // With two on their way, nobody would know which came last.
            if author == reader.id || ledger.has_follow_in_flight(reader.id) {
                return;
            }
            let follows = !ledger.is_followed(reader, author);
            ledger.following(reader.id, author, follows);
            follows
        };
        match self.follow(wire, &caller, author, follows, at).await {
            Step::Done(_) => self.ledger.borrow_mut().followed(reader.id),
            Step::Refused => self.ledger.borrow_mut().not_followed(reader.id),
            Step::Unknown => {}
        }
    }

    async fn other_follow(&self, wire: &mut Wire, who: u32, rng: &mut Rng, at: &mut Instant) {
        let Some(caller) = self.session(wire, who, at).await else { return };
        let unfollowed = if rng.bool() { self.followed.borrow_mut().get_mut(&who).and_then(Vec::pop) } else { None };
        let author = unfollowed.unwrap_or_else(|| self.cast.draw_author(rng));
        if author == who {
            return;
        }
        let follows = unfollowed.is_none();
        let step = self.follow(wire, &caller, user_id(author), follows, at).await;
        if follows && matches!(step, Step::Done(_)) {
            self.followed.borrow_mut().entry(who).or_default().push(author);
        }
    }

    async fn follow(&self, wire: &mut Wire, caller: &Caller, author: UserId, follows: bool, at: &mut Instant) -> Step {
        let (kind, method) = if follows { (Kind::Follow, Method::PUT) } else { (Kind::Unfollow, Method::DELETE) };
        let ask = Ask::new(method, format!("/v1/follows/{}", author.0)).by(&caller.token);
        self.step(wire, kind, &ask, at).await
    }

    /// Makes sampled readers follow again whom they followed before the run, so that the store fits the world.
    ///
    /// # Errors
    /// When a command is not acknowledged.
    pub async fn restore_follows(&self, wire: &mut Wire) -> Result<()> {
        for reader in &self.sample.readers {
            let changed = self.ledger.borrow().changed_follows(reader);
            if changed.is_empty() {
                continue;
            }
            let (token, _) = sign_in(wire, &self.cast.handle(reader.user), false).await?;
            for (author, follows) in changed {
                let method = if follows { Method::DELETE } else { Method::PUT };
                wire.json(&Ask::new(method, format!("/v1/follows/{}", author.0)).by(&token)).await?;
            }
        }
        Ok(())
    }
}
