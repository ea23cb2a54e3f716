//! What the router counts. Handles are made when they are first needed and kept: finding one by its labels
//! would cost more than counting.

use crate::route::Call;
use http::StatusCode;
use placement::ShardId;
use prometheus::{Gauge, Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge};
use runtime::metrics::{LATENCY_SECONDS, MetricError, Metrics};
use std::collections::HashMap;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;
use wire::api::ErrorCode;

/// Statuses of answers that are not problems.
const FINE: [StatusCode; 4] = [StatusCode::OK, StatusCode::CREATED, StatusCode::ACCEPTED, StatusCode::NOT_MODIFIED];
/// Labels of requests that reached no call.
const NO_ROUTE: &str = "none";
/// The label `code` of answers that are not problems.
const NO_CODE: &str = "ok";

/// All of it.
#[derive(Debug)]
pub struct RouterMetrics {
    requests: IntCounterVec,
    durations: HistogramVec,
    /// By route and then by how the request ended.
    by_route: Vec<RouteMetrics>,
    backend: HistogramVec,
    backend_handles: Mutex<HashMap<(ShardId, &'static str), Histogram>>,
    moved: IntCounterVec,
    refused_in_flight: IntCounter,
    refused_body: IntCounter,
    refused_at_door: IntCounter,
    refused_for_shard: IntCounter,
    /// How sessions were found.
    pub session_cache: SessionCacheMetrics,
    /// The version of the topology.
    pub topology_version: IntGauge,
    /// The age of what is known of it.
    pub topology_age_seconds: Gauge,
}

#[derive(Debug, Default)]
struct RouteMetrics {
    fine: [OnceLock<IntCounter>; FINE.len()],
    problems: Vec<OnceLock<IntCounter>>,
    durations: [OnceLock<Histogram>; 4],
}

/// `session_cache_total` by result.
#[derive(Debug, Clone)]
pub struct SessionCacheMetrics {
    /// Remembered.
    pub hit: IntCounter,
    /// Read from Redis.
    pub miss: IntCounter,
    /// Not in Redis.
    pub absent: IntCounter,
    /// Redis could not be asked.
    pub unavailable: IntCounter,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// With this status.
    Fine(StatusCode),
    /// With this problem.
    Problem(ErrorCode),
}

impl Ending {
    /// The status of the answer.
    pub fn status(self) -> u16 {
        match self {
            Ending::Fine(status) => status.as_u16(),
            Ending::Problem(code) => code.status(),
        }
    }

    /// The code of the problem.
    pub fn code(self) -> &'static str {
        match self {
            Ending::Fine(_) => NO_CODE,
            Ending::Problem(code) => code.as_str(),
        }
    }
}

impl RouterMetrics {
    /// Registers everything.
    ///
    /// # Errors
    /// See [`MetricError`]: a defect.
    pub fn register(metrics: &Metrics) -> Result<Self, MetricError> {
        let sessions = metrics.counter_by("session_cache_total", "How sessions were found", &["result"])?;
        let overloaded =
            metrics.counter_by("overloaded_total", "Requests refused because too much is waiting", &["queue"])?;
        let route = || RouteMetrics {
            problems: ErrorCode::ALL.iter().map(|_| OnceLock::new()).collect(),
            ..RouteMetrics::default()
        };
        Ok(Self {
            requests: metrics.counter_by("http_requests_total", "Requests answered", &["route", "status", "code"])?,
            durations: metrics.histogram_by(
                "http_request_duration_seconds",
                "From a request's head to its answer",
                LATENCY_SECONDS,
                &["route", "status_class"],
            )?,
            by_route: (0..=Call::ALL.len()).map(|_| route()).collect(),
            backend: metrics.histogram_by(
                "router_backend_duration_seconds",
                "From a call to a shard to its answer, waits included",
                LATENCY_SECONDS,
                &["shard", "op"],
            )?,
            backend_handles: Mutex::default(),
            moved: metrics.counter_by(
                "router_moved_total",
                "Answers that the slot is owned by another shard, by the shard that answered in the end",
                &["shard"],
            )?,
            refused_in_flight: overloaded.with_label_values(&["router_in_flight"]),
            refused_body: overloaded.with_label_values(&["router_bodies"]),
            refused_at_door: overloaded.with_label_values(&["router_door"]),
            refused_for_shard: overloaded.with_label_values(&["router_shard"]),
            session_cache: SessionCacheMetrics {
                hit: sessions.with_label_values(&["hit"]),
                miss: sessions.with_label_values(&["miss"]),
                absent: sessions.with_label_values(&["absent"]),
                unavailable: sessions.with_label_values(&["unavailable"]),
            },
            topology_version: metrics.gauge("topology_version", "The version of the topology in use")?,
            topology_age_seconds: metrics.measure("topology_age_seconds", "The age of the newest news of it")?,
        })
    }

    /// One request is answered.
    pub fn answered(&self, call: Option<Call>, ending: Ending, took: Duration) {
        let index = call.map_or(Call::ALL.len(), Call::index);
        let Some(cached) = self.by_route.get(index) else { return };
        let route = call.map_or(NO_ROUTE, |call| call.spec().name);
        let count = match ending {
            Ending::Fine(status) => FINE.iter().position(|fine| *fine == status).map(|at| &cached.fine[at]),
            Ending::Problem(code) => cached.problems.get(code as usize),
        };
        let made = || self.requests.with_label_values(&[route, &ending.status().to_string(), ending.code()]);
        match count {
            Some(count) => count.get_or_init(made).inc(),
            None => made().inc(),
        }
        let (class, class_name) = match ending.status() {
            ..300 => (0, "2xx"),
            300..400 => (1, "3xx"),
            400..500 => (2, "4xx"),
            500.. => (3, "5xx"),
        };
        let duration = cached.durations[class].get_or_init(|| self.durations.with_label_values(&[route, class_name]));
        duration.observe(took.as_secs_f64());
    }

    /// A shard has answered.
    pub fn backend_answered(&self, shard: ShardId, op: &'static str, bounces: u32, took: Duration) {
        let mut handles = self.backend_handles.lock().unwrap_or_else(PoisonError::into_inner);
        let made = || self.backend.with_label_values(&[&shard.to_string(), op]);
        handles.entry((shard, op)).or_insert_with(made).observe(took.as_secs_f64());
        drop(handles);
        if bounces > 0 {
            self.moved.with_label_values(&[&shard.to_string()]).inc_by(u64::from(bounces));
        }
    }

    /// A request was refused because too many are in flight.
    pub fn refused_in_flight(&self) {
        self.refused_in_flight.inc();
    }

    /// A request was refused because the bodies of too many have not come yet.
    pub fn refused_body(&self) {
        self.refused_body.inc();
    }

    /// A request was refused because too many wait for its shard.
    pub fn refused_for_shard(&self) {
        self.refused_for_shard.inc();
    }

    /// A request was refused because its shard, or the router itself, is overloaded.
    pub fn refused_at_door(&self) {
        self.refused_at_door.inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_counted_by_route_status_and_code() {
        let metrics = Metrics::new("0").expect("fresh");
        let router = RouterMetrics::register(&metrics).expect("fresh");
        let fine = Ending::Fine(StatusCode::CREATED);
        let poor = Ending::Problem(ErrorCode::InsufficientFunds);
        for ending in [fine, fine, poor] {
            router.answered(Some(Call::CreateTransfer), ending, Duration::from_millis(1));
        }
        router.answered(None, Ending::Problem(ErrorCode::NotFound), Duration::ZERO);
        let text = metrics.text().expect("text");
        for line in [
            r#"wallet_http_requests_total{code="ok",route="create_transfer",status="201"} 2"#,
            r#"wallet_http_requests_total{code="insufficient_funds",route="create_transfer",status="422"} 1"#,
            r#"wallet_http_requests_total{code="not_found",route="none",status="404"} 1"#,
            r#"wallet_http_request_duration_seconds_count{route="create_transfer",status_class="2xx"} 2"#,
        ] {
            assert!(text.contains(line), "{line} is not in:\n{text}");
        }
    }

    #[test]
    fn code_is_the_index_of_its_handle() {
        for (index, code) in ErrorCode::ALL.iter().enumerate() {
            assert_eq!(*code as usize, index);
        }
    }
}
