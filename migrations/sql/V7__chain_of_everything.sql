-- Format 2 of the chain: each batch that writes anything at all is in it, and lists also the rows of `idempotency` that it
-- wrote and, of `accounts` and `reservations`, whose rows change, those that it wrote and those that it replaced or removed,
-- as it found them. What was written less what was replaced, over all batches, is what must be there. So an account that is
-- given to somebody else, a key that is removed to have something done twice, or a reservation that is led to another
-- account is found, and named, even after a batch has gone on with it. What is hashed, and how, is in the crate `chain`;
-- it also says which columns are left out and why.
--
-- A row costs 28 bytes here, as before. Measured with index and TOAST, for a transfer within the shard: 200 bytes for one that
-- comes alone (167 before), 76 in batches of 78 (40), 65 in batches of 200 (34). One to another shard lists its key, its
-- transfer and twice its reservation on the debit shard, in two batches: 151 in batches of 78 (40); on the credit shard
-- nothing is added.
ALTER TABLE batches
    ADD COLUMN keys                  bytea NOT NULL DEFAULT '',
    ADD COLUMN accounts              bytea NOT NULL DEFAULT '',
    ADD COLUMN accounts_replaced     bytea NOT NULL DEFAULT '',
    ADD COLUMN reservations          bytea NOT NULL DEFAULT '',
    ADD COLUMN reservations_replaced bytea NOT NULL DEFAULT '';
-- Digests do not compress.
ALTER TABLE batches ALTER COLUMN keys SET STORAGE EXTERNAL, ALTER COLUMN accounts SET STORAGE EXTERNAL,
    ALTER COLUMN accounts_replaced SET STORAGE EXTERNAL, ALTER COLUMN reservations SET STORAGE EXTERNAL,
    ALTER COLUMN reservations_replaced SET STORAGE EXTERNAL;

-- As `since`, for `idempotency`, `accounts` and `reservations`: what was made before then may stand in no batch.
--
-- Shard-nodes of the version before go on writing chains of format 1. If some still ran when this was installed,
-- `whole_since` is to be set to the time at which the last of them ended; an account that one of them froze, unfroze or
-- closed meanwhile, and that was made by a newer one, is shown as changed all the same. A start that is later than the
-- chain's first batch by more than a day is a breach.
ALTER TABLE chain_start ADD COLUMN whole_since timestamptz;
UPDATE chain_start SET whole_since = clock_timestamp()
    WHERE EXISTS (SELECT FROM accounts) OR EXISTS (SELECT FROM idempotency) OR EXISTS (SELECT FROM reservations);
-- From now on, whoever sets a start says so: `SELECT set_config('wallet.fence', 'held', true)` in the same transaction.
CREATE TRIGGER fenced BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON chain_start
    FOR EACH STATEMENT EXECUTE FUNCTION require_fence();

-- A trigger per statement is not inherited by partitions, so each has one of its own: for whoever writes to it directly.
-- What is written through the parent pays for the parent's only.
DO $$
DECLARE
    part regclass;
BEGIN
    FOR part IN SELECT inhrelid FROM pg_inherits WHERE inhparent IN ('transfers'::regclass, 'inbox'::regclass) LOOP
        EXECUTE format('CREATE OR REPLACE TRIGGER fenced BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON %s '
            'FOR EACH STATEMENT EXECUTE FUNCTION require_fence()', part);
    END LOOP;
END
$$;
