//! The one signal to stop, heard by every part of a process.

use std::io;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Tells, once and for good, that the process is to drain and stop. Clones are the same signal.
#[derive(Debug, Clone)]
pub struct Shutdown {
    sender: Arc<watch::Sender<bool>>,
}

impl Shutdown {
    /// One that only [`Shutdown::trigger`] sets off.
    pub fn new() -> Self {
        Self { sender: Arc::new(watch::Sender::new(false)) }
    }

    /// One that SIGTERM and SIGINT set off, too. Needs a running tokio runtime.
    ///
    /// # Errors
    /// The system does not let us listen for the signals.
    pub fn on_signals() -> io::Result<Self> {
        let shutdown = Self::new();
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let trigger = shutdown.clone();
        // Lives as long as the process; later signals are taken and ignored, for the drain has a
        // deadline of its own, and a Ctrl-C often reaches a process both directly and by its parent.
        tokio::spawn(async move {
            loop {
                let name = tokio::select! {
                    _ = terminate.recv() => "SIGTERM",
                    _ = interrupt.recv() => "SIGINT",
                };
                tracing::info!(signal = name, "stopping");
                trigger.trigger();
            }
        });
        Ok(shutdown)
    }

    /// Sets the signal off; once more does nothing.
    pub fn trigger(&self) {
        self.sender.send_replace(true);
    }

    /// Whether the signal was set off.
    pub fn is_triggered(&self) -> bool {
        *self.sender.borrow()
    }

    /// Waits until the signal is set off; at once if it was before. May be dropped at any time.
    pub async fn triggered(&self) {
        let mut receiver = self.sender.subscribe();
        // We hold the sender, so waiting cannot fail.
        if receiver.wait_for(|triggered| *triggered).await.is_err() {
            std::future::pending().await
        }
    }
}

impl Default for Shutdown {
    fn default() -> Self {
        Self::new()
    }
}
