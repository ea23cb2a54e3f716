//! The cluster that is hurt.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use anyhow::Result;
use local_cluster::{Cluster, ClusterSpec, ProcessName, Role};

use super::draw::Layout;
use super::kinds::Harm;

/// What cluster is to be hurt.
#[derive(Debug, Clone, Default)]
pub struct HarmOptions {
    /// Whether the programs built with the feature `faults` run, those with crash points and planted bugs.
    pub faults: bool,
    /// The shards that get a synchronous standby.
    pub standbys: Vec<u16>,
    /// Environment of every router.
    pub router_env: BTreeMap<String, String>,
    /// Environment of every shard-node.
    pub shard_node_env: BTreeMap<String, String>,
}

/// Where a router is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouterPlace {
    /// The process.
    pub name: ProcessName,
    /// Its region.
    pub region: String,
    /// Where it serves, such as `http://127.0.0.1:8080`.
    pub url: String,
    /// Where `/readyz` and `/metrics` are.
    pub admin: SocketAddr,
}

/// Where a shard's data is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardPlace {
    /// The shard.
    pub id: u16,
    /// Its region.
    pub region: String,
    /// Connection parameters in libpq's form for the database itself, past the proxies.
    pub postgres: String,
}

/// A local cluster in which every way between two processes leads through a proxy of this program.
pub struct HarmedCluster {
    cluster: Cluster,
    layout: Layout,
    notes: Vec<String>,
}

impl HarmedCluster {
    /// Starts it: two regions of two shards, a router in each region.
    ///
    /// # Errors
    /// As [`Cluster::start`].
    pub async fn start(options: HarmOptions) -> Result<Self> {
        let HarmOptions { faults: _, standbys: _, router_env, shard_node_env } = options;
        let spec = ClusterSpec { seed: false, router_env, shard_node_env, ..ClusterSpec::scratch() };
        let cluster = Cluster::start(spec, &mut |_| ()).await?;
        let layout = layout(&cluster);
        Ok(Self { cluster, layout, notes: vec![] })
    }

    /// All routers.
    pub fn routers(&self) -> Vec<RouterPlace> {
        let routers = self.cluster.processes().into_iter().filter(|process| process.name.role() == Role::Router);
        let place = |router: local_cluster::Process| {
            let url = format!("http://{}", router.address);
            Some(RouterPlace { admin: router.admin_address?, name: router.name, region: router.region, url })
        };
        routers.filter_map(place).collect()
    }

    /// All shards.
    ///
    /// # Errors
    /// The cluster lacks what it was started with: a defect.
    pub fn shards(&self) -> Result<Vec<ShardPlace>> {
        let nodes = self.cluster.processes().into_iter().filter(|process| process.name.role() == Role::ShardNode);
        let shards = nodes.filter_map(|node| Some((node.name.shard()?, node.region)));
        let place = |(id, region)| Ok(ShardPlace { id, region, postgres: self.cluster.shard_postgres_url(id)? });
        shards.map(place).collect()
    }

    /// The cluster itself, for what is done past the proxies.
    pub fn local(&self) -> &Cluster {
        &self.cluster
    }

    /// What there is to be hurt.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// What cannot be done on this machine, or happened unasked, in sentences for the report.
    pub fn notes(&self) -> Vec<String> {
        self.notes.clone()
    }

    /// Does the harm. What ends by itself has ended when this returns (kills, freezes, restarts, a failover's
    /// promotion); the rest lasts until [`Self::heal`]. Several may be inflicted at the same time; those that need the
    /// same process wait for each other.
    ///
    /// # Errors
    /// The harm could not be done.
    pub async fn inflict(&self, harm: &Harm) -> Result<()> {
        anyhow::bail!("not built yet: {harm}")
    }

    /// Undoes all harm and waits until every process is ready.
    ///
    /// # Errors
    /// Some are not ready after 30 s; the message names them.
    pub async fn heal(&self) -> Result<()> {
        Ok(())
    }

    /// Stops the cluster and deletes it.
    ///
    /// # Errors
    /// Some processes do not end.
    pub async fn stop(self) -> Result<()> {
        self.cluster.stop(&mut |_| ()).await
    }
}

fn layout(cluster: &Cluster) -> Layout {
    let names = |role| {
        let processes = cluster.processes().into_iter().map(|process| process.name);
        processes.filter(|name| name.role() == role).collect()
    };
    Layout {
        routers: names(Role::Router),
        shard_nodes: names(Role::ShardNode),
        postgres: names(Role::Postgres),
        redis: names(Role::Redis),
        limited_disks: vec![],
        standbys: vec![],
        clocks: false,
    }
}
