//! From configuration to service, and back to rest.

use crate::config::{Config, PostgresConfig};
use crate::dispatch::Dispatch;
use crate::events::{self, EventsMetrics};
use crate::lane::{Lane, LaneSettings, Lanes};
use crate::metrics::NodeMetrics;
use crate::node::Node;
use crate::reconcile::{self, ReconcileMetrics};
use crate::serve::LinkService;
use crate::store::{self, Standing, durability, partitions};
use crate::{reads, saga, upkeep};
use runtime::admin::{Admin, Check};
use runtime::metrics::Metrics;
use runtime::serve::BoxError;
use runtime::shutdown::Shutdown;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio_postgres::error::SqlState;

/// Its own map is read over its own link, so only a node that cannot answer itself gets this old.
const TOPOLOGY_AGE_MAX: Duration = Duration::from_secs(60);
const RETRY_AFTER: Duration = Duration::from_millis(500);
/// Connections are made in milliseconds.
const READY_WITHIN: Duration = Duration::from_secs(2);
const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// Of several servers the one that takes writes may not be among those that answer: it is looked for again then.
const CONNECTED_WITHIN: Duration = Duration::from_secs(5);
const CLOSED_WITHIN: Duration = Duration::from_millis(100);

/// Serves until the signal to stop, then drains.
///
/// # Errors
/// A port is taken, or the database is not this shard's. A database that cannot be reached is waited for.
pub async fn start(config: Config, shutdown: Shutdown) -> Result<(), BoxError> {
    let listener = runtime::serve::bind(&config.internal)?;
    let metrics = Metrics::new(env!("CARGO_PKG_VERSION"))?;
    let node_metrics = NodeMetrics::new(&metrics)?;
    let reconcile_metrics = ReconcileMetrics::new(&metrics)?;
    let events_metrics = EventsMetrics::new(&metrics)?;
    let Some(standing) = prepare(&config, &shutdown).await? else { return Ok(()) };
    let pool_of = |pool_size| store::pool(&PostgresConfig { pool_size, ..config.postgres.clone() });
    let pools = (store::pool(&config.postgres)?, pool_of(1)?, pool_of(2)?);
    let (lanes, exits) = Lanes::new(&config.lanes);
    let node = Node::new(&config, pools, standing, lanes, node_metrics, shutdown.clone());

    let mut tasks = JoinSet::new();
    for (number, exit) in (0..config.lanes.count).zip(exits) {
        tasks.spawn(Lane::new(node.clone(), lane_settings(&config, number), exit).run());
    }
    let (questions, questioned) = reads::questions(config.lanes.wait_max);
    tasks.spawn(reads::read_accounts(node.clone(), config.postgres.connect.clone(), questioned));
    tasks.spawn(saga::sweep(node.clone()));
    tasks.spawn(saga::expire(node.clone()));
    tasks.spawn(upkeep::watch_ownership(node.clone()));
    tasks.spawn(upkeep::keep_partitions(node.clone()));
    tasks.spawn(upkeep::prune_keys(node.clone(), config.key_retention));
    tasks.spawn(upkeep::take_sums(node.clone()));
    tasks.spawn(reconcile::open(node.clone(), config.reconcile.clone()));
    tasks.spawn(reconcile::run(node.clone(), config.reconcile.clone(), reconcile_metrics));
    if let Some(events) = config.events {
        tasks.spawn(events::relay(node.clone(), events, pool_of(1)?, events_metrics)?);
    }

    let looking = node.clone();
    let admin = Admin::new(metrics, Arc::new(move || checks(&looking)), shutdown.clone()).start(&config.admin)?;
    let dispatch = Arc::new(Dispatch { node: node.clone(), accounts: questions });
    let (service, links) = LinkService::new(dispatch, &config.cluster_secret, config.internal.in_flight_max);
    let serving = async {
        ready_to_take_links(&node, &shutdown).await;
        runtime::serve::serve(listener, service, &config.internal, shutdown.clone(), config.drain.timeout).await;
        if tokio::time::timeout(config.drain.timeout, links.drain()).await.is_err() {
            tracing::warn!("links were cut: the time to drain was up");
        }
    };
    // Every call is answered then. What a lane may still be doing is for the outbox, which outlives the process.
    let ended = tokio::select! {
        () = serving => Ok(()),
        failed = first_failure(&mut tasks) => Err(failed),
    };
    tasks.shutdown().await;
    drop(admin);
    ended
}

/// A node that has just been started takes no link before its lanes can work, so that routers go on with another replica.
/// If PostgreSQL goes away meanwhile, it takes links all the same, and answers that it cannot help.
async fn ready_to_take_links(node: &Node, shutdown: &Shutdown) {
    let ready = async {
        while !node.lanes.are_up() || !node.reader_is_up.load(Ordering::Relaxed) {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    };
    tokio::select! {
        () = ready => {}
        () = tokio::time::sleep(READY_WITHIN) => {}
        () = shutdown.triggered() => {}
    }
}

/// A task that panics has lost its lane or its duty: better to end and be started again than to serve half.
async fn first_failure(tasks: &mut JoinSet<()>) -> BoxError {
    while let Some(ended) = tasks.join_next().await {
        if let Err(panic) = ended {
            return panic.into();
        }
    }
    std::future::pending().await
}

/// Migrates and founds the database, waiting for it to be there. `None`: told to stop meanwhile.
async fn prepare(config: &Config, shutdown: &Shutdown) -> Result<Option<Standing>, BoxError> {
    while !shutdown.is_triggered() {
        let connecting = tokio::time::timeout(CONNECTED_WITHIN, store::connect(&config.postgres.connect));
        let error: BoxError = match connecting.await {
            Ok(Ok(mut client)) => match establish(&mut client, config).await {
                Ok(standing) => return Ok(Some(standing)),
                Err(error) if is_locked_out(&*error) => error,
                // The end of a connection is seen a little later than what it broke.
                Err(error) if closes(&client).await => error,
                Err(error) => return Err(error),
            },
            Ok(Err(error)) => error.into(),
            Err(late) => late.into(),
        };
        tracing::warn!(error = &*error as &dyn std::error::Error, "the database is not ready for use; trying again");
        crate::serve::until(shutdown, RETRY_AFTER).await;
    }
    Ok(None)
}

/// Whether something was locked for too long, by another replica that migrates it as a rule.
fn is_locked_out(error: &(dyn std::error::Error + 'static)) -> bool {
    let code = error.downcast_ref::<tokio_postgres::Error>().and_then(tokio_postgres::Error::code);
    code == Some(&SqlState::LOCK_NOT_AVAILABLE) || error.source().is_some_and(is_locked_out)
}

async fn closes(client: &tokio_postgres::Client) -> bool {
    let started = Instant::now();
    while !client.is_closed() && started.elapsed() < CLOSED_WITHIN {
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    client.is_closed()
}

async fn establish(client: &mut tokio_postgres::Client, config: &Config) -> Result<Standing, BoxError> {
    migrations::run(client).await?;
    for setting in durability::off(client).await? {
        tracing::warn!(setting, "off in PostgreSQL: what is committed may be lost, or damaged without being noticed");
    }
    store::found(client, config.shard, config.topology.as_ref()).await?;
    let now = store::to_micros(jiff::Timestamp::now());
    partitions::ensure(client, now.unix_ms(), partitions::USUAL_MONTHS).await?;
    Ok(store::read_standing(client, config.shard).await?)
}

fn lane_settings(config: &Config, number: u16) -> LaneSettings {
    LaneSettings {
        number,
        writer: i32::from(config.replica) * 100 + i32::from(number),
        connect: config.postgres.connect.clone(),
        lanes: config.lanes.clone(),
        saga: config.saga.clone(),
    }
}

/// A shard-node can serve when its lanes and its reader have their connections; other shards are their own affair.
fn checks(node: &Node) -> Vec<Check> {
    let connected = |name, ok: bool| {
        let detail = if ok { "connected to PostgreSQL" } else { "without a connection to PostgreSQL" };
        Check { name, ok, detail: detail.to_owned() }
    };
    let age = node.directory.age();
    let known = age.is_some_and(|age| age < TOPOLOGY_AGE_MAX);
    let detail = age.map_or("never read".to_owned(), |age| format!("read {} ms ago", age.as_millis()));
    let closed = node.gate.why_closed();
    let mut lanes = connected("lanes", node.lanes.are_up());
    if !lanes.ok && closed.is_some() {
        lanes.detail = "closed".to_owned();
    }
    vec![
        lanes,
        connected("reader", node.reader_is_up.load(Ordering::Relaxed)),
        Check { name: "topology", ok: known, detail },
        Check { name: "past", ok: closed.is_none(), detail: closed.unwrap_or_else(|| "nothing is missing".to_owned()) },
    ]
}
