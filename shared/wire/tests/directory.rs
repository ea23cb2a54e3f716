//! Which of a shard's nodes is asked, and how often.

mod support;

use ledger::{Command, SetStatus, StatusChange};
use placement::topology::{Region, Shard, ShardState};
use placement::{AccountId, Epoch, Locality, RegionCode, ShardId, Slot, SlotClaim, SlotState, Topology};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use wire::answer::{Answer, ShardMap};
use wire::directory::{Directory, Routed};
use wire::link::CallError;
use wire::operation::{CallContext, Operation, Read};
use wire::trace::TraceContext;

const PATIENCE_MS: u32 = 2_000;

/// What a node says to everything but questions for its map.
#[derive(Debug, Clone, Copy)]
enum Manner {
    Helps,
    /// Its database is out of its reach.
    CannotHelp,
    /// It breaks off, the first time.
    BreaksOff,
}

struct Replica {
    address: String,
    asked: Arc<AtomicUsize>,
}

impl Replica {
    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

/// Two nodes over the database of one shard, and whoever finds them.
async fn shard(manners: [Manner; 2]) -> (Directory, [Replica; 2]) {
    let nodes = [support::node(100).await, support::node(100).await];
    let addresses = nodes.each_ref().map(|node| node.address.clone());
    let map = map(&addresses);
    let replicas = addresses.clone().map(|address| Replica { address, asked: Arc::default() });
    for ((node, manner), replica) in nodes.into_iter().zip(manners).zip(&replicas) {
        tokio::spawn(behave(node, manner, map.clone(), replica.asked.clone()));
    }
    let directory = Directory::start(&addresses, "secret", "test/1 (test)");
    // Both are up once each has told its map.
    let (region, slot) = (account().region(), account().slot());
    directory.until(|directory| directory.reaches(region, slot)).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    (directory, replicas)
}

async fn behave(mut node: support::Node, manner: Manner, map: ShardMap, asked: Arc<AtomicUsize>) {
    // Those who wait for another map are kept waiting.
    let mut waiting = Vec::new();
    while let Some((call, replier)) = node.calls.recv().await {
        match call.operation {
            Operation::Read(Read::Map { known_version: 0, .. }) => replier.reply(Answer::Map(map.clone())),
            Operation::Read(Read::Map { .. }) => waiting.push(replier),
            _ => match (asked.fetch_add(1, Ordering::SeqCst), manner) {
                (0, Manner::BreaksOff) => {
                    waiting.push(replier);
                    node.connections.lock().expect("lock").drain(..).for_each(|serving| serving.abort());
                }
                (_, Manner::CannotHelp) => replier.reply(Answer::Unavailable),
                (_, Manner::Helps | Manner::BreaksOff) => replier.reply(Answer::NotFound),
            },
        }
    }
}

fn account() -> AccountId {
    AccountId::new(RegionCode::try_from(1).expect("a region"), Locality::of_user("nick"), 7)
}

fn map(addresses: &[String; 2]) -> ShardMap {
    let shard = ShardId::try_from(1).expect("a shard");
    let topology = Topology {
        version: 1,
        currencies: Vec::new(),
        regions: vec![Region { name: "sg".to_owned(), code: account().region() }],
        shards: vec![Shard {
            id: shard,
            region: "sg".to_owned(),
            weight: 100,
            state: ShardState::Active,
            addresses: addresses.to_vec(),
        }],
    };
    let claims = Slot::all().map(|slot| SlotClaim { slot, epoch: Epoch::FIRST, state: SlotState::Active }).collect();
    ShardMap { shard, version: 1, topology: serde_json::to_string(&topology).expect("json"), claims }
}

fn read() -> Operation {
    Operation::Read(Read::Account { id: account(), caller: None })
}

fn freeze() -> Operation {
    let command = Command::SetStatus(SetStatus { account_id: account(), change: StatusChange::Freeze });
    Operation::Command { command, wait_ms: 0 }
}

async fn ask(directory: &Directory, operation: Operation) -> Result<Answer, CallError> {
    let context = CallContext { request_id: 7, trace: TraceContext::begin(1, 2), remaining_ms: PATIENCE_MS };
    directory.call(context, operation).await.map(|Routed { answer, .. }| answer)
}

#[tokio::test]
async fn replica_that_cannot_help_leaves_it_to_the_other() {
    let (directory, [one, other]) = shard([Manner::CannotHelp, Manner::Helps]).await;
    for _ in 0..10 {
        assert_eq!(ask(&directory, read()).await, Ok(Answer::NotFound));
    }
    assert!(one.asked() > 0, "{} takes no turn", one.address);
    assert_eq!(other.asked(), 10);
}

#[tokio::test]
async fn replicas_that_both_cannot_help_are_asked_once_each_and_the_answer_comes_at_once() {
    let (directory, [one, other]) = shard([Manner::CannotHelp, Manner::CannotHelp]).await;
    let began = Instant::now();
    assert_eq!(ask(&directory, read()).await, Ok(Answer::Unavailable));
    assert_eq!((one.asked(), other.asked()), (1, 1));
    assert!(began.elapsed() < Duration::from_millis(500), "{:?}", began.elapsed());
}

#[tokio::test]
async fn change_of_status_is_sent_to_one_replica_only() {
    let (directory, [one, other]) = shard([Manner::CannotHelp, Manner::CannotHelp]).await;
    assert_eq!(ask(&directory, freeze()).await, Ok(Answer::Unavailable));
    assert_eq!(one.asked() + other.asked(), 1);

    let (directory, [one, other]) = shard([Manner::BreaksOff, Manner::BreaksOff]).await;
    assert_eq!(ask(&directory, freeze()).await, Err(CallError::Unknown));
    assert_eq!(one.asked() + other.asked(), 1);
}

#[tokio::test]
async fn what_is_unknown_stays_so_when_the_other_replica_cannot_help() {
    let (directory, [one, other]) = shard([Manner::BreaksOff, Manner::CannotHelp]).await;
    // Until it is the turn of the one that breaks off.
    while one.asked() == 0 {
        match ask(&directory, read()).await {
            Ok(Answer::NotFound) | Err(CallError::Unknown) => {}
            unexpected => panic!("{unexpected:?}"),
        }
    }
    assert!(other.asked() > 0);
}
