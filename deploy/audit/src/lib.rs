//! Reads every shard and proves the invariants that can be read from data.
