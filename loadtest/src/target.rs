//! Which wallet is loaded.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use clap::Args;
use local_cluster::Cluster;

use crate::client::Router;

/// Options that say where the wallet is.
#[derive(Debug, Clone, Args)]
pub struct TargetOptions {
    /// A router to send to, such as http://127.0.0.1:8080; may be given several times [default: all of the local cluster]
    #[arg(long = "router", value_name = "URL")]
    pub routers: Vec<String>,

    /// The Redis of a region, to write the users' sessions to, such as redis://127.0.0.1:8580/; give that of every
    /// region a router is in [default: all of the local cluster]
    #[arg(long, value_name = "URL")]
    pub redis: Vec<String>,

    /// The directory of the local cluster
    #[arg(long, value_name = "DIR", default_value = ".wallet")]
    pub data_dir: PathBuf,
}

/// A wallet to load.
#[derive(Debug, Clone)]
pub struct Target {
    /// Its routers.
    pub routers: Vec<Router>,
    /// The Redis of each region, as a URL.
    pub redis: Vec<String>,
}

impl TargetOptions {
    /// Finds the wallet.
    ///
    /// # Errors
    /// There is no local cluster and not enough was said; or a URL cannot be understood.
    pub async fn find(&self) -> Result<Target> {
        if !self.routers.is_empty() && !self.redis.is_empty() {
            return Target::new(&self.routers, self.redis.clone()).await;
        }
        let given = |what| format!("{what}; start a local cluster with `walletctl up`, or give --router and --redis");
        let cluster = Cluster::attach(&self.data_dir)?;
        let cluster =
            cluster.with_context(|| given(format!("there is no local cluster in {}", self.data_dir.display())))?;
        let local = Target::of_cluster(&cluster).await?;
        let routers = if self.routers.is_empty() { local.routers } else { resolve(&self.routers).await? };
        let redis = if self.redis.is_empty() { local.redis } else { self.redis.clone() };
        Ok(Target { routers, redis })
    }
}

impl Target {
    /// A wallet by its addresses.
    ///
    /// # Errors
    /// A URL cannot be understood, or there is none.
    pub async fn new(routers: &[String], redis: Vec<String>) -> Result<Self> {
        ensure!(!routers.is_empty() && !redis.is_empty(), "a wallet has a router and a Redis");
        Ok(Self { routers: resolve(routers).await?, redis })
    }

    /// The wallet of a local cluster.
    ///
    /// # Errors
    /// Its state names no router or Redis.
    pub async fn of_cluster(cluster: &Cluster) -> Result<Self> {
        let regions = cluster.regions();
        let routers: Vec<String> = regions.iter().map(|region| cluster.router_url(region)).collect::<Result<_>>()?;
        let redis = regions.iter().map(|region| cluster.redis_url(region)).collect::<Result<_>>()?;
        Self::new(&routers, redis).await
    }
}

async fn resolve(urls: &[String]) -> Result<Vec<Router>> {
    let mut routers = Vec::with_capacity(urls.len());
    for url in urls {
        routers.push(Router::resolve(url).await?);
    }
    Ok(routers)
}
