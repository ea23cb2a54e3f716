//! The JSON of the public HTTP contract.
