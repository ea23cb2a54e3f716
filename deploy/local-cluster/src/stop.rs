//! Stopping processes in order: first whoever takes in work, last whoever keeps it.

use std::time::Duration;

use anyhow::{Result, ensure};
use futures_util::future::join_all;
use nix::sys::signal::Signal;

use crate::event::{Event, join};
use crate::name::{Process, Role};

/// The signals that a process is asked to stop with, the next one if it is still there after the time.
fn requests(role: Role) -> Vec<(Signal, Duration)> {
    let request = |signal, seconds| (signal, Duration::from_secs(seconds));
    match role {
        // Fast shutdown with a checkpoint, then immediate shutdown without one.
        Role::Postgres => vec![request(Signal::SIGINT, 60), request(Signal::SIGQUIT, 10), request(Signal::SIGKILL, 10)],
        Role::Router | Role::ShardNode | Role::Redis => {
            vec![request(Signal::SIGTERM, 15), request(Signal::SIGKILL, 10)]
        }
    }
}

/// Stops all that runs of `processes`.
///
/// # Errors
/// Some do not end, or belong to another user.
pub(crate) async fn stop_all(processes: &[Process], progress: &mut dyn FnMut(Event)) -> Result<()> {
    for roles in [&[Role::Router][..], &[Role::ShardNode], &[Role::Redis, Role::Postgres]] {
        let running = processes.iter().filter(|process| roles.contains(&process.name.role()) && process.is_alive());
        let running: Vec<&Process> = running.collect();
        if !running.is_empty() {
            progress(Event::Stopping { names: running.iter().map(|process| process.name.clone()).collect() });
        }
        for (process, stopped) in running.iter().zip(join_all(running.iter().map(|process| stop(process))).await) {
            if stopped? == Stopped::Killed {
                progress(Event::Killed(process.name.clone()));
            }
        }
    }
    let left: Vec<&Process> = processes.iter().filter(|process| process.is_alive()).collect();
    ensure!(left.is_empty(), "these do not end: {}", join(left.iter().map(|process| &process.name)));
    Ok(())
}

#[derive(PartialEq, Eq)]
pub(crate) enum Stopped {
    AsAsked,
    Killed,
}

/// Stops one process, at last by force.
pub(crate) async fn stop(process: &Process) -> Result<Stopped> {
    let Some(identity) = &process.identity else { return Ok(Stopped::AsAsked) };
    for (signal, patience) in requests(process.name.role()) {
        identity.signal(signal)?;
        if identity.gone(patience).await {
            return Ok(if signal == Signal::SIGKILL { Stopped::Killed } else { Stopped::AsAsked });
        }
    }
    Ok(Stopped::Killed)
}

/// Ends everything as quickly as is safe, for where nothing can be awaited. PostgreSQL recovers on its next start.
pub(crate) fn end_all_now(processes: &[Process]) {
    let running = || processes.iter().filter_map(|process| Some((process.name.role(), process.identity.as_ref()?)));
    for (role, identity) in running() {
        let signal = if role == Role::Postgres { Signal::SIGQUIT } else { Signal::SIGKILL };
        // Nobody is there to be told; those that are left are named by the next start.
        drop(identity.signal(signal));
    }
    for (_, identity) in running() {
        if !identity.gone_blocking(Duration::from_secs(5)) {
            drop(identity.signal(Signal::SIGKILL));
            identity.gone_blocking(Duration::from_secs(5));
        }
    }
}
