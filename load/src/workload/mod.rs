//! A load test: a world's users act on a running server, in an open loop, while everything is measured.
//!
//! Jobs are drawn by a thread ([`arrivals`]) into a queue ([`queue`]); connections take them and do them ([`crew`]). What is measured stands in [`figures`], what it came to in [`outcome`].

pub mod arrivals;
pub mod cast;
pub mod crew;
pub mod figures;
pub mod live;
mod load;
pub mod mix;
pub mod outcome;
pub mod plots;
pub mod process;
pub mod queue;
pub mod run;
pub mod scrape;
pub mod told;
mod warm_up;

pub use run::{Options, run};
