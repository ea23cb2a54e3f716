-- The ledger of one shard. Amounts are whole numbers of a currency's smallest configured unit; slots are
-- 0..4095; small codes (status, kind, state, reason, decision) are the numbers of the enums in `ledger`.

CREATE TABLE accounts (
    id          bigint      PRIMARY KEY,
    slot        smallint    NOT NULL,
    user_id     text        NOT NULL,
    name        text        NOT NULL,
    currency    text        NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    balance     bigint      NOT NULL,
    reserved    bigint      NOT NULL,
    entry_count bigint      NOT NULL CHECK (entry_count >= 0),
    status      smallint    NOT NULL,
    created_at  timestamptz NOT NULL,
    CONSTRAINT no_overdraft CHECK (0 <= reserved AND reserved <= balance AND balance < 9007199254740992)
) WITH (fillfactor = 60);
-- Room in each page keeps balance updates in place (HOT), for no indexed column changes with them.
CREATE INDEX accounts_slot ON accounts (slot);

-- Terminal transfers, written once. One row holds both sides of a posting within the shard, or the one
-- side that the shard owns. The id begins with its milliseconds, so a month is a range of ids.
CREATE TABLE transfers (
    id             uuid        NOT NULL,
    debit_account  bigint,
    credit_account bigint,
    amount         bigint      NOT NULL,
    debit_entry    bigint,
    debit_balance  bigint,
    credit_entry   bigint,
    credit_balance bigint,
    decided_at     timestamptz NOT NULL,
    created_at     timestamptz,           -- NULL: at decided_at
    debit_slot     smallint,
    credit_slot    smallint,
    kind           smallint    NOT NULL,
    state          smallint    NOT NULL,
    reason         smallint,
    currency       text        NOT NULL,
    message        text,
    reference      text,
    remote_user    text,                  -- who holds the account on the other shard
    PRIMARY KEY (id),
    CHECK (num_nulls(debit_entry, debit_balance) IN (0, 2)),
    CHECK (num_nulls(credit_entry, credit_balance) IN (0, 2))
) PARTITION BY RANGE (id);
-- The entry number, taken under the account's row lock, is the history's order and its cursor.
CREATE INDEX transfers_debit ON transfers (debit_account, debit_entry) WHERE debit_entry IS NOT NULL;
CREATE INDEX transfers_credit ON transfers (credit_account, credit_entry) WHERE credit_entry IS NOT NULL;

CREATE TABLE idempotency (
    slot        smallint    NOT NULL,
    key_hash    uuid        NOT NULL,
    fingerprint uuid        NOT NULL,
    transfer_id uuid,
    account_id  bigint,
    rejection   smallint,
    recorded_at timestamptz NOT NULL,
    PRIMARY KEY (slot, key_hash),
    CHECK (num_nonnulls(transfer_id, account_id, rejection) > 0)
);
-- For pruning. New rows go to its right end. A block range index would be smaller, but of no use once pruned rows have
-- made room for new ones among the old.
CREATE INDEX idempotency_recorded_at ON idempotency (recorded_at);

-- Amounts set aside: open transfers only.
CREATE TABLE reservations (
    transfer_id    uuid        PRIMARY KEY,
    slot           smallint    NOT NULL,
    state          smallint    NOT NULL,
    debit_account  bigint      NOT NULL,
    debit_user     text        NOT NULL,
    credit_account bigint      NOT NULL,
    amount         bigint      NOT NULL CHECK (amount > 0),
    currency       text        NOT NULL,
    message        text,
    reference      text,
    created_at     timestamptz NOT NULL,
    void_after     timestamptz NOT NULL
);
CREATE INDEX reservations_account ON reservations (debit_account, transfer_id);
CREATE INDEX reservations_created_at ON reservations (created_at);

-- Who must still be told of a reservation. The message itself follows from the reservation's state.
CREATE TABLE outbox (
    transfer_id     uuid        PRIMARY KEY,
    slot            smallint    NOT NULL,
    next_attempt_at timestamptz NOT NULL,
    attempts        integer     NOT NULL DEFAULT 0,
    last_error      text,
    trace_id        uuid        NOT NULL,
    parent_id       bigint      NOT NULL
);
CREATE INDEX outbox_due ON outbox (next_attempt_at);

-- The decisions of this shard about transfers from others: each is written once.
CREATE TABLE inbox (
    transfer_id uuid        NOT NULL,
    slot        smallint    NOT NULL,
    debit_shard integer     NOT NULL,
    decision    smallint    NOT NULL,
    reason      smallint,
    credit_user text,
    decided_at  timestamptz NOT NULL,
    PRIMARY KEY (transfer_id)
) PARTITION BY RANGE (transfer_id);

-- Counterparts that are no accounts of customers. Each lane of each replica has rows of its own, so that
-- lanes do not wait for each other; the total of a counterpart is the sum over its writers.
CREATE TABLE external (
    writer   integer NOT NULL,
    currency text    NOT NULL,
    total    numeric NOT NULL,
    PRIMARY KEY (writer, currency)
);
CREATE TABLE clearing (
    writer   integer NOT NULL,
    peer     integer NOT NULL,
    currency text    NOT NULL,
    total    numeric NOT NULL,
    PRIMARY KEY (writer, peer, currency)
);
