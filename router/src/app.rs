//! What every request needs.

use crate::StartError;
use crate::config::Config;
use crate::docs;
use crate::doors::Doors;
use crate::keys_in_flight::KeysInFlight;
use crate::metrics::RouterMetrics;
use crate::openapi;
use crate::rate_limit::RateLimit;
use crate::route::Routes;
use crate::session::Sessions;
use crate::shard_places::ShardPlaces;
use crate::user_places::UserPlaces;
use bytes::Bytes;
use runtime::in_flight::InFlight;
use runtime::metrics::Metrics;
use std::time::Duration;
use wire::directory::Directory;

/// Waits of one user at once.
const WAITS_OF_ONE_USER_MAX: usize = 32;
/// One user's part of the places for bodies that have not come: as many, usually, as one HTTP/2 connection can have
/// requests, for a client that sends all heads first.
const BODIES_OF_ONE_USER_PART: usize = 16;

/// Made once; shared by all requests.
#[derive(Debug)]
pub struct App {
    /// The name of the router's own region.
    pub region: String,
    /// Finds the owners of accounts, and calls them.
    pub directory: Directory,
    /// Who the tokens speak for.
    pub sessions: Sessions,
    /// How often a user may ask.
    pub rate_limit: RateLimit,
    /// Which path is which call.
    pub routes: Routes,
    /// What is counted.
    pub metrics: RouterMetrics,
    /// Requests being answered.
    pub in_flight: InFlight,
    /// Requests whose body has not come yet.
    pub bodies_awaited: UserPlaces,
    /// Calls on their way to each shard.
    pub shard_places: ShardPlaces,
    /// Requests that wait because their clients wish it: `Prefer: wait` and `wait_seconds`, up to 30 s each.
    pub waits: UserPlaces,
    /// What is refused because of overload, of a shard or of this router.
    pub doors: Doors,
    /// The idempotency keys of those.
    pub keys_in_flight: KeysInFlight,
    /// Bytes of a body.
    pub body_bytes_max: usize,
    /// From a request's head to its answer, without what the client asks to wait.
    pub request_timeout: Duration,
    /// `GET /openapi.json`.
    pub openapi: Bytes,
    /// `GET /docs`.
    pub docs: Bytes,
}

impl App {
    /// Starts learning about the cluster, within a tokio runtime; binds nothing.
    ///
    /// # Errors
    /// [`StartError::Redis`], [`StartError::Metric`].
    pub fn build(config: &Config, metrics: &Metrics) -> Result<Self, StartError> {
        let metrics = RouterMetrics::register(metrics)?;
        let sessions = Sessions::new(&config.redis, &config.sessions, metrics.session_cache.clone());
        let document = openapi::document();
        let user_agent = format!("wallet-router/{} (router-{})", env!("CARGO_PKG_VERSION"), config.region);
        Ok(Self {
            region: config.region.clone(),
            directory: Directory::start(&config.cluster.seeds, config.cluster.secret.expose(), &user_agent),
            sessions: sessions.map_err(StartError::Redis)?,
            rate_limit: RateLimit::new(&config.rate_limit),
            routes: Routes::new(),
            metrics,
            in_flight: InFlight::new(config.http.in_flight_max),
            bodies_awaited: UserPlaces::new(
                config.http.in_flight_max,
                (config.http.in_flight_max / BODIES_OF_ONE_USER_PART).max(1),
            ),
            shard_places: ShardPlaces::new(config.http.in_flight_max),
            waits: UserPlaces::new(config.http.in_flight_max / 4, WAITS_OF_ONE_USER_MAX),
            doors: Doors::default(),
            keys_in_flight: KeysInFlight::default(),
            body_bytes_max: config.http.body_bytes_max,
            request_timeout: config.http.request_timeout,
            openapi: openapi::json(&document),
            docs: docs::page(&document),
        })
    }
}
