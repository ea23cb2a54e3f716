//! The wallet at the edge: authenticates, validates, finds the shard that owns an account, asks it, and
//! turns its answer into the HTTP contract. Holds no state that it cannot rebuild, and knows nothing of
//! money beyond the types that cross the wire.
//!
//! A request passes [`edge`] (in flight, panics, headers), [`route`] (path and method), [`admission`]
//! (session, scope, rate, body, key) and then one file of [`calls`].

pub mod access_log;
pub mod admission;
pub mod app;
pub mod calls;
pub mod config;
pub mod cursor;
pub mod docs;
pub mod doors;
pub mod edge;
pub mod exchange;
#[cfg(feature = "faults")]
pub mod faults;
pub mod idempotency;
pub mod json_body;
pub mod keys_in_flight;
pub mod metrics;
pub mod openapi;
pub mod prefer;
pub mod query;
pub mod rate_limit;
pub mod readiness;
pub mod refusal;
pub mod reply;
pub mod route;
pub mod session;
pub mod shard_places;
pub mod spec;
pub mod user_places;
pub mod valve;
pub mod watch;

use crate::app::App;
use crate::config::Config;
use hyper::service::service_fn;
use runtime::admin::Admin;
use runtime::metrics::{MetricError, Metrics};
use runtime::shutdown::Shutdown;
use std::convert::Infallible;
use std::sync::Arc;

/// Why the router could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A port is taken or not ours.
    #[error("cannot listen on {address}")]
    Listen {
        /// Which.
        address: std::net::SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The address of Redis cannot be used.
    #[error("the address of Redis cannot be used")]
    Redis(#[source] redis::RedisError),
    /// A metric could not be registered: a defect.
    #[error(transparent)]
    Metric(#[from] MetricError),
}

/// Serves until the signal to stop, then finishes what is in flight.
///
/// # Errors
/// See [`StartError`]; nothing stays bound after one.
pub async fn serve(config: Config, shutdown: Shutdown) -> Result<(), StartError> {
    let listen = |address| move |source| StartError::Listen { address, source };
    let metrics = Metrics::new(env!("CARGO_PKG_VERSION"))?;
    let listener = runtime::serve::bind(&config.http).map_err(listen(config.http.bind))?;
    let app = Arc::new(App::build(&config, &metrics)?);
    let checks = readiness::checks(Arc::clone(&app));
    let admin = Admin::new(metrics, checks, shutdown.clone());
    let admin = admin.start(&config.admin).map_err(listen(config.admin.bind))?;
    let watching = watch::start(&app);
    tracing::info!(
        region = app.region,
        http = ?listener.local_addr().ok(),
        admin = %admin.address(),
        "serving"
    );
    let service = service_fn(move |request| {
        let app = Arc::clone(&app);
        async move { Ok::<_, Infallible>(edge::answer(&app, request).await) }
    });
    runtime::serve::serve(listener, service, &config.http, shutdown, config.drain.timeout).await;
    drop(watching);
    Ok(())
}
