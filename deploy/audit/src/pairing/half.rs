//! What one shard has of a transfer with another.

use placement::{AccountId, RegionCode, ShardId, Slot, TransferId};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::probes::COUNTED;
use crate::{AuditError, Invariant};

/// Debits and credits without their other side here, releases, and decisions against a transfer. No other shard was
/// asked about a two-step transfer that its client released, that has expired (reasons 17 and 18), or whose credit
/// account, on this shard too, could not take it.
const HALVES: &str = "SELECT 0::smallint, id, debit_account, credit_account, amount, currency, NULL::smallint \
     FROM transfers WHERE kind = 0 AND debit_entry IS NOT NULL AND credit_entry IS NULL \
         AND debit_slot IN (SELECT slot FROM counted) \
     UNION ALL SELECT 1::smallint, id, debit_account, credit_account, amount, currency, NULL::smallint \
     FROM transfers WHERE kind = 0 AND credit_entry IS NOT NULL AND debit_entry IS NULL \
         AND credit_slot IN (SELECT slot FROM counted) \
     UNION ALL SELECT 2::smallint, id, debit_account, credit_account, amount, currency, reason \
     FROM transfers WHERE kind = 0 AND state = 3 AND debit_slot IN (SELECT slot FROM counted) \
         AND NOT (expires_at IS NOT NULL AND (reason IN (17, 18) OR credit_slot IN (SELECT slot FROM counted))) \
     UNION ALL SELECT 3::smallint, transfer_id, NULL, NULL, NULL, NULL, CASE decision WHEN 2 THEN 16::smallint ELSE reason END \
     FROM inbox WHERE decision <> 0 AND slot IN (SELECT slot FROM counted)";

pub(super) fn sql() -> String {
    format!("{COUNTED} {HALVES}")
}

/// Which half it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// The debit side is here.
    Debit,
    /// The credit side is here.
    Credit,
    /// The debit account's shard gave the amount back.
    Release,
    /// The credit account's shard decided against it.
    Refusal,
}

impl Role {
    pub fn invariant(self) -> Invariant {
        match self {
            Role::Debit => Invariant::DebitsPaired,
            Role::Credit => Invariant::CreditsPaired,
            Role::Release => Invariant::ReleasesDecided,
            Role::Refusal => Invariant::RefusalsFollowed,
        }
    }
}

/// A half. It is terminal: it never changes again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Half {
    pub role: Role,
    pub id: Uuid,
    /// Unknown to a refusal, as everything that follows but the reason.
    pub debit_account: Option<i64>,
    pub credit_account: Option<i64>,
    pub amount: Option<i64>,
    pub currency: Option<String>,
    /// The rejection's number, of releases and refusals.
    pub reason: Option<i16>,
}

impl Half {
    /// From a row of [`sql`].
    pub fn read(row: &Row, shard: ShardId) -> Result<Half, AuditError> {
        let role = match row.get::<_, i16>(0) {
            0 => Role::Debit,
            1 => Role::Credit,
            2 => Role::Release,
            3 => Role::Refusal,
            other => return Err(AuditError::unreadable(shard, format_args!("a half of kind {other}"))),
        };
        Ok(Half {
            role,
            id: row.get(1),
            debit_account: row.get(2),
            credit_account: row.get(3),
            amount: row.get(4),
            currency: row.get(5),
            reason: row.get(6),
        })
    }

    /// The slot to which the other half belongs; `None` if the ids say nothing.
    pub fn other_slot(&self) -> Option<(RegionCode, Slot)> {
        let account = match self.role {
            Role::Debit | Role::Release => self.credit_account,
            Role::Credit => self.debit_account,
            Role::Refusal => {
                let id = TransferId::try_from(self.id).ok()?;
                return Some((id.region(), id.slot()));
            }
        };
        let account = AccountId::try_from(account?).ok()?;
        Some((account.region(), account.slot()))
    }
}
