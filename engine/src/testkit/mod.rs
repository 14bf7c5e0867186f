//! What shows that an engine and its adapters are right: the pull truth computed naively, one suite of laws for
//! each port, seeded faulty decorators, and fuzzing. Part of the library, for the load lab verifies with it too.

mod balance;
pub mod contract;
pub mod faulty;
mod fuzz;
mod held;
mod retrying;
pub mod textbook;
mod truth;

pub use balance::set_balance;
pub use fuzz::fuzz;
pub use held::HeldShard;
pub use retrying::RetryingStore;
pub use truth::Truth;
