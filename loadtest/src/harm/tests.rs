//! Each harm hurts as it says, and after the heal money moves again.

mod messages;
mod processes;
mod seen;
mod servers;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use audit::{Limits, ShardTarget, audit};
use local_cluster::session::{Session, Sessions};
use local_cluster::{ADMIN_TOKEN, Answer, Method, ProcessName, call};
use placement::ShardId;
use serde_json::{Value, json};
use tokio::sync::{Mutex, MutexGuard};
use tokio_postgres::{Client, NoTls};

use super::{Harm, HarmOptions, HarmedCluster};

/// How long after a heal a transfer may take.
const SERVED_WITHIN: Duration = Duration::from_secs(20);

fn name(text: &str) -> ProcessName {
    text.parse().unwrap()
}

struct Account {
    owner: String,
    id: i64,
}

/// A cluster with one account on each shard, and money on it.
struct World {
    _alone: MutexGuard<'static, ()>,
    cluster: HarmedCluster,
    accounts: BTreeMap<u16, Account>,
    keys: AtomicU32,
}

impl World {
    async fn start() -> Self {
        Self::start_with(HarmOptions::default()).await
    }

    /// One at a time: clusters beside each other on a small machine would look hurt without harm.
    async fn start_with(options: HarmOptions) -> Self {
        static ALONE: Mutex<()> = Mutex::const_new(());
        let alone = ALONE.lock().await;
        let cluster = HarmedCluster::start(HarmOptions { seed: true, ..options }).await.unwrap();
        let mut world = Self { _alone: alone, cluster, accounts: BTreeMap::new(), keys: AtomicU32::new(0) };
        for shard in world.cluster.shards().unwrap() {
            let account = world.open_account(&shard.region, shard.id).await;
            let body = json!({"account_id": account.id, "amount": 10_000, "reference": "start"});
            let answer = world.post("sg", "/v1/admin/deposits", ADMIN_TOKEN, &world.key(), &body).await;
            assert_eq!(answer.status, 201, "{}", answer.body);
            world.accounts.insert(shard.id, account);
        }
        world
    }

    /// Opens accounts until one is on that shard. All accounts of a user in a region are on one, so each is a new user's.
    async fn open_account(&self, region: &str, shard: u16) -> Account {
        for number in 0..100 {
            let owner = format!("user-{shard}-{number}");
            self.log_in(&owner).await;
            let body = json!({"currency": "SGD", "region": region});
            let answer = self.post("sg", "/v1/accounts", &owner, &self.key(), &body).await;
            let id = said(&answer)["id"].as_i64().unwrap_or_else(|| panic!("{}", answer.body));
            let found = "SELECT FROM accounts WHERE id = $1";
            if self.database(shard).await.query_opt(found, &[&id]).await.unwrap().is_some() {
                return Account { owner, id };
            }
        }
        panic!("no account came to shard {shard}");
    }

    /// Lets a user in whose token is its name.
    async fn log_in(&self, user: &str) {
        let session = Session { user_id: user.to_owned(), scopes: vec!["wallet".to_owned()] };
        for region in self.cluster.local().regions() {
            let redis = self.cluster.local().redis_url(&region).unwrap();
            let mut sessions = Sessions::connect(&redis).await.unwrap();
            sessions.add(user, &session, Duration::from_secs(3_600)).await.unwrap();
        }
    }

    /// A key never used before.
    fn key(&self) -> String {
        format!("key-{}", self.keys.fetch_add(1, Ordering::Relaxed))
    }

    fn router(&self, region: &str) -> SocketAddr {
        self.cluster.local().router_address(region, 0).unwrap()
    }

    async fn post(&self, region: &str, path: &str, token: &str, key: &str, body: &Value) -> Answer {
        self.try_post(region, path, token, key, body).await.unwrap()
    }

    async fn try_post(&self, region: &str, path: &str, token: &str, key: &str, body: &Value) -> anyhow::Result<Answer> {
        let authorization = format!("Bearer {token}");
        let headers = [("authorization", authorization.as_str()), ("idempotency-key", key), ("prefer", "wait=1")];
        call(self.router(region), Method::POST, path, &headers, Some(body)).await
    }

    /// Sends one transfer of 1 between the accounts of two shards, once.
    async fn transfer(&self, from: u16, to: u16, key: &str) -> anyhow::Result<Answer> {
        let (debit, credit) = (&self.accounts[&from], &self.accounts[&to]);
        let body = json!({"debit_account_id": debit.id, "credit_account_id": credit.id, "amount": 1});
        self.try_post("sg", "/v1/transfers", &debit.owner, key, &body).await
    }

    /// Sends one transfer until it is posted, as a client would.
    async fn posted(&self, from: u16, to: u16, key: &str) {
        let began = Instant::now();
        let mut last = String::new();
        while began.elapsed() < SERVED_WITHIN {
            match self.transfer(from, to, key).await {
                Ok(answer) if answer.status == 201 && said(&answer)["state"] == "posted" => return,
                Ok(answer) => last = format!("{} {}", answer.status, answer.body),
                Err(error) => last = format!("{error:#}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{key} is not posted: {last}; {:?}", self.cluster.notes());
    }

    async fn undo(&self) {
        self.cluster.undo(&|_| ()).await.unwrap();
        self.cluster.ready().await.unwrap();
    }

    /// Heals, and lets money go round through all shards.
    async fn healed(&self) {
        self.undo().await;
        for (from, to) in [(1, 2), (2, 3), (3, 4), (4, 1)] {
            self.posted(from, to, &self.key()).await;
        }
    }

    async fn inflict(&self, harm: Harm) {
        self.cluster.inflict(&harm, &|_| ()).await.unwrap_or_else(|error| panic!("{harm}: {error:#}"));
    }

    async fn database(&self, shard: u16) -> Client {
        let shards = self.cluster.shards().unwrap();
        let shard = shards.iter().find(|place| place.id == shard).unwrap();
        let (client, connection) = tokio_postgres::connect(&shard.postgres, NoTls).await.unwrap();
        tokio::spawn(async move { drop(connection.await) });
        client
    }

    /// The balance of the account on a shard, as its database has it.
    async fn balance(&self, shard: u16) -> i64 {
        let client = self.database(shard).await;
        client
            .query_one("SELECT balance FROM accounts WHERE id = $1", &[&self.accounts[&shard].id])
            .await
            .unwrap()
            .get(0)
    }

    /// Proves the invariants from data and ends everything.
    async fn end(self) {
        let targets = self.cluster.shards().unwrap().into_iter().map(|shard| ShardTarget {
            shard: ShardId::try_from(shard.id).unwrap(),
            postgres: shard.postgres.parse().unwrap(),
        });
        let targets: Vec<ShardTarget> = targets.collect();
        let report = audit(&targets, &Limits::default(), &|_| ()).await.unwrap();
        assert!(report.holds, "broken: {:?}", report.broken().collect::<Vec<_>>());
        self.cluster.stop().await.unwrap();
    }
}

/// The content of an answer; null, if it is no JSON.
fn said(answer: &Answer) -> Value {
    serde_json::from_str(&answer.body).unwrap_or_default()
}

/// Polls until the condition holds.
async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    let began = Instant::now();
    while !condition().await {
        assert!(began.elapsed() < SERVED_WITHIN, "{what} does not come");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
