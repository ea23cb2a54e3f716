//! What the command can be told.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;

use crate::harm::HarmClass;

/// Runs the wallet on this machine, hurts it in every way that servers are hurt, and checks that it kept its word.
///
/// Exit status: 0 no breach, 1 failed, 2 usage, 3 the wallet broke its word.
#[derive(Debug, Clone, Args)]
pub struct FaultsOptions {
    /// How long faults come, in minutes; the last round is still checked
    #[arg(long, value_name = "N", default_value_t = 5.0, value_parser = minutes)]
    pub minutes: f64,

    /// Draws the same faults, and the same sequence of requests for each client [default: another one each time]
    #[arg(long)]
    pub seed: Option<u64>,

    /// End after so many rounds of faults, if that comes first; with 0 there are only crash points
    #[arg(long, value_name = "N")]
    pub rounds: Option<u64>,

    /// Clients at the same time
    #[arg(long, value_name = "N", default_value_t = 24, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub clients: u16,

    /// Only these classes of faults, such as kill_postgres,partition
    #[arg(long, value_name = "CLASS", value_delimiter = ',')]
    pub only: Vec<String>,

    /// Then, on a cluster of test programs, let processes die at each crash point this many times [default: 100 after 30
    /// minutes or more, otherwise 10]
    #[arg(long, value_name = "N")]
    pub crash_hits: Option<u64>,

    /// Plant known bugs in test programs instead, one after the other, and look whether each is caught within 10 minutes
    #[arg(long, conflicts_with_all = ["rounds", "plant"])]
    pub planted_bugs: bool,

    /// The same with one bug, such as bug::stale_reads
    #[arg(long, value_name = "BUG", conflicts_with = "rounds")]
    pub plant: Option<String>,

    /// Leave two-step transfers out
    #[arg(long)]
    pub one_step: bool,

    /// Write the report as JSON to this file
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
}

/// From so many minutes on, a run is expected to do everything.
const LONG_MINUTES: f64 = 30.0;

fn minutes(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if number.is_finite() && number > 0.0 { Ok(number) } else { Err("must be above 0".to_owned()) }
}

impl FaultsOptions {
    /// The classes of faults that were asked for, of those that this machine can do.
    ///
    /// # Errors
    /// There is no such class, or it cannot be done here.
    pub fn classes(&self, possible: Vec<HarmClass>) -> Result<Vec<HarmClass>> {
        if self.only.is_empty() {
            return Ok(possible);
        }
        let mut wanted = vec![];
        for name in &self.only {
            let found = HarmClass::ALL.into_iter().find(|class| word(*class) == *name);
            match found {
                Some(class) if possible.contains(&class) => wanted.push(class),
                Some(_) => bail!("{name} cannot be done on this machine"),
                None => bail!("there is no fault {name}, only {}", HarmClass::ALL.map(word).join(", ")),
            }
        }
        Ok(wanted)
    }

    /// Whether it is the suite that is looked at, not the wallet.
    pub fn is_planting(&self) -> bool {
        self.planted_bugs || self.plant.is_some()
    }

    /// How many times a process is to die at each crash point.
    pub fn crash_hits(&self) -> u64 {
        self.crash_hits.unwrap_or(if self.minutes >= LONG_MINUTES { 100 } else { 10 })
    }

    /// Whether it is a run of all faults that has the time for many of them.
    pub fn is_long(&self) -> bool {
        self.minutes >= LONG_MINUTES && self.rounds.is_none() && self.only.is_empty()
    }

    /// The command that repeats a run with this seed.
    pub fn repeat(&self, seed: u64) -> String {
        let mut command = format!("cargo run --release -p loadtest -- faults --minutes {} --seed {seed}", self.minutes);
        if let Some(rounds) = self.rounds {
            command += &format!(" --rounds {rounds}");
        }
        command += &format!(" --clients {} --crash-hits {}", self.clients, self.crash_hits());
        if !self.only.is_empty() {
            command += &format!(" --only {}", self.only.join(","));
        }
        if self.one_step {
            command += " --one-step";
        }
        if let Some(bug) = &self.plant {
            command += &format!(" --plant {bug}");
        }
        command
    }
}

/// The class as one types it.
fn word(class: HarmClass) -> String {
    serde_json::to_value(class).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        options: FaultsOptions,
    }

    fn options(arguments: &[&str]) -> FaultsOptions {
        Cli::try_parse_from([&["faults"], arguments].concat()).unwrap().options
    }

    #[test]
    fn classes_are_named_as_in_the_report() {
        let only = options(&["--only", "kill_postgres,partition"]);
        let classes = only.classes(HarmClass::ALL.to_vec()).unwrap();
        assert_eq!(classes, [HarmClass::KillPostgres, HarmClass::Partition]);
        assert!(only.classes(vec![HarmClass::Partition]).is_err());
        let error = options(&["--only", "rain"]).classes(HarmClass::ALL.to_vec()).unwrap_err().to_string();
        assert!(error.contains("kill_router"), "{error}");
    }

    #[test]
    fn repeat_has_what_shapes_the_run() {
        let command = options(&["--minutes", "3", "--only", "delay", "--clients", "5"]).repeat(77);
        assert!(
            command.ends_with("faults --minutes 3 --seed 77 --clients 5 --crash-hits 10 --only delay"),
            "{command}"
        );
    }
}
