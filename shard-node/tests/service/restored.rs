//! A shard whose database has gone back to an older state is only read, until it has all again; nothing else is ever taken
//! for that.

use crate::support::{Holder, Known, Wish, World, post};
use anyhow::{Context, Result, ensure};
use local_cluster::{Answer, Method, ProcessName, Signal, call};
use serde_json::{Value, json};
use std::cell::Cell;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

const NOTICED_WITHIN: Duration = Duration::from_secs(15);
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// What is shown from the start of the process to the first command that it takes.
const OPENED: &str = "compared with other shards; commands are taken";
const JOINED: &str = "another replica of the shard has compared and takes commands";
const BEFORE_THE_KILL: Duration = Duration::from_millis(700);

fn postgres() -> ProcessName {
    ProcessName::Postgres { shard: 1, replica: 0 }
}

fn shard_node() -> ProcessName {
    ProcessName::ShardNode { shard: 1, replica: 0 }
}

async fn world() -> Result<World> {
    World::start(|spec| {
        let settings = [("INTERVAL_SECONDS", "1"), ("CONFIRM_AFTER_MS", "200")];
        for (name, value) in settings {
            spec.shard_node_env.insert(format!("WALLET_RECONCILE__{name}"), value.to_owned());
        }
    })
    .await
}

async fn admin(world: &World, path: &str) -> Result<(u16, String)> {
    let address = world.cluster.process(&shard_node())?.admin_address.context("a shard-node has an admin address")?;
    let answer = call(address, Method::GET, path, &[], None).await?;
    Ok((answer.status.as_u16(), answer.body))
}

async fn is_read_only(world: &World) -> Result<bool> {
    Ok(admin(world, "/metrics").await?.1.lines().any(|line| line == "wallet_read_only 1"))
}

fn log(world: &World) -> Result<String> {
    Ok(std::fs::read_to_string(world.cluster.data_dir().log(&shard_node()))?)
}

/// Waits until the shard-node's metric shows that it is only read, or that it is not.
async fn until_read_only(world: &World, expected: bool) -> Result<()> {
    let started = Instant::now();
    // Right after its start it does not serve yet.
    while is_read_only(world).await.ok() != Some(expected) {
        ensure!(started.elapsed() < NOTICED_WITHIN, "not noticed ({expected}):\n{}", log(world)?);
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    println!("read-only is {expected} after {:?}", started.elapsed());
    Ok(())
}

/// The directories of one PostgreSQL at different times.
struct Files {
    current: PathBuf,
}

impl Files {
    fn of(world: &World) -> Files {
        Files { current: world.cluster.data_dir().server_files(&postgres()) }
    }

    fn named(&self, name: &str) -> PathBuf {
        self.current.with_extension(name)
    }

    fn back_up(&self) -> Result<()> {
        let done = Command::new("cp").arg("-a").arg(&self.current).arg(self.named("backup")).status()?;
        ensure!(done.success(), "the directory was not copied");
        Ok(())
    }

    /// Puts a copy of the backup in the place of what is there, which is kept as the newer one.
    fn restore(&self) -> Result<()> {
        std::fs::rename(&self.current, self.named("newer"))?;
        let done = Command::new("cp").arg("-a").arg(self.named("backup")).arg(&self.current).status()?;
        ensure!(done.success(), "the directory was not copied");
        Ok(())
    }

    fn put_the_newer_back(&self) -> Result<()> {
        std::fs::remove_dir_all(&self.current)?;
        Ok(std::fs::rename(self.named("newer"), &self.current)?)
    }
}

async fn pay(world: &World, key: &str, debit: &Holder, credit: &Holder, amount: i64) -> Result<()> {
    let router = world.cluster.router_address(&debit.region, 0)?;
    match world.until_known(router, Wish { key, debit, credit, amount }).await? {
        Known::Posted { .. } => Ok(()),
        Known::Refused { code } => anyhow::bail!("{key} was refused: {code}"),
    }
}

/// It takes no command, answers reads, and says why; what others send to it waits.
async fn check_read_only(world: &World, key: &str, here: &Holder, there: &Holder, reason: &[&str]) -> Result<()> {
    let refused = Wish { key: &format!("{key} from here"), debit: here, credit: there, amount: 1 };
    let refused = world.ask(world.cluster.router_address("sg", 0)?, refused).await?;
    ensure!(refused.status == 503 && refused.body.contains("unavailable"), "{} {}", refused.status, refused.body);
    world.balance(here).await.context("reads are answered")?;
    let (status, body) = admin(world, "/readyz").await?;
    ensure!(status == 503 && reason.iter().all(|part| body.contains(part)), "{reason:?} is not in {status} {body}");
    let waiting = Wish { key: &format!("{key} from there"), debit: there, credit: here, amount: 1 };
    let waiting = world.ask(world.cluster.router_address("eu", 0)?, waiting).await?;
    ensure!(waiting.status == 202, "{} {}", waiting.status, waiting.body);
    ensure!(is_read_only(world).await?, "it opened by itself");
    Ok(())
}

/// What waited is done, both ways.
async fn check_open(world: &World, key: &str, here: &Holder, there: &Holder) -> Result<()> {
    pay(world, &format!("{key} from there"), there, here, 1).await?;
    pay(world, &format!("{key} from here"), here, there, 1).await?;
    ensure!(!is_read_only(world).await?, "it is read-only again:\n{}", log(world)?);
    Ok(())
}

#[tokio::test]
async fn restored_shard_is_only_read_until_it_has_all_again() -> Result<()> {
    let world = world().await?;
    let here = world.holder("here", "sg", 10_000).await?;
    let there = world.holder("there", "eu", 10_000).await?;
    pay(&world, "before, there", &here, &there, 500).await?;
    pay(&world, "before, back", &there, &here, 300).await?;
    let files = Files::of(&world);
    world.cluster.stop_one(&postgres()).await?;
    files.back_up()?;
    world.cluster.restart(&postgres()).await?;
    pay(&world, "after, there", &here, &there, 70).await?;
    pay(&world, "after, back", &there, &here, 20).await?;

    // Under the feet of a process that saw it all committed.
    world.cluster.kill(&postgres(), Signal::SIGKILL).await?;
    files.restore()?;
    world.cluster.restart(&postgres()).await?;
    // An idle lane learns from its next command that its connection is gone.
    let wish = Wish { key: "noticed", debit: &here, credit: &there, amount: 1 };
    let answer = world.ask(world.cluster.router_address("sg", 0)?, wish).await?;
    ensure!(answer.status == 503, "{} {}", answer.status, answer.body);
    until_read_only(&world, true).await?;
    check_read_only(&world, "behind", &here, &there, &["ends with batch", "was committed"]).await?;
    ensure!(log(&world)?.contains("the database has gone back in time"), "{}", log(&world)?);
    world.cluster.kill(&postgres(), Signal::SIGKILL).await?;
    files.put_the_newer_back()?;
    world.cluster.restart(&postgres()).await?;
    until_read_only(&world, false).await?;
    pay(&world, "noticed", &here, &there, 1).await?;
    check_open(&world, "behind", &here, &there).await?;

    // Together with its process.
    world.cluster.kill(&shard_node(), Signal::SIGKILL).await?;
    world.cluster.kill(&postgres(), Signal::SIGKILL).await?;
    files.restore()?;
    world.cluster.restart(&postgres()).await?;
    world.cluster.launch(&shard_node()).await?;
    until_read_only(&world, true).await?;
    // 70, 1 and 1 were sent from here, 20 and 1 came.
    let named = ["shard 2", "-51 SGD in clearing", "5 recent transfers"];
    check_read_only(&world, "restored", &here, &there, &named).await?;
    for name in ["\"currency\":\"SGD\"", "\"amount\":\"-51\"", "\"peer\":\"2\""] {
        let told = log(&world)?;
        ensure!(
            told.lines().any(|line| line.contains("this shard lacks what") && line.contains(name)),
            "{name}: {told}"
        );
    }
    world.cluster.kill(&shard_node(), Signal::SIGKILL).await?;
    world.cluster.kill(&postgres(), Signal::SIGKILL).await?;
    files.put_the_newer_back()?;
    world.cluster.restart(&postgres()).await?;
    world.cluster.restart(&shard_node()).await?;
    check_open(&world, "restored", &here, &there).await?;
    world.prove().await?;
    // Before the first crash 9,750 and 10,250; then one was sent that was noticed, and as many back as there.
    let balances = (world.balance(&here).await?, world.balance(&there).await?);
    ensure!(balances == (9_749, 10_251), "money was made or lost: {balances:?}");
    Ok(())
}

/// All that is lost is one batch that set an amount aside: no transfer has ended by it, and no peer knows of it.
#[tokio::test]
async fn shard_that_lost_a_single_reservation_is_only_read() -> Result<()> {
    let world = world().await?;
    let here = world.holder("here", "sg", 10_000).await?;
    let next = world.holder("next", "sg", 10_000).await?;
    let there = world.holder("there", "eu", 10_000).await?;
    let files = Files::of(&world);
    world.cluster.stop_one(&postgres()).await?;
    files.back_up()?;
    world.cluster.restart(&postgres()).await?;
    let id = reserve(&world, &here, &next, 40).await?;

    world.cluster.kill(&postgres(), Signal::SIGKILL).await?;
    files.restore()?;
    world.cluster.restart(&postgres()).await?;
    let wish = Wish { key: "noticed", debit: &here, credit: &there, amount: 1 };
    let answer = world.ask(world.cluster.router_address("sg", 0)?, wish).await?;
    ensure!(answer.status == 503, "{} {}", answer.status, answer.body);
    until_read_only(&world, true).await?;
    check_read_only(&world, "behind", &here, &there, &["ends with batch", "was committed"]).await?;
    world.cluster.kill(&postgres(), Signal::SIGKILL).await?;
    files.put_the_newer_back()?;
    world.cluster.restart(&postgres()).await?;
    until_read_only(&world, false).await?;
    let committed = until_known(&world, &here, &format!("/v1/transfers/{id}/commit"), "commit", &json!({})).await?;
    ensure!(committed.status == 200, "{} {}", committed.status, committed.body);
    check_open(&world, "behind", &here, &there).await?;
    world.prove().await
}

/// Sets an amount aside; the transfer's id.
async fn reserve(world: &World, debit: &Holder, credit: &Holder, amount: i64) -> Result<String> {
    let wish = json!({"debit_account_id": debit.account, "credit_account_id": credit.account, "amount": amount,
        "reserve": true});
    let answer = until_known(world, debit, "/v1/transfers", "reserve", &wish).await?;
    ensure!(answer.status == 201, "{} {}", answer.status, answer.body);
    let reserved = answer.read::<Value>()?;
    Ok(reserved["id"].as_str().context("a transfer has an id")?.to_owned())
}

/// Asks again, with the same key, as long as a lane connects.
async fn until_known(world: &World, caller: &Holder, path: &str, key: &str, body: &Value) -> Result<Answer> {
    let router = world.cluster.router_address(&caller.region, 0)?;
    let started = Instant::now();
    loop {
        let answer = post(router, path, &caller.token, key, body).await?;
        if answer.status != 503 {
            return Ok(answer);
        }
        ensure!(started.elapsed() < NOTICED_WITHIN, "{} {}", answer.status, answer.body);
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Transfers both ways for as long as the trouble lasts; how many.
async fn under_load(world: &World, trouble: impl Future<Output = Result<()>>) -> Result<u32> {
    const WORKERS: usize = 8;
    let here = world.holder("here", "sg", 100_000).await?;
    let there = world.holder("there", "eu", 100_000).await?;
    let (over, count) = (Cell::new(false), Cell::new(0));
    let workers = (0..WORKERS).map(|worker| {
        let (here, there, over, count) = (&here, &there, &over, &count);
        async move {
            let mut number = 0;
            while !over.get() {
                let (debit, credit) = if worker % 2 == 0 { (here, there) } else { (there, here) };
                pay(world, &format!("load-{worker}-{number}"), debit, credit, 1 + number % 7).await?;
                number += 1;
                count.set(count.get() + 1);
            }
            Ok::<_, anyhow::Error>(())
        }
    });
    let trouble = async {
        let result = trouble.await;
        over.set(true);
        result
    };
    futures_util::future::try_join(futures_util::future::try_join_all(workers), trouble).await?;
    Ok(count.get())
}

fn lines_with(text: &str, part: &str) -> Vec<String> {
    text.lines().filter(|line| line.contains(part)).map(str::to_owned).collect()
}

fn no_alarm(told: &str) -> Result<()> {
    let alarms = lines_with(told, "only read");
    ensure!(alarms.is_empty(), "{alarms:#?}");
    Ok(())
}

#[tokio::test]
async fn killed_shard_under_transfers_is_not_taken_for_a_restored_one() -> Result<()> {
    const ROUNDS: usize = 3;
    let world = world().await?;
    let transfers = under_load(&world, async {
        for round in 0..ROUNDS {
            tokio::time::sleep(BEFORE_THE_KILL).await;
            // With its process, or without.
            let with_process = round % 2 == 0;
            if with_process {
                world.cluster.kill(&shard_node(), Signal::SIGKILL).await?;
            }
            world.cluster.kill(&postgres(), Signal::SIGKILL).await?;
            world.cluster.restart(&postgres()).await?;
            if with_process {
                world.cluster.restart(&shard_node()).await?;
            }
            ensure!(!is_read_only(&world).await?, "it is read-only:\n{}", log(&world)?);
        }
        Ok(())
    })
    .await?;
    let told = log(&world)?;
    no_alarm(&told)?;
    let opened = lines_with(&told, OPENED);
    ensure!(opened.len() == 1 + ROUNDS.div_ceil(2), "{opened:#?}");
    println!("{transfers} transfers; {opened:#?}");
    world.prove().await
}

#[tokio::test]
async fn replica_beside_one_that_writes_does_not_take_its_writes_for_a_difference() -> Result<()> {
    let world = World::start(|spec| spec.replicas_per_shard = 2).await?;
    let transfers = under_load(&world, async {
        tokio::time::sleep(BEFORE_THE_KILL).await;
        world.cluster.kill(&shard_node(), Signal::SIGKILL).await?;
        // Until the connections of the killed process are gone and the other one has all the commands.
        tokio::time::sleep(BEFORE_THE_KILL).await;
        world.cluster.restart(&shard_node()).await
    })
    .await?;
    let told = log(&world)?;
    no_alarm(&told)?;
    let joined = lines_with(&told, JOINED);
    ensure!(!joined.is_empty() && lines_with(&told, "seems to be missing").is_empty(), "{told}");
    println!("{transfers} transfers; {joined:#?}");
    world.prove().await
}
