INSERT INTO accounts (id, user_id, currency, balance)
SELECT id, 'user-' || id / 10, 'SGD', $2 FROM generate_series(1, $1::bigint) AS id
