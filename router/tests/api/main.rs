//! The HTTP contract, fact by fact, against a real cluster of two regions with two shards each.
//!
//! One cluster serves all facts, which run beside each other; each makes users of its own.

mod account;
mod accounts;
mod authentication;
mod bad_input;
mod client;
mod deposits_and_withdrawals;
mod documents;
mod foreign_accounts;
mod headers;
mod idempotency;
mod keeper;
mod outages;
mod slow_clients;
mod status_of_accounts;
mod topology;
mod transactions;
mod transfer;
mod transfers;
mod transfers_by_user;
mod two_step;
mod world;

use keeper::Keeper;
use libtest_mimic::{Arguments, Trial};
use std::process::ExitCode;
use world::World;

/// Makes a trial of each async function named, which takes the world and panics if the fact does not hold.
macro_rules! facts {
    ($($name:ident),* $(,)?) => {
        pub(crate) fn facts(world: &crate::world::Source) -> Vec<libtest_mimic::Trial> {
            let module = module_path!().rsplit("::").next().unwrap_or_default();
            vec![$(crate::fact(module, stringify!($name), world, $name)),*]
        }
    };
}
pub(crate) use facts;

/// As [`facts`], for those that break what others need.
macro_rules! facts_with_own_cluster {
    ($($name:ident),* $(,)?) => {
        pub(crate) fn facts() -> Vec<libtest_mimic::Trial> {
            let module = module_path!().rsplit("::").next().unwrap_or_default();
            vec![$(crate::fact_with_own_cluster(module, stringify!($name), $name)),*]
        }
    };
}
pub(crate) use facts_with_own_cluster;

fn fact<F>(module: &str, name: &str, source: &world::Source, run: fn(World) -> F) -> Trial
where
    F: Future<Output = ()> + 'static,
{
    let source = source.clone();
    Trial::test(format!("{module}::{name}"), move || {
        runtime()?.block_on(run(source.world()?));
        Ok(())
    })
}

fn fact_with_own_cluster<F>(module: &str, name: &str, run: fn() -> F) -> Trial
where
    F: Future<Output = ()> + 'static,
{
    Trial::test(format!("{module}::{name}"), move || {
        runtime()?.block_on(run());
        Ok(())
    })
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let source = world::Source::default();
    let trials = [
        account::facts(&source),
        accounts::facts(&source),
        authentication::facts(&source),
        bad_input::facts(&source),
        deposits_and_withdrawals::facts(&source),
        documents::facts(&source),
        foreign_accounts::facts(&source),
        headers::facts(&source),
        idempotency::facts(&source),
        outages::facts(),
        slow_clients::facts(),
        status_of_accounts::facts(&source),
        topology::facts(&source),
        transactions::facts(&source),
        transfer::facts(&source),
        transfers::facts(&source),
        transfers_by_user::facts(&source),
        two_step::facts(&source),
    ];
    let trials: Vec<Trial> = trials.into_iter().flatten().collect();
    if arguments.list {
        return libtest_mimic::run(&arguments, trials).exit_code();
    }
    let keeper = match Keeper::start() {
        Ok(keeper) => keeper,
        Err(error) => {
            eprintln!("no cluster: {error:#}");
            return ExitCode::FAILURE;
        }
    };
    source.set(keeper.world().clone());
    let conclusion = libtest_mimic::run(&arguments, trials);
    // After whatever the facts have sent, good or bad, there is no defect.
    let defects = keeper.defects();
    if !defects.is_empty() {
        eprintln!("routers counted defects:\n{}", defects.join("\n"));
        return ExitCode::FAILURE;
    }
    conclusion.exit_code()
}
