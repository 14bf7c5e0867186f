//! Compaction as a world drives it: rounds over any range, at any time, whose segments arrive at once, late or never.
//! And what decides which posts it is about.

use tributary_engine::model::Mode;
use tributary_engine::testkit::set_balance;

use super::*;

impl World {
    /// How channels are to be chosen: in half of the worlds now and then by cost. Drawn apart, so that the others, those
    /// of old seeds among them, go as they always went.
    pub(super) async fn mode(&mut self) -> Mode {
        let Some(random) = &mut self.costs else { return Mode::Threshold };
        if random.u8(..3) == 0 {
            return Mode::Threshold;
        }
        // From where everybody is hot to where nobody is: what a world posts counts as a day's, unless it is much.
        let posts_per_day = 10.0_f64.powf(random.f64() * 5.0 - 1.0);
        let costs = set_balance(&*self.store, self.users.len(), posts_per_day).await;
        self.truth.measured(costs);
        Mode::Cost
    }

    /// Takes note of every event, before the janitor can take it away.
    pub async fn note_events(&mut self) {
        let after = self.events.last().map_or(Position::ZERO, |event| event.position);
        let (oldest, events) = self.store.events(after, usize::MAX >> 1).await.unwrap();
        assert!(oldest <= after, "events are noted before they go");
        self.events.extend(events.iter().map(|event| event.decode().unwrap()));
    }

    /// The worker takes in what is new, as far as it likes.
    pub(super) async fn flush_round(&mut self) {
        self.done.rounds += 1;
        self.note_events().await;
        let some = self.random.usize(..=self.events.len());
        let upto = if self.random.bool() { self.events.len() } else { some };
        self.flush.take(&self.events[..upto]).await.unwrap();
        if self.random.bool() {
            self.flush.flush().await.unwrap();
        }
        if self.random.u8(..8) == 0 {
            let last = self.events.last().map_or(Position::ZERO, |event| event.position);
            self.flush.skip_to(last);
        }
    }

    /// The worker takes in and compacts everything.
    pub async fn flush_all(&mut self) {
        self.done.rounds += 1;
        self.note_events().await;
        self.flush.take(&self.events).await.unwrap();
        self.flush.flush().await.unwrap();
    }

    /// A worker that should not: any range, stale or repeated.
    pub(super) async fn flush_any(&mut self) {
        self.done.rounds += 1;
        self.note_events().await;
        if self.events.is_empty() {
            return;
        }
        let from = self.random.usize(..self.events.len());
        let to = self.random.usize(from..self.events.len()) + 1;
        // Half of them make their segments now and append them at some later time.
        let shard: Arc<dyn Shard> = if self.random.bool() { self.held.clone() } else { self.shard.clone() };
        let mut flush = new_flush(&self.store, shard, &self.nodes[0], Position(from as u64));
        flush.take(&self.events[from..to]).await.unwrap();
        flush.flush().await.unwrap();
    }

    pub(super) async fn append_held(&mut self) {
        let batch = {
            let mut held = self.held.batches();
            if held.is_empty() {
                return;
            }
            let n = self.random.usize(..held.len());
            held.swap_remove(n)
        };
        drop(self.shard.append(&batch).await);
    }
}
