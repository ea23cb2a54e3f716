//! Bearer sessions: who a token speaks for, read from the region's Redis and remembered for a short while.

use crate::config::{RedisConfig, SessionsConfig};
use crate::metrics::SessionCacheMetrics;
use arc_swap::ArcSwap;
use http::{HeaderMap, header};
use ledger::UserId;
use placement::Locality;
use quick_cache::sync::Cache;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const CONNECT_TIMEOUT: Duration = Duration::from_millis(400);
const ANSWER_TIMEOUT: Duration = Duration::from_millis(400);
/// For all of one look-up: a request is told within a second that Redis cannot be reached.
const LOOK_UP_TIMEOUT: Duration = Duration::from_millis(700);
const PING_EVERY: Duration = Duration::from_millis(500);

/// Who a token speaks for, and what the bearer may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The user.
    pub user_id: UserId,
    /// The user's locality.
    pub locality: Locality,
    /// The scope `wallet`: the user's own accounts.
    pub wallet: bool,
    /// The scope `admin`: operator calls.
    pub admin: bool,
    /// The user as the rate limit tells users apart, within this process.
    pub rate_key: u64,
}

/// What the Auth Service writes under `session:<hex sha256 of the token>`. Fields that are not known here are
/// its own affair.
#[derive(Debug, Deserialize)]
struct Record {
    user_id: UserId,
    scopes: Vec<String>,
}

/// Redis cannot be asked, and the session is not remembered.
#[derive(Debug, thiserror::Error)]
#[error("sessions cannot be read")]
pub struct SessionsUnavailable;

type TokenHash = [u8; 32];

#[derive(Debug, Clone)]
struct Remembered {
    session: Arc<Session>,
    until: Instant,
}

/// The sessions of the region.
#[derive(Debug)]
pub struct Sessions {
    client: redis::Client,
    connection: ArcSwap<ConnectionManager>,
    reachable: AtomicBool,
    cache: Cache<TokenHash, Remembered>,
    cache_ttl: Duration,
    rate_keys: RandomState,
    metrics: SessionCacheMetrics,
}

impl Sessions {
    /// Connects in the background, within a tokio runtime.
    ///
    /// # Errors
    /// The address cannot be used.
    pub fn new(
        redis: &RedisConfig,
        config: &SessionsConfig,
        metrics: SessionCacheMetrics,
    ) -> Result<Self, redis::RedisError> {
        let client = redis::Client::open(redis.url.expose())?;
        Ok(Self {
            connection: ArcSwap::from_pointee(connect(&client)?),
            client,
            reachable: AtomicBool::new(false),
            cache: Cache::new(config.cache_entries_max),
            cache_ttl: config.cache_ttl,
            rate_keys: RandomState::new(),
            metrics,
        })
    }

    /// The session of a token; `None` if there is none, or it has expired.
    ///
    /// # Errors
    /// [`SessionsUnavailable`]: Redis cannot be asked; try again.
    pub async fn of_token(&self, token: &str) -> Result<Option<Arc<Session>>, SessionsUnavailable> {
        let hash: TokenHash = Sha256::digest(token.as_bytes()).into();
        let now = Instant::now();
        match self.cache.get(&hash) {
            Some(remembered) if now < remembered.until => {
                self.metrics.hit.inc();
                return Ok(Some(remembered.session));
            }
            Some(_) => drop(self.cache.remove(&hash)),
            None => {}
        }
        let found = tokio::time::timeout(LOOK_UP_TIMEOUT, self.find(&hash)).await;
        found.unwrap_or(Err(SessionsUnavailable)).inspect_err(|_| self.metrics.unavailable.inc())
    }

    /// One request of each token asks; the others wait for what it finds. A crowd of requests that all ask, each a
    /// little later for the others, would keep itself from ever being answered in time.
    async fn find(&self, hash: &TokenHash) -> Result<Option<Arc<Session>>, SessionsUnavailable> {
        let place = match self.cache.get_value_or_guard_async(hash).await {
            Ok(remembered) => {
                self.metrics.hit.inc();
                return Ok(Some(remembered.session));
            }
            Err(place) => place,
        };
        let now = Instant::now();
        // Not remembered if there is none: a session may be made at any moment.
        let Some((session, life)) = self.look_up(hash).await? else {
            self.metrics.absent.inc();
            return Ok(None);
        };
        self.metrics.miss.inc();
        let remembered = Remembered { session: Arc::clone(&session), until: now + life.min(self.cache_ttl) };
        // An error means that it was removed meanwhile, so that the next one asks again.
        drop(place.insert(remembered));
        Ok(Some(session))
    }

    /// Whether Redis answered when it was last asked.
    pub fn is_reachable(&self) -> bool {
        self.reachable.load(Ordering::Relaxed)
    }

    /// Asks Redis every now and then whether it is there, for as long as the process lives.
    pub async fn watch(&self) {
        let mut turns = tokio::time::interval(PING_EVERY);
        loop {
            turns.tick().await;
            let ping = redis::cmd("PING");
            let mut connection = self.connection();
            let answered = tokio::time::timeout(LOOK_UP_TIMEOUT, ping.query_async::<()>(&mut connection)).await;
            match answered.map_err(|_| "no answer in time".to_owned()).and_then(|it| it.map_err(|e| e.to_string())) {
                Ok(()) => self.note_reachable(true, ""),
                Err(error) => {
                    self.note_reachable(false, &error);
                    self.reconnect();
                }
            }
        }
    }

    async fn look_up(&self, hash: &TokenHash) -> Result<Option<(Arc<Session>, Duration)>, SessionsUnavailable> {
        let key = format!("session:{}", hex::encode(hash));
        let mut ask = redis::pipe();
        ask.get(&key).pttl(&key);
        let answer = ask.query_async::<(Option<Vec<u8>>, i64)>(&mut self.connection()).await;
        let (record, life_ms) = answer.map_err(|error| {
            tracing::debug!(%error, "a session was not read");
            SessionsUnavailable
        })?;
        // -2: gone meanwhile. -1: for ever.
        let life = match u64::try_from(life_ms) {
            Ok(life_ms) => Duration::from_millis(life_ms),
            Err(_) => self.cache_ttl,
        };
        let session = record.and_then(|record| self.read(&record));
        Ok(session.map(|session| (Arc::new(session), life)))
    }

    fn read(&self, record: &[u8]) -> Option<Session> {
        let record: Record = serde_json::from_slice(record)
            .inspect_err(|error| tracing::warn!(%error, "a session is not what the Auth Service should write"))
            .ok()?;
        let has = |scope: &str| record.scopes.iter().any(|has| has == scope);
        Some(Session {
            locality: Locality::of_user(record.user_id.as_str()),
            rate_key: self.rate_keys.hash_one(record.user_id.as_str()),
            wallet: has("wallet"),
            admin: has("admin"),
            user_id: record.user_id,
        })
    }

    fn connection(&self) -> ConnectionManager {
        ConnectionManager::clone(&self.connection.load())
    }

    fn note_reachable(&self, reachable: bool, error: &str) {
        match (self.reachable.swap(reachable, Ordering::Relaxed), reachable) {
            (false, true) => tracing::info!("Redis answers"),
            (true, false) => tracing::warn!(error, "Redis does not answer; sessions not remembered cannot be read"),
            (false, false) | (true, true) => {}
        }
    }

    /// A connection whose other end vanished without a word would be waited for until TCP gives it up.
    fn reconnect(&self) {
        match connect(&self.client) {
            Ok(connection) => self.connection.store(Arc::new(connection)),
            Err(error) => tracing::warn!(%error, "no new connection to Redis can be made"),
        }
    }
}

fn connect(client: &redis::Client) -> Result<ConnectionManager, redis::RedisError> {
    let config = ConnectionManagerConfig::new()
        .set_number_of_retries(0)
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
        .set_response_timeout(Some(ANSWER_TIMEOUT));
    ConnectionManager::new_lazy_with_config(client.clone(), config)
}

/// The token of `Authorization: Bearer TOKEN` (RFC 6750, section 2.1); `None` without exactly one.
pub fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    let token = token.trim_matches(' ');
    let fits = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
    (scheme.eq_ignore_ascii_case("bearer") && fits).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(values: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, value.parse().expect("a header value"));
        }
        bearer_token(&headers).map(str::to_owned)
    }

    #[test]
    fn token_is_found() {
        assert_eq!(token(&["Bearer house"]).as_deref(), Some("house"));
        assert_eq!(token(&["bearer  house "]).as_deref(), Some("house"));
    }

    #[test]
    fn mangled_authorization_has_no_token() {
        for value in ["", "Bearer", "Bearer ", "house", "Basic house", "Bearer a b", "Bearerhouse", "Bearer\thouse"] {
            assert_eq!(token(&[value]), None, "{value}");
        }
        assert_eq!(token(&["Bearer a", "Bearer b"]), None);
    }
}
