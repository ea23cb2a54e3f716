//! `simulator model`: the model check.

use super::progress;
use crate::Verdict;
use anyhow::{Result, bail};
use clap::Args;
use comfy_table::{CellAlignment, Table, presets};
use simulator::Bug;
use simulator::model::breach::Promise;
use simulator::model::search::{Visited, search};
use simulator::model::sight::Sight;
use simulator::model::{Configuration, Wallet, planted};
use std::time::{Duration, Instant};

/// Visits every state of small wallets: two transfers on two or three shards, with messages lost, repeated, late and
/// out of order, crashes before and after each commit, commits whose outcome is unknown, frozen accounts and moving
/// slots. Every promise is checked in every state. About four minutes on one core and 0.3 GB.
#[derive(Debug, Args)]
pub struct ModelOptions {
    /// Only this configuration; may be repeated. Without it, all of them.
    #[arg(long, value_name = "NAME")]
    configuration: Vec<String>,
    /// Plant this bug, stop at the first state that shows it, and tell how it came about.
    #[arg(long)]
    bug: Option<Bug>,
    /// Stop after so many states of a configuration (about 100 bytes each).
    #[arg(long, default_value_t = 50_000_000)]
    states_max: u64,
    /// Only name the configurations.
    #[arg(long)]
    list: bool,
}

/// Carries the command out.
pub fn run(options: &ModelOptions) -> Result<Verdict> {
    let configurations = chosen(&options.configuration)?;
    if options.list {
        for configuration in configurations {
            println!("{:22} {}", configuration.name, configuration.about);
        }
        return Ok(Verdict::Fine);
    }
    match options.bug {
        Some(bug) => show(bug),
        None => check(&configurations, options.states_max),
    }
}

fn chosen(names: &[String]) -> Result<Vec<Configuration>> {
    let all = Configuration::all();
    if names.is_empty() {
        return Ok(all);
    }
    let found: Vec<Configuration> =
        all.iter().filter(|known| names.iter().any(|name| name == known.name)).copied().collect();
    if found.len() != names.len() {
        let known: Vec<&str> = all.iter().map(|configuration| configuration.name).collect();
        bail!("the configurations are {}", known.join(", "));
    }
    Ok(found)
}

fn show(bug: Bug) -> Result<Verdict> {
    if !Bug::of_model().any(|known| known == bug) {
        bail!("{} can be planted in the simulation only", bug.name());
    }
    let line = progress::line(format!("looking for {}", bug.name()))?;
    let caught = planted::catch(bug)?;
    line.finish_and_clear();
    match caught {
        Some(caught) => {
            print!("{}", caught.wallet.story(&caught.counterexample));
            println!("Found among the first {} states.", caught.visited.states);
            Ok(Verdict::Fine)
        }
        None => {
            println!("{} was not found.", bug.name());
            Ok(Verdict::Breach)
        }
    }
}

fn check(configurations: &[Configuration], states_max: u64) -> Result<Verdict> {
    let mut rows = Vec::new();
    let mut is_complete = true;
    for configuration in configurations {
        let wallet = Wallet::new(*configuration, None)?;
        let started = Instant::now();
        let line = progress::line(configuration.name)?;
        let (visited, found) = search(&wallet, states_max, |visited| {
            line.set_message(format!("{}: {} states, depth {}", configuration.name, visited.states, visited.depth));
        });
        line.finish_and_clear();
        if let Some(found) = found {
            print!("{}", wallet.story(&found));
            return Ok(Verdict::Breach);
        }
        let elapsed = started.elapsed();
        eprintln!("{}: {} states in {:.1} s", configuration.name, visited.states, elapsed.as_secs_f64());
        is_complete &= visited.is_complete;
        rows.push((*configuration, visited, elapsed));
    }
    println!("{}", table(&rows));
    println!("In every state:");
    for promise in Promise::ALL {
        println!("  {}", promise.sentence());
    }
    if !is_complete {
        println!("NOT ALL STATES were visited: the search of a configuration ended after {states_max}.");
        return Ok(Verdict::Failed);
    }
    Ok(Verdict::Fine)
}

fn table(rows: &[(Configuration, Visited, Duration)]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["configuration", "states", "steps", "depth", "seconds", "promises", "sights", "all states"]);
    let sum = |of: fn(&Visited) -> u64| rows.iter().map(|(_, visited, _)| of(visited)).sum();
    let all = Visited {
        states: sum(|visited| visited.states),
        steps: sum(|visited| visited.steps),
        depth: rows.iter().map(|(_, visited, _)| visited.depth).max().unwrap_or(0),
        sights: rows.iter().fold(0, |bits, (_, visited, _)| bits | visited.sights),
        is_complete: rows.iter().all(|(_, visited, _)| visited.is_complete),
    };
    let elapsed = rows.iter().map(|(_, _, elapsed)| *elapsed).sum();
    let named = rows.iter().map(|(configuration, visited, elapsed)| (configuration.name, *visited, *elapsed));
    for (name, visited, elapsed) in named.chain([("together", all, elapsed)]) {
        table.add_row([
            name.to_owned(),
            visited.states.to_string(),
            visited.steps.to_string(),
            visited.depth.to_string(),
            format!("{:.1}", elapsed.as_secs_f64()),
            Promise::ALL.len().to_string(),
            format!("{} of {}", Sight::of(visited.sights).count(), Sight::ALL.len()),
            if visited.is_complete { "yes" } else { "no" }.to_owned(),
        ]);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}
