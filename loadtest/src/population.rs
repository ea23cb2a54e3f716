//! Who takes part in a load: users, their accounts, and where those live.

use std::rc::Rc;

use http::HeaderValue;
use http::Uri;

use crate::client::Router;

/// A user with a session.
#[derive(Debug, Clone)]
pub struct User {
    /// The `Authorization` header of the user's calls.
    pub authorization: HeaderValue,
}

/// An account that was made for this load, so that all of its history is known.
#[derive(Debug, Clone)]
pub struct Account {
    /// Its id.
    pub id: u64,
    /// Its holder, as a place among the users.
    pub user: usize,
    /// Its region, as a place among the regions.
    pub region: usize,
    /// The shard that owns it, as a place among the shards.
    pub shard: usize,
    /// Where it is read.
    pub uri: Uri,
    /// The deposit that all of its money came from.
    pub deposit: Deposit,
}

/// Money that entered an account from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deposit {
    /// The transfer id.
    pub id: uuid::Uuid,
    /// How much.
    pub amount: i64,
}

/// A region: its accounts, and the routers through which its users come.
#[derive(Debug, Clone)]
pub struct Region {
    /// Its name.
    pub name: String,
    /// Not empty.
    pub routers: Rc<[Router]>,
    /// Places among the accounts.
    pub accounts: Vec<u32>,
}

/// All who take part.
#[derive(Debug, Clone)]
pub struct Population {
    /// The users.
    pub users: Vec<User>,
    /// The accounts.
    pub accounts: Vec<Account>,
    /// The regions that have accounts.
    pub regions: Vec<Region>,
    /// The accounts of each shard, as places.
    pub shards: Vec<Vec<u32>>,
}

impl Population {
    /// The account at a place that the population itself gave out.
    pub fn account(&self, place: u32) -> &Account {
        &self.accounts[index(place)]
    }

    /// The `Authorization` header of an account's holder.
    pub fn authorization(&self, account: &Account) -> &HeaderValue {
        &self.users[account.user].authorization
    }

    /// All money that was let in.
    pub fn deposited(&self) -> i128 {
        self.accounts.iter().map(|account| i128::from(account.deposit.amount)).sum()
    }
}

/// A place as an index. Lossless: `usize` has at least 32 bits wherever this runs.
pub fn index(place: u32) -> usize {
    place as usize
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A population with this many accounts on each shard, of one user, with deposits of 1000.
    pub fn population(regions: usize, shards_per_region: usize, accounts_per_shard: usize) -> Population {
        let user = User { authorization: HeaderValue::from_static("Bearer test") };
        let (mut accounts, mut shards) = (Vec::new(), Vec::new());
        for shard in 0..regions * shards_per_region {
            let mut of_shard = Vec::new();
            for _ in 0..accounts_per_shard {
                let place = accounts.len();
                of_shard.push(u32::try_from(place).unwrap());
                accounts.push(Account {
                    id: 1000 + u64::try_from(place).unwrap(),
                    user: 0,
                    region: shard / shards_per_region,
                    shard,
                    uri: Uri::from_static("/"),
                    deposit: Deposit { id: uuid::Uuid::from_u128(u128::try_from(place).unwrap()), amount: 1000 },
                });
            }
            shards.push(of_shard);
        }
        let of_region = |region: usize| {
            let range = region * shards_per_region..(region + 1) * shards_per_region;
            Region { name: format!("r{region}"), routers: Rc::new([]), accounts: shards[range].concat() }
        };
        Population { users: vec![user], regions: (0..regions).map(of_region).collect(), accounts, shards }
    }
}
