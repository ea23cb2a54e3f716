//! Crash points and planted bugs, for tests only: this module is absent unless the feature `faults` is asked for, and
//! nothing that is released asks for it.
//!
//! A program says in a table which points it has ([`begin`]); the macros [`crate::crash`] and [`crate::bug`] stand at
//! the points. All are off until somebody arms them: over the admin port (`PUT /faults/NAME`), or by the environment
//! variable `FAILPOINTS` (`name=action;name=action`). An action is the text of the crate `fail`: `return` is "every
//! time", `1*return` "once", `5%return` "one time in twenty", `3*off->1*return` "at the fourth time", `off` "never".

mod http;
mod point;
mod state;

pub(crate) use http::{answer, concerns};
pub use point::{Kind, Point, Side};
pub use state::{ArmError, PointState, arm, begin, disarm_all, list};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::future::{Future, pending};

/// Turns of the scheduler after which what was queued for a socket has been written to it: the task that writes needs
/// one, and the reactor another if the socket was not ready.
const TURNS: u32 = 16;

/// Dies if the point is armed.
pub fn crash(name: &'static str) {
    if is_made(name) {
        die(name)
    }
}

/// Dies if the point is armed, once what was queued for sockets before is written.
pub async fn crash_once_written(name: &'static str) {
    if is_made(name) {
        die_once_written(name).await;
    }
}

/// Dies if the point is armed, once what the future has begun to send is written.
pub async fn crash_during<F: Future>(name: &'static str, future: F) -> F::Output {
    let dying = async {
        match is_made(name) {
            true => die_once_written(name).await,
            false => pending().await,
        }
    };
    tokio::select! {
        biased;
        output = future => output,
        () = dying => pending().await,
    }
}

/// Whether the point is armed and its action says that this is one of its times; that is counted then.
pub fn is_made(name: &'static str) -> bool {
    fail::fail_point!(name, |_| {
        state::count_hit(name);
        true
    });
    false
}

async fn die_once_written(name: &'static str) {
    for _ in 0..TURNS {
        tokio::task::yield_now().await;
    }
    die(name)
}

/// As `kill -9`: no destructors, no flushing, no answer to anybody.
fn die(name: &'static str) -> ! {
    eprintln!("crash point {name}: the process kills itself");
    if let Err(error) = kill(Pid::this(), Signal::SIGKILL) {
        eprintln!("crash point {name}: {error}");
    }
    std::process::abort()
}
