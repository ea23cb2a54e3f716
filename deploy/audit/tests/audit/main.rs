//! The audit against real databases: consistent books are clean, and every planted breach is caught and named.

mod breaches;
mod chains;
mod databases;
mod limits;
mod live;
mod seed;

use std::sync::Arc;

use anyhow::Result;
use libtest_mimic::{Arguments, Trial};
use local_cluster::{Cluster, ClusterSpec, Parts};

use databases::Databases;

/// The server ends with the thread that starts it, so it is this one, and the tests run in others.
fn main() -> Result<()> {
    let arguments = Arguments::from_args();
    if arguments.list {
        libtest_mimic::run(&arguments, trials(None)).exit();
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let cluster = runtime.block_on(Cluster::start(servers(), &mut |_| ()))?;
    let databases = Arc::new(runtime.block_on(Databases::prepare(&cluster))?);
    let conclusion = libtest_mimic::run(&arguments, trials(Some(&databases)));
    // Leaving by exit would leave the directory to the watchdog.
    drop(cluster);
    conclusion.exit()
}

fn servers() -> ClusterSpec {
    ClusterSpec {
        regions: vec!["sg".to_owned()],
        shards_per_region: 1,
        parts: Parts::ServersOnly,
        // Every test has some, and there are as many tests at once as cores.
        postgres_settings: [("max_connections".to_owned(), "500".to_owned())].into(),
        ..ClusterSpec::scratch()
    }
}

/// A test of its own pair of databases.
type Test = fn(Arc<Databases>) -> Result<()>;

fn trials(databases: Option<&Arc<Databases>>) -> Vec<Trial> {
    let others: [(&str, Test); 7] = [
        ("consistent_books_are_clean", breaches::consistent_books_are_clean),
        ("report_counts_what_was_looked_at", breaches::report_counts_what_was_looked_at),
        ("slots_and_shards_limit_what_is_read", limits::slots_and_shards_limit_what_is_read),
        ("missing_or_wrong_databases_are_errors", limits::missing_or_wrong_databases_are_errors),
        ("role_that_may_only_read_is_enough", limits::role_that_may_only_read_is_enough),
        ("audit_of_a_working_system_raises_no_alarm", live::audit_of_a_working_system_raises_no_alarm),
        ("slot_that_changes_hands_raises_no_alarm", live::slot_that_changes_hands_raises_no_alarm),
    ];
    let chained = chains::ALL.iter().map(|(name, test)| {
        let databases = databases.cloned();
        Trial::test(*name, move || Ok(test(databases.ok_or("only listed")?)?))
    });
    let planted = breaches::ALL.iter().map(|breach| {
        let databases = databases.cloned();
        Trial::test(breach.name, move || Ok(breach.is_caught(databases.as_deref().ok_or("only listed")?)?))
    });
    let others = others.into_iter().map(|(name, test)| {
        let databases = databases.cloned();
        Trial::test(name, move || Ok(test(databases.ok_or("only listed")?)?))
    });
    planted.chain(others).chain(chained).collect()
}
