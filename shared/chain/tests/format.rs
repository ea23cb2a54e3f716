//! The format is fixed: what has been written must be verified by every later version.

use chain::{
    AccountRow, Batch, Changes, GENESIS, InboxRow, KeyRow, LISTED_BYTES, Listed, ReservationRow, RowDigest,
    TransferRow, list, listed,
};
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

fn key() -> KeyRow {
    KeyRow {
        slot: 5,
        key_hash: 7,
        fingerprint: 8,
        transfer_id: Some(9),
        account_id: None,
        rejection: Some(2),
        recorded_at: 10,
    }
}

fn account() -> AccountRow<'static> {
    AccountRow {
        id: 140_737_488_420_864,
        slot: 5,
        user_id: "anna",
        name: "current",
        currency: "SGD",
        status: 1,
        created_at: 9,
    }
}

fn reservation() -> ReservationRow<'static> {
    ReservationRow {
        transfer_id: 7,
        slot: 5,
        is_held: true,
        debit_account: 1,
        debit_user: "anna",
        credit_account: 2,
        amount: 100,
        currency: "SGD",
        message: None,
        reference: Some("order 7"),
        created_at: 9,
        amount_reserved: Some(100),
        expires_at: Some(11),
        committed_at: None,
    }
}

const LIST: [[u8; LISTED_BYTES]; 5] =
    [[0; LISTED_BYTES], [1; LISTED_BYTES], [2; LISTED_BYTES], [3; LISTED_BYTES], [4; LISTED_BYTES]];

fn first_format() -> Batch<'static> {
    Batch { format: 1, writer: 100, number: 7, decided_at: 5, transfers: &LIST[1], ..Batch::default() }
}

fn batch() -> Batch<'static> {
    Batch {
        format: 2,
        keys: &LIST[2],
        accounts: Changes { written: &[], replaced: &LIST[3] },
        reservations: Changes { written: &LIST[4], replaced: &[] },
        ..first_format()
    }
}

#[test]
fn digests_and_hashes_are_the_same_in_every_version() {
    // Computed by another program from the description of the form.
    assert_eq!(transfer().digest().to_string(), "103d6b8dc386a6b816673a88");
    assert_eq!(inbox().digest().to_string(), "d2f7fe6a5f8a1609329eed1f");
    assert_eq!(key().digest().to_string(), "85986e97050aae0d96e64988");
    assert_eq!(account().digest().to_string(), "a4800696449e73142b189f72");
    assert_eq!(reservation().digest().to_string(), "ecbb07b3be89f1739260e521");
    assert_eq!(first_format().hash(&GENESIS)[..8], [0xa4, 0x5b, 0xff, 0x65, 0x02, 0x36, 0x99, 0xe7]);
    assert_eq!(batch().hash(&GENESIS)[..8], [0x39, 0x2a, 0xa0, 0xbb, 0x26, 0x44, 0x54, 0x4a]);
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
fn every_column_of_a_key_counts() {
    let changes: [fn(&mut KeyRow); 7] = [
        |row| row.slot = 6,
        |row| row.key_hash += 1,
        |row| row.fingerprint += 1,
        |row| row.transfer_id = None,
        |row| row.account_id = Some(9),
        |row| row.rejection = None,
        |row| row.recorded_at += 1,
    ];
    assert_eq!(changes.len(), chain::KEY_COLUMNS.len());
    let mut digests = BTreeSet::from([key().digest()]);
    for (number, change) in changes.into_iter().enumerate() {
        let mut changed = key();
        change(&mut changed);
        assert!(digests.insert(changed.digest()), "{}", chain::KEY_COLUMNS[number]);
    }
}

#[test]
fn every_column_of_an_account_but_its_sums_counts() {
    let changes: [fn(&mut AccountRow<'_>); 7] = [
        |row| row.id += 1,
        |row| row.slot = 6,
        |row| row.user_id = "mallory",
        |row| row.name = "",
        |row| row.currency = "USD",
        |row| row.status = 0,
        |row| row.created_at += 1,
    ];
    assert_eq!(changes.len(), chain::ACCOUNT_COLUMNS.len());
    let mut digests = BTreeSet::from([account().digest()]);
    for (number, change) in changes.into_iter().enumerate() {
        let mut changed = account();
        change(&mut changed);
        assert!(digests.insert(changed.digest()), "{}", chain::ACCOUNT_COLUMNS[number]);
    }
}

#[test]
fn every_column_of_a_reservation_that_only_lanes_write_counts() {
    let changes: [fn(&mut ReservationRow<'_>); 14] = [
        |row| row.transfer_id += 1,
        |row| row.slot = 6,
        |row| row.is_held = false,
        |row| row.debit_account = 3,
        |row| row.debit_user = "ben",
        |row| row.credit_account = 3,
        |row| row.amount = 99,
        |row| row.currency = "USD",
        |row| row.message = Some(""),
        |row| row.reference = None,
        |row| row.created_at += 1,
        |row| row.amount_reserved = Some(101),
        |row| row.expires_at = None,
        |row| row.committed_at = Some(11),
    ];
    assert_eq!(changes.len(), chain::RESERVATION_COLUMNS.len());
    let mut digests = BTreeSet::from([reservation().digest()]);
    for (number, change) in changes.into_iter().enumerate() {
        let mut changed = reservation();
        change(&mut changed);
        assert!(digests.insert(changed.digest()), "{}", chain::RESERVATION_COLUMNS[number]);
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
    let longer = [1; 2 * LISTED_BYTES];
    let [other, ..] = &LIST;
    let (keys, accounts, reservations) = (batch().keys, batch().accounts, batch().reservations);
    let batches = [
        batch(),
        Batch { format: 1, ..batch() },
        Batch { format: 3, ..batch() },
        Batch { writer: 101, ..batch() },
        Batch { number: 8, ..batch() },
        Batch { decided_at: 6, ..batch() },
        Batch { transfers: &[], inbox: batch().transfers, ..batch() },
        Batch { transfers: &longer, ..batch() },
        Batch { inbox: other, ..batch() },
        Batch { inbox: keys, keys: &[], ..batch() },
        Batch { keys: other, ..batch() },
        Batch { keys: &[], accounts: Changes { written: keys, ..accounts }, ..batch() },
        Batch { accounts: Changes { written: accounts.replaced, replaced: &[] }, ..batch() },
        Batch { accounts: Changes { replaced: other, ..accounts }, ..batch() },
        Batch { reservations: Changes { written: other, ..reservations }, ..batch() },
        Batch { reservations: Changes { written: &[], replaced: reservations.written }, ..batch() },
        Batch { reservations: Changes { replaced: other, ..reservations }, ..batch() },
    ];
    let mut hashes: BTreeSet<_> = batches.iter().map(|batch| batch.hash(&GENESIS)).collect();
    hashes.insert(batch().hash(&batch().hash(&GENESIS)));
    assert_eq!(hashes.len(), batches.len() + 1);
}

#[test]
fn batch_of_the_first_format_is_given_no_lists_of_the_second() {
    let other = &LIST[0];
    let changes = [Changes { written: other, replaced: &[] }, Changes { written: &[], replaced: other }];
    let mut given = vec![Batch { keys: other, ..first_format() }];
    given.extend(changes.map(|accounts| Batch { accounts, ..first_format() }));
    given.extend(changes.map(|reservations| Batch { reservations, ..first_format() }));
    for batch in given {
        assert_ne!(batch.hash(&GENESIS), first_format().hash(&GENESIS), "{batch:?}");
    }
}

#[test]
fn rows_are_listed_and_read_again() {
    let rows = [1u128, u128::MAX].map(|id| Listed { id, digest: RowDigest([id as u8; RowDigest::BYTES]) });
    let bytes = list(rows.into_iter());
    assert_eq!(bytes.len(), 2 * LISTED_BYTES);
    assert_eq!(listed(&bytes).collect::<Vec<_>>(), rows);
    assert_eq!(listed(&bytes[..LISTED_BYTES + 1]).len(), 1);
}
