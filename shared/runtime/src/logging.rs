//! Log lines on standard error.

use std::io::{self, IsTerminal};

use thiserror::Error;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use crate::config::{LogConfig, LogFormat};

/// Why logging could not begin.
#[derive(Debug, Error)]
pub enum LoggingError {
    /// `log.level` is no level and no filter.
    #[error("the log level cannot be understood")]
    Level(#[source] ParseError),
    /// Something logs already; it goes on doing so, and the caller may carry on.
    #[error("logging was begun before")]
    Begun(#[source] TryInitError),
}

/// Begins logging, panics included, for the whole process.
///
/// # Errors
/// See [`LoggingError`].
pub fn init(config: &LogConfig) -> Result<(), LoggingError> {
    let filter = EnvFilter::builder().parse(&config.level).map_err(LoggingError::Level)?;
    let terminal = io::stderr().is_terminal();
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    let begun = match config.format {
        LogFormat::Text => lines.with_ansi(terminal).finish().try_init(),
        LogFormat::Auto if terminal => lines.finish().try_init(),
        LogFormat::Json | LogFormat::Auto => lines.json().flatten_event(true).finish().try_init(),
    };
    begun.map_err(LoggingError::Begun)?;
    std::panic::set_hook(Box::new(|panic| {
        tracing::error!(panic = %panic, "a defect");
    }));
    Ok(())
}
