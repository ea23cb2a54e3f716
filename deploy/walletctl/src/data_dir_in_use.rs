//! The local cluster that a command works on.

use anyhow::{Context, Result, ensure};
use local_cluster::Cluster;

use crate::GlobalOptions;

/// The cluster of the data directory, running at least in part.
///
/// # Errors
/// There is none, or it is stopped; the message says how to start one.
pub(crate) fn cluster(options: &GlobalOptions) -> Result<Cluster> {
    let cluster = running_or_not(options)?;
    ensure!(cluster.runs(), is_stopped(options));
    Ok(cluster)
}

/// The cluster of the data directory, whether it runs or not.
///
/// # Errors
/// There is none; the message says how to start one.
pub(crate) fn running_or_not(options: &GlobalOptions) -> Result<Cluster> {
    Cluster::attach(&options.data_dir)?
        .with_context(|| format!("{}; `walletctl up` starts one, --data-dir names another", is_missing(options)))
}

/// Says that the cluster is stopped, and how to start it.
pub(crate) fn is_stopped(options: &GlobalOptions) -> String {
    format!("the cluster in {} is stopped; start it with `walletctl up`", options.data_dir.display())
}

/// Says that there is no cluster.
pub(crate) fn is_missing(options: &GlobalOptions) -> String {
    format!("there is no cluster in {}", options.data_dir.display())
}
