//! The Store port over PostgreSQL.
