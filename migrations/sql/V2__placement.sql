-- Who owns what. The rows of slot_owner, and nothing else, make this shard an owner.

CREATE TABLE slot_owner (
    slot    smallint PRIMARY KEY CHECK (slot BETWEEN 0 AND 4095),
    epoch   bigint   NOT NULL,
    state   smallint NOT NULL,
    peer    integer,
    move_id uuid
);

-- One row. `version` changes with every change of slot_owner or topology; each batch compares it under the
-- shared ownership lock. `barrier_at` is written once per new connection of a lane.
CREATE TABLE fence (
    one        boolean     PRIMARY KEY DEFAULT true CHECK (one),
    shard      integer,
    version    bigint      NOT NULL,
    barrier_at timestamptz
);
INSERT INTO fence (version) VALUES (1);

CREATE TABLE topology (
    version      bigint      PRIMARY KEY,
    document     text        NOT NULL,
    installed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    installed_by text        NOT NULL
);

-- The last line of defence of the fence: a write to the ledger by a transaction that does not hold it fails.
-- Per statement, not per row, so that a batch pays for it once.
CREATE FUNCTION require_fence() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF coalesce(current_setting('wallet.fence', true), '') <> 'held' THEN
        RAISE EXCEPTION 'a write to % without the ownership fence', TG_TABLE_NAME USING ERRCODE = 'WF001';
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER fenced BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON accounts
    FOR EACH STATEMENT EXECUTE FUNCTION require_fence();
CREATE TRIGGER fenced BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON transfers
    FOR EACH STATEMENT EXECUTE FUNCTION require_fence();
CREATE TRIGGER fenced BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON reservations
    FOR EACH STATEMENT EXECUTE FUNCTION require_fence();
CREATE TRIGGER fenced BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON inbox
    FOR EACH STATEMENT EXECUTE FUNCTION require_fence();
CREATE TRIGGER fenced BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON idempotency
    FOR EACH STATEMENT EXECUTE FUNCTION require_fence();
CREATE TRIGGER fenced BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON external
    FOR EACH STATEMENT EXECUTE FUNCTION require_fence();
CREATE TRIGGER fenced BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON clearing
    FOR EACH STATEMENT EXECUTE FUNCTION require_fence();
