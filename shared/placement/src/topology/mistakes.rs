//! What is wrong with a topology document, all of it at once.

use std::collections::HashSet;
use std::fmt::Display;
use std::hash::Hash;

use super::{CurrencySpec, Shard, ShardState, Topology, WEIGHT_MAX};

const EXPONENT_MAX: u8 = 4;
const AMOUNT_MAX: i64 = (1 << 53) - 1;
const REGION_NAME_BYTES_MAX: usize = 31;

impl Topology {
    /// Every mistake in the document, one sentence each; empty when it may be used.
    pub fn mistakes(&self) -> Vec<String> {
        let mut found = Vec::new();
        if self.version == 0 {
            found.push("version must be at least 1".to_owned());
        }
        self.currency_mistakes(&mut found);
        self.region_mistakes(&mut found);
        self.shard_mistakes(&mut found);
        found
    }

    fn currency_mistakes(&self, found: &mut Vec<String>) {
        if self.currencies.is_empty() {
            found.push("there must be at least one currency".to_owned());
        }
        repeated("currency", self.currencies.iter().map(|currency| &currency.code), found);
        for currency in &self.currencies {
            mistakes_of_currency(currency, found);
        }
    }

    fn region_mistakes(&self, found: &mut Vec<String>) {
        if self.regions.is_empty() {
            found.push("there must be at least one region".to_owned());
        }
        repeated("region name", self.regions.iter().map(|region| &region.name), found);
        repeated("region code", self.regions.iter().map(|region| region.code), found);
        for region in &self.regions {
            let name = &region.name;
            if !is_region_name(name) {
                found.push(format!("region name {name:?} must match [a-z][a-z0-9-]{{0,30}}"));
            }
            // Slots of a region without one would have nowhere to live.
            let takes_slots = |shard: &Shard| shard.region == *name && shard.state == ShardState::Active;
            if !self.shards.iter().any(takes_slots) {
                found.push(format!("region {name:?} has no active shard"));
            }
        }
    }

    fn shard_mistakes(&self, found: &mut Vec<String>) {
        repeated("shard id", self.shards.iter().map(|shard| shard.id), found);
        repeated("address", self.shards.iter().flat_map(|shard| &shard.addresses), found);
        for shard in &self.shards {
            if self.region_named(&shard.region).is_none() {
                found.push(format!("shard {} names an unknown region {:?}", shard.id, shard.region));
            }
            mistakes_of_shard(shard, found);
        }
    }
}

fn mistakes_of_currency(currency: &CurrencySpec, found: &mut Vec<String>) {
    let code = &currency.code;
    if code.len() != 3 || !code.bytes().all(|byte| byte.is_ascii_uppercase()) {
        found.push(format!("currency {code:?} must be three upper-case letters"));
    }
    if currency.exponent > EXPONENT_MAX {
        let exponent = currency.exponent;
        found.push(format!("currency {code:?}: exponent must be 0 to {EXPONENT_MAX}, not {exponent}"));
    }
    if !(1..=AMOUNT_MAX).contains(&currency.transfer_amount_max) {
        let max = currency.transfer_amount_max;
        found.push(format!("currency {code:?}: transfer_amount_max must be 1 to {AMOUNT_MAX}, not {max}"));
    }
}

fn mistakes_of_shard(shard: &Shard, found: &mut Vec<String>) {
    let id = shard.id;
    if !(1..=WEIGHT_MAX).contains(&shard.weight) {
        found.push(format!("shard {id}: weight must be 1 to {WEIGHT_MAX}, not {}", shard.weight));
    }
    // A retired shard is switched off: nobody calls it.
    if shard.addresses.is_empty() && shard.state != ShardState::Retired {
        found.push(format!("shard {id} has no address"));
    }
    for address in &shard.addresses {
        if !is_address(address) {
            found.push(format!("shard {id}: address {address:?} must be host:port"));
        }
    }
}

/// Adds one mistake for each value that occurs more than once.
fn repeated<T: Hash + Eq + Copy + Display>(what: &str, values: impl Iterator<Item = T>, found: &mut Vec<String>) {
    let mut seen = HashSet::new();
    let mut reported = HashSet::new();
    for value in values {
        if !seen.insert(value) && reported.insert(value) {
            found.push(format!("{what} {value} occurs more than once"));
        }
    }
}

fn is_region_name(name: &str) -> bool {
    name.len() <= REGION_NAME_BYTES_MAX
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

fn is_address(address: &str) -> bool {
    let Some((host, port)) = address.rsplit_once(':') else {
        return false;
    };
    let host_is_one_word = !host.is_empty() && !host.contains(|c: char| c.is_whitespace() || c == '/');
    host_is_one_word && port.parse::<u16>().is_ok_and(|port| port > 0)
}
