//! Reading a query's rows page by page.

use tokio_postgres::{Portal, Row};

use super::Meter;
use crate::AuditError;
use crate::snapshot::Snapshot;

/// The rows of a query, in its order.
pub(super) struct Pages<'a, 'c> {
    snapshot: &'a Snapshot<'c>,
    meter: &'a Meter<'a>,
    portal: Portal,
    what: &'static str,
    rows_max: i32,
}

impl<'a, 'c> Pages<'a, 'c> {
    /// Asks for `what`, so many rows at a time.
    pub async fn of(
        sql: &str,
        what: &'static str,
        rows_max: i32,
        snapshot: &'a Snapshot<'c>,
        meter: &'a Meter<'a>,
    ) -> Result<Self, AuditError> {
        let bound = snapshot.transaction.bind(sql, &[]).await;
        let portal = bound.map_err(AuditError::asking(snapshot.shard, what))?;
        Ok(Pages { snapshot, meter, portal, what, rows_max })
    }

    /// The next page; empty after the last one.
    pub async fn next(&mut self) -> Result<Vec<Row>, AuditError> {
        let page = self.snapshot.transaction.query_portal(&self.portal, self.rows_max).await;
        let page = page.map_err(AuditError::asking(self.snapshot.shard, self.what))?;
        self.meter.read(page.len());
        Ok(page)
    }

    /// For `map_err`: a column that cannot be read.
    pub fn failed(&self) -> impl FnOnce(tokio_postgres::Error) -> AuditError + use<> {
        AuditError::asking(self.snapshot.shard, self.what)
    }
}
