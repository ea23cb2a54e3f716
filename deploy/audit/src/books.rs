//! The sums of a shard's books, by currency.

use std::collections::BTreeMap;

use tokio_postgres::Row;

use crate::probes::COUNTED;
use crate::snapshot::Snapshot;
use crate::{AuditError, CheckResult, Invariant};

/// As text, for sums of a whole shard may need more than 64 bits.
const SUMS: &str = "SELECT currency, sum(accounts)::text, sum(external)::text, sum(clearing)::text, sum(rows)::bigint \
     FROM (SELECT currency, sum(balance) AS accounts, 0 AS external, 0 AS clearing, count(*) AS rows \
         FROM accounts WHERE slot IN (SELECT slot FROM counted) GROUP BY currency \
         UNION ALL SELECT currency, 0, sum(total), 0, count(*) FROM external GROUP BY currency \
         UNION ALL SELECT currency, 0, 0, sum(total), count(*) FROM clearing GROUP BY currency) AS part \
     GROUP BY currency ORDER BY currency";

/// Sums of one currency.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    accounts: i128,
    external: i128,
    pub clearing: i128,
    /// Accounts and counterparts that were added up.
    rows: u64,
}

/// The sums of each currency.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Books(pub BTreeMap<String, Sums>);

impl Books {
    /// Adds up a shard.
    pub async fn read(snapshot: &Snapshot<'_>) -> Result<Books, AuditError> {
        let sql = format!("{COUNTED} {SUMS}");
        let everything: Option<Vec<i16>> = None;
        let rows = snapshot.transaction.query(&sql, &[&everything]).await;
        let rows = rows.map_err(AuditError::asking(snapshot.shard, "its sums"))?;
        let sums = rows.iter().map(|row| Ok((row.get(0), sums(snapshot, row)?)));
        Ok(Books(sums.collect::<Result<_, AuditError>>()?))
    }

    /// Adds another shard's sums.
    pub fn add(&mut self, other: &Books) {
        for (currency, sums) in &other.0 {
            let total = self.0.entry(currency.clone()).or_default();
            total.accounts += sums.accounts;
            total.external += sums.external;
            total.clearing += sums.clearing;
            total.rows += sums.rows;
        }
    }

    /// Whether each currency comes to 0.
    pub fn check(&self, mut result: CheckResult) -> CheckResult {
        debug_assert_eq!(result.invariant, Invariant::BooksAtZero);
        for (currency, Sums { accounts, external, clearing, rows }) in &self.0 {
            result.checked += rows;
            let sum = accounts + external + clearing;
            if sum != 0 {
                result.breach(format!(
                    "{currency}: accounts {accounts}, external {external} and clearing {clearing} come to {sum}"
                ));
            }
        }
        result
    }
}

fn sums(snapshot: &Snapshot<'_>, row: &Row) -> Result<Sums, AuditError> {
    let number = |column: usize| {
        let text: &str = row.get(column);
        text.parse().map_err(|_| AuditError::unreadable(snapshot.shard, format_args!("a sum of {text}")))
    };
    let rows: i64 = row.get(4);
    Ok(Sums { accounts: number(1)?, external: number(2)?, clearing: number(3)?, rows: rows.unsigned_abs() })
}
