//! Who waits for which saga of this node.

use ledger::Transfer;
use placement::TransferId;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// Those who wait. A saga may also be settled by another replica, so nobody should wait here for ever.
#[derive(Debug, Default)]
pub struct Waiters(Mutex<HashMap<TransferId, Vec<oneshot::Sender<Transfer>>>>);

impl Waiters {
    /// Waits for the terminal state from now on.
    pub fn subscribe(&self, id: TransferId) -> oneshot::Receiver<Transfer> {
        let (sender, receiver) = oneshot::channel();
        self.lock().entry(id).or_default().push(sender);
        receiver
    }

    /// Tells everybody who waits for it.
    pub fn tell(&self, transfer: &Transfer) {
        for waiting in self.lock().remove(&transfer.id).unwrap_or_default() {
            // Whoever has given up does not need to know.
            drop(waiting.send(transfer.clone()));
        }
    }

    /// Forgets those who have given up.
    pub fn forget(&self, id: TransferId) {
        let mut waiters = self.lock();
        if let Some(waiting) = waiters.get_mut(&id) {
            waiting.retain(|sender| !sender.is_closed());
            if waiting.is_empty() {
                waiters.remove(&id);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TransferId, Vec<oneshot::Sender<Transfer>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
