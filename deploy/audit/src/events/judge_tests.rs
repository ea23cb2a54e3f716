use super::*;

fn shard() -> ShardId {
    ShardId::try_from(1_u16).unwrap()
}

/// A deposit: entry `number` of the account.
fn deposit(last: u32, account: i64, number: i64) -> Ended {
    let transfer = format!("019acb2e-5f00-8041-8000-{last:012}").parse().unwrap();
    let credit = Some(Entry { account, number, balance: number * 10 });
    Ended { transfer, state: 2, amount: 10, debit: None, credit }
}

fn told(ended: Ended) -> Told {
    Told { id: ended.event_id().unwrap(), ended, decided_at: ended.credit.map_or(0, |entry| entry.number) }
}

fn owed(rows: &[Ended]) -> Owed {
    let rows = rows.iter().map(|row| (row.transfer, (*row, told(*row).decided_at)));
    Owed { rows: rows.collect(), ..Owed::default() }
}

/// How many transfers are not told as they were, and how many entries are out of order.
fn found(stream: &[Ended], owed: &Owed) -> (u64, u64) {
    let stream: Vec<Told> = stream.iter().copied().map(told).collect();
    let [whole, order] = judge(shard(), &stream, owed);
    (whole.violations, order.violations)
}

#[test]
fn a_whole_stream_with_repeats_is_accepted() {
    let (a, b, c) = (deposit(1, 7, 1), deposit(2, 8, 1), deposit(3, 7, 2));
    assert_eq!(found(&[a, b, c], &owed(&[a, b, c])), (0, 0));
    assert_eq!(found(&[a, b, a, c, b, c], &owed(&[a, b, c])), (0, 0));
    assert_eq!(found(&[a, b, c, a], &owed(&[a, b, c])), (0, 0), "a late repeat");
}

#[test]
fn what_is_missing_or_swapped_is_found() {
    let (a, b, c) = (deposit(1, 7, 1), deposit(2, 7, 2), deposit(3, 7, 3));
    let all = owed(&[a, b, c]);
    assert_eq!(found(&[a, b], &all), (1, 0));
    assert_eq!(found(&[a, c], &all), (1, 1));
    assert_eq!(found(&[b, c], &all), (1, 1));
    assert!(found(&[a, c, b], &all).1 > 0);
    assert!(found(&[a, c, b, c], &all).1 > 0, "a repeat in order mends nothing");
}

#[test]
fn what_is_told_falsely_is_found() {
    let (a, b) = (deposit(1, 7, 1), deposit(2, 7, 2));
    assert_eq!(found(&[a, b], &owed(&[a])).0, 1, "no such transfer");
    let other = Ended { amount: 11, ..b };
    assert_eq!(found(&[a, other], &owed(&[a, b])).0, 1, "another amount");
    let released = Ended { state: 3, credit: None, ..b };
    assert_eq!(found(&[a, b, released], &owed(&[a, b])).0, 1, "two endings");
}

#[test]
fn what_waits_or_was_cut_off_is_not_owed() {
    let (a, b, c) = (deposit(1, 7, 1), deposit(2, 7, 2), deposit(3, 7, 3));
    let waiting = Owed { waiting: [c.transfer].into(), ..owed(&[a, b, c]) };
    assert_eq!(found(&[a, b], &waiting), (0, 0));
    let cut = Owed { since: Some(3), ..owed(&[a, b, c]) };
    assert_eq!(found(&[c], &cut), (0, 0));
    let later = Owed { later: [(c.transfer, c)].into(), ..owed(&[a, b]) };
    assert_eq!(found(&[a, b, c], &later), (0, 0));
}
