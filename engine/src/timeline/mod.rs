//! Pure decisions over values: packing ids, windows as true statements and their fold, the merged home timeline,
//! signed cursors. No input or output, no clock, no async. Laws 2 (only true statements) and 4 (union) live here.

mod home;
pub mod packed;
mod token;
mod window;

pub use home::Home;
pub use token::{ListId, Signer};
pub use window::{SegmentHeader, Window, fold};
