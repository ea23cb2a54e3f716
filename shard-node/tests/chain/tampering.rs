//! What may be done to the tables of a shard, and what must be found.

use crate::copy::{Copy, kept};
use anyhow::{Context, Result, ensure};
use audit::Breach::{BatchChanged, BatchesRemoved, RowAdded, RowChanged, RowRemoved};
use audit::Table::{self, Inbox, Transfers};
use audit::{Breach, ShardChains};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// Something done to a copy of a shard's database.
pub struct Tampering {
    pub name: &'static str,
    /// Gives back what it was done to: ids of rows and, of writer 0, numbers of batches.
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
    /// All rows of both tables are in no batch.
    All,
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

pub const ALL: &[Tampering] = &[
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
        name: "format of a batch changed",
        sql: "UPDATE batches SET format = 2 WHERE writer = 0 AND number = 3 RETURNING NULL::uuid, number",
        found: Found::Batches,
    },
    // The one after does not follow from either.
    Tampering {
        name: "two batches exchanged",
        sql: "UPDATE batches AS one SET hash = other.hash, transfers = other.transfers, inbox = other.inbox, \
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
              WHERE writer = 0) RETURNING number, transfers, inbox), \
              transfer AS (DELETE FROM transfers USING gone WHERE position(uuid_send(id) IN gone.transfers) > 0), \
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

/// Which batch lists a row, as a table, an id, a writer and a number.
type Written = BTreeMap<(Table, Uuid), (i32, i64)>;

impl Tampering {
    /// Does it and verifies. `before` is what was found of the untouched shard.
    pub async fn is_named(&self, copy: &Copy, before: &ShardChains) -> Result<()> {
        let written = written(copy).await?;
        let done = copy.client.query(self.sql, &[]).await?;
        let done: Vec<(Option<Uuid>, i64)> = done.iter().map(|row| (row.get(0), row.get(1))).collect();
        ensure!(!done.is_empty(), "nothing was done");
        self.compare(&copy.verified(&[]).await?, &self.expected(&written, &done)?)?;
        if let (Found::TailGoneWithRows, [(_, last)]) = (&self.found, &done[..]) {
            let gone = BatchesRemoved { writer: 0, first: *last, last: *last };
            self.compare(&copy.verified(&[kept(before)]).await?, &[gone])?;
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

    fn expected(&self, written: &Written, done: &[(Option<Uuid>, i64)]) -> Result<Vec<Breach>> {
        let ids: Vec<Uuid> = done.iter().filter_map(|(id, _)| *id).collect();
        let numbers = || done.iter().map(|(_, number)| *number);
        let changed = |table: Table, id: &Uuid| {
            let (writer, number) = *written.get(&(table, *id)).context("the row was written")?;
            Ok(RowChanged { table, id: *id, writer, number })
        };
        let removed = |table: Table, id: &Uuid| {
            let (writer, number) = *written.get(&(table, *id)).context("the row was written")?;
            anyhow::Ok(RowRemoved { table, id: *id, writer, number })
        };
        let added = |table: Table, id: &Uuid| RowAdded { table, id: *id };
        let of_batches = || {
            let theirs =
                written.iter().filter(|(_, (writer, number))| *writer == 0 && numbers().any(|it| it == *number));
            theirs.map(|((table, id), _)| added(*table, id))
        };
        let batches = || numbers().map(|number| BatchChanged { writer: 0, number });
        Ok(match &self.found {
            Found::Changed(table) => ids.iter().map(|id| changed(*table, id)).collect::<Result<_>>()?,
            Found::Removed(table) => ids.iter().map(|id| removed(*table, id)).collect::<Result<_>>()?,
            Found::Added(table) => ids.iter().map(|id| added(*table, id)).collect(),
            Found::Replaced(table) => vec![removed(*table, &ids[0])?, added(*table, &ids[1])],
            Found::Batches => batches().collect(),
            Found::BatchAndRow => batches().chain([changed(Transfers, &ids[0])?]).collect(),
            Found::BatchWithoutRow => batches().chain([added(Transfers, &ids[0])]).collect(),
            Found::BatchGone => {
                let gone = numbers().map(|number| BatchesRemoved { writer: 0, first: number, last: number });
                gone.chain(of_batches()).collect()
            }
            Found::TailGone => of_batches().collect(),
            Found::TailGoneWithRows => Vec::new(),
            Found::All => written.keys().map(|(table, id)| added(*table, id)).collect(),
        })
    }
}

async fn written(copy: &Copy) -> Result<Written> {
    let mut written = Written::new();
    for row in copy.client.query("SELECT writer, number, transfers, inbox FROM batches", &[]).await? {
        for (table, list) in [(Transfers, row.get::<_, &[u8]>(2)), (Inbox, row.get(3))] {
            for listed in chain::listed(list) {
                written.insert((table, Uuid::from_u128(listed.id)), (row.get(0), row.get(1)));
            }
        }
    }
    Ok(written)
}
