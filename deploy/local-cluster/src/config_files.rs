//! The configuration file of every process.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use placement::topology::{Region, Shard, ShardState};
use placement::{RegionCode, ShardId, Topology};
use serde_json::{Value, json};

use crate::data_dir::{DataDir, write_atomically};
use crate::name::{Process, ProcessName, Role};
use crate::secrets::Secrets;
use crate::state::State;

const HEADER: &str = "# Written when the cluster starts; changes are lost.\n";

/// Writes the files of all routers, shard-nodes and Redis servers; PostgreSQL's stands with its data.
pub(crate) fn write(data_dir: &DataDir, state: &State, secrets: &Secrets) -> Result<()> {
    for process in &state.processes {
        let text = match process.name.role() {
            Role::Postgres => continue,
            Role::Redis => redis(process.address, &data_dir.server_files(&process.name).display().to_string()),
            Role::ShardNode => toml::to_string(&shard_node(data_dir, state, secrets, process)?)?,
            Role::Router => toml::to_string(&router(state, secrets, process)?)?,
        };
        // Redis runs as a user who may not own it, and its file holds no secret.
        let mode = if process.name.role() == Role::Redis { 0o644 } else { 0o600 };
        write_atomically(&data_dir.config(&process.name), format!("{HEADER}{text}").as_bytes(), mode)?;
    }
    Ok(())
}

fn router(state: &State, secrets: &Secrets, process: &Process) -> Result<Value> {
    let redis = state.process(&ProcessName::Redis { region: process.region.clone() })?;
    let nodes = state.processes.iter().filter(|other| other.name.role() == Role::ShardNode);
    let seeds: Vec<String> = nodes.map(|node| state.advertised(node).to_string()).collect();
    Ok(json!({
        "region": process.region,
        "http": {"bind": process.address},
        "admin": {"bind": admin(process)?},
        "redis": {"url": format!("redis://{}/", state.advertised(redis))},
        "cluster": {"secret": secrets.cluster, "seeds": seeds},
    }))
}

fn shard_node(data_dir: &DataDir, state: &State, secrets: &Secrets, process: &Process) -> Result<Value> {
    let shard = process.name.shard().context("a shard-node has a shard")?;
    let postgres: Vec<SocketAddr> = state.servers(shard).map(|server| state.advertised(server)).collect();
    let redis = state.process(&ProcessName::Redis { region: process.region.clone() })?;
    Ok(json!({
        "shard": shard,
        "replica": process.name.replica(),
        "internal": {"bind": process.address},
        "admin": {"bind": admin(process)?},
        "postgres": {
            "url": postgres_url(&postgres, "wallet", "wallet", &secrets.postgres_wallet),
            // Each connection is a process of PostgreSQL's, and all shards share one machine here.
            "pool_size": 2,
        },
        "cluster": {"secret": secrets.cluster},
        "topology": {"file": data_dir.topology()},
        "events": {"redis_url": format!("redis://{}/", state.advertised(redis))},
    }))
}

fn admin(process: &Process) -> Result<SocketAddr> {
    process.admin_address.with_context(|| format!("{} has no admin address", process.name))
}

/// Connection parameters in libpq's form. Of several servers the one is meant that takes writes.
pub(crate) fn postgres_url(servers: &[SocketAddr], user: &str, database: &str, password: &str) -> String {
    let listed = |part: fn(&SocketAddr) -> String| servers.iter().map(part).collect::<Vec<_>>().join(",");
    let (hosts, ports) = (listed(|server| server.ip().to_string()), listed(|server| server.port().to_string()));
    let which = if servers.len() > 1 { " target_session_attrs=read-write" } else { "" };
    format!("host={hosts} port={ports} user={user} dbname={database} password={password}{which}")
}

/// Sessions and events survive a restart: what was acknowledged is on the disk. Otherwise Redis keeps to itself.
fn redis(address: SocketAddr, directory: &str) -> String {
    format!(
        "bind {}\nport {}\ndir {directory:?}\ndaemonize no\nlogfile \"\"\ntcp-backlog 128\ndatabases 1\n\
         appendonly yes\nappendfsync always\nsave \"\"\n",
        address.ip(),
        address.port()
    )
}

/// `postgresql.conf`: durable, on loopback only, small enough to run several beside each other.
pub(crate) fn postgres(address: SocketAddr, cluster_name: &str, overrides: &BTreeMap<String, String>) -> String {
    let (ip, port) = (address.ip().to_string(), address.port().to_string());
    let mut settings: BTreeMap<&str, &str> = BTreeMap::from([
        ("listen_addresses", ip.as_str()),
        ("port", port.as_str()),
        ("cluster_name", cluster_name),
        // A path to a socket may be 107 bytes long; a data directory may not fit.
        ("unix_socket_directories", ""),
        ("max_connections", "60"),
        ("password_encryption", "scram-sha-256"),
        ("fsync", "on"),
        ("synchronous_commit", "on"),
        ("full_page_writes", "on"),
        ("wal_compression", "off"),
        ("checkpoint_timeout", "15min"),
        ("max_wal_size", "2GB"),
        ("shared_buffers", "64MB"),
        ("huge_pages", "off"),
        ("jit", "off"),
        ("max_logical_replication_workers", "0"),
        ("autovacuum", "on"),
        ("timezone", "UTC"),
        ("log_timezone", "UTC"),
        ("log_line_prefix", "%m [%p] "),
        ("lc_messages", "C"),
    ]);
    settings.extend(overrides.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let lines = settings.iter().map(|(name, value)| format!("{name} = '{}'\n", value.replace('\'', "''")));
    HEADER.to_owned() + &lines.collect::<String>()
}

/// The first topology: every region with its code, every shard with the addresses of its shard-nodes.
///
/// # Errors
/// It would not be a valid one; the message names every mistake.
pub(crate) fn topology(state: &State) -> Result<Topology> {
    let coded = (RegionCode::MIN.get()..).zip(&state.regions);
    let regions = coded.map(|(code, name)| Ok(Region { name: name.clone(), code: RegionCode::try_from(code)? }));
    let is_shards_first = |process: &&Process| process.name.role() == Role::Postgres && process.name.replica() == 0;
    let postgres = state.processes.iter().filter(is_shards_first);
    let topology = Topology {
        version: 1,
        currencies: state.currencies.clone(),
        regions: regions.collect::<Result<_>>()?,
        shards: postgres.map(|process| shard(state, process)).collect::<Result<_>>()?,
    };
    let mistakes = topology.mistakes();
    ensure!(mistakes.is_empty(), "{}", mistakes.join("\n"));
    Ok(topology)
}

fn shard(state: &State, postgres: &Process) -> Result<Shard> {
    const WEIGHT: u32 = 100;
    let id = postgres.name.shard().context("a PostgreSQL has a shard")?;
    let nodes = state.processes.iter().filter(|process| process.name.role() == Role::ShardNode);
    let addresses = nodes.filter(|node| node.name.shard() == Some(id));
    let addresses = addresses.map(|node| state.advertised(node).to_string()).collect();
    let (id, region) = (ShardId::try_from(id)?, postgres.region.clone());
    Ok(Shard { id, region, weight: WEIGHT, state: ShardState::Active, addresses })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::tests::usual_state;

    fn secrets() -> Secrets {
        Secrets { cluster: "c".repeat(64), postgres_superuser: "s".to_owned(), postgres_wallet: "w".to_owned() }
    }

    #[test]
    fn router_knows_its_redis_and_all_shard_nodes() {
        let state = usual_state();
        let process = state.process(&"router-eu".parse().unwrap()).unwrap();
        let config = router(&state, &secrets(), process).unwrap();
        assert_eq!(config["redis"]["url"], "redis://127.0.0.1:8581/");
        assert_eq!(config["cluster"]["seeds"].as_array().unwrap().len(), 4);
        let text = toml::to_string(&config).unwrap();
        assert!(text.contains("bind = \"127.0.0.1:8081\""), "{text}");
    }

    #[test]
    fn advertised_addresses_are_what_the_others_are_told() {
        let mut state = usual_state();
        let proxies = [("shard-node-1", 1), ("postgres-1", 2), ("redis-sg", 3)];
        state.advertised =
            proxies.map(|(name, port)| (name.parse().unwrap(), SocketAddr::from(([127, 0, 0, 1], port)))).into();
        assert_eq!(topology(&state).unwrap().shards[0].addresses, ["127.0.0.1:1"]);
        let process = |name: &str| state.process(&name.parse().unwrap()).unwrap();
        let router = router(&state, &secrets(), process("router-sg")).unwrap();
        assert_eq!(router["redis"]["url"], "redis://127.0.0.1:3/");
        assert_eq!(router["cluster"]["seeds"][0], "127.0.0.1:1");
        let directory = tempfile::tempdir().unwrap();
        let data_dir = DataDir::open_or_make(directory.path()).unwrap();
        let node = shard_node(&data_dir, &state, &secrets(), process("shard-node-1")).unwrap();
        assert!(node["postgres"]["url"].as_str().unwrap().starts_with("host=127.0.0.1 port=2 "), "{node}");
        assert_eq!(node["internal"]["bind"], "127.0.0.1:8280", "it listens where it did");
        assert_eq!(node["events"]["redis_url"], "redis://127.0.0.1:3/");
    }

    #[test]
    fn of_several_servers_the_one_that_takes_writes_is_meant() {
        let servers = [1, 2].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let url = postgres_url(&servers, "u", "d", "p");
        assert!(url.starts_with("host=127.0.0.1,127.0.0.1 port=1,2 "), "{url}");
        let parsed: tokio_postgres::Config = url.parse().unwrap();
        assert_eq!(parsed.get_ports(), [1, 2]);
        assert_eq!(parsed.get_target_session_attrs(), tokio_postgres::config::TargetSessionAttrs::ReadWrite);
    }

    #[test]
    fn topology_lists_shards_in_their_regions() {
        let topology = topology(&usual_state()).unwrap();
        assert_eq!((topology.regions[1].name.as_str(), topology.regions[1].code.get()), ("eu", 2));
        assert_eq!(topology.shards[2].region, "eu");
        assert_eq!(topology.shards[0].addresses, ["127.0.0.1:8280"]);
    }

    #[test]
    fn invalid_topology_is_refused_with_all_mistakes() {
        let mut state = usual_state();
        state.currencies[0].code = "sgd".to_owned();
        state.regions[0] = "SG".to_owned();
        let error = topology(&state).unwrap_err().to_string();
        assert!(error.contains("\"sgd\"") && error.contains("\"SG\""), "{error}");
    }

    #[test]
    fn postgres_setting_can_be_overridden_and_quoted() {
        let overrides = BTreeMap::from([("jit".to_owned(), "on".to_owned()), ("x".to_owned(), "it's".to_owned())]);
        let text = postgres("127.0.0.1:5".parse().unwrap(), "c", &overrides);
        assert!(text.contains("jit = 'on'\n") && !text.contains("jit = 'off'"), "{text}");
        assert!(text.contains("x = 'it''s'\n") && text.contains("fsync = 'on'\n"), "{text}");
    }
}
