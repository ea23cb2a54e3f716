//! What the next request is: a read or a transfer, and between which accounts.

use anyhow::{Result, ensure};
use rand::rngs::SmallRng;
use rand::{Rng, RngExt};

use crate::population::Population;

/// Amounts of ordinary transfers: small against the deposits, so that accounts seldom run dry.
const AMOUNT_MAX: i64 = 10;

/// The largest amount of one SGD transfer. No account of a load has as much, so it is refused.
const AMOUNT_DOOMED: i64 = 999_999;

/// Shares are numbers from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shares {
    /// Of all requests: reads of a balance. The rest are transfers.
    pub reads: f64,
    /// Of the transfers: those between accounts of different shards.
    pub cross_shard: f64,
    /// Of the transfers: those between regions, which are among the former. `None`: any other shard, wherever it is.
    pub cross_region: Option<f64>,
    /// Of the transfers: those for more money than the account holds, to be refused.
    pub doomed: f64,
}

/// How far apart the two accounts of a transfer are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Distance {
    /// On one shard.
    Local,
    /// On two shards of one region.
    CrossShard,
    /// In two regions.
    CrossRegion,
}

/// A request to send. Accounts are places in the population.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// Read an account's balance.
    Read {
        /// Which.
        account: u32,
    },
    /// Move money.
    Transfer {
        /// Where it comes from.
        debit: u32,
        /// Where it goes.
        credit: u32,
        /// How much.
        amount: i64,
        /// How far apart the two are.
        distance: Distance,
    },
}

/// Where the credit account is looked for.
#[derive(Clone, Copy)]
enum Wanted {
    SameShard,
    OtherShard,
    OtherShardOfRegion,
    OtherRegion,
}

/// Draws requests.
#[derive(Debug, Clone, Copy)]
pub struct Mix {
    shares: Shares,
    /// The one account that all money goes to.
    hot_credit: Option<u32>,
}

impl Mix {
    /// Draws by shares.
    ///
    /// # Errors
    /// The population does not have the accounts that these shares need.
    pub fn new(shares: Shares, population: &Population) -> Result<Self> {
        shares.check()?;
        let regions = population.regions.iter().filter(|region| !region.accounts.is_empty()).count();
        let shards = population.shards.iter().filter(|accounts| !accounts.is_empty());
        let transfers = shares.reads < 1.0;
        ensure!(shares.cross_shard == 0.0 || !transfers || shards.clone().count() > 1, "all accounts are on one shard");
        ensure!(shares.cross_region.is_none_or(|share| share == 0.0) || regions > 1, "all accounts are in one region");
        let local = shares.cross_shard < 1.0 && transfers;
        ensure!(
            !local || shards.clone().all(|accounts| accounts.len() > 1),
            "a shard has only one of the accounts; use more"
        );
        if shares.within_region() > 0.0 {
            let has_two = |region: usize| {
                let of_region = |accounts: &&Vec<u32>| population.account(accounts[0]).region == region;
                shards.clone().filter(of_region).count() > 1
            };
            ensure!((0..population.regions.len()).all(has_two), "a region has all of its accounts on one shard");
        }
        Ok(Self { shares, hot_credit: None })
    }

    /// Lets all money go to one account of the population.
    pub fn with_hot_credit(self, account: u32) -> Self {
        Self { hot_credit: Some(account), ..self }
    }

    /// Draws a request whose account, or debit account, is in the region.
    pub fn draw(&self, random: &mut SmallRng, population: &Population, region: usize) -> Request {
        let accounts = &population.regions[region].accounts;
        if random.random_bool(self.shares.reads) {
            return Request::Read { account: *pick(random, accounts) };
        }
        let mut debit = *pick(random, accounts);
        let credit = match self.hot_credit {
            Some(hot) => {
                while debit == hot {
                    debit = *pick(random, accounts);
                }
                hot
            }
            None => self.draw_credit(random, population, debit),
        };
        let doomed = random.random_bool(self.shares.doomed);
        let amount = if doomed { AMOUNT_DOOMED } else { random.random_range(1..=AMOUNT_MAX) };
        Request::Transfer { debit, credit, amount, distance: distance(population, debit, credit) }
    }

    fn draw_credit(&self, random: &mut SmallRng, population: &Population, debit: u32) -> u32 {
        let from = population.account(debit);
        let wanted = self.shares.draw_wanted(random);
        loop {
            let candidate = match wanted {
                Wanted::SameShard => *pick(random, &population.shards[from.shard]),
                Wanted::OtherShardOfRegion => *pick(random, &population.regions[from.region].accounts),
                Wanted::OtherShard | Wanted::OtherRegion => place(random.random_range(0..population.accounts.len())),
            };
            let to = population.account(candidate);
            let fits = match wanted {
                Wanted::SameShard => candidate != debit,
                Wanted::OtherShard | Wanted::OtherShardOfRegion => to.shard != from.shard,
                Wanted::OtherRegion => to.region != from.region,
            };
            if fits {
                return candidate;
            }
        }
    }
}

impl Shares {
    fn check(&self) -> Result<()> {
        let all = [self.reads, self.cross_shard, self.cross_region.unwrap_or_default(), self.doomed];
        ensure!(all.iter().all(|share| (0.0..=1.0).contains(share)), "a share is a number from 0 to 1");
        let cross_region = self.cross_region.unwrap_or_default();
        ensure!(
            cross_region <= self.cross_shard,
            "transfers between regions cross shards, so their share is a part of that one"
        );
        Ok(())
    }

    /// The share of transfers that cross shards and must stay in their region.
    fn within_region(&self) -> f64 {
        self.cross_region.map_or(0.0, |cross_region| self.cross_shard - cross_region)
    }

    fn draw_wanted(&self, random: &mut impl Rng) -> Wanted {
        let drawn: f64 = random.random();
        if drawn >= self.cross_shard {
            return Wanted::SameShard;
        }
        match self.cross_region {
            None => Wanted::OtherShard,
            Some(cross_region) if drawn < cross_region => Wanted::OtherRegion,
            Some(_) => Wanted::OtherShardOfRegion,
        }
    }
}

fn distance(population: &Population, debit: u32, credit: u32) -> Distance {
    let (from, to) = (population.account(debit), population.account(credit));
    if from.region != to.region {
        Distance::CrossRegion
    } else if from.shard != to.shard {
        Distance::CrossShard
    } else {
        Distance::Local
    }
}

fn pick<'a, T>(random: &mut impl Rng, items: &'a [T]) -> &'a T {
    &items[random.random_range(0..items.len())]
}

/// A place that `index` made. Populations are far below 2^32 accounts; see `open::accounts`.
fn place(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;
    use crate::population::tests::population;

    fn shares() -> Shares {
        Shares { reads: 0.5, cross_shard: 0.4, cross_region: Some(0.1), doomed: 0.2 }
    }

    fn draw_many(shares: Shares) -> Vec<Request> {
        let population = population(2, 2, 10);
        let mix = Mix::new(shares, &population).unwrap();
        let mut random = SmallRng::seed_from_u64(7);
        (0..20_000).map(|turn| mix.draw(&mut random, &population, turn % 2)).collect()
    }

    fn share(requests: &[Request], wanted: impl Fn(&Request) -> bool) -> f64 {
        requests.iter().filter(|request| wanted(request)).count() as f64 / requests.len() as f64
    }

    #[test]
    fn requests_come_in_the_shares_asked_for() {
        let requests = draw_many(shares());
        let is_read = |request: &Request| matches!(request, Request::Read { .. });
        assert!((share(&requests, is_read) - 0.5).abs() < 0.02);
        let transfers: Vec<Request> = requests.into_iter().filter(|request| !is_read(request)).collect();
        let at = |wanted: Distance| {
            share(&transfers, |request| matches!(request, Request::Transfer { distance, .. } if *distance == wanted))
        };
        assert!((at(Distance::Local) - 0.6).abs() < 0.02);
        assert!((at(Distance::CrossShard) - 0.3).abs() < 0.02);
        assert!((at(Distance::CrossRegion) - 0.1).abs() < 0.02);
        let doomed = share(&transfers, |request| matches!(request, Request::Transfer { amount: AMOUNT_DOOMED, .. }));
        assert!((doomed - 0.2).abs() < 0.02);
    }

    #[test]
    fn no_transfer_is_within_one_account_and_all_start_in_their_region() {
        let population = population(2, 2, 10);
        for (turn, request) in draw_many(shares()).into_iter().enumerate() {
            if let Request::Transfer { debit, credit, amount, distance: said } = request {
                assert_ne!(debit, credit);
                assert!(amount > 0);
                assert_eq!(said, distance(&population, debit, credit));
                assert_eq!(population.account(debit).region, turn % 2);
            }
        }
    }

    #[test]
    fn without_a_share_for_regions_other_shards_are_equal() {
        let requests = draw_many(Shares { reads: 0.0, cross_shard: 1.0, cross_region: None, doomed: 0.0 });
        let far =
            share(&requests, |request| matches!(request, Request::Transfer { distance: Distance::CrossRegion, .. }));
        assert!((far - 2.0 / 3.0).abs() < 0.02, "two of three other shards are in the other region, not {far}");
    }

    #[test]
    fn same_seed_draws_the_same() {
        assert_eq!(draw_many(shares()), draw_many(shares()));
    }

    #[test]
    fn hot_account_gets_all_and_gives_nothing() {
        let population = population(1, 1, 5);
        let mix =
            Mix::new(Shares { reads: 0.0, cross_shard: 0.0, cross_region: None, doomed: 0.0 }, &population).unwrap();
        let mix = mix.with_hot_credit(3);
        let mut random = SmallRng::seed_from_u64(7);
        for _ in 0..200 {
            let drawn = mix.draw(&mut random, &population, 0);
            assert!(matches!(drawn, Request::Transfer { debit, credit: 3, .. } if debit != 3), "{drawn:?}");
        }
    }

    #[test]
    fn impossible_shares_are_refused() {
        let refused = |change: fn(&mut Shares), regions, shards, accounts| {
            let mut shares = Shares { reads: 0.5, cross_shard: 0.0, cross_region: None, doomed: 0.0 };
            change(&mut shares);
            Mix::new(shares, &population(regions, shards, accounts)).is_err()
        };
        assert!(!refused(|_| (), 1, 1, 2));
        assert!(refused(|_| (), 1, 1, 1), "a shard with one account has no local transfers");
        assert!(refused(|shares| shares.reads = 1.5, 1, 1, 2));
        assert!(refused(|shares| shares.doomed = f64::NAN, 1, 1, 2));
        assert!(refused(|shares| shares.cross_shard = 0.1, 1, 1, 2), "one shard only");
        assert!(!refused(|shares| shares.cross_shard = 0.1, 2, 1, 2));
        assert!(
            refused(|shares| (shares.cross_shard, shares.cross_region) = (0.1, Some(0.1)), 1, 2, 2),
            "one region only"
        );
        assert!(
            refused(|shares| (shares.cross_shard, shares.cross_region) = (0.1, Some(0.2)), 2, 2, 2),
            "more than the whole"
        );
        assert!(
            refused(|shares| (shares.cross_shard, shares.cross_region) = (0.2, Some(0.1)), 2, 1, 2),
            "one shard a region"
        );
    }
}
