//! Small books with one of everything, consistent over two shards of one region.
//!
//! | what | shard 1 | shard 2 |
//! |---|---|---|
//! | deposit | a +1000 | |
//! | local | a -100, a2 +100 | |
//! | posted | a -50 | b +50 |
//! | released | refused, 7 given back | the refusal |
//! | rejected | 5000 | |
//! | open | a has 20 reserved | nothing yet |
//! | held | a has 5 reserved by its client, who tried to commit more | |
//! | lapsed | 9 had been reserved by its client, and expired | |
//! | credited | a has 30 reserved | b +30 |
//! | withdrawal | | b -10 |

use anyhow::{Context, Result};
use placement::{AccountId, Locality, RegionCode, Ring, ShardId, Slot, Topology, TransferId, founding_slots};
use tokio_postgres::Client;

const TOPOLOGY: &str = r#"{
    "version": 1,
    "currencies": [{"code": "SGD", "exponent": 0, "transfer_amount_max": 999999}],
    "regions": [{"name": "sg", "code": 1}],
    "shards": [
        {"id": 1, "region": "sg", "weight": 100, "state": "active", "addresses": ["127.0.0.1:8280"]},
        {"id": 2, "region": "sg", "weight": 100, "state": "active", "addresses": ["127.0.0.1:8281"]}
    ]
}"#;

const SHARD_1: &str = "
    INSERT INTO accounts (id, slot, user_id, name, currency, balance, reserved, entry_count, status, created_at) VALUES
        (:a, :slot_a, :anna, 'current', 'SGD', 850, 55, 3, 0, now()),
        (:a2, :slot_a, :anna, 'savings', 'SGD', 100, 0, 1, 0, now()),
        (:empty, :slot_a, :anna, 'empty', 'SGD', 0, 0, 0, 0, now());
    INSERT INTO transfers (id, debit_account, credit_account, amount, debit_entry, debit_balance, credit_entry,
        credit_balance, debit_slot, credit_slot, kind, state, reason, currency, decided_at) VALUES
        (:deposit, NULL, :a, 1000, NULL, NULL, 1, 1000, NULL, :slot_a, 1, 2, NULL, 'SGD', now()),
        (:local, :a, :a2, 100, 2, 900, 1, 100, :slot_a, :slot_a, 0, 2, NULL, 'SGD', now()),
        (:posted, :a, :b, 50, 3, 850, NULL, NULL, :slot_a, :slot_b, 0, 2, NULL, 'SGD', now()),
        (:released, :a, :b, 7, NULL, NULL, NULL, NULL, :slot_a, :slot_b, 0, 3, 11, 'SGD', now()),
        (:rejected, :a, :b, 5000, NULL, NULL, NULL, NULL, :slot_a, :slot_b, 0, 4, 2, 'SGD', now());
    INSERT INTO reservations (transfer_id, slot, state, debit_account, debit_user, credit_account, amount, currency,
        created_at, void_after) VALUES
        (:open, :slot_a, 0, :a, :anna, :b, 20, 'SGD', now(), now() + interval '1 hour'),
        (:credited, :slot_a, 0, :a, :anna, :b, 30, 'SGD', now(), now() + interval '1 hour');
    INSERT INTO reservations (transfer_id, slot, state, debit_account, debit_user, credit_account, amount, currency,
        created_at, void_after, amount_reserved, expires_at) VALUES
        (:held, :slot_a, 2, :a, :anna, :b, 5, 'SGD', now(), now(), 5, now() + interval '1 hour');
    INSERT INTO transfers (id, debit_account, credit_account, amount, debit_slot, credit_slot, kind, state, reason,
        currency, decided_at, amount_reserved, expires_at) VALUES
        (:lapsed, :a, :b, 9, :slot_a, :slot_b, 0, 3, 18, 'SGD', now(), 9, now());
    INSERT INTO outbox (transfer_id, slot, next_attempt_at, trace_id, parent_id) VALUES
        (:open, :slot_a, now(), gen_random_uuid(), 1), (:credited, :slot_a, now(), gen_random_uuid(), 1);
    INSERT INTO idempotency (slot, key_hash, fingerprint, transfer_id, account_id, rejection, recorded_at)
        SELECT :slot_a, gen_random_uuid(), gen_random_uuid(), transfer, account, rejection::smallint, now() FROM (VALUES
            (:deposit::uuid, NULL::bigint, NULL::integer), (:local, NULL, NULL), (:posted, NULL, NULL),
            (:released, NULL, NULL), (:rejected, NULL, 2), (:open, NULL, NULL), (:held, NULL, NULL), (:held, NULL, 4),
            (:lapsed, NULL, NULL), (:lapsed, NULL, 11), (:credited, NULL, NULL),
            (NULL, :a, NULL), (NULL, NULL, 13)) AS key (transfer, account, rejection);
    INSERT INTO external VALUES (0, 'SGD', -1000);
    INSERT INTO clearing VALUES (0, 2, 'SGD', 20), (1, 2, 'SGD', 30)";

const SHARD_2: &str = "
    INSERT INTO accounts (id, slot, user_id, name, currency, balance, reserved, entry_count, status, created_at) VALUES
        (:b, :slot_b, :ben, 'current', 'SGD', 70, 0, 3, 0, now());
    INSERT INTO transfers (id, debit_account, credit_account, amount, debit_entry, debit_balance, credit_entry,
        credit_balance, debit_slot, credit_slot, kind, state, currency, decided_at) VALUES
        (:posted, :a, :b, 50, NULL, NULL, 1, 50, :slot_a, :slot_b, 0, 2, 'SGD', now()),
        (:credited, :a, :b, 30, NULL, NULL, 2, 80, :slot_a, :slot_b, 0, 2, 'SGD', now()),
        (:withdrawal, :b, NULL, 10, 3, 70, NULL, NULL, :slot_b, NULL, 2, 2, 'SGD', now());
    INSERT INTO inbox (transfer_id, slot, debit_shard, decision, reason, credit_user, decided_at) VALUES
        (:posted, :slot_b, 1, 0, NULL, :ben, now()), (:credited, :slot_b, 1, 0, NULL, :ben, now()),
        (:released, :slot_b, 1, 1, 11, NULL, now());
    INSERT INTO idempotency (slot, key_hash, fingerprint, transfer_id, recorded_at) VALUES
        (:slot_b, gen_random_uuid(), gen_random_uuid(), :withdrawal, now());
    INSERT INTO external VALUES (0, 'SGD', 10);
    INSERT INTO clearing VALUES (0, 1, 'SGD', -80)";

/// Ids of everything, and names for them in SQL.
pub struct Seed {
    topology: Topology,
    pub anna: AccountId,
    pub ben: AccountId,
    names: Vec<(&'static str, String)>,
}

impl Seed {
    pub fn new() -> Result<Seed> {
        let topology: Topology = serde_json::from_str(TOPOLOGY)?;
        let ((anna, anna_is), (ben, ben_is)) = (account_on(&topology, 1)?, account_on(&topology, 2)?);
        let sibling = |discriminator| AccountId::new(anna.region(), anna.locality(), discriminator);
        let mut names = vec![
            ("slot_a", anna.slot().to_string()),
            ("slot_b", ben.slot().to_string()),
            ("a2", sibling(2).to_string()),
            ("empty", sibling(3).to_string()),
            ("a", anna.to_string()),
            ("b", ben.to_string()),
            ("anna", format!("'{anna_is}'")),
            ("ben", format!("'{ben_is}'")),
        ];
        let transfers =
            ["deposit", "local", "posted", "released", "rejected", "open", "credited", "new", "held", "lapsed"];
        let ids = transfers.into_iter().zip(1u64..).map(|(name, number)| (name, transfer_id(anna, number)));
        names.extend(ids.chain([("withdrawal", transfer_id(ben, 1))]).map(|(name, id)| (name, format!("'{id}'"))));
        Ok(Seed { topology, anna, ben, names })
    }

    /// SQL in which `:name` stands for an id or slot.
    pub fn sql(&self, text: &str) -> String {
        let mut words = text.split(':');
        let mut sql = words.next().unwrap_or_default().to_owned();
        for word in words {
            let end = word.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(word.len());
            let (name, rest) = word.split_at(end);
            match self.names.iter().find(|(known, _)| *known == name) {
                Some((_, value)) => sql.push_str(value),
                // A cast, or something of SQL's own.
                None => sql.extend([":", name]),
            }
            sql.push_str(rest);
        }
        sql
    }

    /// Fills a migrated database.
    pub async fn sow(&self, client: &Client, shard: u16) -> Result<()> {
        client.execute("UPDATE fence SET shard = $1", &[&i32::from(shard)]).await?;
        let topology = "INSERT INTO topology (version, document, installed_by) VALUES (1, $1, 'test')";
        client.execute(topology, &[&TOPOLOGY]).await?;
        let slots = founding_slots(&self.topology, ShardId::try_from(shard)?);
        let slots: Vec<i16> = slots.into_iter().map(|slot| slot.get().cast_signed()).collect();
        let claim = "INSERT INTO slot_owner (slot, epoch, state) SELECT slot, 1, 0 FROM unnest($1::smallint[]) AS slot";
        client.execute(claim, &[&slots]).await?;
        client.batch_execute(&self.sql(if shard == 1 { SHARD_1 } else { SHARD_2 })).await?;
        Ok(())
    }
}

/// An account on the shard, and the name of a user who may hold it.
fn account_on(topology: &Topology, shard: u16) -> Result<(AccountId, String)> {
    let region = RegionCode::try_from(1)?;
    let ring = Ring::of_region(topology, region);
    let wanted = Some(ShardId::try_from(shard)?);
    let is_there = |user: &String| ring.owner(Slot::of(region, Locality::of_user(user))) == wanted;
    let user = (0..1_000).map(|number| format!("user-{number}")).find(is_there);
    let user = user.context("the ring gives every shard slots")?;
    Ok((AccountId::new(region, Locality::of_user(&user), 1), user))
}

pub fn transfer_id(debit: AccountId, number: u64) -> TransferId {
    TransferId::new(1_800_000_000_000 + number, debit.region(), debit.locality(), number)
}
