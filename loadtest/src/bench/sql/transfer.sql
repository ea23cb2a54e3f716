-- One call, one transaction, one transfer; at most one effect a key, however often and by however many it is called.
CREATE FUNCTION transfer(
    p_key text, p_debit_account_id bigint, p_credit_account_id bigint, p_amount bigint, p_message text DEFAULT NULL
) RETURNS transfer_answer
LANGUAGE plpgsql AS $$
DECLARE
    answer transfer_answer;
    debit  accounts;
    credit accounts;
BEGIN
    -- The lower id first, always: two opposite transfers wait for each other instead of deadlocking. Two calls with one
    -- key wait here too, unless they name different accounts; then they wait for each other at the key's index.
    IF p_debit_account_id < p_credit_account_id THEN
        SELECT * INTO debit FROM accounts WHERE id = p_debit_account_id FOR NO KEY UPDATE;
        SELECT * INTO credit FROM accounts WHERE id = p_credit_account_id FOR NO KEY UPDATE;
    ELSE
        SELECT * INTO credit FROM accounts WHERE id = p_credit_account_id FOR NO KEY UPDATE;
        SELECT * INTO debit FROM accounts WHERE id = p_debit_account_id FOR NO KEY UPDATE;
    END IF;

    answer.refusal := CASE
        WHEN debit.id IS NULL THEN 'debit_account_not_found'
        WHEN p_debit_account_id = p_credit_account_id THEN 'same_account'
        WHEN p_amount NOT BETWEEN 1 AND 999999 THEN 'amount_out_of_range'
        WHEN credit.id IS NULL THEN 'credit_account_not_found'
        WHEN debit.currency <> credit.currency THEN 'currency_mismatch'
        WHEN debit.status = 'closed' OR credit.status = 'closed' THEN 'account_closed'
        WHEN debit.status = 'frozen' OR credit.status = 'frozen' THEN 'account_frozen'
        WHEN debit.balance < p_amount THEN 'insufficient_funds'
    END;

    IF answer.refusal IS NULL THEN
        INSERT INTO transfers (
            idempotency_key, debit_account_id, credit_account_id, amount, currency, message,
            debit_entry, debit_balance_after, credit_entry, credit_balance_after
        ) VALUES (
            p_key, debit.id, credit.id, p_amount, debit.currency, p_message,
            debit.entry_count + 1, debit.balance - p_amount, credit.entry_count + 1, credit.balance + p_amount
        ) ON CONFLICT (idempotency_key) DO NOTHING RETURNING id INTO answer.transfer_id;
        IF FOUND THEN
            UPDATE accounts SET balance = balance - p_amount, entry_count = entry_count + 1 WHERE id = debit.id;
            UPDATE accounts SET balance = balance + p_amount, entry_count = entry_count + 1 WHERE id = credit.id;
            RETURN answer;
        END IF;
    ELSE
        INSERT INTO transfers (idempotency_key, refusal, debit_account_id, credit_account_id, amount, message)
        VALUES (p_key, answer.refusal, p_debit_account_id, p_credit_account_id, p_amount, p_message)
        ON CONFLICT (idempotency_key) DO NOTHING RETURNING id INTO answer.transfer_id;
        IF FOUND THEN
            RETURN answer;
        END IF;
    END IF;

    -- The key was used before: its first answer, if it was for the same request.
    SELECT
        id,
        CASE
            WHEN debit_account_id = p_debit_account_id AND credit_account_id = p_credit_account_id
                AND amount = p_amount AND message IS NOT DISTINCT FROM p_message
            THEN refusal
            ELSE 'idempotency_key_reused'
        END
    INTO answer
    FROM transfers
    WHERE idempotency_key = p_key;
    RETURN answer;
END
$$;
