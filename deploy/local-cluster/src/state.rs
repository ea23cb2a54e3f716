//! What is kept about a cluster between programs.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use placement::topology::CurrencySpec;
use serde::{Deserialize, Serialize};

use crate::binaries::Binaries;
use crate::data_dir::{DataDir, read_json, write_json};
use crate::identity::ProcessIdentity;
use crate::name::{Process, ProcessName, Role};
use crate::ports::{Ports, Socket};
use crate::spec::ClusterSpec;
use crate::tools::Tools;

/// The content of `state.json`. What defines the cluster is fixed when it is first made; the rest follows its life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Names of the regions.
    pub regions: Vec<String>,
    /// Shards in each region.
    pub shards_per_region: u16,
    /// The port that all others follow from; `None` if free ones were chosen.
    pub base_port: Option<u16>,
    /// The currencies of the first topology.
    pub currencies: Vec<CurrencySpec>,
    /// The program in whose foreground the cluster runs.
    pub owner: Option<ProcessIdentity>,
    /// The servers' programs, as last used.
    pub tools: Tools,
    /// Our own programs, as last used.
    pub binaries: Option<Binaries>,
    /// Environment of the routers, as last used.
    pub router_env: BTreeMap<String, String>,
    /// Environment of the shard-nodes, as last used.
    pub shard_node_env: BTreeMap<String, String>,
    /// Further PostgreSQL settings, as last used.
    pub postgres_settings: BTreeMap<String, String>,
    /// Where the others find a process, if not where it listens.
    #[serde(default)]
    pub advertised: BTreeMap<ProcessName, SocketAddr>,
    /// All processes of the cluster.
    pub processes: Vec<Process>,
}

impl State {
    /// The state of a new cluster: every process has its addresses, and none runs.
    pub(crate) fn plan(spec: &ClusterSpec, tools: Tools, binaries: Option<Binaries>) -> Result<Self> {
        let ports = spec.base_port.map_or(Ports::Free, Ports::From);
        let wants_ours = binaries.is_some();
        let mut processes = Vec::new();
        for (name, region) in planned(spec) {
            let role = name.role();
            let has_admin = matches!(role, Role::Router | Role::ShardNode);
            if has_admin && !wants_ours {
                continue;
            }
            let index = processes.iter().filter(|process: &&Process| process.name.role() == role).count();
            let index = u16::try_from(index)?;
            let address = ports.address(Socket::Service(role), index)?;
            let admin_address = has_admin.then(|| ports.address(Socket::Admin(role), index)).transpose()?;
            processes.push(Process { name, region, address, admin_address, identity: None });
        }
        Ok(Self {
            regions: spec.regions.clone(),
            shards_per_region: spec.shards_per_region,
            base_port: spec.base_port,
            currencies: spec.currencies.clone(),
            owner: None,
            tools,
            binaries,
            router_env: spec.router_env.clone(),
            shard_node_env: spec.shard_node_env.clone(),
            postgres_settings: spec.postgres_settings.clone(),
            advertised: spec.advertised.clone(),
            processes,
        })
    }

    /// Continues with this cluster's data and addresses, as far as `spec` asks for nothing else.
    pub(crate) fn continued(self, spec: &ClusterSpec, tools: Tools, binaries: Option<Binaries>) -> Result<Self> {
        let differs = |what: &str, was: &str| {
            format!(
                "the data here is of a cluster with {what} {was}; leave the option out, or choose another --data-dir"
            )
        };
        ensure!(self.regions == spec.regions, differs("--regions", &self.regions.join(",")));
        let per_region = self.shards_per_region;
        ensure!(per_region == spec.shards_per_region, differs("--shards-per-region", &per_region.to_string()));
        let base = self.base_port.map_or("of the system's choice".to_owned(), |port| port.to_string());
        ensure!(self.base_port == spec.base_port, differs("--base-port", &base));
        let had_ours = self.processes.iter().any(|process| process.name.role() == Role::ShardNode);
        ensure!(
            had_ours == binaries.is_some(),
            "the data here is of a cluster of another kind; choose another --data-dir"
        );
        let (router_env, shard_node_env) = (spec.router_env.clone(), spec.shard_node_env.clone());
        let postgres_settings = spec.postgres_settings.clone();
        let advertised = spec.advertised.clone();
        Ok(Self { tools, binaries, router_env, shard_node_env, postgres_settings, advertised, ..self })
    }

    /// Reads the state of a data directory; `None` if no cluster was started there yet.
    ///
    /// # Errors
    /// The file cannot be read or is damaged.
    pub fn read(data_dir: &DataDir) -> Result<Option<Self>> {
        read_json(&data_dir.state())
    }

    pub(crate) fn write(&self, data_dir: &DataDir) -> Result<()> {
        // It may hold configuration, and so secrets, from the caller's environment.
        write_json(&data_dir.state(), self, 0o600)
    }

    /// The process of that name.
    ///
    /// # Errors
    /// This cluster has none; the message names those it has.
    pub fn process(&self, name: &ProcessName) -> Result<&Process> {
        let found = self.processes.iter().find(|process| process.name == *name);
        found.with_context(|| {
            let names = crate::event::join(self.processes.iter().map(|process| &process.name));
            format!("this cluster has no {name}, only {names}")
        })
    }
}

impl State {
    /// The PostgreSQL servers of a shard.
    pub(crate) fn servers(&self, shard: u16) -> impl Iterator<Item = &Process> {
        let is_server = move |process: &&Process| process.name.role() == Role::Postgres;
        self.processes.iter().filter(is_server).filter(move |process| process.name.shard() == Some(shard))
    }

    /// Where the others find a process.
    pub(crate) fn advertised(&self, process: &Process) -> SocketAddr {
        self.advertised.get(&process.name).copied().unwrap_or(process.address)
    }
}

/// All processes with their regions. The first of each kind come before all replicas, so that adding replicas moves
/// no port.
fn planned(spec: &ClusterSpec) -> Vec<(ProcessName, String)> {
    let mut planned = Vec::new();
    let shards = || {
        let per_region = usize::from(spec.shards_per_region);
        let regions = spec.regions.iter().flat_map(move |region| std::iter::repeat_n(region.clone(), per_region));
        (1..).zip(regions)
    };
    planned.extend(shards().map(|(shard, region)| (ProcessName::Postgres { shard, replica: 0 }, region)));
    planned.extend(spec.regions.iter().map(|name| (ProcessName::Redis { region: name.clone() }, name.clone())));
    let with_standby = shards().filter(|(shard, _)| spec.standbys.contains(shard));
    planned.extend(with_standby.map(|(shard, region)| (ProcessName::Postgres { shard, replica: 1 }, region)));
    for replica in 0..spec.replicas_per_shard {
        planned.extend(shards().map(|(shard, region)| (ProcessName::ShardNode { shard, replica }, region)));
    }
    for replica in 0..spec.routers_per_region {
        let router = |name: &String| (ProcessName::Router { region: name.clone(), replica }, name.clone());
        planned.extend(spec.regions.iter().map(router));
    }
    planned
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn tools() -> Tools {
        Tools {
            postgres_bin: "/usr/bin".into(),
            postgres_version: "15.1".to_owned(),
            redis_server: "/usr/bin/redis-server".into(),
            redis_version: "7.0".to_owned(),
        }
    }

    pub(crate) fn usual_state() -> State {
        let binaries = Binaries { router: "/b/router".into(), shard_node: "/b/shard-node".into() };
        State::plan(&ClusterSpec::kept_in("/d"), tools(), Some(binaries)).unwrap()
    }

    #[test]
    fn usual_cluster_has_twelve_processes_on_the_documented_ports() {
        let state = usual_state();
        assert_eq!(state.processes.len(), 12);
        let port = |name: &str| state.process(&name.parse().unwrap()).unwrap().address.port();
        assert_eq!(port("router-sg"), 8080);
        assert_eq!(port("router-eu"), 8081);
        assert_eq!(port("shard-node-4"), 8283);
        assert_eq!(port("postgres-1"), 8480);
        assert_eq!(port("redis-eu"), 8581);
        assert_eq!(state.process(&"shard-node-3".parse().unwrap()).unwrap().region, "eu");
    }

    #[test]
    fn replicas_move_no_port() {
        let spec = ClusterSpec { routers_per_region: 2, replicas_per_shard: 2, ..ClusterSpec::kept_in("/d") };
        let more = State::plan(&spec, tools(), usual_state().binaries).unwrap();
        for process in usual_state().processes {
            assert_eq!(more.process(&process.name).unwrap().address, process.address);
        }
        assert_eq!(more.process(&"router-sg.1".parse().unwrap()).unwrap().address.port(), 8082);
    }

    #[test]
    fn other_shape_over_existing_data_is_refused() {
        let again = |spec: ClusterSpec| usual_state().continued(&spec, tools(), usual_state().binaries);
        again(ClusterSpec::kept_in("/d")).unwrap();
        let other = |change: fn(&mut ClusterSpec)| {
            let mut spec = ClusterSpec::kept_in("/d");
            change(&mut spec);
            again(spec).unwrap_err().to_string()
        };
        assert!(other(|spec| spec.regions = vec!["sg".to_owned()]).contains("--regions sg,eu"));
        assert!(other(|spec| spec.shards_per_region = 3).contains("--shards-per-region 2"));
        assert!(other(|spec| spec.base_port = Some(9090)).contains("--base-port 8080"));
    }

    #[test]
    fn unknown_process_is_named() {
        let error = usual_state().process(&"postgres-9".parse().unwrap()).unwrap_err().to_string();
        assert!(error.contains("no postgres-9") && error.contains("router-eu"), "{error}");
    }
}
