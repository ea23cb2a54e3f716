-- Two-step transfers: what a client has set aside, and until when. Both columns stay with the terminal transfer, for
-- the repeat of a request gets its first answer again; they are NULL, and cost nothing, in any other transfer.
ALTER TABLE reservations ADD COLUMN amount_reserved bigint, ADD COLUMN expires_at timestamptz,
    ADD COLUMN committed_at timestamptz, -- when its client committed it: its saga's age counts from then
    ADD CONSTRAINT hold_is_whole CHECK (num_nulls(amount_reserved, expires_at) IN (0, 2)),
    ADD CONSTRAINT hold_is_enough CHECK (amount <= amount_reserved);
ALTER TABLE transfers ADD COLUMN amount_reserved bigint, ADD COLUMN expires_at timestamptz,
    ADD CONSTRAINT hold_is_whole CHECK (num_nulls(amount_reserved, expires_at) IN (0, 2)),
    ADD CONSTRAINT hold_is_enough CHECK (amount <= amount_reserved);

-- What expires next. State 2 is `Held`; a committed one expires no more.
CREATE INDEX reservations_expiry ON reservations (expires_at) WHERE state = 2;
