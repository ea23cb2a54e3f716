//! What users see of a fault, line by line of the table in `ARCHITECTURE.md`.

use std::time::{Duration, Instant};

use futures_util::future::join;
use jiff::Timestamp;
use local_cluster::{Answer, Method, call};
use serde_json::json;

use super::{Harm, World, name, said, until};

/// Every request is answered within so long.
const ANSWER_MAX: Duration = Duration::from_secs(5);

#[tokio::test]
async fn dead_processes_cost_only_what_is_theirs() {
    let world = World::start().await;
    let key = world.key();
    world.posted(1, 2, &key).await;
    let first = said(&world.transfer(1, 2, &key).await.unwrap())["id"].clone();

    let router = name("router-sg");
    let elsewhere = async {
        until("its end", async || world.transfer(1, 2, &key).await.is_err()).await;
        world.transfer_through("eu", 1, 2, &key).await
    };
    let harm = Harm::Kill { process: router, pause_ms: 1_500 };
    let ((), answer) = join(world.inflict(harm), elsewhere).await;
    assert_eq!((answer.status.as_u16(), &said(&answer)["id"]), (201, &first), "the same key at the other router");
    world.healed().await;

    let key = world.key();
    let others = async {
        until("its end", async || world.transfer(1, 2, &key).await.unwrap().status == 503).await;
        world.posted(3, 4, &world.key()).await;
    };
    let harm = Harm::Kill { process: name("shard-node-1"), pause_ms: 3_000 };
    join(world.inflict(harm), others).await;
    world.posted(1, 2, &key).await;
    world.healed().await;
    world.end().await;
}

#[tokio::test]
async fn frozen_and_cut_off_shards_are_answered_for_in_time() {
    let world = World::start().await;
    for victim in ["shard-node-1", "postgres-1"] {
        let key = world.key();
        let asked = async {
            until("its stop", async || world.state_of(&name(victim)) == 'T').await;
            let began = Instant::now();
            let (read, transfer) = join(world.read(1), world.transfer(1, 2, &key)).await;
            assert!(began.elapsed() < ANSWER_MAX, "{victim}: {:?}", began.elapsed());
            assert_eq!((read.status.as_u16(), transfer.unwrap().status.as_u16()), (503, 503), "{victim}");
            world.posted(3, 4, &world.key()).await;
        };
        join(world.inflict(Harm::Freeze { process: name(victim), pause_ms: 7_000 }), asked).await;
        world.posted(1, 2, &key).await;
        world.healed().await;
    }

    let (router, node) = (name("router-sg"), name("shard-node-1"));
    world.inflict(Harm::Partition { one: router, other: node }).await;
    let began = Instant::now();
    assert_eq!(world.transfer(1, 2, &world.key()).await.unwrap().status, 503);
    assert!(began.elapsed() < ANSWER_MAX);
    world.posted(2, 3, &world.key()).await;
    assert_eq!(world.transfer_through("eu", 1, 2, &world.key()).await.status, 201);
    world.healed().await;

    world.inflict(Harm::WrongClock { process: name("shard-node-1"), ahead_seconds: 3_600 }).await;
    let key = world.key();
    world.posted(1, 2, &key).await;
    let told = said(&world.transfer(1, 2, &key).await.unwrap())["created_at"].clone();
    let told: Timestamp = told.as_str().unwrap().parse().unwrap();
    assert!(told.duration_since(Timestamp::now()).unsigned_abs() < Duration::from_secs(60), "{told}");
    world.healed().await;
    world.end().await;
}

impl World {
    /// Reads the account on a shard.
    pub(super) async fn read(&self, shard: u16) -> Answer {
        let account = &self.accounts[&shard];
        let authorization = format!("Bearer {}", account.owner);
        let headers = [("authorization", authorization.as_str())];
        call(self.router("sg"), Method::GET, &format!("/v1/accounts/{}", account.id), &headers, None).await.unwrap()
    }

    /// Sends one transfer of 1 through the router of a region.
    async fn transfer_through(&self, region: &str, from: u16, to: u16, key: &str) -> Answer {
        let (debit, credit) = (&self.accounts[&from], &self.accounts[&to]);
        let body = json!({"debit_account_id": debit.id, "credit_account_id": credit.id, "amount": 1});
        self.post(region, "/v1/transfers", &debit.owner, key, &body).await
    }
}
