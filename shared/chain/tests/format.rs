//! The format is fixed: what has been written must be verified by every later version.

use chain::{Batch, FORMAT, GENESIS, InboxRow, LISTED_BYTES, Listed, RowDigest, TransferRow, list, listed};
use std::collections::BTreeSet;

fn transfer() -> TransferRow<'static> {
    TransferRow {
        id: 0x018f_0000_0000_8000_8000_0000_0000_0001,
        debit_account: Some(1),
        credit_account: Some(2),
        amount: 100,
        debit_entry: Some(3),
        debit_balance: Some(900),
        credit_entry: Some(4),
        credit_balance: Some(1_100),
        decided_at: 1_800_000_000_000_000,
        created_at: None,
        debit_slot: Some(5),
        credit_slot: Some(6),
        kind: 0,
        state: 2,
        reason: None,
        currency: "SGD",
        message: Some("thanks"),
        reference: None,
        remote_user: None,
        amount_reserved: None,
        expires_at: None,
    }
}

fn inbox() -> InboxRow<'static> {
    InboxRow {
        transfer_id: 7,
        slot: 5,
        debit_shard: 2,
        decision: 0,
        reason: None,
        credit_user: Some("ben"),
        decided_at: 9,
    }
}

fn batch() -> Batch<'static> {
    Batch { format: FORMAT, writer: 100, number: 7, decided_at: 5, transfers: &[1; LISTED_BYTES], inbox: &[] }
}

#[test]
fn digests_and_hashes_are_the_same_in_every_version() {
    // Computed by another program from the description of the form.
    assert_eq!(transfer().digest().to_string(), "103d6b8dc386a6b816673a88");
    assert_eq!(inbox().digest().to_string(), "d2f7fe6a5f8a1609329eed1f");
    assert_eq!(batch().hash(&GENESIS)[..8], [0xa4, 0x5b, 0xff, 0x65, 0x02, 0x36, 0x99, 0xe7]);
}

#[test]
fn every_column_of_a_transfer_counts() {
    let changes: [fn(&mut TransferRow<'_>); 21] = [
        |row| row.id += 1,
        |row| row.debit_account = None,
        |row| row.credit_account = Some(3),
        |row| row.amount = 101,
        |row| row.debit_entry = Some(4),
        |row| row.debit_balance = Some(901),
        |row| row.credit_entry = Some(5),
        |row| row.credit_balance = None,
        |row| row.decided_at += 1,
        |row| row.created_at = Some(row.decided_at),
        |row| row.debit_slot = None,
        |row| row.credit_slot = Some(7),
        |row| row.kind = 1,
        |row| row.state = 3,
        |row| row.reason = Some(0),
        |row| row.currency = "USD",
        |row| row.message = Some("thank"),
        |row| row.reference = Some(""),
        |row| row.remote_user = Some("thanks"),
        |row| row.amount_reserved = Some(0),
        |row| row.expires_at = Some(0),
    ];
    assert_eq!(changes.len(), chain::TRANSFER_COLUMNS.len());
    let mut digests = BTreeSet::from([transfer().digest()]);
    for (number, change) in changes.into_iter().enumerate() {
        let mut changed = transfer();
        change(&mut changed);
        assert!(digests.insert(changed.digest()), "{}", chain::TRANSFER_COLUMNS[number]);
    }
}

#[test]
fn every_column_of_a_decision_counts() {
    let changes: [fn(&mut InboxRow<'_>); 7] = [
        |row| row.transfer_id += 1,
        |row| row.slot = 6,
        |row| row.debit_shard = 3,
        |row| row.decision = 2,
        |row| row.reason = Some(11),
        |row| row.credit_user = None,
        |row| row.decided_at += 1,
    ];
    assert_eq!(changes.len(), chain::INBOX_COLUMNS.len());
    let mut digests = BTreeSet::from([inbox().digest()]);
    for (number, change) in changes.into_iter().enumerate() {
        let mut changed = inbox();
        change(&mut changed);
        assert!(digests.insert(changed.digest()), "{}", chain::INBOX_COLUMNS[number]);
    }
}

#[test]
fn text_that_goes_from_one_column_to_the_next_counts() {
    let moved = TransferRow { message: None, reference: Some("thanks"), ..transfer() };
    assert_ne!(moved.digest(), transfer().digest());
    let joined = TransferRow { message: Some("ab"), reference: Some("c"), ..transfer() };
    let split = TransferRow { message: Some("a"), reference: Some("bc"), ..transfer() };
    assert_ne!(joined.digest(), split.digest());
}

#[test]
fn everything_in_a_batch_counts() {
    let other = [1; 2 * LISTED_BYTES];
    let batches = [
        batch(),
        Batch { format: 2, ..batch() },
        Batch { writer: 101, ..batch() },
        Batch { number: 8, ..batch() },
        Batch { decided_at: 6, ..batch() },
        Batch { transfers: &[], inbox: batch().transfers, ..batch() },
        Batch { transfers: &other, ..batch() },
        Batch { inbox: &other[..LISTED_BYTES], ..batch() },
    ];
    let mut hashes: BTreeSet<_> = batches.iter().map(|batch| batch.hash(&GENESIS)).collect();
    hashes.insert(batch().hash(&batch().hash(&GENESIS)));
    assert_eq!(hashes.len(), batches.len() + 1);
}

#[test]
fn rows_are_listed_and_read_again() {
    let rows = [1u128, u128::MAX].map(|id| Listed { id, digest: RowDigest([id as u8; RowDigest::BYTES]) });
    let bytes = list(rows.into_iter());
    assert_eq!(bytes.len(), 2 * LISTED_BYTES);
    assert_eq!(listed(&bytes).collect::<Vec<_>>(), rows);
    assert_eq!(listed(&bytes[..LISTED_BYTES + 1]).len(), 1);
}
