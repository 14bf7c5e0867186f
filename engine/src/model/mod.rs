//! The words of the engine as types: ids, positions, stamps, events, commands, tuning.
//! No input or output, no clock, no async; everything else depends on it, and it on the limits alone.

mod channel;
mod command;
mod costs;
mod event;
mod follows;
mod id;
mod log;
mod records;
mod session;
mod time;
mod tuning;

pub use channel::{Channel, Heat};
pub use command::{Command, CommandKey, Committed, Outcome, Rejection, Request};
pub use costs::{Costs, Measured, posts_per_day};
pub use event::{DeadLetter, DecodeError, Event, LoggedEvent, NumberedEvent};
pub use follows::{FollowView, Following};
pub use id::{Handle, PostId, SlotRange, UserId};
pub use log::{Epoch, Position, Stamp};
pub use records::{AuthorState, Identity, Post, User, UserCard};
pub use session::{Digest, NewSession, Refresh, Refreshed, SessionId};
pub use time::Millis;
pub use tuning::{ChangedBy, Mode, Tuning, TuningError, TuningSettings};
