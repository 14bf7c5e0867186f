//! Pure decisions over values: packing ids, windows as true statements and their fold, runs,
//! the ranking of popular posts, signed cursors. No input or output, no clock, no async. Laws 2 (only true statements) and 4 (union) live here.

pub mod packed;
mod ranking;
mod run;
mod token;
mod window;

pub use ranking::Ranking;
pub use run::Run;
pub use token::{ListId, Signer, token_chars};
pub use window::{SegmentHeader, Window, fold};
