//! What may be done to the tables of a shard, and what must be found.

use super::copy::{Copy, kept};
use anyhow::{Context, Result, ensure};
use audit::Breach::{BatchChanged, BatchesRemoved, RowAdded, RowChanged, RowRemoved, StartMoved};
use audit::Table::{self, Accounts, Inbox, Keys, Reservations, Transfers};
use audit::{Breach, RowId, ShardChains};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// Something done to a copy of a shard's database.
pub struct Tampering {
    pub name: &'static str,
    /// Gives back what it was done to: ids of rows and, of writer 0, numbers of batches; ids of accounts are numbers too.
    sql: &'static str,
    /// What must be found, and nothing else.
    found: Found,
}

enum Found {
    /// The rows of the table are not as their batches wrote them.
    Changed(Table),
    /// The rows of the table are gone.
    Removed(Table),
    /// The rows of the table were written by no batch.
    Added(Table),
    /// The first row is gone, the second was written by no batch.
    Replaced(Table),
    /// The batches are not as they were written.
    Batches,
    /// The batch is not as it was written, and does not fit the row.
    BatchAndRow,
    /// The batch is not as it was written, and the row is in none.
    BatchWithoutRow,
    /// The batch is gone, and its rows are in none.
    BatchGone,
    /// The rows of the batch are in none.
    TailGone,
    /// Nothing, unless a head was kept: then the batch is gone.
    TailGoneWithRows,
    /// Nothing, unless the starts of the chains were kept: then they are others. All rows of the table are without proof.
    StartMoved(Table),
    /// All rows are in no batch.
    All,
    /// Nothing: it is none of the chain's business.
    Nothing,
}

/// A transfer within the shard, with both sides.
macro_rules! local {
    () => {
        "(SELECT id FROM transfers WHERE debit_entry IS NOT NULL AND credit_entry IS NOT NULL ORDER BY id LIMIT 1)"
    };
}

macro_rules! changed {
    ($name:literal, $set:literal) => {
        Tampering {
            name: $name,
            sql: concat!("UPDATE transfers SET ", $set, " WHERE id = ", local!(), " RETURNING id, 0::bigint"),
            found: Found::Changed(Transfers),
        }
    };
}

macro_rules! account {
    ($name:literal, $set:literal, $which:literal) => {
        Tampering {
            name: $name,
            sql: concat!(
                "UPDATE accounts SET ",
                $set,
                " WHERE id = (SELECT min(id) FROM accounts WHERE ",
                $which,
                ") RETURNING NULL::uuid, id"
            ),
            found: Found::Changed(Accounts),
        }
    };
}

macro_rules! key {
    ($name:literal, $set:literal) => {
        Tampering {
            name: $name,
            sql: concat!(
                "UPDATE idempotency SET ",
                $set,
                " WHERE key_hash = (SELECT key_hash FROM idempotency WHERE transfer_id IS NOT NULL \
                 ORDER BY recorded_at LIMIT 1) RETURNING key_hash, 0::bigint"
            ),
            found: Found::Changed(Keys),
        }
    };
}

/// State 2 is held by its client, 0 waits for the credit account's shard.
macro_rules! reservation {
    ($name:literal, $state:literal, $set:literal) => {
        Tampering {
            name: $name,
            sql: concat!(
                "UPDATE reservations SET ",
                $set,
                " WHERE transfer_id = (SELECT transfer_id FROM reservations WHERE state = ",
                $state,
                " LIMIT 1) RETURNING transfer_id, 0::bigint"
            ),
            found: Found::Changed(Reservations),
        }
    };
}

pub const ALL: &[Tampering] = &[
    account!("account handed over", "user_id = 'mallory'", "balance > 0"),
    account!("account renamed", "name = ''", "true"),
    account!("currency changed", "currency = 'USD'", "true"),
    account!("account moved to another slot", "slot = (slot + 1) % 4096", "true"),
    account!("account older", "created_at = created_at - interval '40 days'", "true"),
    account!("account frozen", "status = 1", "status = 0"),
    account!("account unfrozen", "status = 0", "status = 1"),
    account!("account closed", "status = 2", "status = 1"),
    Tampering {
        name: "account added",
        sql: "INSERT INTO accounts SELECT id + 1, slot, user_id, name, currency, 0, 0, 0, 0, now() FROM accounts \
              WHERE id = (SELECT min(id) FROM accounts) RETURNING NULL::uuid, id",
        found: Found::Added(Accounts),
    },
    Tampering {
        name: "account removed",
        sql: "DELETE FROM accounts WHERE id = (SELECT min(id) FROM accounts) RETURNING NULL::uuid, id",
        found: Found::Removed(Accounts),
    },
    Tampering {
        name: "sums of an account",
        sql: "UPDATE accounts SET balance = balance + 1, entry_count = entry_count + 1 RETURNING NULL::uuid, id",
        found: Found::Nothing,
    },
    key!("fingerprint changed", "fingerprint = gen_random_uuid()"),
    key!("key led to another transfer", "transfer_id = gen_random_uuid()"),
    key!("key given a refusal", "rejection = 2"),
    key!("key moved to another slot", "slot = (slot + 1) % 4096"),
    key!("key younger", "recorded_at = recorded_at + interval '1 microsecond'"),
    key!("key made forgettable", "recorded_at = recorded_at - interval '40 days'"),
    Tampering {
        name: "key removed, for a second execution",
        sql: "DELETE FROM idempotency WHERE key_hash = (SELECT key_hash FROM idempotency LIMIT 1) \
              RETURNING key_hash, 0::bigint",
        found: Found::Removed(Keys),
    },
    Tampering {
        name: "every key removed",
        sql: "DELETE FROM idempotency RETURNING key_hash, 0::bigint",
        found: Found::Removed(Keys),
    },
    Tampering {
        name: "key added",
        sql: "INSERT INTO idempotency SELECT slot, gen_random_uuid(), fingerprint, transfer_id, account_id, rejection, \
              recorded_at FROM idempotency LIMIT 1 RETURNING key_hash, 0::bigint",
        found: Found::Added(Keys),
    },
    Tampering {
        name: "old key added",
        sql: "INSERT INTO idempotency SELECT slot, gen_random_uuid(), fingerprint, transfer_id, account_id, rejection, \
              recorded_at - interval '34 days' FROM idempotency LIMIT 1 RETURNING key_hash, 0::bigint",
        found: Found::Added(Keys),
    },
    Tampering {
        name: "key given another hash",
        sql: "WITH old AS (SELECT slot, key_hash FROM idempotency LIMIT 1), \
              new AS (UPDATE idempotency SET key_hash = gen_random_uuid() FROM old \
              WHERE idempotency.slot = old.slot AND idempotency.key_hash = old.key_hash RETURNING idempotency.key_hash) \
              SELECT key_hash, 0::bigint FROM old UNION ALL SELECT key_hash, 1::bigint FROM new",
        found: Found::Replaced(Keys),
    },
    reservation!("held transfer led to another account", "2", "credit_account = credit_account + 1"),
    reservation!("held transfer charged to another account", "2", "debit_account = debit_account + 1"),
    reservation!("holder of a held transfer", "2", "debit_user = 'mallory'"),
    reservation!("held amount", "2", "amount = amount - 1"),
    reservation!("amount and what was held", "2", "amount = amount + 1, amount_reserved = amount_reserved + 1"),
    reservation!("expiry of a held transfer", "2", "expires_at = expires_at + interval '1 day'"),
    reservation!("held transfer committed", "2", "state = 0"),
    reservation!("time of a commit", "2", "committed_at = created_at"),
    reservation!("open transfer led to another account", "0", "credit_account = credit_account + 1"),
    reservation!("open transfer held", "0", "state = 2"),
    reservation!("message of an open transfer", "0", "message = 'forged'"),
    reservation!("slot of an open transfer", "0", "slot = (slot + 1) % 4096"),
    Tampering {
        name: "sending of an open transfer",
        sql: "UPDATE reservations SET state = 1, void_after = now() WHERE state = 0 RETURNING transfer_id, 0::bigint",
        found: Found::Nothing,
    },
    Tampering {
        name: "held transfer added",
        sql: "INSERT INTO reservations SELECT (left(transfer_id::text, 32) || 'ffff')::uuid, slot, state, debit_account, \
              debit_user, credit_account, amount, currency, message, reference, created_at, void_after, amount_reserved, \
              expires_at, committed_at FROM reservations WHERE state = 2 LIMIT 1 RETURNING transfer_id, 0::bigint",
        found: Found::Added(Reservations),
    },
    Tampering {
        name: "held transfer removed",
        sql: "DELETE FROM reservations WHERE state = 2 RETURNING transfer_id, 0::bigint",
        found: Found::Removed(Reservations),
    },
    Tampering {
        name: "open transfer removed",
        sql: "DELETE FROM reservations WHERE state = 0 RETURNING transfer_id, 0::bigint",
        found: Found::Removed(Reservations),
    },
    Tampering {
        name: "start of the chains moved, for a row to be dated before it",
        sql: "WITH start AS (UPDATE chain_start SET since = now() + interval '1 hour'), \
              forged AS (INSERT INTO transfers (id, amount, kind, state, currency, decided_at) \
              SELECT (left(id::text, 32) || 'ffff')::uuid, 1, 0, 4, 'SGD', now() FROM transfers ORDER BY id LIMIT 1) \
              SELECT NULL::uuid, 1 + count(*) FROM transfers",
        found: Found::StartMoved(Transfers),
    },
    Tampering {
        name: "start of the other tables moved, for an account to be dated before it",
        sql: "WITH start AS (UPDATE chain_start SET whole_since = now() + interval '1 hour'), \
              forged AS (INSERT INTO accounts SELECT id + 1, slot, user_id, name, currency, 0, 0, 0, 0, now() \
              FROM accounts WHERE id = (SELECT min(id) FROM accounts)) SELECT NULL::uuid, 1 + count(*) FROM accounts",
        found: Found::StartMoved(Accounts),
    },
    changed!("amount", "amount = amount + 1"),
    changed!("message given", "message = 'forged'"),
    changed!("state", "state = 3"),
    changed!("kind", "kind = 1"),
    changed!("balance", "debit_balance = debit_balance - 1"),
    changed!("entry", "credit_entry = credit_entry + 1"),
    changed!("time", "decided_at = decided_at - interval '1 microsecond'"),
    changed!("time without end", "decided_at = '-infinity'"),
    changed!("beginning", "created_at = decided_at"),
    changed!("account", "credit_account = credit_account + 1"),
    changed!("hold", "amount_reserved = amount, expires_at = decided_at"),
    Tampering {
        name: "message changed",
        sql: "UPDATE transfers SET message = 'for dinner' WHERE message = 'for lunch' RETURNING id, 0::bigint",
        found: Found::Changed(Transfers),
    },
    Tampering {
        name: "message removed",
        sql: "UPDATE transfers SET message = NULL WHERE message = 'for lunch' RETURNING id, 0::bigint",
        found: Found::Changed(Transfers),
    },
    Tampering {
        name: "message made the reference",
        sql: "UPDATE transfers SET message = reference, reference = message WHERE message = 'for lunch' \
              RETURNING id, 0::bigint",
        found: Found::Changed(Transfers),
    },
    Tampering {
        name: "expiry changed",
        sql: "UPDATE transfers SET expires_at = expires_at + interval '1 hour' WHERE expires_at IS NOT NULL \
              RETURNING id, 0::bigint",
        found: Found::Changed(Transfers),
    },
    Tampering {
        name: "reserved amount changed",
        sql: "UPDATE transfers SET amount_reserved = amount_reserved + 1 WHERE expires_at IS NOT NULL \
              RETURNING id, 0::bigint",
        found: Found::Changed(Transfers),
    },
    Tampering {
        name: "two rows exchanged",
        sql: "UPDATE transfers SET amount = 1005 - amount WHERE id IN \
              ((SELECT min(id::text)::uuid FROM transfers WHERE amount = 5), (SELECT min(id::text)::uuid FROM transfers \
              WHERE amount = 1000)) RETURNING id, 0::bigint",
        found: Found::Changed(Transfers),
    },
    Tampering {
        name: "row removed",
        sql: concat!("DELETE FROM transfers WHERE id = ", local!(), " RETURNING id, 0::bigint"),
        found: Found::Removed(Transfers),
    },
    Tampering {
        name: "every row removed",
        sql: "DELETE FROM transfers RETURNING id, 0::bigint",
        found: Found::Removed(Transfers),
    },
    Tampering {
        name: "row added",
        sql: "INSERT INTO transfers (id, amount, kind, state, currency, decided_at) \
              SELECT (left(id::text, 32) || 'ffff')::uuid, 1, 0, 4, 'SGD', now() FROM transfers ORDER BY id LIMIT 1 \
              RETURNING id, 0::bigint",
        found: Found::Added(Transfers),
    },
    Tampering {
        name: "row given another id",
        sql: concat!(
            "WITH old AS (SELECT id FROM transfers WHERE id = ",
            local!(),
            "), \
             new AS (UPDATE transfers SET id = (left(id::text, 32) || 'ffff')::uuid WHERE id = ",
            local!(),
            " RETURNING id) \
             SELECT id, 0::bigint FROM old UNION ALL SELECT id, 1::bigint FROM new"
        ),
        found: Found::Replaced(Transfers),
    },
    Tampering {
        name: "decision changed",
        sql: "UPDATE inbox SET decision = 2, credit_user = NULL WHERE transfer_id = (SELECT transfer_id FROM inbox LIMIT 1) \
              RETURNING transfer_id, 0::bigint",
        found: Found::Changed(Inbox),
    },
    Tampering {
        name: "receiver changed",
        sql: "UPDATE inbox SET credit_user = 'mallory' WHERE transfer_id = (SELECT transfer_id FROM inbox LIMIT 1) \
              RETURNING transfer_id, 0::bigint",
        found: Found::Changed(Inbox),
    },
    Tampering {
        name: "decision removed",
        sql: "DELETE FROM inbox WHERE transfer_id = (SELECT transfer_id FROM inbox LIMIT 1) RETURNING transfer_id, 0::bigint",
        found: Found::Removed(Inbox),
    },
    Tampering {
        name: "decision added",
        sql: "INSERT INTO inbox (transfer_id, slot, debit_shard, decision, decided_at) \
              SELECT (left(transfer_id::text, 32) || 'ffff')::uuid, slot, 2, 2, now() FROM inbox LIMIT 1 \
              RETURNING transfer_id, 0::bigint",
        found: Found::Added(Inbox),
    },
    Tampering {
        name: "digest in a batch changed",
        sql: "UPDATE batches SET transfers = set_byte(transfers, 20, get_byte(transfers, 20) # 1) \
              WHERE writer = 0 AND number = (SELECT min(number) FROM batches WHERE writer = 0 AND transfers <> '') \
              RETURNING encode(substr(transfers, 1, 16), 'hex')::uuid, number",
        found: Found::BatchAndRow,
    },
    Tampering {
        name: "row dropped from a batch",
        sql: "UPDATE batches SET transfers = substr(transfers, 29) FROM (SELECT number AS which, transfers AS before \
              FROM batches WHERE writer = 0 AND transfers <> '' ORDER BY number LIMIT 1) AS old \
              WHERE writer = 0 AND number = which RETURNING encode(substr(before, 1, 16), 'hex')::uuid, number",
        found: Found::BatchWithoutRow,
    },
    Tampering {
        name: "hash of a batch changed",
        sql: "UPDATE batches SET hash = set_byte(hash, 0, get_byte(hash, 0) # 1) WHERE writer = 0 AND number = 3 \
              RETURNING NULL::uuid, number",
        found: Found::Batches,
    },
    Tampering {
        name: "hash of a batch cut off",
        sql: "UPDATE batches SET hash = '' WHERE writer = 0 AND number = 3 RETURNING NULL::uuid, number",
        found: Found::Batches,
    },
    Tampering {
        name: "time of a batch changed",
        sql: "UPDATE batches SET decided_at = decided_at + interval '1 microsecond' WHERE writer = 0 AND number = 3 \
              RETURNING NULL::uuid, number",
        found: Found::Batches,
    },
    Tampering {
        name: "format of a batch changed to the first",
        sql: "UPDATE batches SET format = 1 WHERE writer = 0 AND number = 3 RETURNING NULL::uuid, number",
        found: Found::Batches,
    },
    Tampering {
        name: "format of a batch changed to a coming one",
        sql: "UPDATE batches SET format = 3 WHERE writer = 0 AND number = 3 RETURNING NULL::uuid, number",
        found: Found::Batches,
    },
    // The one after does not follow from either.
    Tampering {
        name: "two batches exchanged",
        sql: "UPDATE batches AS one SET hash = other.hash, transfers = other.transfers, inbox = other.inbox, \
              keys = other.keys, accounts = other.accounts, accounts_replaced = other.accounts_replaced, \
              reservations = other.reservations, reservations_replaced = other.reservations_replaced, \
              decided_at = other.decided_at FROM batches AS other WHERE one.writer = 0 AND other.writer = 0 \
              AND one.number IN (2, 3, 4) \
              AND other.number = CASE one.number WHEN 2 THEN 3 WHEN 3 THEN 2 ELSE 4 END RETURNING NULL::uuid, one.number",
        found: Found::Batches,
    },
    Tampering {
        name: "batch removed",
        sql: "DELETE FROM batches WHERE writer = 0 AND number = 2 RETURNING NULL::uuid, number",
        found: Found::BatchGone,
    },
    Tampering {
        name: "first batch removed",
        sql: "DELETE FROM batches WHERE writer = 0 AND number = 1 RETURNING NULL::uuid, number",
        found: Found::BatchGone,
    },
    Tampering {
        name: "last batch removed",
        sql: "DELETE FROM batches WHERE writer = 0 AND number = (SELECT max(number) FROM batches WHERE writer = 0) \
              RETURNING NULL::uuid, number",
        found: Found::TailGone,
    },
    Tampering {
        name: "last batch removed with its rows",
        sql: "WITH gone AS (DELETE FROM batches WHERE writer = 0 AND number = (SELECT max(number) FROM batches \
              WHERE writer = 0) RETURNING number, transfers, inbox, keys), \
              transfer AS (DELETE FROM transfers USING gone WHERE position(uuid_send(id) IN gone.transfers) > 0), \
              key AS (DELETE FROM idempotency USING gone WHERE position(uuid_send(key_hash) IN gone.keys) > 0), \
              decision AS (DELETE FROM inbox USING gone WHERE position(uuid_send(transfer_id) IN gone.inbox) > 0) \
              SELECT NULL::uuid, number FROM gone",
        found: Found::TailGoneWithRows,
    },
    Tampering {
        name: "every batch removed",
        sql: "DELETE FROM batches WHERE writer < 0 OR writer >= 0 RETURNING NULL::uuid, number",
        found: Found::All,
    },
];

/// A row as a batch lists it.
struct Line {
    table: Table,
    id: RowId,
    digest: chain::RowDigest,
    is_replaced: bool,
    writer: i32,
    number: i64,
}

/// All rows that batches list, and all that are there.
struct Books {
    lines: Vec<Line>,
    there: Vec<(Table, RowId)>,
}

impl Tampering {
    /// Does it and verifies. `before` is what was found of the untouched shard.
    pub async fn is_named(&self, copy: &Copy, before: &ShardChains) -> Result<()> {
        let books = Books::read(copy).await?;
        let done = copy.client.query(self.sql, &[]).await?;
        let done: Vec<(Option<Uuid>, i64)> = done.iter().map(|row| (row.get(0), row.get(1))).collect();
        ensure!(!done.is_empty(), "nothing was done");
        let found = copy.verified(&[]).await?;
        self.compare(&found, &self.expected(&books, &done)?)?;
        let with_kept = match (&self.found, &done[..]) {
            (Found::TailGoneWithRows, [(_, last)]) => Some(BatchesRemoved { writer: 0, first: *last, last: *last }),
            (Found::StartMoved(table), [(_, rows)]) => {
                let counted = &found.rows_before_by_table;
                ensure!(counted.get(table) == Some(&u64::try_from(*rows)?), "{counted:?}, not {rows} of {table}");
                Some(StartMoved)
            }
            _ => None,
        };
        if let Some(breach) = with_kept {
            self.compare(&copy.verified(&[kept(before)]).await?, &[breach])?;
        }
        copy.mend().await
    }

    fn compare(&self, found: &ShardChains, expected: &[Breach]) -> Result<()> {
        const NAMED_MAX: usize = 100;
        let words = |breaches: &[Breach]| breaches.iter().map(Breach::to_string).collect::<BTreeSet<_>>();
        let (named, wanted) = (words(&found.breaches), words(expected));
        ensure!(
            found.violations == u64::try_from(expected.len())?,
            "{} found, not {wanted:#?}: {named:#?}",
            found.violations
        );
        ensure!(named.len() == expected.len().min(NAMED_MAX), "{named:#?}");
        ensure!(named.is_subset(&wanted), "found {named:#?}, not {wanted:#?}");
        Ok(())
    }

    fn expected(&self, books: &Books, done: &[(Option<Uuid>, i64)]) -> Result<Vec<Breach>> {
        let ids = |table: Table| {
            let id = move |(id, number): &(Option<Uuid>, i64)| match table {
                Accounts => Some(RowId::Account(*number)),
                _ => id.map(RowId::Uuid),
            };
            done.iter().filter_map(id).collect::<Vec<RowId>>()
        };
        let numbers = || done.iter().map(|(_, number)| *number);
        let added = |table: Table, id: RowId| RowAdded { table, id };
        let batches = || numbers().map(|number| BatchChanged { writer: 0, number });
        Ok(match &self.found {
            Found::Changed(table) => ids(*table).iter().map(|id| books.changed(*table, *id)).collect::<Result<_>>()?,
            Found::Removed(table) => ids(*table).iter().map(|id| books.removed(*table, *id)).collect::<Result<_>>()?,
            Found::Added(table) => ids(*table).iter().map(|id| added(*table, *id)).collect(),
            Found::Replaced(table) => {
                let ids = ids(*table);
                vec![books.removed(*table, ids[0])?, added(*table, ids[1])]
            }
            Found::Batches => batches().collect(),
            Found::BatchAndRow => batches().chain([books.changed(Transfers, ids(Transfers)[0])?]).collect(),
            Found::BatchWithoutRow => batches().chain([added(Transfers, ids(Transfers)[0])]).collect(),
            Found::BatchGone => {
                let gone = numbers().map(|number| BatchesRemoved { writer: 0, first: number, last: number });
                gone.chain(books.without(numbers().collect())?).collect()
            }
            Found::TailGone => books.without(numbers().collect())?,
            Found::TailGoneWithRows | Found::StartMoved(_) | Found::Nothing => Vec::new(),
            Found::All => books.there.iter().map(|(table, id)| added(*table, *id)).collect(),
        })
    }
}

impl Books {
    async fn read(copy: &Copy) -> Result<Books> {
        let lists = [
            ("transfers", Transfers, false),
            ("inbox", Inbox, false),
            ("keys", Keys, false),
            ("accounts", Accounts, false),
            ("accounts_replaced", Accounts, true),
            ("reservations", Reservations, false),
            ("reservations_replaced", Reservations, true),
        ];
        let mut lines = Vec::new();
        for (column, table, is_replaced) in lists {
            for row in copy
                .client
                .query(&format!("SELECT writer, number, {column} FROM batches ORDER BY writer, number"), &[])
                .await?
            {
                lines.extend(chain::listed(row.get(2)).map(|listed| {
                    let id = match table {
                        Accounts => RowId::Account(i64::try_from(listed.id).expect("an account's id is a number")),
                        _ => RowId::Uuid(Uuid::from_u128(listed.id)),
                    };
                    Line { table, id, digest: listed.digest, is_replaced, writer: row.get(0), number: row.get(1) }
                }));
            }
        }
        let all = "SELECT 0, id, 0::bigint FROM transfers UNION ALL SELECT 1, transfer_id, 0 FROM inbox \
             UNION ALL SELECT 2, key_hash, 0 FROM idempotency UNION ALL SELECT 3, NULL, id FROM accounts \
             UNION ALL SELECT 4, transfer_id, 0 FROM reservations";
        let there = copy.client.query(all, &[]).await?.into_iter().map(|row| {
            let table = [Transfers, Inbox, Keys, Accounts, Reservations][usize::try_from(row.get::<_, i32>(0))?];
            let id = row.get::<_, Option<Uuid>>(1).map_or(RowId::Account(row.get(2)), RowId::Uuid);
            Ok((table, id))
        });
        Ok(Books { lines, there: there.collect::<Result<_>>()? })
    }

    /// The batch that wrote the row as it is: of what was written and not replaced as often.
    fn wrote(&self, table: Table, id: RowId) -> Result<(i32, i64)> {
        let of_row = || self.lines.iter().filter(|line| (line.table, line.id) == (table, id));
        let is_left = |line: &&Line| {
            let same = || of_row().filter(|other| other.digest == line.digest);
            let replaced = same().filter(|other| other.is_replaced).count();
            same().count() > 2 * replaced
        };
        // An account that goes back and forth is written by several: the latest is of the writer that is left.
        let left: Vec<&Line> = of_row().filter(|line| !line.is_replaced).filter(is_left).collect();
        let line = left.last().context("the row was written")?;
        Ok((line.writer, line.number))
    }

    fn changed(&self, table: Table, id: RowId) -> Result<Breach> {
        let (writer, number) = self.wrote(table, id)?;
        Ok(RowChanged { table, id, writer, number })
    }

    fn removed(&self, table: Table, id: RowId) -> Result<Breach> {
        let (writer, number) = self.wrote(table, id)?;
        Ok(RowRemoved { table, id, writer, number })
    }

    /// What is found without some batches of writer 0, of rows: those that they wrote are in none; and of those that they
    /// replaced or removed, what another had written is still expected.
    fn without(&self, numbers: Vec<i64>) -> Result<Vec<Breach>> {
        let is_gone = |line: &&Line| line.writer == 0 && numbers.contains(&line.number);
        let mut by_row: BTreeMap<(Table, RowId), (bool, Option<&Line>)> = BTreeMap::new();
        for line in self.lines.iter().filter(is_gone) {
            let (is_written, replaced) = by_row.entry((line.table, line.id)).or_default();
            *is_written |= !line.is_replaced;
            *replaced = replaced.or(line.is_replaced.then_some(line));
        }
        let found = by_row.into_iter().map(|((table, id), (is_written, replaced))| {
            let Some(replaced) = replaced else { return Ok(RowAdded { table, id }) };
            let wrote =
                |line: &&Line| !line.is_replaced && (line.table, line.id, line.digest) == (table, id, replaced.digest);
            let &Line { writer, number, .. } = self.lines.iter().find(wrote).context("it was written")?;
            Ok(match is_written {
                true => RowChanged { table, id, writer, number },
                false => RowRemoved { table, id, writer, number },
            })
        });
        found.collect()
    }
}
