//! The operators' way to dead letters: events that could not be applied, kept by the log until somebody says what is to
//! become of them.

use anyhow::{Context as _, Result, bail};
use serde::Serialize;
use tributary_engine::model::{DeadLetter, Event};
use tributary_engine::ports::{Log, Store};

/// Which letters are meant.
#[derive(Clone, Debug)]
pub enum Which {
    /// All of them.
    All,
    /// Those with these numbers, of whatever epoch.
    Numbers(Vec<u64>),
}

/// A dead letter as it is printed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Listed {
    /// The history that gave it its number: decimal digits, for JSON's numbers are not exact.
    pub epoch: String,
    /// Its number.
    pub number: u64,
    /// Why it could not be applied.
    pub reason: String,
    /// The event's bytes in hexadecimal.
    pub bytes: String,
    /// Whether this version could apply it.
    pub replayable: bool,
}

impl From<&DeadLetter> for Listed {
    fn from(letter: &DeadLetter) -> Self {
        Self {
            epoch: letter.event.epoch.0.to_string(),
            number: letter.event.position.0,
            reason: letter.reason.to_string(),
            bytes: letter.event.bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
            replayable: letter.event.decode().is_ok(),
        }
    }
}

/// What became of the letters that were chosen.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize)]
pub struct Settled {
    /// Replayed: their events have new numbers, or will have them as soon as a node relays.
    pub replayed: u64,
    /// Forgotten.
    pub dropped: u64,
    /// Kept, for this version cannot apply them.
    pub kept: Vec<Listed>,
}

/// Every letter.
///
/// # Errors
/// When the log does not answer.
pub async fn list(log: &dyn Log) -> Result<Vec<Listed>> {
    let letters = log.dead_letters().await.context("the dead letters cannot be read")?;
    Ok(letters.iter().map(Listed::from).collect())
}

/// Forgets the letters.
///
/// # Errors
/// When the log does not answer, or a number names no letter.
pub async fn drop_letters(log: &dyn Log, which: &Which) -> Result<Settled> {
    let letters = chosen(log, which).await?;
    let names: Vec<_> = letters.iter().map(|letter| (letter.event.epoch, letter.event.position)).collect();
    log.drop_dead_letters(&names).await.context("the dead letters cannot be dropped")?;
    Ok(Settled { dropped: names.len() as u64, ..Settled::default() })
}

/// Puts the events of the letters back into the outbox, and forgets the letters. An interrupted replay may be repeated:
/// an event that comes twice changes nothing.
///
/// # Errors
/// When store or log do not answer, or a number names no letter.
pub async fn replay(store: &dyn Store, log: &dyn Log, which: &Which) -> Result<Settled> {
    let mut settled = Settled::default();
    for letter in chosen(log, which).await? {
        let Ok(event) = letter.event.decode() else {
            settled.kept.push(Listed::from(&letter));
            continue;
        };
        let event = brought_up_to_date(store, event.event).await?;
        store.emit(&event).await.with_context(|| format!("event {} cannot be emitted", letter.event.position.0))?;
        let name = (letter.event.epoch, letter.event.position);
        log.drop_dead_letters(&[name])
            .await
            .context("a replayed letter cannot be dropped; it may be replayed again")?;
        settled.replayed += 1;
    }
    Ok(settled)
}

/// An event that carries a counter says what the counter was; under a new number it must say what it is.
async fn brought_up_to_date(store: &dyn Store, event: Event) -> Result<Event> {
    let likes_now = async |post| -> Result<Option<u64>> {
        let posts = store.posts(&[post]).await.context("a liked post cannot be read")?;
        Ok(posts.first().and_then(Option::as_ref).map(|post| post.likes))
    };
    Ok(match event {
        Event::Liked { user, post, likes } => {
            Event::Liked { user, post, likes: likes_now(post).await?.unwrap_or(likes) }
        }
        Event::Unliked { user, post, likes } => {
            Event::Unliked { user, post, likes: likes_now(post).await?.unwrap_or(likes) }
        }
        other => other,
    })
}

async fn chosen(log: &dyn Log, which: &Which) -> Result<Vec<DeadLetter>> {
    let letters = log.dead_letters().await.context("the dead letters cannot be read")?;
    let Which::Numbers(numbers) = which else { return Ok(letters) };
    let missing = numbers.iter().find(|&&number| letters.iter().all(|letter| letter.event.position.0 != number));
    if let Some(number) = missing {
        bail!("no dead letter has the number {number}");
    }
    Ok(letters.into_iter().filter(|letter| numbers.contains(&letter.event.position.0)).collect())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tributary_engine::embedded::{EmbeddedLog, EmbeddedStore};
    use tributary_engine::model::{Command, CommandKey, Epoch, LoggedEvent, NumberedEvent, Outcome, Position, Request};
    use tributary_engine::ports::Clock;

    use super::*;

    async fn letter(log: &dyn Log, number: u64, bytes: &[u8]) {
        let event = LoggedEvent { epoch: Epoch(9), position: Position(number), bytes: bytes.into() };
        log.bury(&DeadLetter { event, reason: "unknown".into() }).await.unwrap();
    }

    #[tokio::test]
    async fn letters_are_listed_replayed_where_they_can_be_and_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let store = EmbeddedStore::open(folder.path(), Clock::System).unwrap();
        let log = EmbeddedLog::new(store.clone());
        let ann = store.make_user(&"ann".parse().unwrap(), "Ann").await.unwrap().card.id;
        let commit = async |n: u8, command| {
            let key = CommandKey { key: [n].into(), fingerprint: [0; 16] };
            store.commit(&Request { actor: ann, key, command }).await.unwrap().outcome
        };
        let Outcome::Posted { post, .. } = commit(1, Command::Publish { text: "a".into() }).await else { panic!() };
        commit(2, Command::Like { post: post.id }).await;
        let before = store.last_position().await.unwrap();

        let stale = Event::Liked { user: ann, post: post.id, likes: 7 };
        let stale = LoggedEvent::new(Epoch(9), NumberedEvent { position: Position(5), event: stale });
        letter(&log, 5, &stale.bytes).await;
        letter(&log, 6, &[0xFF, 1]).await;
        letter(&log, 7, b"").await;
        let listed = list(&log).await.unwrap();
        assert_eq!(
            listed.iter().map(|l| (l.number, l.replayable)).collect::<Vec<_>>(),
            [(5, true), (6, false), (7, false)]
        );
        assert_eq!(listed[1].bytes, "ff01");

        assert!(replay(&*store, &log, &Which::Numbers(vec![5, 8])).await.is_err(), "nobody has the number 8");
        let settled = replay(&*store, &log, &Which::Numbers(vec![5, 6])).await.unwrap();
        assert_eq!((settled.replayed, settled.kept.len()), (1, 1));
        let (_, events) = store.events(before, 9).await.unwrap();
        let replayed: Vec<Event> = events.iter().map(|event| event.decode().unwrap().event).collect();
        assert_eq!(replayed, [Event::Liked { user: ann, post: post.id, likes: 1 }], "with the counter of now");

        let store: Arc<dyn Store> = store;
        assert_eq!(drop_letters(&log, &Which::All).await.unwrap().dropped, 2);
        assert_eq!(list(&log).await.unwrap(), []);
        assert_eq!(store.last_position().await.unwrap().0, before.0 + 1);
    }
}
