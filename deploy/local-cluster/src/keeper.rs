//! The one thread that starts long-lived processes.
//!
//! The kernel sends the parent-death signal when the *thread* that started a process ends, not when its process does.
//! Tests run on short-lived threads and runtimes come and go; this thread stays for as long as the program.

use std::io;
use std::process::ExitStatus;
use std::sync::Mutex;

use tokio::sync::{mpsc, oneshot, watch};

static KEEPER: Mutex<Option<mpsc::Sender<Request>>> = Mutex::new(None);

const REQUESTS_MAX: usize = 64;

struct Request {
    command: std::process::Command,
    reply: oneshot::Sender<io::Result<Child>>,
}

/// A process started by this program.
#[derive(Debug, Clone)]
pub(crate) struct Child {
    pub(crate) pid: u32,
    exit: watch::Receiver<Option<ExitStatus>>,
}

impl Child {
    /// Waits for the end of the process. `None`: how it ended is not known.
    pub(crate) async fn exited(&mut self) -> Option<ExitStatus> {
        match self.exit.wait_for(Option::is_some).await {
            Ok(status) => *status,
            Err(_) => None,
        }
    }
}

/// Starts a process from the keeper's thread.
pub(crate) async fn spawn(command: std::process::Command) -> io::Result<Child> {
    let (reply, answer) = oneshot::channel();
    let keeper = keeper()?;
    keeper.send(Request { command, reply }).await.map_err(|_| ended())?;
    answer.await.map_err(|_| ended())?
}

fn ended() -> io::Error {
    io::Error::other("the thread that starts processes has ended")
}

fn keeper() -> io::Result<mpsc::Sender<Request>> {
    let mut slot = KEEPER.lock().map_err(|_| ended())?;
    if let Some(keeper) = slot.as_ref() {
        return Ok(keeper.clone());
    }
    let (sender, requests) = mpsc::channel(REQUESTS_MAX);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("keeper".to_owned()).spawn(move || {
        tokio::task::LocalSet::new().block_on(&runtime, serve(requests));
    })?;
    *slot = Some(sender.clone());
    Ok(sender)
}

async fn serve(mut requests: mpsc::Receiver<Request>) {
    while let Some(Request { command, reply }) = requests.recv().await {
        let (watched, child) = match start(command) {
            Ok(started) => started,
            Err(error) => {
                drop(reply.send(Err(error)));
                continue;
            }
        };
        if reply.send(Ok(child)).is_ok() {
            tokio::task::spawn_local(watch_until_exit(watched));
        } else {
            // Whoever asked has given up, so nobody would ever stop this process.
            tokio::task::spawn_local(kill(watched));
        }
    }
}

struct Watched {
    process: tokio::process::Child,
    exit: watch::Sender<Option<ExitStatus>>,
}

fn start(command: std::process::Command) -> io::Result<(Watched, Child)> {
    let process = tokio::process::Command::from(command).spawn()?;
    let pid = process.id().ok_or_else(|| io::Error::other("the process ended at once"))?;
    let (exit, watcher) = watch::channel(None);
    Ok((Watched { process, exit }, Child { pid, exit: watcher }))
}

async fn watch_until_exit(mut watched: Watched) {
    // Without a status the sender is dropped, and `Child::exited` answers `None`.
    if let Ok(status) = watched.process.wait().await {
        watched.exit.send_replace(Some(status));
    }
}

async fn kill(mut watched: Watched) {
    // An error means that it ended by itself meanwhile.
    drop(watched.process.kill().await);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn exit_status_is_seen() {
        let mut command = std::process::Command::new("sh");
        command.args(["-c", "exit 7"]);
        let mut child = spawn(command).await.unwrap();
        assert_eq!(child.exited().await.unwrap().code(), Some(7));
    }

    #[tokio::test]
    async fn missing_program_is_an_error() {
        assert!(spawn(std::process::Command::new("/nowhere/at-all")).await.is_err());
    }

    #[test]
    fn process_outlives_the_thread_that_asked_for_it() {
        let child = std::thread::spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let mut command = std::process::Command::new("setpriv");
            command.args(["--pdeathsig", "KILL", "--", "sleep", "60"]);
            runtime.block_on(spawn(command)).unwrap()
        })
        .join()
        .unwrap();
        let identity = crate::identity::ProcessIdentity::of(child.pid).unwrap();
        assert!(!identity.gone_blocking(std::time::Duration::from_millis(200)));
        identity.signal(nix::sys::signal::Signal::SIGKILL).unwrap();
        assert!(identity.gone_blocking(std::time::Duration::from_secs(5)));
    }
}
