//! Every metric that an alert is about is one that the processes have.

use crate::support::{Wish, World};
use anyhow::{Result, ensure};
use local_cluster::{Method, ProcessName, Signal, call};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

const ALERTS: &str = include_str!("../../../deploy/prometheus/alerts.yml");
const SHOWN_WITHIN: Duration = Duration::from_secs(90);

/// The names in a text, without what a histogram adds to them.
fn metrics_in(text: &str) -> BTreeSet<String> {
    let words = text.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'));
    let names = words.filter(|word| word.starts_with("wallet_"));
    let histogram = |name: &str| {
        let ends = ["_bucket", "_count", "_sum"].into_iter();
        ends.filter_map(|end| name.strip_suffix(end)).next().unwrap_or(name).to_owned()
    };
    names.map(histogram).collect()
}

#[tokio::test]
async fn every_metric_of_an_alert_is_shown_by_a_process() -> Result<()> {
    let alerts: String = ALERTS.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
    let wanted = metrics_in(&alerts);
    ensure!(wanted.len() > 10, "only {wanted:?} are in the alerts");
    let world = World::start(|spec| {
        spec.shard_node_env.insert("WALLET_RECONCILE__INTERVAL_SECONDS".to_owned(), "1".to_owned());
    })
    .await?;
    let debit = world.holder("debtor", "sg", 10_000).await?;
    let credit = world.holder("creditor", "eu", 10_000).await?;
    let [sg, eu] = ["sg", "eu"].map(|region| world.cluster.router_address(region, 0));
    let (sg, eu) = (sg?, eu?);
    world.until_known(sg, Wish { key: "posted", debit: &debit, credit: &credit, amount: 1 }).await?;

    let mut shown = scraped(&world).await?;
    let started = Instant::now();
    // Some are only shown while something is wrong: a saga that stays open, work that is refused.
    world.cluster.kill(&"postgres-2".parse::<ProcessName>()?, Signal::SIGKILL).await?;
    let wishes = [(sg, Wish { key: "open", debit: &debit, credit: &credit, amount: 1 })];
    let wishes = wishes.into_iter().chain([(eu, Wish { key: "refused", debit: &credit, credit: &debit, amount: 1 })]);
    for (router, wish) in wishes {
        let answer = world.ask(router, wish).await?;
        ensure!([202, 503].contains(&answer.status.as_u16()), "{}: {}", wish.key, answer.body);
    }
    while !wanted.is_subset(&shown) {
        let missing: Vec<_> = wanted.difference(&shown).collect();
        ensure!(started.elapsed() < SHOWN_WITHIN, "no process shows {missing:?}");
        tokio::time::sleep(Duration::from_millis(500)).await;
        shown.extend(scraped(&world).await?);
    }
    Ok(())
}

async fn scraped(world: &World) -> Result<BTreeSet<String>> {
    let mut shown = BTreeSet::new();
    for admin in world.cluster.processes().into_iter().filter_map(|process| process.admin_address) {
        let text = call(admin, Method::GET, "/metrics", &[], None).await?.body;
        let series = text.lines().filter(|line| !line.starts_with('#'));
        shown.extend(series.filter_map(|line| line.split(['{', ' ']).next()).flat_map(metrics_in));
    }
    Ok(shown)
}
