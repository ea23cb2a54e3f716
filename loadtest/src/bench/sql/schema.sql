-- Plain PostgreSQL as an expert would set it up for this one job: double entry with both sides in one row, every
-- index that the questions of the API need, and no table, index or trigger beyond that.

CREATE TABLE accounts (
    id          bigint PRIMARY KEY,
    user_id     text NOT NULL,
    currency    text NOT NULL,
    status      text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'frozen', 'closed')),
    balance     bigint NOT NULL DEFAULT 0 CHECK (balance >= 0),
    entry_count bigint NOT NULL DEFAULT 0,
    created_at  timestamptz NOT NULL DEFAULT now()
-- Room on each page, so that a new balance stays beside the old one and touches no index.
) WITH (fillfactor = 50);

CREATE INDEX accounts_of_user ON accounts (user_id);

CREATE TABLE transfers (
    id                   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- The key guards the answer, so refusals are rows too; they have no entries.
    idempotency_key      text NOT NULL UNIQUE,
    refusal              text,
    debit_account_id     bigint NOT NULL,
    credit_account_id    bigint NOT NULL,
    amount               bigint NOT NULL,
    currency             text,
    message              text,
    created_at           timestamptz NOT NULL DEFAULT now(),
    debit_entry          bigint,
    debit_balance_after  bigint,
    credit_entry         bigint,
    credit_balance_after bigint
);

-- The history of an account, newest entry first or last.
CREATE UNIQUE INDEX transfers_debit ON transfers (debit_account_id, debit_entry);
CREATE UNIQUE INDEX transfers_credit ON transfers (credit_account_id, credit_entry);

CREATE TYPE transfer_answer AS (transfer_id bigint, refusal text);
