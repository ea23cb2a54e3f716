//! Opens the accounts of a load and puts money into them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use futures_util::future::try_join_all;
use http::HeaderValue;
use http::Uri;
use wire::api::TopologyView;

use crate::api::{self, AccountState, NewAccount, NewDeposit};
use crate::client::{Client, Router};
use crate::fleet::{Manner, each, read_account};
use crate::journal::Outcome;
use crate::load::outcome_of;
use crate::owners::Owners;
use crate::population::{Account, Deposit, Population, Region, User};
use crate::sessions::Visitors;

/// As many accounts as one user may have in a region.
const ACCOUNTS_OF_USER_MAX: usize = 100;

/// Of all accounts. The journal counts them in 32 bits; far fewer are of use.
const ACCOUNTS_MAX: usize = 10_000_000;

/// Who is to take part.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Begins the names of users and the keys, so that runs do not meet.
    pub run: String,
    /// How many users.
    pub users: usize,
    /// How many accounts they have together.
    pub accounts: usize,
    /// What each account starts with.
    pub balance: i64,
    /// The currency of all.
    pub currency: String,
    /// How long the sessions last.
    pub session_life: Duration,
}

impl Wanted {
    fn check(&self) -> Result<()> {
        ensure!(
            self.users > 0 && self.accounts >= self.users,
            "every user has an account, so there are at least as many"
        );
        ensure!(self.accounts <= ACCOUNTS_MAX, "at most {ACCOUNTS_MAX} accounts can take part");
        let most = self.accounts.div_ceil(self.users);
        ensure!(
            most <= ACCOUNTS_OF_USER_MAX,
            "a user may have {ACCOUNTS_OF_USER_MAX} accounts, not {most}; use more --users"
        );
        Ok(())
    }
}

/// The accounts, made and paid into; and whether their shards are known for certain.
pub struct Opened {
    /// Who takes part.
    pub population: Population,
    /// See [`Owners::match_slots`].
    pub owners_are_certain: bool,
}

/// Admits users, opens their accounts through the routers and deposits the first money; `progress` is told after each
/// account.
///
/// # Errors
/// The wallet refuses something, or does not answer in time.
pub async fn open(
    routers: &[Router],
    visitors: &mut Visitors,
    wanted: &Wanted,
    manner: &Manner,
    progress: impl Fn(),
) -> Result<Opened> {
    wanted.check()?;
    let admin = visitors.admit(&format!("{}-admin", wanted.run), "admin", wanted.session_life).await?;
    let mut users = Vec::with_capacity(wanted.users);
    for number in 0..wanted.users {
        let name = format!("{}-user-{number}", wanted.run);
        users.push(User { authorization: visitors.admit(&name, "wallet", wanted.session_life).await? });
    }
    let topology = topology(&routers[0], &admin, manner).await?;
    let owners = Owners::new(&topology);
    let opening = Opening { wanted, manner, admin, users, accounts: RefCell::default() };
    let regions = opening.find_homes(routers, owners.regions()).await?;
    opening.open_all(&regions, progress).await?;
    let population = opening.into_population(regions, &owners)?;
    Ok(Opened { population, owners_are_certain: owners.match_slots(&topology) })
}

async fn topology(router: &Router, admin: &HeaderValue, manner: &Manner) -> Result<TopologyView> {
    let mut client = Client::new(Rc::new([router.clone()]), 0, manner.timeout);
    let call = api::get(admin, Uri::from_static("/v1/admin/topology"));
    manner.ask(&mut client, &call, |call, reply| api::read(call, reply)).await
}

struct Opening<'a> {
    wanted: &'a Wanted,
    manner: &'a Manner,
    admin: HeaderValue,
    users: Vec<User>,
    /// By number; the region and what was deposited.
    accounts: RefCell<BTreeMap<usize, (AccountState, Deposit)>>,
}

/// A region's name and the routers its users come through.
type Home = (String, Rc<[Router]>);

impl Opening<'_> {
    /// Learns which region each router is in, by opening an account there without naming a region. Regions without a
    /// router of their own are reached through all of them.
    async fn find_homes(&self, routers: &[Router], regions: Vec<String>) -> Result<Vec<Home>> {
        let mut of_region: BTreeMap<String, Vec<Router>> = BTreeMap::new();
        for (number, router) in routers.iter().enumerate().take(self.wanted.accounts) {
            let mut client = Client::new(Rc::new([router.clone()]), 0, self.manner.timeout);
            let account = self.open_one(&mut client, number, None).await?;
            of_region.entry(account.region.clone()).or_default().push(router.clone());
        }
        let homes = regions.into_iter().map(|name| {
            let own = of_region.remove(&name).unwrap_or_else(|| routers.to_vec());
            (name, Rc::from(own))
        });
        let homes: Vec<Home> = homes.collect();
        match of_region.keys().next() {
            Some(region) => bail!("a router is in region {region}, which the topology does not have"),
            None => Ok(homes),
        }
    }

    /// Opens what is not open yet: users in turn, each with all accounts in one region.
    async fn open_all(&self, homes: &[Home], progress: impl Fn()) -> Result<()> {
        let first: BTreeMap<usize, String> =
            self.accounts.borrow().iter().map(|(number, (account, _))| (*number, account.region.clone())).collect();
        let home_of_user = |user: usize| match first.get(&user) {
            Some(region) => homes.iter().position(|(name, _)| name == region).unwrap_or_default(),
            None => user % homes.len(),
        };
        let progress = &progress;
        let regions = homes.iter().enumerate().map(async |(home, (name, routers))| {
            let is_here = |number: &usize| home_of_user(number % self.users.len()) == home;
            let left = (0..self.wanted.accounts).filter(|number| !first.contains_key(number)).filter(is_here);
            let clients = (0..self.manner.clients).map(|turn| Client::new(routers.clone(), turn, self.manner.timeout));
            let open = async |client: &mut Client, number: usize| {
                self.open_one(client, number, Some(name)).await?;
                progress();
                Ok(())
            };
            each(clients.collect(), left, open).await
        });
        try_join_all(regions).await?;
        Ok(())
    }

    /// Opens account `number` and pays into it.
    async fn open_one(&self, client: &mut Client, number: usize, region: Option<&str>) -> Result<AccountState> {
        let authorization = &self.users[number % self.users.len()].authorization;
        let key = format!("{}-account-{number}", self.wanted.run);
        let new = NewAccount { currency: &self.wanted.currency, region };
        let call = api::open_account(authorization, &key, &new)?;
        let account: AccountState = self.manner.ask(client, &call, read_account).await?;
        let deposit = self.deposit(client, number, account.id).await?;
        self.accounts.borrow_mut().insert(number, (account.clone(), deposit));
        Ok(account)
    }

    async fn deposit(&self, client: &mut Client, number: usize, account_id: u64) -> Result<Deposit> {
        let key = format!("{}-deposit-{number}", self.wanted.run);
        let amount = self.wanted.balance;
        let call = api::deposit(&self.admin, &key, &NewDeposit { account_id, amount })?;
        let reply = self.manner.insist(client, &call).await?;
        match outcome_of(&reply)? {
            Outcome::Posted(id) => Ok(Deposit { id, amount }),
            _ => bail!("a deposit of {amount} was answered with {}", String::from_utf8_lossy(&reply.body)),
        }
    }

    fn into_population(self, homes: Vec<Home>, owners: &Owners) -> Result<Population> {
        let mut regions: Vec<Region> =
            homes.into_iter().map(|(name, routers)| Region { name, routers, accounts: vec![] }).collect();
        let mut shards: BTreeMap<_, Vec<u32>> = BTreeMap::new();
        let mut places = Vec::new();
        for (place, (account, _)) in (0..).zip(self.accounts.borrow().values()) {
            let region = regions.iter().position(|region| region.name == account.region);
            let region = region.with_context(|| format!("account {} is in an unknown region", account.id))?;
            let shard = owners.owner(account.id)?;
            regions[region].accounts.push(place);
            shards.entry(shard).or_default().push(place);
            places.push((region, shard));
        }
        let shard_places: Vec<_> = shards.keys().copied().collect();
        let mut accounts = Vec::with_capacity(places.len());
        for ((number, (account, deposit)), (region, shard)) in self.accounts.into_inner().into_iter().zip(places) {
            accounts.push(Account {
                id: account.id,
                user: number % self.users.len(),
                region,
                shard: shard_places.iter().position(|known| *known == shard).context("every shard has a place")?,
                uri: api::account_uri(account.id)?,
                deposit,
            });
        }
        if let Some(empty) = regions.iter().find(|region| region.accounts.is_empty()) {
            bail!("no account is in region {}; use more --users", empty.name);
        }
        Ok(Population { users: self.users, accounts, regions, shards: shards.into_values().collect() })
    }
}
