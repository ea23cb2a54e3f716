//! Logging begins once.

use runtime::config::{LogConfig, LogFormat};
use runtime::logging::{LoggingError, init};

#[test]
fn second_beginning_is_an_error_and_no_panic() {
    let config = LogConfig { format: LogFormat::Json, level: "info".to_owned() };
    init(&config).unwrap();
    assert!(matches!(init(&config), Err(LoggingError::Begun(_))));
    tracing::info!(count = 1, "still logged");
}
