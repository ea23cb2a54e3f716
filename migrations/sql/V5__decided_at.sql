-- For the reconciler, which reads what was decided in the last minutes. Rows are only ever appended, in the order of their
-- time, so a few bytes for each megabyte of them do what an index entry for each row would do.
CREATE INDEX transfers_decided_at ON transfers USING brin (decided_at) WITH (autosummarize = on);
CREATE INDEX inbox_decided_at ON inbox USING brin (decided_at) WITH (autosummarize = on);
