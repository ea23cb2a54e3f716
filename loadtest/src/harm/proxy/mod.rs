//! The proxies between the processes of a cluster.
//!
//! One listens in front of each shard-node, PostgreSQL and Redis; the cluster knows only these addresses. They run on
//! a thread of their own, so that a busy load generator delays nothing that it has not drawn.

mod connection;
mod relay;
#[cfg(test)]
mod tests;
mod way;

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, OnceLock};

use anyhow::{Context, Result};
use local_cluster::{Process, ProcessName};
use tokio::sync::oneshot;

pub use way::{Manner, Replay, Way, Ways};

/// Where the processes themselves listen; known once the cluster's ports are.
type Targets = Arc<OnceLock<HashMap<ProcessName, SocketAddr>>>;

/// All proxies of one cluster; they end when this is dropped.
pub struct Proxies {
    /// What happens on each way.
    pub ways: Arc<Ways>,
    addresses: HashMap<ProcessName, SocketAddr>,
    targets: Targets,
    _running: oneshot::Sender<()>,
}

impl Proxies {
    /// Listens in front of these processes. Nobody is let through before [`Self::aim`].
    ///
    /// # Errors
    /// There is no port or no thread to have.
    pub fn start(before: &[ProcessName]) -> Result<Self> {
        let listening = before.iter().map(|name| {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
            listener.set_nonblocking(true)?;
            Ok((name.clone(), listener))
        });
        let listening: Vec<(ProcessName, TcpListener)> =
            listening.collect::<io::Result<_>>().context("cannot listen for a proxy")?;
        let addresses = listening.iter().map(|(name, listener)| Ok((name.clone(), listener.local_addr()?)));
        let addresses = addresses.collect::<io::Result<_>>()?;
        let (ways, targets) = (Arc::new(Ways::default()), Targets::default());
        let (running, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (passing, aimed) = (ways.clone(), targets.clone());
        std::thread::Builder::new().name("proxies".to_owned()).spawn(move || {
            runtime.block_on(async move {
                for (name, listener) in listening {
                    tokio::spawn(connection::accept(name, listener, passing.clone(), aimed.clone()));
                }
                // An error is the end of the sender, which is what is waited for.
                drop(stopped.await);
            });
        })?;
        Ok(Self { ways, addresses, targets, _running: running })
    }

    /// The address to be told to the others, for each process.
    pub fn addresses(&self) -> &HashMap<ProcessName, SocketAddr> {
        &self.addresses
    }

    /// Says where the processes themselves listen. Only the first time counts.
    pub fn aim(&self, processes: &[Process]) {
        let targets = processes.iter().map(|process| (process.name.clone(), process.address)).collect();
        // A cluster is planned once.
        drop(self.targets.set(targets));
    }
}
