-- Whether the money is all there, and every account's history is gapless and explains its balance.
WITH entries AS (
    SELECT debit_account_id AS account_id, -amount AS change, debit_entry AS entry, debit_balance_after AS balance_after
    FROM transfers WHERE refusal IS NULL
    UNION ALL
    SELECT credit_account_id, amount, credit_entry, credit_balance_after FROM transfers WHERE refusal IS NULL
), histories AS (
    SELECT account_id, count(*) AS entries, max(entry) AS last_entry, sum(change) AS change FROM entries GROUP BY account_id
)
SELECT
    (SELECT sum(balance)::bigint FROM accounts) AS found,
    (SELECT count(*) FROM transfers WHERE refusal IS NULL) AS posted,
    (SELECT count(*) FROM transfers WHERE refusal IS NOT NULL) AS refused,
    count(*) FILTER (
        WHERE coalesce(entries, 0) <> entry_count OR coalesce(last_entry, 0) <> entry_count
            OR balance <> $1::bigint + coalesce(change, 0)
    ) AS breaches
FROM accounts LEFT JOIN histories ON histories.account_id = accounts.id
