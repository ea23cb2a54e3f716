//! The local cluster that a command works on.

use anyhow::{Context, Result};
use local_cluster::Cluster;

use crate::GlobalOptions;

/// The cluster of the data directory.
///
/// # Errors
/// There is none; the message says how to start one.
pub(crate) fn cluster(options: &GlobalOptions) -> Result<Cluster> {
    Cluster::attach(&options.data_dir)?.with_context(|| {
        format!(
            "there is no cluster in {}; `walletctl up` starts one, --data-dir names another",
            options.data_dir.display()
        )
    })
}
