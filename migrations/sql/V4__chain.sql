-- The chain of committed batches, one for each writer (a lane of a replica): what each batch wrote into `transfers` and
-- `inbox`, whose rows are written once, and a hash over that and the batch before. `walletctl verify --chain` finds by it
-- a row that was changed, added or removed behind the wallet's back. What is hashed, and how, is in the crate `chain`.
--
-- A row of `transfers` or `inbox` costs 28 bytes here (its id and a digest of 12), and a batch 123 with its index entry.
-- Measured: 151 bytes for a transfer that comes alone, 37 in batches of 78, 32 in batches of 200.
--
-- When months are dropped one day, their rows stay listed: it takes a bound beside `since` below which a listed row may be
-- gone, and the archive can still be checked against the batches.
CREATE TABLE batches (
    number     bigint      NOT NULL CHECK (number > 0),   -- 1, 2, 3 ... for each writer
    decided_at timestamptz NOT NULL,
    writer     integer     NOT NULL,
    format     smallint    NOT NULL,
    hash       bytea       NOT NULL,
    transfers  bytea       NOT NULL,
    inbox      bytea       NOT NULL,
    PRIMARY KEY (writer, number)
);
-- Digests do not compress.
ALTER TABLE batches ALTER COLUMN transfers SET STORAGE EXTERNAL, ALTER COLUMN inbox SET STORAGE EXTERNAL,
    ALTER COLUMN hash SET STORAGE PLAIN;

-- One row. What was decided before `since` may stand in no batch, for it may have been written before there were any.
-- NULL: the chains begin with the shard, and every row stands in one.
--
-- Shard-nodes of the version before go on writing without a chain. If some still ran when this was installed, `since` is
-- to be set to the time at which the last of them ended.
CREATE TABLE chain_start (
    one   boolean     PRIMARY KEY DEFAULT true CHECK (one),
    since timestamptz
);
INSERT INTO chain_start (since) SELECT clock_timestamp()
    WHERE EXISTS (SELECT FROM transfers) OR EXISTS (SELECT FROM inbox);
INSERT INTO chain_start (since) VALUES (NULL) ON CONFLICT DO NOTHING;

CREATE TRIGGER fenced BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON batches
    FOR EACH STATEMENT EXECUTE FUNCTION require_fence();
