//! What is exact within one shard's snapshot, as questions that PostgreSQL answers by itself.
//!
//! Each gives one row for each thing looked at: NULL, or what is wrong with it. The small numbers are those of the
//! shard-node: state 2 posted, 3 released, 4 rejected; kind 0 transfer, 1 deposit, 2 withdrawal; decision 0 credited,
//! 1 refused, 2 voided.

use std::borrow::Cow;

use crate::snapshot::Snapshot;
use crate::{AuditError, CheckResult, Invariant, Limits};

/// The slots that count: those that the shard owns, as far as they are wanted. A slot on its way to another shard is
/// there twice; it counts where it is active or frozen.
pub(crate) const COUNTED: &str = "WITH counted AS MATERIALIZED (SELECT slot FROM slot_owner \
     WHERE state IN (0, 1) AND ($1::smallint[] IS NULL OR slot = ANY ($1)))";

const NO_OVERDRAFT: &str = "SELECT CASE WHEN NOT (0 <= reserved AND reserved <= balance) \
         THEN format('account %s: balance %s, reserved %s', id, balance, reserved) END \
     FROM accounts WHERE slot IN (SELECT slot FROM counted)";

const RESERVED_EXPLAINED: &str = "SELECT CASE \
         WHEN account.id IS NULL \
             THEN format('account %s does not exist, and open transfers hold %s of it', held.id, held.amount) \
         WHEN account.reserved <> coalesce(held.amount, 0) \
             THEN format('account %s: %s reserved, open transfers hold %s', account.id, reserved, coalesce(held.amount, 0)) \
         WHEN held.low <> account.currency OR held.high <> account.currency \
             THEN format('account %s: open transfers hold another currency', account.id) END \
     FROM (SELECT id, reserved, currency FROM accounts WHERE slot IN (SELECT slot FROM counted)) AS account \
     FULL JOIN (SELECT debit_account AS id, sum(amount) AS amount, min(currency) AS low, max(currency) AS high \
         FROM reservations WHERE slot IN (SELECT slot FROM counted) GROUP BY debit_account) AS held USING (id)";

/// In numeric, for damaged numbers must not end the audit.
const HISTORY_EXPLAINS_BALANCE: &str = "SELECT CASE \
         WHEN walked.account IS NULL AND entry_count = 0 AND account.balance = 0 THEN NULL \
         WHEN walked.account IS NULL \
             THEN format('account %s: balance %s and %s entries, without a history', account.id, account.balance, entry_count) \
         WHEN account.id IS NULL THEN format('account %s does not exist, and has entry %s', walked.account, entry) \
         WHEN walked.currency <> account.currency \
             THEN format('account %s in %s: entry %s is in %s', account.id, account.currency, entry, walked.currency) \
         WHEN entry <> entry_before + 1 \
             THEN format('account %s: after entry %s comes entry %s', account.id, entry_before, entry) \
         WHEN walked.balance <> balance_before + change OR walked.balance < 0 \
             THEN format('account %s, entry %s: %s after a balance of %s and a change of %s', \
                 account.id, entry, walked.balance, balance_before, change) \
         WHEN is_last AND entry <> entry_count \
             THEN format('account %s: %s entries, the last is %s', account.id, entry_count, entry) \
         WHEN is_last AND walked.balance <> account.balance \
             THEN format('account %s: balance %s, after the last entry %s', account.id, account.balance, walked.balance) \
         END \
     FROM (SELECT id, currency, balance, entry_count FROM accounts WHERE slot IN (SELECT slot FROM counted)) AS account \
     FULL JOIN (SELECT account, entry, change, balance, currency, \
             lag(entry, 1, 0::bigint) OVER numbered AS entry_before, \
             lag(balance, 1, 0::bigint) OVER numbered AS balance_before, \
             lead(entry) OVER numbered IS NULL AS is_last \
         FROM (SELECT debit_account AS account, debit_entry AS entry, -amount::numeric AS change, \
                 debit_balance AS balance, currency \
             FROM transfers WHERE debit_entry IS NOT NULL AND debit_slot IN (SELECT slot FROM counted) \
             UNION ALL SELECT credit_account, credit_entry, amount, credit_balance, currency \
             FROM transfers WHERE credit_entry IS NOT NULL AND credit_slot IN (SELECT slot FROM counted)) AS side \
         WINDOW numbered AS (PARTITION BY account ORDER BY entry)) AS walked ON walked.account = account.id";

const TRANSFERS_WELL_FORMED: &str = "SELECT CASE \
         WHEN state NOT IN (2, 3, 4) THEN format('transfer %s has state %s, which is not terminal', id, state) \
         WHEN state IN (3, 4) AND num_nonnulls(debit_entry, credit_entry) > 0 \
             THEN format('transfer %s is %s, and has a side', id, CASE state WHEN 3 THEN 'released' ELSE 'rejected' END) \
         WHEN (state = 2) <> (reason IS NULL) THEN format('transfer %s: state %s, reason %s', id, state, reason) \
         WHEN state = 2 AND amount <= 0 THEN format('transfer %s is posted with an amount of %s', id, amount) \
         WHEN state = 2 AND num_nonnulls(debit_entry, credit_entry) = 0 \
             THEN format('transfer %s is posted, and has no side', id) \
         WHEN NOT CASE kind \
                 WHEN 0 THEN debit_account IS NOT NULL AND (state = 4 OR credit_account IS NOT NULL) \
                 WHEN 1 THEN debit_account IS NULL AND credit_account IS NOT NULL \
                 WHEN 2 THEN debit_account IS NOT NULL AND credit_account IS NULL ELSE false END \
             THEN format('transfer %s of kind %s is from %s to %s', id, kind, debit_account, credit_account) \
         WHEN debit_account IS NULL AND debit_entry IS NOT NULL OR credit_account IS NULL AND credit_entry IS NOT NULL \
             THEN format('transfer %s has a side of no account', id) END \
     FROM transfers WHERE debit_slot IN (SELECT slot FROM counted) OR credit_slot IN (SELECT slot FROM counted)";

const DECISIONS_KEPT: &str = "SELECT CASE \
         WHEN decision NOT IN (0, 1, 2) THEN format('transfer %s has decision %s', transfer_id, decision) \
         WHEN decision = 0 AND credit_entry IS NULL \
             THEN format('transfer %s was decided to be credited, and is not', transfer_id) \
         WHEN decision <> 0 AND credit_entry IS NOT NULL \
             THEN format('transfer %s was refused or voided, and is credited', transfer_id) END \
     FROM inbox LEFT JOIN transfers ON id = transfer_id WHERE slot IN (SELECT slot FROM counted) \
     UNION ALL SELECT CASE WHEN transfer_id IS NULL THEN format('transfer %s is credited without a decision', id) END \
     FROM transfers LEFT JOIN inbox ON transfer_id = id WHERE kind = 0 AND credit_entry IS NOT NULL \
         AND debit_entry IS NULL AND credit_slot IN (SELECT slot FROM counted)";

/// A two-step transfer may also have keys of commits that were refused: amount out of range or more than reserved,
/// account frozen or closed.
const KEYS_LEAD_SOMEWHERE: &str = "SELECT CASE \
         WHEN key.account_id IS NOT NULL AND account.id IS NULL \
             THEN format('a key leads to account %s, which does not exist', key.account_id) \
         WHEN account.slot <> key.slot \
             THEN format('a key in slot %s leads to account %s in slot %s', key.slot, account.id, account.slot) \
         WHEN key.transfer_id IS NULL THEN NULL \
         WHEN transfer.id IS NULL AND open.transfer_id IS NULL \
             THEN format('a key leads to transfer %s, which does not exist', key.transfer_id) \
         WHEN coalesce(open.slot, transfer.debit_slot, transfer.credit_slot) <> key.slot \
             THEN format('a key in slot %s leads to transfer %s of another slot', key.slot, key.transfer_id) \
         WHEN coalesce(transfer.expires_at, open.expires_at) IS NOT NULL AND coalesce(rejection, 3) IN (3, 4, 11, 12) \
             THEN NULL \
         WHEN (rejection IS NOT NULL) <> (coalesce(transfer.state, 0) = 4) OR rejection <> transfer.reason \
             THEN format('transfer %s has state %s and reason %s, its key says rejection %s', \
                 key.transfer_id, transfer.state, transfer.reason, rejection) END \
     FROM idempotency AS key LEFT JOIN accounts AS account ON account.id = key.account_id \
     LEFT JOIN transfers AS transfer ON transfer.id = key.transfer_id \
     LEFT JOIN reservations AS open ON open.transfer_id = key.transfer_id \
     WHERE key.slot IN (SELECT slot FROM counted)";

/// A two-step transfer comes of one key and is committed with another, unless it was released by its client or has
/// expired (reasons 17 and 18).
const ONE_EFFECT_PER_KEY: &str = "SELECT CASE \
         WHEN NOT is_two_step AND made + refused > 1 THEN format('transfer %s came of %s keys', id, made + refused) \
         WHEN made > 2 THEN format('transfer %s was reserved and committed with %s keys', id, made) \
         WHEN made > 1 AND reason IN (17, 18) THEN format('transfer %s was committed and released', id) END \
     FROM (SELECT key.transfer_id AS id, count(*) FILTER (WHERE rejection IS NULL) AS made, \
             count(*) FILTER (WHERE rejection IS NOT NULL) AS refused, min(transfer.reason) AS reason, \
             count(coalesce(transfer.expires_at, open.expires_at)) > 0 AS is_two_step \
         FROM idempotency AS key LEFT JOIN transfers AS transfer ON transfer.id = key.transfer_id \
         LEFT JOIN reservations AS open ON open.transfer_id = key.transfer_id \
         WHERE key.transfer_id IS NOT NULL AND key.slot IN (SELECT slot FROM counted) GROUP BY key.transfer_id) AS came \
     UNION ALL SELECT CASE WHEN count(*) > 1 \
         THEN format('account %s came of %s keys', account_id, count(*)) END FROM idempotency \
     WHERE account_id IS NOT NULL AND slot IN (SELECT slot FROM counted) GROUP BY account_id";

/// `{}` is the age in seconds that is too old: of a saga, or of what was due to expire. What is held (state 2) has no
/// message.
const SAGAS_IN_TIME: &str = "SELECT CASE \
         WHEN transfer.id IS NOT NULL AND (transfer.debit_entry IS NOT NULL OR transfer.state <> 2) \
             THEN format('transfer %s is open and has ended', open.transfer_id) \
         WHEN open.state = 2 AND outbox.transfer_id IS NOT NULL \
             THEN format('transfer %s is held by its client, and a message drives it', open.transfer_id) \
         WHEN open.state = 2 AND open.expires_at < now() - interval '1 second' * {} \
             THEN format('transfer %s has been due to expire since %s', open.transfer_id, open.expires_at) \
         WHEN open.state = 2 THEN NULL \
         WHEN coalesce(open.committed_at, open.created_at) < now() - interval '1 second' * {} \
             THEN format('transfer %s has been open since %s', open.transfer_id, \
                 coalesce(open.committed_at, open.created_at)) \
         WHEN outbox.transfer_id IS NULL THEN format('transfer %s is open, and no message drives it', open.transfer_id) \
         END \
     FROM reservations AS open LEFT JOIN outbox USING (transfer_id) \
     LEFT JOIN transfers AS transfer ON transfer.id = open.transfer_id \
     WHERE open.slot IN (SELECT slot FROM counted)";

/// A question about one shard.
pub(crate) struct Probe {
    invariant: Invariant,
    sql: Cow<'static, str>,
}

/// All of them.
pub(crate) fn probes(limits: &Limits) -> Vec<Probe> {
    let fixed = [
        (Invariant::NoOverdraft, NO_OVERDRAFT),
        (Invariant::ReservedExplained, RESERVED_EXPLAINED),
        (Invariant::HistoryExplainsBalance, HISTORY_EXPLAINS_BALANCE),
        (Invariant::TransfersWellFormed, TRANSFERS_WELL_FORMED),
        (Invariant::DecisionsKept, DECISIONS_KEPT),
        (Invariant::KeysLeadSomewhere, KEYS_LEAD_SOMEWHERE),
        (Invariant::OneEffectPerKey, ONE_EFFECT_PER_KEY),
    ];
    let mut probes: Vec<Probe> =
        fixed.into_iter().map(|(invariant, sql)| Probe { invariant, sql: Cow::Borrowed(sql) }).collect();
    let sagas = SAGAS_IN_TIME.replace("{}", &limits.saga_age.as_secs().to_string());
    probes.push(Probe { invariant: Invariant::SagasInTime, sql: Cow::Owned(sagas) });
    probes
}

impl Probe {
    /// Asks a shard. What is wrong is counted and the least text of it kept, so that PostgreSQL needs no memory for
    /// however many violations there are.
    pub async fn ask(&self, snapshot: &Snapshot<'_>, limits: &Limits) -> Result<CheckResult, AuditError> {
        let shard = snapshot.shard;
        let sql = format!(
            "{COUNTED}, each (violation) AS ({}) SELECT count(*), count(violation), min(violation) FROM each",
            self.sql
        );
        let asked = snapshot.transaction.query_one(&sql, &[&limits.slot_numbers()]).await;
        let row = asked.map_err(AuditError::asking(shard, self.invariant.as_str()))?;
        let (checked, violations): (i64, i64) = (row.get(0), row.get(1));
        Ok(CheckResult {
            checked: checked.unsigned_abs(),
            violations: violations.unsigned_abs(),
            first: row.get(2),
            ..CheckResult::of(self.invariant, Some(shard))
        })
    }
}
