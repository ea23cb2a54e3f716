//! Who owns an account.
//!
//! An [`AccountId`] carries its region and its user's [`Locality`]; both together give a [`Slot`]; the
//! [`ownership::OwnershipMap`] says which shard owns that slot. The [`ring::Ring`] only proposes where a
//! slot should live. Everything here is a map for finding owners: it never makes anyone an owner, the rows
//! beside the money in each shard's PostgreSQL do.
//!
//! This crate is pure: no I/O, no clock, no randomness. Callers pass the time and random bits in.
//!
//! ```
//! use placement::{AccountId, Locality, RegionCode};
//!
//! let region = RegionCode::try_from(1)?;
//! let account_id = AccountId::new(region, Locality::of_user("yunus"), 7);
//! assert_eq!(account_id.region(), region);
//! assert_eq!(account_id.discriminator(), 7);
//! // All accounts of one user in one region share a slot, and so a shard.
//! assert_eq!(account_id.slot(), AccountId::new(region, Locality::of_user("yunus"), 8).slot());
//! # Ok::<(), placement::InvalidId>(())
//! ```

mod account_id;
mod bounded;
mod ids;
pub mod ownership;
pub mod ring;
pub mod topology;
mod transfer_id;

pub use account_id::AccountId;
pub use bounded::InvalidId;
pub use ids::{Epoch, Locality, RegionCode, SLOT_COUNT, ShardId, Slot};
pub use ownership::{OwnershipMap, SlotClaim, SlotState};
pub use ring::{Ring, founding_slots};
pub use topology::Topology;
pub use transfer_id::TransferId;
