//! The Redis of a region.

use std::fs;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result};

use crate::service_user::ServiceUser;

/// Makes the directory of the log of sessions and events.
pub(crate) fn make_files(directory: &Path, owner: Option<&ServiceUser>) -> Result<()> {
    match fs::create_dir(directory) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            return Err(error).with_context(|| format!("cannot make {}", directory.display()));
        }
        _ => {}
    }
    owner.map_or(Ok(()), |owner| owner.own(directory))
}

/// Where clients find it.
pub(crate) fn url(address: SocketAddr) -> String {
    format!("redis://{address}/")
}

/// Whether it answers, which it does not while it reads its log.
pub(crate) async fn accepts(address: SocketAddr) -> bool {
    let Ok(client) = redis::Client::open(url(address)) else { return false };
    let Ok(mut connection) = client.get_multiplexed_async_connection().await else { return false };
    redis::cmd("PING").query_async::<String>(&mut connection).await.is_ok()
}
