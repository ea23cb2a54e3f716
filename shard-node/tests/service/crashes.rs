//! kill -9 in mid-load: every answer given before holds afterwards, and no money is made or lost.

use crate::support::{Holder, Known, Wish, World, explain, occurrences};
use anyhow::{Result, ensure};
use local_cluster::{ProcessName, Signal};
use std::cell::{Cell, RefCell};
use std::time::Duration;

const HOLDERS: usize = 8;
const WORKERS: usize = 16;
const BALANCE: i64 = 100_000;
const BEFORE_THE_KILL: Duration = Duration::from_millis(700);
const DOWN: Duration = Duration::from_millis(300);

/// A transfer whose outcome a client was told.
struct Told {
    debit: usize,
    credit: usize,
    known: Known,
}

#[tokio::test]
async fn killed_processes_lose_and_double_nothing() -> Result<()> {
    let world = World::start(|_| ()).await?;
    let mut holders = Vec::new();
    for number in 0..HOLDERS {
        let region = ["sg", "eu"][number % 2];
        holders.push(world.holder(&format!("holder-{number}"), region, BALANCE).await?);
    }
    let victims = ["shard-node-1", "postgres-2", "router-sg", "postgres-1", "shard-node-2", "router-eu"];
    let told = under_load(&world, &holders, async {
        for victim in victims {
            tokio::time::sleep(BEFORE_THE_KILL).await;
            let name: ProcessName = victim.parse()?;
            world.cluster.kill(&name, Signal::SIGKILL).await?;
            tokio::time::sleep(DOWN).await;
            world.cluster.restart(&name).await?;
        }
        tokio::time::sleep(BEFORE_THE_KILL).await;
        Ok(())
    })
    .await?;
    ensure!(told.len() > 100, "only {} transfers were tried", told.len());
    world.prove().await?;
    check(&world, &holders, &told).await
}

/// Runs the load for as long as the trouble lasts.
async fn under_load(world: &World, holders: &[Holder], trouble: impl Future<Output = Result<()>>) -> Result<Vec<Told>> {
    let (over, told) = (Cell::new(false), RefCell::new(Vec::new()));
    let workers = (0..WORKERS).map(|worker| {
        let (over, told) = (&over, &told);
        async move {
            let mut number = worker;
            while !over.get() {
                let (debit, credit) = (number % HOLDERS, (number + 1 + number / HOLDERS % (HOLDERS - 1)) % HOLDERS);
                let key = format!("load-{worker}-{number}");
                let router = world.cluster.router_address(&holders[debit].region, 0)?;
                let amount = i64::try_from(number % 90).unwrap_or(0) + 1;
                let wish = Wish { key: &key, debit: &holders[debit], credit: &holders[credit], amount };
                let known = world.until_known(router, wish).await?;
                told.borrow_mut().push(Told { debit, credit, known });
                number += WORKERS;
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
    Ok(told.into_inner())
}

async fn check(world: &World, holders: &[Holder], told: &[Told]) -> Result<()> {
    let (mut histories, mut total, mut entries) = (Vec::new(), 0, 0);
    for holder in holders {
        let (history, balance) = (world.history(holder).await?, world.balance(holder).await?);
        explain(&history, balance)?;
        total += balance;
        entries += history.len();
        histories.push(history);
    }
    let expected = BALANCE * i64::try_from(HOLDERS)?;
    ensure!(total == expected, "{expected} have become {total}");
    let mut posted = 0;
    for Told { debit, credit, known } in told {
        if let Known::Posted { transfer } = known {
            posted += 1;
            for holder in [*debit, *credit] {
                let times = occurrences(&histories[holder], transfer);
                ensure!(times == 1, "{transfer} is {times} times in the history of holder {holder}");
            }
        }
    }
    // Whatever was posted was told: each has a debit and a credit entry, beside the first deposit of each holder.
    ensure!(entries == HOLDERS + 2 * posted, "{entries} entries for {posted} transfers");
    Ok(())
}
