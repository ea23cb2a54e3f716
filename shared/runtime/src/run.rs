//! A program's life: arguments, configuration, logging, the runtime, and an exit status.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};

use crate::cli::Arguments;
use crate::config::{ConfigMistakes, Fields, LogConfig, Settings};
use crate::logging;
use crate::serve::BoxError;
use crate::shutdown::Shutdown;

/// Before the names of all environment variables that are settings: `WALLET_HTTP__BIND`.
pub const ENV_PREFIX: &str = "WALLET";

/// Something failed: exit status 1.
const FAILED: u8 = 1;

/// The configuration (or the command line, says clap) is mistaken: exit status 2.
const MISTAKEN: u8 = 2;

/// What a binary says about itself.
#[derive(Debug, Clone, Copy)]
pub struct Program {
    /// Its name: `router`.
    pub name: &'static str,
    /// What it does, in one sentence, for `--help`.
    pub about: &'static str,
    /// Its version: `env!("CARGO_PKG_VERSION")`.
    pub version: &'static str,
}

/// Runs a program: parses the command line, reads the configuration with `read` (`[log]` is read
/// beside it), begins logging, and runs `main` on a runtime of one thread until it ends.
///
/// `main` gets the signal to stop (SIGTERM, SIGINT), and drains by itself.
/// Exit status: 0 fine, 1 failed (logged), 2 mistakes in the command line or the configuration
/// (all on standard error). `--check-config` ends before anything is opened.
pub fn run<C, F, E>(
    program: &Program,
    read: impl FnOnce(&mut Fields) -> Option<C>,
    main: impl FnOnce(C, Shutdown) -> F,
) -> ExitCode
where
    F: Future<Output = Result<(), E>>,
    E: Into<BoxError>,
{
    let arguments = arguments(program);
    let (config, log) = match configuration(&arguments, read) {
        Ok(configuration) => configuration,
        Err(mistakes) => {
            eprintln!("{mistakes}");
            return ExitCode::from(MISTAKEN);
        }
    };
    if arguments.check_config {
        println!("the configuration is fine");
        return ExitCode::SUCCESS;
    }
    // Before that, nobody would see a log line.
    if let Err(error) = logging::init(&log) {
        eprintln!("{}", Chain(&error));
        return ExitCode::from(FAILED);
    }
    match live(program, config, main) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = %Chain(error.as_ref()), "{} failed", program.name);
            ExitCode::from(FAILED)
        }
    }
}

fn arguments(program: &Program) -> Arguments {
    let command = Arguments::command().name(program.name).about(program.about).version(program.version);
    // Ends the process by itself on --help, --version and mistakes.
    let matches = command.get_matches();
    Arguments::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
}

fn configuration<C>(
    arguments: &Arguments,
    read: impl FnOnce(&mut Fields) -> Option<C>,
) -> Result<(C, LogConfig), ConfigMistakes> {
    let settings = Settings::load(arguments.config.as_deref(), ENV_PREFIX)?;
    settings.read(|fields| {
        let config = read(fields);
        let log = LogConfig::read(fields);
        Some((config?, log))
    })
}

fn live<C, F, E>(program: &Program, config: C, main: impl FnOnce(C, Shutdown) -> F) -> Result<(), BoxError>
where
    F: Future<Output = Result<(), E>>,
    E: Into<BoxError>,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let shutdown = Shutdown::on_signals()?;
        tracing::info!(version = program.version, "{} starts", program.name);
        main(config, shutdown).await.map_err(Into::into)?;
        tracing::info!("{} stopped", program.name);
        Ok(())
    })
}

/// An error with all its causes, in one line.
struct Chain<'a>(&'a dyn Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(out, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
