-- The stream of events: what became of every transfer, for other services. `batches` lists, for each writer and in order,
-- each row of `transfers` that was written, and so is the list of what must be told.
--
-- Where the server's write-ahead log stood when the batch was written, under its row locks and before its commit. A batch
-- that follows another on an account got that account's lock only after the other's commit was in the log, so its position
-- is greater: no clock says so, and a clock that is set back changes nothing. 8 bytes a batch, and not in the chain's hash.
-- NULL: from before this column. A dump that is restored elsewhere brings positions along that mean nothing there: the
-- stream should have caught up before, or be started anew.
ALTER TABLE batches ADD COLUMN position pg_lsn;
ALTER TABLE batches ALTER COLUMN position SET DEFAULT pg_current_wal_insert_lsn();

-- The last batch of each writer whose events are in the stream. Not fenced: it is no part of the ledger, and whoever sets
-- it late cannot set it back.
CREATE TABLE event_relay (
    writer integer PRIMARY KEY,
    number bigint  NOT NULL
);
