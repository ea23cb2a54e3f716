//! Which Redis servers a session command works on.

use anyhow::{Result, ensure};
use local_cluster::session::Sessions;

use crate::GlobalOptions;
use crate::data_dir_in_use;

/// Without options: all regions of the local cluster.
#[derive(Debug, clap::Args)]
pub(crate) struct Targets {
    /// The Redis of a region, such as redis://127.0.0.1:6379/; may be repeated
    #[arg(long, value_name = "URL", conflicts_with = "region")]
    redis_url: Vec<String>,

    /// A region of the local cluster; may be repeated. All, if absent
    #[arg(long, value_name = "NAME")]
    region: Vec<String>,
}

impl Targets {
    /// Their addresses, without connecting.
    pub(crate) fn urls(&self, options: &GlobalOptions) -> Result<Vec<String>> {
        if !self.redis_url.is_empty() {
            return Ok(self.redis_url.clone());
        }
        let cluster = data_dir_in_use::cluster(options)?;
        let known = cluster.regions();
        for region in &self.region {
            ensure!(known.contains(region), "the cluster has no region {region}, only {}", known.join(", "));
        }
        let chosen = if self.region.is_empty() { &known } else { &self.region };
        chosen.iter().map(|region| cluster.redis_url(region)).collect()
    }

    /// Connections to all of them, so that nothing is changed in one if another cannot be reached.
    pub(crate) async fn connect(&self, options: &GlobalOptions) -> Result<Vec<Sessions>> {
        let mut connected = Vec::new();
        for url in self.urls(options)? {
            connected.push(Sessions::connect(&url).await?);
        }
        Ok(connected)
    }
}
