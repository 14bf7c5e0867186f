//! Commands: committed whole under their key or refused whole (law 7), and what became of an interrupted one.
//!
//! A command runs in a task of its own, so a caller that goes away leaves no transaction half done. A task whose caller
//! has gone before COMMIT is sent gives up.
//!
//! Why `settled` is exact: COMMIT is sent in the second flight only, after the server has answered the first; so from
//! before the client sends it until the transaction has ended, whatever happens to client or connection, the server
//! holds the transaction's lock of the key. `settled` takes the same lock. If it gets it before an attempt of this node
//! has it, that attempt's caller has gone (nobody looks up a command that he still waits for), and the attempt finds
//! that out before it sends COMMIT. If it gets it later, the attempt's transaction has ended, and the look-up, a
//! statement after the lock, sees what it committed. Bytes of a first flight in a dead socket's buffer may still take
//! the lock; nothing behind them commits. So no tombstone is needed.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::fault::Fault;
use super::rows::UserRow;
use super::store::{Inner, PostgresStore};
use super::transaction::{Changes, Stop, Transaction};
use super::{posts, relations, tuning};
use crate::limits::TRANSACTION_ATTEMPTS;
use crate::model::{Command, Committed, Heat, Outcome, PostId, Request, TuningSettings};
use crate::ports::{CommitError, StoreError};
use crate::retry::Backoff;

/// A user's row, locked until the transaction ends: shard, id. Locked by rising id where there are two.
pub(super) const LOCK_USER: &str = "SELECT id, handle, name, followers, following, hot, pin, last_post FROM users WHERE shard = $1 AND id = $2 FOR UPDATE";
/// The present tuning.
pub(super) const TUNING: &str = "SELECT tuning FROM tuning ORDER BY version DESC LIMIT 1";
/// A user's row as its command leaves it; whether the timeline has grown backwards in time.
const PUT_USER: &str = "UPDATE users SET followers = $3, following = $4, hot = $5, pin = $6, last_post = $7,
    widened = CASE WHEN $8 THEN greatest(widened, pg_current_xact_id()::text::bigint) ELSE widened END
    WHERE shard = $1 AND id = $2";

/// What a command came to before it is committed.
pub(super) type Decided = (Outcome, Changes);

/// What an attempt learnt for the next one.
#[derive(Clone, Copy, Default)]
pub(super) struct Hint {
    /// A post's id that another author of the shard has.
    pub(super) taken: Option<PostId>,
}

impl Changes {
    /// A user's row, which the transaction has locked.
    pub(super) fn put_user(&mut self, user: &UserRow, widens: bool) {
        use super::rows::{column, user_key};
        use crate::model::Channel;
        let (shard, id) = user_key(user.card.id);
        let pin = user.heat.pin.map(|pin| pin == Channel::Pull);
        let (followers, following) = (column(user.followers), column(user.following));
        let last_post = column(user.last_post.0);
        let params = super::transaction::kept![shard, id, followers, following, user.heat.hot, pin, last_post, widens];
        self.write(PUT_USER, params);
    }
}

impl UserRow {
    /// The heat with the present followers under a tuning.
    pub(super) fn heat(&self, tuning: &TuningSettings) -> Heat {
        self.heat.with_followers(self.followers, tuning)
    }
}

impl PostgresStore {
    pub(super) async fn commit_command(&self, request: &Request) -> Result<Committed, CommitError> {
        const DOING: &str = "committing a command";
        let full = || StoreError::Unavailable(format!("{DOING}: too many commands wait"));
        let place = self.inner.commands.clone().try_acquire_owned().map_err(|_| full())?;
        let (answer, answered) = oneshot::channel();
        let (inner, request) = (self.inner.clone(), request.clone());
        tokio::spawn(async move {
            let mut answer = answer;
            let ended = attempts(&inner, &request, &mut answer).await;
            drop(place);
            // A caller that has gone looks the key up.
            drop(answer.send(ended));
        });
        let ended = answered.await.unwrap_or_else(|_| Err(Stop::Unknown(Fault::Closed("its task has ended".into()))));
        ended.map_err(|stop| match stop {
            Stop::Rejected(rejection) => rejection.into(),
            Stop::Failed(fault) => fault.during(DOING).into(),
            Stop::Unknown(fault) => StoreError::OutcomeUnknown(format!("{DOING}: {}", fault.text())).into(),
        })
    }

    pub(super) async fn settled_command(&self, request: &Request) -> Result<Option<Committed>, CommitError> {
        let inner = self.inner.clone();
        let request = request.clone();
        let look_up = async move {
            let transaction = Transaction::new(inner.lend().await?).await?;
            let known = transaction.open(&request, inner.clock.now(), async { Ok(()) }).await;
            transaction.roll_back().await?;
            known.map(|(known, ())| known)
        };
        let known = tokio::spawn(look_up).await;
        known.unwrap_or_else(|error| Err(Fault::Closed(error.to_string()).into())).map_err(|stop| match stop {
            Stop::Rejected(rejection) => rejection.into(),
            Stop::Failed(fault) | Stop::Unknown(fault) => fault.during("looking up a command").into(),
        })
    }
}

/// Who waits for the end of a command.
type Caller = oneshot::Sender<Result<Committed, Stop>>;

/// Tries again what others got in the way of: nothing of a failed attempt was committed.
async fn attempts(inner: &Arc<Inner>, request: &Request, caller: &mut Caller) -> Result<Committed, Stop> {
    let (mut backoff, mut hint) = (Backoff::default(), Hint::default());
    for _ in 1..TRANSACTION_ATTEMPTS {
        match attempt(inner, request, caller, &mut hint).await {
            Err(Stop::Failed(fault)) if fault.passes() => {
                tracing::debug!(error = fault.text(), "a command is tried again");
                tokio::time::sleep(backoff.pause()).await;
            }
            Err(Stop::Failed(fault)) if posts::is_taken(&fault) => {}
            ended => return ended,
        }
    }
    attempt(inner, request, caller, &mut hint).await
}

async fn attempt(inner: &Arc<Inner>, request: &Request, caller: &Caller, hint: &mut Hint) -> Result<Committed, Stop> {
    let transaction = Transaction::new(inner.lend().await?).await?;
    let now = inner.clock.now();
    let (outcome, changes) = match decide(&transaction, request, now, hint).await {
        Ok(Verdict::Decided(decided)) => decided,
        Ok(Verdict::Known(committed)) => {
            transaction.roll_back().await?;
            return Ok(committed);
        }
        Err(stop) => {
            // Where the connection is to blame this fails too, and it is closed.
            let _ = transaction.roll_back().await;
            return Err(stop);
        }
    };
    if caller.is_closed() {
        transaction.roll_back().await?;
        return Err(Fault::Closed("its caller has gone".into()).into());
    }
    let emitted = transaction.commit(request, now, &outcome, changes).await?;
    inner.witnesses.acknowledge(request, now);
    if emitted {
        inner.sentinel.committed();
    }
    Ok(Committed { outcome, replayed: false })
}

/// What is to be done about a request.
pub(super) enum Verdict {
    /// Its key has an outcome.
    Known(Committed),
    /// Its changes are to be committed.
    Decided(Decided),
}

async fn decide(
    transaction: &Transaction,
    request: &Request,
    now: crate::model::Millis,
    hint: &mut Hint,
) -> Result<Verdict, Stop> {
    let at = At { transaction, request, now };
    match &request.command {
        Command::Publish { text } => posts::publish(at, text, hint).await,
        Command::Remove { post } => posts::remove(at, *post).await,
        Command::Like { post } => posts::like(at, *post).await,
        Command::Unlike { post } => posts::unlike(at, *post).await,
        Command::Follow { user, .. }
        | Command::Unfollow { user }
        | Command::Mute { user }
        | Command::Unmute { user }
        | Command::Block { user }
        | Command::Unblock { user } => relations::relate(at, *user).await,
        Command::Tune { expected, settings, by } => tuning::tune(at, *expected, *settings, *by).await,
        Command::Pin { author, pin } => tuning::pin(at, *author, *pin).await,
    }
}

/// A command within its transaction.
#[derive(Clone, Copy)]
pub(super) struct At<'a> {
    pub(super) transaction: &'a Transaction,
    pub(super) request: &'a Request,
    pub(super) now: crate::model::Millis,
}

impl At<'_> {
    /// Begins and reads in one flight, and decides about what was read, unless the key has an outcome.
    pub(super) async fn decide<T>(
        self,
        reads: impl Future<Output = Result<T, Fault>>,
        rules: impl FnOnce(T) -> Result<Decided, Stop>,
    ) -> Result<Verdict, Stop> {
        let (known, read) = self.transaction.open(self.request, self.now, reads).await?;
        match known {
            Some(committed) => Ok(Verdict::Known(committed)),
            None => rules(read).map(Verdict::Decided),
        }
    }
}
