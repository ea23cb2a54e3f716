//! Starts the whole wallet on one machine: a PostgreSQL for each shard, a Redis for each region, shard-nodes and routers,
//! all as the real processes that run elsewhere too.
//!
//! - [`Cluster::start`] makes a cluster from a [`ClusterSpec`]: [`ClusterSpec::kept_in`] a directory for people, or
//!   [`ClusterSpec::scratch`] for a test, which leaves nothing behind even if it is killed;
//! - [`Cluster::kill`] and [`Cluster::restart`] break it and mend it; [`Cluster::supervise`] mends it by itself;
//! - [`Cluster::attach`] looks at one that another program started.

mod binaries;
mod cluster;
mod config_files;
mod data_dir;
mod disk;
mod event;
mod http;
mod identity;
mod install;
mod keeper;
mod launch;
mod leftovers;
mod name;
mod ports;
mod postgres;
mod preview;
mod processes;
mod redis_server;
mod scratch;
mod secrets;
mod seed;
mod service_user;
pub mod session;
mod spec;
mod standby;
mod start;
mod state;
mod stop;
mod supervise;
mod tools;
mod wrong_clock;

pub use binaries::Binaries;
pub use cluster::Cluster;
pub use data_dir::DataDir;
pub use disk::can_mount;
pub use event::Event;
pub use http::{Answer, call};
pub use hyper::Method;
pub use identity::ProcessIdentity;
pub use leftovers::purge;
pub use name::{Process, ProcessName, Role, UnknownProcessName};
pub use nix::sys::signal::Signal;
pub use placement::topology::CurrencySpec;
pub use ports::DEFAULT_BASE;
pub use preview::Preview;
pub use seed::{ADMIN_TOKEN, SeededAccount, USERS};
pub use service_user::service_user_for;
pub use spec::{ClusterSpec, Lifetime, Parts};
pub use state::State;
pub use tools::{FoundTools, POSTGRES_MAJOR_MIN, Tools, is_on_path};
pub use wrong_clock::WrongClock;
