//! Sessions: begun, refreshed and ended in the store, and settled where it did not tell what became of it (law 7).

use std::sync::Arc;

use super::CommandError;
use crate::limits::SESSION_TRIES;
use crate::model::{NewSession, Refresh, Refreshed, SessionId, User};
use crate::ports::{Store, StoreError};
use crate::retry::Backoff;

/// What a refresh token was good for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Renewal {
    /// The next token is the good one.
    Renewed {
        /// Who signed in.
        user: User,
        /// Whether as an operator.
        operator: bool,
    },
    /// It had been spent before: the session is ended.
    Reused,
    /// Nothing: there is no such session, or no longer.
    Unknown,
}

/// The sessions of a store.
#[derive(Clone)]
pub struct Sessions {
    store: Arc<dyn Store>,
}

impl Sessions {
    /// Those of `store`.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    /// Begins a session of a user that exists.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn begin(&self, session: &NewSession) -> Result<(), CommandError> {
        settled(|| self.store.begin_session(session)).await
    }

    /// Spends a token for the next one. The user is read first: once the token is spent, nothing may fail.
    ///
    /// # Errors
    /// When the store does not answer. The token may have been spent then, and the next one is lost.
    pub async fn refresh(&self, refresh: &Refresh) -> Result<Renewal, CommandError> {
        let Some(user) = self.store.users(&[refresh.id.user]).await?.pop().flatten() else {
            return Ok(Renewal::Unknown);
        };
        Ok(match settled(|| self.store.refresh_session(refresh)).await? {
            Refreshed::Next { operator } => Renewal::Renewed { user, operator },
            Refreshed::Reused => {
                tracing::warn!(user = %user.card.id, "a spent refresh token came again: its session is ended");
                Renewal::Reused
            }
            Refreshed::Unknown => Renewal::Unknown,
        })
    }

    /// Ends a session, if there is one.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn end(&self, session: &SessionId) -> Result<(), CommandError> {
        settled(|| self.store.end_session(session)).await
    }
}

/// Makes a call again until it tells what became of it. Only while that is unknown: a store that is away and has done
/// nothing leaves a token good, and its owner is told to come again.
async fn settled<T, F: Future<Output = Result<T, StoreError>>>(call: impl Fn() -> F) -> Result<T, CommandError> {
    let (mut backoff, mut unknown) = (Backoff::default(), false);
    for _ in 1..SESSION_TRIES {
        match call().await {
            Err(StoreError::OutcomeUnknown(_)) => unknown = true,
            Err(StoreError::Unavailable(_)) if unknown => {}
            answer => return Ok(answer?),
        }
        tokio::time::sleep(backoff.pause()).await;
    }
    Ok(call().await?)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// What a call comes to that the store answers like this, one after the other, and how many answers were not needed.
    async fn told(answers: &[Result<u8, StoreError>]) -> (Result<u8, CommandError>, usize) {
        let answers = Mutex::new(answers.iter().rev().cloned().collect::<Vec<_>>());
        let next = || answers.lock().expect("no test panics within").pop().expect("an answer for every call");
        let told = settled(|| std::future::ready(next())).await;
        (told, answers.into_inner().expect("no test panics within").len())
    }

    #[tokio::test(start_paused = true)]
    async fn only_what_is_unknown_is_asked_for_again() {
        let away = || Err(StoreError::Unavailable("away".into()));
        let unknown = || Err(StoreError::OutcomeUnknown("cut off".into()));
        assert_eq!(told(&[Ok(1), Ok(2)]).await, (Ok(1), 1));
        assert!(matches!(told(&[away(), Ok(1)]).await, (Err(CommandError::Unavailable(_)), 1)), "nothing was done");
        assert_eq!(told(&[unknown(), Ok(1)]).await, (Ok(1), 0));
        assert_eq!(told(&[unknown(), away(), unknown(), away(), Ok(1)]).await, (Ok(1), 0));
        let never = vec![unknown(); SESSION_TRIES + 1];
        assert!(matches!(told(&never).await, (Err(CommandError::Unavailable(_)), 1)), "it is given up");
    }
}
