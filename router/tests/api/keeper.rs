//! Holds the cluster, on a thread of its own: its processes end with the thread that started them.

use crate::world::World;
use anyhow::{Context, Result};
use local_cluster::{Cluster, ClusterSpec, Method, Role};
use std::sync::mpsc;
use std::thread::JoinHandle;

/// Ends the cluster when dropped.
pub(crate) struct Keeper {
    world: World,
    admin_ports: Vec<std::net::SocketAddr>,
    end: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    /// Starts a cluster.
    pub(crate) fn start() -> Result<Self> {
        let (started, starting) = mpsc::channel();
        let (end, ended) = mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            let cluster = run(Cluster::start(ClusterSpec::scratch(), &mut |_| ())).and_then(|cluster| cluster);
            let described = cluster.as_ref().map_err(|error| anyhow::anyhow!("{error:#}")).and_then(describe);
            // Nobody listens only if the test has ended by itself.
            drop(started.send(described));
            // Whether told to or deserted, it is the end.
            match ended.recv() {
                Ok(()) | Err(mpsc::RecvError) => drop(cluster),
            }
        });
        let (world, admin_ports) = starting.recv().context("the cluster's thread broke off")??;
        Ok(Self { world, admin_ports, end: Some(end), thread: Some(thread) })
    }

    /// Where everything is.
    pub(crate) fn world(&self) -> &World {
        &self.world
    }

    /// Answers that routers counted as their own defects.
    pub(crate) fn defects(&self) -> Vec<String> {
        let metrics = async |address| local_cluster::call(address, Method::GET, "/metrics", &[], None).await;
        let mut defects = Vec::new();
        for address in &self.admin_ports {
            match run(metrics(*address)).and_then(|answer| answer) {
                Ok(answer) => {
                    let counted = answer.body.lines().filter(|line| line.contains(r#"code="internal""#));
                    defects.extend(counted.map(str::to_owned));
                }
                Err(error) => defects.push(format!("{address} does not tell its metrics: {error:#}")),
            }
        }
        defects
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.end.take());
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            eprintln!("the cluster's thread broke off");
        }
    }
}

fn run<F: Future>(future: F) -> Result<F::Output> {
    Ok(crate::runtime()?.block_on(future))
}

fn describe(cluster: &Cluster) -> Result<(World, Vec<std::net::SocketAddr>)> {
    let routers = cluster.processes().into_iter().filter(|process| process.name.role() == Role::Router);
    let admin_ports = routers.filter_map(|process| process.admin_address).collect();
    Ok((World::of(cluster)?, admin_ports))
}
