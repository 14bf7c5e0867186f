//! The Shard port over Redis or Valkey.
