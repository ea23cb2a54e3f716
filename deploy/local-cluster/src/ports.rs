//! Which port each process has.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Mutex;

use anyhow::{Result, bail, ensure};

use crate::identity::{command_line, listener_of};
use crate::name::{Process, Role};

/// The base port of `up`.
pub const DEFAULT_BASE: u16 = 8080;

/// Ports of one kind, so the most processes of one kind.
pub(crate) const BLOCK: u16 = 100;

const BLOCKS: u16 = 6;

/// Where ports come from.
pub(crate) enum Ports {
    From(u16),
    Free,
}

/// A listening socket of a process.
#[derive(Clone, Copy)]
pub(crate) enum Socket {
    Service(Role),
    Admin(Role),
}

impl Ports {
    /// The address of the socket of the `index`-th process of its kind.
    pub(crate) fn address(&self, socket: Socket, index: u16) -> Result<SocketAddr> {
        let port = match self {
            Self::From(base) => base + BLOCK * block(socket) + index,
            Self::Free => free_port()?,
        };
        Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
    }
}

fn block(socket: Socket) -> u16 {
    match socket {
        Socket::Service(Role::Router) => 0,
        Socket::Admin(Role::Router) => 1,
        Socket::Service(Role::ShardNode) => 2,
        Socket::Admin(Role::ShardNode) => 3,
        Socket::Service(Role::Postgres) | Socket::Admin(Role::Postgres) => 4,
        Socket::Service(Role::Redis) | Socket::Admin(Role::Redis) => 5,
    }
}

pub(crate) fn check_base(base: Option<u16>) -> Result<()> {
    const LAST: u16 = u16::MAX - BLOCK * BLOCKS;
    let Some(base) = base else { return Ok(()) };
    ensure!(
        (1024..=LAST).contains(&base),
        "a base port is 1024 to {LAST}, as the ports up to {BLOCKS}00 above follow it"
    );
    Ok(())
}

/// The first port tried; those below are often taken by well-known services.
const LOWEST: u16 = 10_000;

/// The next port to try in this program.
static NEXT: Mutex<Option<u16>> = Mutex::new(None);

/// A port nobody listens on.
///
/// Not one that the kernel would choose: it gives the same range to outgoing connections, and one of those could take
/// the port while its process is being restarted. Programs start at different places of the range, so that two which
/// choose at the same time do not choose the same.
fn free_port() -> Result<u16> {
    let end = ephemeral_range_start().max(LOWEST + 1000);
    let mut next = NEXT.lock().map_err(|_| anyhow::anyhow!("another thread failed while choosing a port"))?;
    for _ in LOWEST..end {
        let port = next.unwrap_or_else(|| first_port(std::process::id(), end));
        *next = Some(if port + 1 < end { port + 1 } else { LOWEST });
        if is_free(port) {
            return Ok(port);
        }
    }
    bail!("no free port between {LOWEST} and {end}")
}

fn first_port(pid: u32, end: u16) -> u16 {
    const APART: u32 = 331;
    let offset = pid.wrapping_mul(APART) % u32::from(end - LOWEST);
    LOWEST + u16::try_from(offset).unwrap_or_default()
}

fn ephemeral_range_start() -> u16 {
    const USUAL: u16 = 32_768;
    let text = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    text.split_whitespace().next().and_then(|start| start.parse().ok()).unwrap_or(USUAL)
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// Checks that every port of `processes` can be listened on.
///
/// # Errors
/// Some are taken; the message names all of them and, where this user may know, by whom.
pub fn check_free(processes: &[Process]) -> Result<()> {
    let addresses = processes.iter().flat_map(|process| {
        let both = [Some(process.address), process.admin_address];
        both.into_iter().flatten().map(move |address| (process, address.port()))
    });
    let taken: Vec<String> = addresses
        .filter(|(_, port)| !is_free(*port))
        .map(|(process, port)| format!("port {port}, wanted for {}, is taken{}", process.name, by_whom(port)))
        .collect();
    ensure!(
        taken.is_empty(),
        "{}\nstop what listens there, or choose other ports with --base-port (and --data-dir, if there is data already)",
        taken.join("\n")
    );
    Ok(())
}

fn by_whom(port: u16) -> String {
    match listener_of(port) {
        Some(pid) => format!(" by process {pid}: {}", command_line(pid)),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_follow_from_the_base() {
        let port = |socket, index| Ports::From(8080).address(socket, index).unwrap().port();
        assert_eq!(port(Socket::Service(Role::Router), 1), 8081);
        assert_eq!(port(Socket::Admin(Role::Router), 0), 8180);
        assert_eq!(port(Socket::Service(Role::ShardNode), 3), 8283);
        assert_eq!(port(Socket::Admin(Role::ShardNode), 0), 8380);
        assert_eq!(port(Socket::Service(Role::Postgres), 2), 8482);
        assert_eq!(port(Socket::Service(Role::Redis), 1), 8581);
    }

    #[test]
    fn free_ports_differ_and_stand_below_the_kernels_own() {
        let ports: std::collections::BTreeSet<u16> = (0..50).map(|_| free_port().unwrap()).collect();
        assert_eq!(ports.len(), 50);
        assert!(ports.iter().all(|port| (LOWEST..ephemeral_range_start()).contains(port)));
    }

    #[test]
    fn programs_with_neighbouring_ids_start_apart() {
        for pid in 1..40_000 {
            let (one, other) = (first_port(pid, 32_768), first_port(pid + 1, 32_768));
            assert!(one.abs_diff(other) >= 300);
        }
    }

    #[test]
    fn listened_port_is_not_free() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        assert!(!is_free(listener.local_addr().unwrap().port()));
    }
}
