//! Connections.
//!
//! Of several servers one takes writes, and any of the others may be silent: a machine that has died says nothing, not
//! even that it refuses. So all are asked at once, and the first that takes writes is the one. An old primary that nobody has
//! fenced believes that it does; without its standby it cannot commit, so the first that has committed something is the one.

use deadpool_postgres::Connect;
use futures_util::future::{BoxFuture, Either, FutureExt, select, select_ok};
use std::pin::pin;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_postgres::config::Host;
use tokio_postgres::tls::NoTlsStream;
use tokio_postgres::{Client, Config, Connection, Error, NoTls, Socket};

/// Every query of the service finds its rows by key, so a plan that reads or hashes a whole table is
/// always wrong, however little the planner knows of a young table. Durability is never left to defaults. A process that
/// is stopped in the middle of a transaction, or cut off, keeps rows locked that other replicas need: not for long.
const SESSION: &str = "SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; \
     SET synchronous_commit = on; SET jit = off; SET lock_timeout = '5s'; \
     SET idle_in_transaction_session_timeout = '2s'; SET timezone = 'UTC'";

/// A commit of a new connection's own: what a crash left visible may not have reached the synchronous standby, and
/// this commit waits until it has. Nothing is answered over the connection before.
const BARRIER: &str = "UPDATE fence SET barrier_at = clock_timestamp()";

/// How soon the end of a connection is seen by who does not use it.
const LOOK_AFTER: Duration = Duration::from_millis(500);

/// One connection, driven in the background until it breaks or the client is dropped. For a database that may not be
/// migrated yet.
///
/// # Errors
/// No server can be reached, or all refuse or take no writes; the error is that of the last one to say so. While one of
/// several is silent this goes on: the caller decides how long that may be.
pub async fn connect(config: &Config) -> Result<Client, Error> {
    let (client, _driving) = reach(config, &[SESSION]).await?;
    Ok(client)
}

/// The same, past the barrier.
///
/// # Errors
/// As [`connect`].
pub async fn connect_past_barrier(config: &Config) -> Result<Client, Error> {
    let (client, _driving) = reach(config, &[SESSION, BARRIER]).await?;
    Ok(client)
}

/// Waits until the connection has broken. For who has nothing to ask over it, and would not notice.
pub async fn broken(client: &Client) {
    while !client.is_closed() {
        tokio::time::sleep(LOOK_AFTER).await;
    }
}

/// The first server that has done all of this. What is under way on the others ends with their connections.
async fn reach(config: &Config, all: &[&str]) -> Result<(Client, JoinHandle<()>), Error> {
    let attempts = servers(config).into_iter().map(|server| begin(server, all).boxed());
    let ((client, connection), _others) = select_ok(attempts).await?;
    let driving = tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::warn!(%error, "a PostgreSQL connection broke");
        }
    });
    Ok((client, driving))
}

async fn begin(server: Config, all: &[&str]) -> Result<(Client, Connection<Socket, NoTlsStream>), Error> {
    let (client, mut connection) = server.connect(NoTls).await?;
    for sql in all {
        let done = pin!(client.batch_execute(sql));
        match select(done, &mut connection).await {
            Either::Left((done, _)) => done?,
            // The connection is over, which is what this tells then.
            Either::Right((_, done)) => done.await?,
        }
    }
    Ok((client, connection))
}

/// The same parameters for each server alone.
fn servers(config: &Config) -> Vec<Config> {
    let (hosts, ports, addresses) = (config.get_hosts(), config.get_ports(), config.get_hostaddrs());
    if hosts.len() < 2 {
        return vec![config.clone()];
    }
    let alone = hosts.iter().enumerate().map(|(place, host)| {
        let mut alone = without_servers(config);
        match host {
            Host::Tcp(name) => alone.host(name),
            Host::Unix(path) => alone.host_path(path),
        };
        addresses.get(place).map(|address| alone.hostaddr(*address));
        // One port for all, or one for each.
        ports.get(place).or(ports.first()).map(|port| alone.port(*port));
        alone
    });
    alone.collect()
}

fn without_servers(config: &Config) -> Config {
    let mut alone = Config::new();
    config.get_user().map(|user| alone.user(user));
    config.get_password().map(|password| alone.password(password));
    config.get_dbname().map(|name| alone.dbname(name));
    config.get_options().map(|options| alone.options(options));
    config.get_application_name().map(|name| alone.application_name(name));
    config.get_connect_timeout().map(|timeout| alone.connect_timeout(*timeout));
    config.get_tcp_user_timeout().map(|timeout| alone.tcp_user_timeout(*timeout));
    config.get_keepalives_interval().map(|interval| alone.keepalives_interval(interval));
    config.get_keepalives_retries().map(|retries| alone.keepalives_retries(retries));
    alone.keepalives(config.get_keepalives()).keepalives_idle(config.get_keepalives_idle());
    alone.ssl_mode(config.get_ssl_mode()).ssl_negotiation(config.get_ssl_negotiation());
    alone.channel_binding(config.get_channel_binding()).target_session_attrs(config.get_target_session_attrs());
    alone
}

/// How the pool connects: past the barrier.
pub(super) struct Reach;

impl Connect for Reach {
    fn connect(&self, config: &Config) -> BoxFuture<'_, Result<(Client, JoinHandle<()>), Error>> {
        let config = config.clone();
        async move { reach(&config, &[SESSION, BARRIER]).await }.boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_of_several_servers_is_tried_with_all_that_is_configured() {
        let config: Config = "host=a,b port=1,2 user=u dbname=d password=p connect_timeout=3 keepalives_idle=7 \
             target_session_attrs=read-write application_name=n"
            .parse()
            .expect("is valid");
        let expected = |host: &str, port: u16| -> Config {
            let text = format!(
                "host={host} port={port} user=u dbname=d password=p connect_timeout=3 keepalives_idle=7 \
                 target_session_attrs=read-write application_name=n"
            );
            text.parse().expect("is valid")
        };
        assert_eq!(servers(&config), [expected("a", 1), expected("b", 2)]);
    }

    #[test]
    fn port_may_be_one_for_all_and_a_single_server_stays_as_it_is() {
        let config: Config = "host=a,b port=7".parse().expect("is valid");
        assert!(servers(&config).iter().all(|server| server.get_ports() == [7]));
        let config: Config = "host=a port=7".parse().expect("is valid");
        assert_eq!(servers(&config), std::slice::from_ref(&config));
    }
}
