//! The crew: everybody who acts, with their tokens, and how each deed is done. One thread runs all of it, so nothing
//! is locked; no borrow is held while an answer is waited for.
//!
//! Each step of a deed counts from when it could first be sent: the first from its intended time, a later one from the
//! answer before.

mod follows;

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderValue, Method, StatusCode};
use rustc_hash::FxHashMap;
use serde::Deserialize;
use serde_json::json;
use tributary_engine::model::{PostId, UserId};

use super::cast::Cast;
use super::figures::{Figures, Kind};
use super::mix::Deed;
use super::queue::Job;
use crate::api::page::{first_item, late_field};
use crate::api::tokens::bearer;
use crate::api::{Answer, Ask, Wire};
use crate::import::text;
use crate::verify::{Ledger, Sample};

/// Tokens are renewed when less than this of their time is left.
const RENEW_BEFORE: Duration = Duration::from_secs(60);

/// What a user who acts has.
struct Session {
    token: HeaderValue,
    id: UserId,
    renew_at: Instant,
    fresh: Option<Box<str>>,
}

/// Whom an account follows beside the world, by index: those whom it may unfollow again.
type Followed = FxHashMap<u32, Vec<u32>>;

/// How a step ended.
enum Step {
    /// With 2xx.
    Done(Answer),
    /// With a refusal: nothing was done.
    Refused,
    /// Without an answer that tells whether it was done.
    Unknown,
}

impl Step {
    fn done(self) -> Option<Answer> {
        match self {
            Self::Done(answer) => Some(answer),
            Self::Refused | Self::Unknown => None,
        }
    }
}

#[derive(Deserialize)]
struct SignedIn {
    expires_in: u64,
    user: SignedInUser,
}

#[derive(Deserialize)]
struct SignedInUser {
    id: String,
}

/// All that the connections share.
pub struct Crew {
    /// Who acts.
    pub cast: Arc<Cast>,
    /// Sampled readers and what the world says of them.
    pub sample: Sample,
    /// What is measured.
    pub figures: RefCell<Figures>,
    /// What was commanded.
    pub ledger: RefCell<Ledger>,
    /// Why there was no answer, the last time.
    pub trouble: RefCell<String>,
    /// When an answer last came.
    pub last_answer: Cell<Instant>,
    /// Tells this run's keys from those of any other.
    run: u64,
    sessions: RefCell<FxHashMap<u32, Session>>,
    followed: RefCell<Followed>,
    /// Authors whose posts are known, by rising id.
    known_authors: Vec<UserId>,
}

impl Crew {
    /// Nobody is signed in yet. `run` is unique to this run.
    pub fn new(cast: Arc<Cast>, sample: Sample, run: u64) -> Self {
        let mut known_authors: Vec<UserId> = sample.posts.keys().copied().collect();
        known_authors.sort_unstable();
        Self {
            ledger: RefCell::new(Ledger::new(&sample)),
            cast,
            sample,
            figures: RefCell::new(Figures::start()),
            trouble: RefCell::default(),
            last_answer: Cell::new(Instant::now()),
            run,
            sessions: RefCell::default(),
            followed: RefCell::default(),
            known_authors,
        }
    }

    /// Does a job to its end.
    pub async fn act(&self, wire: &mut Wire, job: Job) {
        let mut at = job.at;
        let (who, dice) = (job.who, job.dice);
        match job.deed {
            Deed::Read { next, like } => {
                if let Some(session) = self.session(wire, who, &mut at).await {
                    self.read(wire, &session, (next, like), &mut at).await;
                }
            }
            Deed::Check => {
                if let Some(session) = self.session(wire, who, &mut at).await {
                    self.check(wire, who, &session, &mut at).await;
                }
            }
            Deed::Post => {
                if let Some(session) = self.session(wire, who, &mut at).await {
                    self.post(wire, &session, job, &mut at).await;
                }
            }
            Deed::Remove => {
                let chosen = self.ledger.borrow_mut().choose_removal(dice);
                if let Some((author, post)) = chosen
                    && let Some(session) = self.session(wire, author, &mut at).await
                {
                    self.remove(wire, &session, post, &mut at).await;
                }
            }
            Deed::Follow => self.follow_somebody(wire, who, dice, &mut at).await,
            Deed::LogOut => _ = self.sessions.borrow_mut().remove(&who),
        }
    }

    /// The token and id of a user, who signs in if need be.
    async fn session(&self, wire: &mut Wire, who: u32, at: &mut Instant) -> Option<Caller> {
        let kept = self.sessions.borrow().get(&who).filter(|session| session.renew_at > Instant::now()).map(Caller::of);
        match kept {
            Some(caller) => Some(caller),
            None => self.sign_in(wire, who, at).await,
        }
    }

    /// Signs a user in.
    pub async fn sign_in(&self, wire: &mut Wire, who: u32, at: &mut Instant) -> Option<Caller> {
        let ask = Ask::new(Method::POST, "/v1/auth/dev").json(&json!({"handle": self.cast.handle(who)}));
        let answer = self.step(wire, Kind::SignIn, &ask, at).await.done()?;
        let signed_in: Option<SignedIn> = serde_json::from_slice(&answer.body).ok();
        let tokens = serde_json::from_slice(&answer.body).ok().and_then(|tokens| bearer(&tokens).ok());
        let (Some(signed_in), Some(token)) = (signed_in, tokens) else {
            self.figures.borrow_mut().not_understood(Kind::SignIn);
            return None;
        };
        let id = UserId(signed_in.user.id.parse().ok()?);
        let lasts = Duration::from_secs(signed_in.expires_in);
        // A token that lasts no longer than that is renewed half way.
        let renew_at = Instant::now() + lasts.saturating_sub(RENEW_BEFORE).max(lasts / 2);
        let session = Session { token, id, renew_at, fresh: None };
        let caller = Caller::of(&session);
        self.sessions.borrow_mut().insert(who, session);
        Some(caller)
    }

    async fn read(&self, wire: &mut Wire, caller: &Caller, (next, like): (bool, bool), at: &mut Instant) {
        let first = Ask::get("/v1/feed").by(&caller.token);
        let Some(page) = self.step(wire, Kind::FirstPage, &first, at).await.done() else { return };
        if let Some(cursor) = late_field(&page.body, "next").filter(|_| next) {
            let second = Ask::get(format!("/v1/feed?cursor={cursor}")).by(&caller.token);
            self.step(wire, Kind::NextPage, &second, at).await;
        }
        if let Some(post) = first_item(&page.body).filter(|_| like) {
            let ask = Ask::new(Method::PUT, format!("/v1/likes/{post}")).by(&caller.token);
            self.step_unless(wire, Kind::Like, &ask, at, |status| self.is_removed(status, PostId(post))).await;
        }
    }

    /// Whether 404 is right: somebody has removed the post.
    fn is_removed(&self, status: StatusCode, post: PostId) -> bool {
        status == StatusCode::NOT_FOUND && self.ledger.borrow().may_be_removed(post)
    }

    async fn check(&self, wire: &mut Wire, who: u32, caller: &Caller, at: &mut Instant) {
        let fresh = self.sessions.borrow_mut().get_mut(&who).and_then(|session| session.fresh.take());
        let (kind, path) = match fresh {
            Some(fresh) => (Kind::Fresh, format!("/v1/feed?since={fresh}")),
            None => (Kind::FirstPage, "/v1/feed".to_owned()),
        };
        let Some(page) = self.step(wire, kind, &Ask::get(path).by(&caller.token), at).await.done() else { return };
        if let Some(session) = self.sessions.borrow_mut().get_mut(&who) {
            session.fresh = late_field(&page.body, "fresh").map(Into::into);
        }
    }

    async fn post(&self, wire: &mut Wire, caller: &Caller, job: Job, at: &mut Instant) {
        let text = text(&self.cast.handle(job.who), PostId(job.dice));
        let ask = Ask::new(Method::POST, "/v1/posts").by(&caller.token).json(&json!({"text": text}));
        let ask = ask.key(format!("load-{:x}-{:x}", self.run, job.dice));
        let sent = Instant::now();
        match self.step(wire, Kind::Post, &ask, at).await {
            Step::Done(answer) => match created_id(&answer.body) {
                Some(id) => self.ledger.borrow_mut().posted(job.who, caller.id, id, sent),
                None => self.figures.borrow_mut().not_understood(Kind::Post),
            },
            Step::Refused => {}
            Step::Unknown => self.ledger.borrow_mut().maybe_posted(caller.id, &text),
        }
    }

    async fn remove(&self, wire: &mut Wire, caller: &Caller, post: PostId, at: &mut Instant) {
        let ask = Ask::new(Method::DELETE, format!("/v1/posts/{}", post.0)).by(&caller.token);
        self.ledger.borrow_mut().removing(post);
        match self.step(wire, Kind::Remove, &ask, at).await {
            Step::Done(_) => self.ledger.borrow_mut().removed(post),
            Step::Refused => self.ledger.borrow_mut().kept(post),
            Step::Unknown => {}
        }
    }

    /// Counts jobs that came to nothing; `what` they are among errors.
    pub fn missed(&self, jobs: impl IntoIterator<Item = Job>, what: &str) {
        let mut figures = self.figures.borrow_mut();
        for job in jobs {
            let kind = match job.deed {
                Deed::Read { .. } | Deed::Check => Kind::FirstPage,
                Deed::Post => Kind::Post,
                Deed::Remove => Kind::Remove,
                Deed::Follow => Kind::Follow,
                Deed::LogOut => continue,
            };
            figures.unanswered(kind, what, job.at.elapsed());
        }
    }

    async fn step(&self, wire: &mut Wire, kind: Kind, ask: &Ask, at: &mut Instant) -> Step {
        self.step_unless(wire, kind, ask, at, |_| false).await
    }

    /// One request, measured. A refusal that is `right` is no error.
    async fn step_unless(
        &self,
        wire: &mut Wire,
        kind: Kind,
        ask: &Ask,
        at: &mut Instant,
        right: impl FnOnce(StatusCode) -> bool,
    ) -> Step {
        let answer = wire.send(ask).await;
        let now = Instant::now();
        let latency = now.saturating_duration_since(*at);
        *at = now;
        let mut figures = self.figures.borrow_mut();
        match answer {
            Ok(answer) => {
                self.last_answer.set(now);
                let status = answer.status;
                if status.is_success() || right(status) {
                    figures.answered(kind, latency);
                } else {
                    figures.refused(kind, status.as_u16());
                }
                match status.as_u16() {
                    200..300 => Step::Done(answer),
                    500.. => Step::Unknown,
                    _ => Step::Refused,
                }
            }
            Err(why) => {
                figures.unanswered(kind, why.name(), latency);
                *self.trouble.borrow_mut() = why.to_string();
                Step::Unknown
            }
        }
    }
}

/// A token and whose it is.
pub struct Caller {
    token: HeaderValue,
    id: UserId,
}

impl Caller {
    fn of(session: &Session) -> Self {
        Self { token: session.token.clone(), id: session.id }
    }
}

/// The id of a post that was just made.
fn created_id(body: &[u8]) -> Option<PostId> {
    let post: serde_json::Value = serde_json::from_slice(body).ok()?;
    post["id"].as_str()?.parse().ok().map(PostId)
}
