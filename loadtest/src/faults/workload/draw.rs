//! What a client does next, drawn from its own generator and from nothing else: neither answers nor times have a part.

use rand::rngs::SmallRng;
use rand::{Rng, RngExt};

use crate::faults::history::{Doom, Want};
use crate::population::Population;

/// Ordinary amounts: small against the deposits, so that accounts seldom run dry.
const AMOUNT_MAX: i64 = 100;

/// A reservation that is to be ended by its client lasts for this long: no clock that is an hour off ends it.
const LASTS_SECONDS: u32 = 30 * 24 * 3600;

/// One that is to expire.
const EXPIRES_SECONDS_MAX: u32 = 3;

/// What clients do.
#[derive(Debug, Clone, Copy)]
pub struct Mix {
    /// Whether there are two-step transfers.
    pub two_step: bool,
}

/// One step of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Move money.
    Transfer(Want, Delivery),
    /// Set money aside, and end that after so many more steps.
    Reserve(Want, Delivery, End, u32),
    /// Repeat an own request, counted back from the newest.
    Repeat {
        /// How far back.
        back: usize,
        /// Whether the amount is changed, to be refused.
        altered: bool,
        /// Through which router.
        router: usize,
    },
    /// Read the transfer of an own request.
    Look {
        /// How far back.
        back: usize,
        /// Through which router.
        router: usize,
    },
    /// Read an account.
    Read {
        /// Which.
        account: u32,
        /// What of it.
        what: What,
        /// Through which router.
        router: usize,
    },
}

/// What of an account is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// Its balance.
    Account,
    /// Its newest entries.
    History,
    /// Its open transfers.
    Open,
}

/// How a request is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivery {
    /// Through which router at first.
    pub router: usize,
    /// A second time at the same time, through which router and how much later, in milliseconds.
    pub twice: Option<(usize, u64)>,
    /// The client hangs up after so many milliseconds and sends it again.
    pub hang_up_ms: Option<u64>,
    /// Whether both accounts are read afterwards, through which router.
    pub read_back: Option<usize>,
}

/// How a reservation is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// All of it is made permanent.
    Commit,
    /// A part of it.
    CommitPart(i64),
    /// Given back.
    Release,
    /// Left alone.
    Expire,
    /// Commit and release at the same time, through two routers.
    Race,
    /// Two commits with two keys at the same time, of all and of a part.
    TwoCommits(i64),
    /// A commit about when it expires.
    CommitLate,
}

impl Mix {
    /// Draws the next step of a client that stands mainly on one shard.
    pub fn draw(&self, random: &mut SmallRng, population: &Population, routers: usize, home: usize) -> Step {
        let two_step = if self.two_step { 22 } else { 0 };
        let router = random.random_range(0..routers);
        match random.random_range(0..78 + two_step) {
            0..32 => Step::Transfer(transfer(random, population, home), delivery(random, routers)),
            32..38 => Step::Transfer(doomed(random, population, home), delivery(random, routers)),
            38..46 => Step::Repeat { back: random.random_range(0..4), altered: false, router },
            46..52 => Step::Repeat { back: random.random_range(0..2_000), altered: false, router },
            52..54 => Step::Repeat { back: random.random_range(0..20), altered: true, router },
            54..60 => Step::Look { back: random.random_range(0..10), router },
            60..78 => {
                let account =
                    if random.random_bool(0.5) { of_shard(random, population, home) } else { any(random, population) };
                let what = match random.random_range(0..10) {
                    0..5 => What::Account,
                    5..8 => What::History,
                    _ => What::Open,
                };
                Step::Read { account, what, router }
            }
            _ => {
                let (want, end) = reservation(random, population, home);
                Step::Reserve(want, delivery(random, routers), end, random.random_range(0..12))
            }
        }
    }
}

/// How a request is sent the first time.
pub fn delivery(random: &mut SmallRng, routers: usize) -> Delivery {
    let router = random.random_range(0..routers);
    let twice = random.random_bool(0.12).then(|| (random.random_range(0..routers), random.random_range(0..20)));
    let hang_up_ms = random.random_bool(0.06).then(|| random.random_range(1..60));
    let read_back = random.random_bool(0.3).then(|| random.random_range(0..routers));
    Delivery { router, twice, hang_up_ms, read_back }
}

fn transfer(random: &mut SmallRng, population: &Population, home: usize) -> Want {
    let (debit, credit) = pair(random, population, home);
    let (amount, to_user) = (random.random_range(1..=AMOUNT_MAX), random.random_bool(0.1));
    Want::Transfer { debit, credit, amount, to_user, doom: None }
}

fn doomed(random: &mut SmallRng, population: &Population, home: usize) -> Want {
    let (debit, credit) = pair(random, population, home);
    let dooms = [Doom::TooMuch, Doom::TooMuch, Doom::Nothing, Doom::SameAccount, Doom::NoSuchAccount, Doom::Foreign];
    let doom = Some(dooms[random.random_range(0..dooms.len())]);
    Want::Transfer { debit, credit, amount: random.random_range(1..=AMOUNT_MAX), to_user: false, doom }
}

fn reservation(random: &mut SmallRng, population: &Population, home: usize) -> (Want, End) {
    let (debit, credit) = pair(random, population, home);
    let amount = random.random_range(2..=AMOUNT_MAX);
    let end = match random.random_range(0..10) {
        0..2 => End::Commit,
        2..4 => End::CommitPart(random.random_range(1..amount)),
        4..6 => End::Release,
        6 => End::Expire,
        7 => End::Race,
        8 => End::TwoCommits(random.random_range(1..amount)),
        _ => End::CommitLate,
    };
    let expires_in_seconds = match end {
        End::Expire | End::CommitLate => random.random_range(1..=EXPIRES_SECONDS_MAX),
        _ => LASTS_SECONDS,
    };
    (Want::Reserve { debit, credit, amount, expires_in_seconds }, end)
}

/// Two accounts: on one shard, on two of a region, or in two regions.
fn pair(random: &mut SmallRng, population: &Population, home: usize) -> (u32, u32) {
    let debit = if random.random_bool(0.75) { of_shard(random, population, home) } else { any(random, population) };
    let shard = population.account(debit).shard;
    let region = population.account(debit).region;
    let distance = random.random_range(0..10);
    let fits = |credit: u32| {
        let credit = population.account(credit);
        match distance {
            0..4 => credit.shard == shard,
            4..7 => credit.shard != shard && credit.region == region,
            _ => credit.region != region,
        }
    };
    let count = u32::try_from(population.accounts.len()).unwrap_or(u32::MAX);
    let candidates: Vec<u32> = (0..count).filter(|credit| *credit != debit && fits(*credit)).collect();
    match candidates.len() {
        0 => (debit, (debit + 1) % count),
        many => (debit, candidates[random.random_range(0..many)]),
    }
}

fn of_shard(random: &mut impl Rng, population: &Population, shard: usize) -> u32 {
    let accounts = &population.shards[shard % population.shards.len()];
    accounts[random.random_range(0..accounts.len())]
}

fn any(random: &mut impl Rng, population: &Population) -> u32 {
    let count = u32::try_from(population.accounts.len()).unwrap_or(u32::MAX);
    random.random_range(0..count)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;
    use crate::population::tests::population;

    fn steps(seed: u64, mix: Mix) -> Vec<Step> {
        let population = population(2, 2, 4);
        let mut random = SmallRng::seed_from_u64(seed);
        (0..2_000).map(|_| mix.draw(&mut random, &population, 2, 1)).collect()
    }

    #[test]
    fn same_seed_draws_the_same_steps() {
        let mix = Mix { two_step: true };
        assert_eq!(steps(7, mix), steps(7, mix));
        assert_ne!(steps(7, mix), steps(8, mix));
    }

    #[test]
    fn every_kind_of_step_is_drawn_and_reservations_only_where_wanted() {
        let reservations = |steps: &[Step]| steps.iter().filter(|step| matches!(step, Step::Reserve(..))).count();
        assert_eq!(reservations(&steps(7, Mix { two_step: false })), 0);
        let all = steps(7, Mix { two_step: true });
        assert!(reservations(&all) > 200);
        assert!(all.iter().any(|step| matches!(step, Step::Repeat { altered: true, .. })));
        assert!(all.iter().any(|step| matches!(step, Step::Read { what: What::Open, .. })));
        let ends: Vec<End> = all
            .iter()
            .filter_map(|step| if let Step::Reserve(_, _, end, _) = step { Some(*end) } else { None })
            .collect();
        for end in [End::Commit, End::Release, End::Expire, End::Race, End::CommitLate] {
            assert!(ends.contains(&end), "{end:?}");
        }
    }

    #[test]
    fn transfers_go_to_all_distances_and_never_to_their_own_account() {
        let population = population(2, 2, 4);
        let mut seen = [0; 3];
        for step in steps(7, Mix { two_step: true }) {
            let Step::Transfer(Want::Transfer { debit, credit, .. }, _) = step else { continue };
            assert_ne!(debit, credit);
            let (debit, credit) = (population.account(debit), population.account(credit));
            seen[usize::from(debit.shard != credit.shard) + usize::from(debit.region != credit.region)] += 1;
        }
        assert!(seen.iter().all(|count| *count > 50), "{seen:?}");
    }
}
