//! The ownership fence: the proof, needed by every write, that the slots are still this shard's.
//!
//! A batch holds a shared advisory lock for its transaction; a mover takes the exclusive one for a moment,
//! which waits for the batches in flight and makes later ones see its change.

use tokio_postgres::Error;

/// The lock's number; any that no other advisory lock of the schema uses.
const OWNERSHIP_LOCK: i64 = 1;

/// Takes the shared lock and tells the tables' triggers so.
pub(super) const HOLD: &str = "SELECT pg_advisory_xact_lock_shared($1), set_config('wallet.fence', 'held', true)";

/// Read in a later statement than the lock, whose wait does not refresh a snapshot.
pub(super) const VERSION: &str = "SELECT version FROM fence";

/// Begins a transaction under the fence on a pooled connection, for the few writes that are not a lane's.
pub(super) async fn begin(client: &mut deadpool_postgres::Client) -> Result<deadpool_postgres::Transaction<'_>, Error> {
    let transaction = client.transaction().await?;
    transaction.execute(HOLD, &[&OWNERSHIP_LOCK]).await?;
    Ok(transaction)
}

/// A batch's transaction under the fence; the saving statements of a batch ask for one. It stands for a promise of
/// whoever makes it; the triggers of the tables are what a broken promise meets.
#[derive(Debug, Clone, Copy)]
pub struct Fenced<'a> {
    client: &'a tokio_postgres::Client,
}

impl<'a> Fenced<'a> {
    /// To be made from the client whose transaction has sent [`HOLD`] first.
    pub(super) fn holding(client: &'a tokio_postgres::Client) -> Self {
        Fenced { client }
    }

    pub(super) fn client(&self) -> &'a tokio_postgres::Client {
        self.client
    }

    pub(super) fn lock_number() -> i64 {
        OWNERSHIP_LOCK
    }
}
