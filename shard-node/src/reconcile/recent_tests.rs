use super::*;
use crate::store::reconcile::{Asked, Decided, Side};
use ledger::Timestamp;
use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use wire::pairing::{DecisionHalf, Ending, Money, TerminalHalf};

const COVERED: Duration = Duration::from_secs(60);
const WANTED: Wanted = Wanted { covered: COVERED, transfers: 5, further: COVERED };

fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

fn money() -> Money {
    Money { debit_account: Some(1), credit_account: Some(2), amount: 5, currency: "SGD".to_owned() }
}

fn side(number: u128, has_credit: bool) -> Side {
    let ending = Ending::Posted;
    let half = TerminalHalf { ending, money: money(), has_debit: !has_credit, has_credit, decided_at: Timestamp(1) };
    Side { id: id(number), half, created_at: Timestamp(0) }
}

fn decided(number: u128, is_credited: bool) -> Decided {
    Decided { id: id(number), half: DecisionHalf { is_credited, decided_at: Timestamp(1) }, debit_shard: 2 }
}

fn asked(number: u128) -> Asked {
    Asked { id: id(number), money: money(), created_at: Timestamp(0) }
}

fn snapshot(reading: Reading) -> Snapshot {
    Snapshot::of(reading, WANTED, Instant::now())
}

fn many() -> Snapshot {
    snapshot(Reading {
        sides: vec![side(1, false), side(2, true), side(3, true), side(6, false), side(6, true), side(7, false)],
        decisions: vec![decided(2, true), decided(4, false), decided(5, true), decided(6, true)],
        asked: vec![asked(7), asked(8)],
        ..Reading::default()
    })
}

#[test]
fn only_what_is_whole_and_has_ended_is_known_for_good() {
    let known = many();
    let ended: Vec<u128> = (0..10).filter(|number| known.ended(id(*number)).is_some()).collect();
    // A debit, a credit with its decision, and a decision against. Not: a credit without a decision, a decision without
    // its credit, both halves, an open one.
    assert_eq!(ended, [1, 2, 4]);
    assert!(known.ended(id(2)).is_some_and(|halves| halves.terminal.is_some() && halves.decision.is_some()));
}

#[tokio::test]
async fn the_rest_is_read_and_all_is_told_in_its_order() {
    let known = many();
    let read = async |unknown: &[Uuid]| {
        assert_eq!(unknown, [id(9), id(8)]);
        let halves = [decided(9, false), decided(8, true)];
        Ok::<_, Infallible>(halves.map(|decided| Halves { decision: Some(decided.half), ..Halves::default() }).to_vec())
    };
    let Ok(found) = look_up(Some(&known), &[id(1), id(9), id(4), id(8)], read).await;
    let told = found.iter().map(|halves| (halves.terminal.is_some(), halves.decision.map(|half| half.is_credited)));
    assert_eq!(
        told.collect::<Vec<_>>(),
        [(true, None), (false, Some(false)), (false, Some(false)), (false, Some(true))]
    );
}

/// Asks for one that covers so much, and tells how often it was read in all.
async fn ask(recent: &Recent, covered: Duration, renewals: u64, reads: &AtomicUsize) -> usize {
    let read = async |wanted| {
        reads.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(20)).await;
        let reading = Reading { is_whole: covered < TOO_MUCH, ..Reading::default() };
        Ok(Snapshot::of(reading, wanted, Instant::now()))
    };
    let wanted = Wanted { covered, ..WANTED };
    recent.get(wanted, || renewals, read).await.expect("it is read");
    reads.load(Ordering::Relaxed)
}

const TOO_MUCH: Duration = Duration::from_secs(300);

fn recent() -> Recent {
    let (interval, confirm_after) = (Duration::from_secs(30), Duration::from_secs(5));
    Recent::new(&ReconcileConfig { interval, recent: COVERED, transfers_max: 5, compare_at_start: true, confirm_after })
}

#[tokio::test]
async fn whoever_asks_within_a_moment_shares_one_reading() {
    let (recent, reads) = (recent(), AtomicUsize::new(0));
    let all = (0..10).map(|_| ask(&recent, COVERED, 0, &reads));
    futures_util::future::join_all(all).await;
    assert_eq!(reads.load(Ordering::Relaxed), 1);
    assert_eq!(ask(&recent, COVERED / 2, 0, &reads).await, 1, "it covers less, too");
    assert_eq!(ask(&recent, COVERED * 2, 0, &reads).await, 2, "more is not in it");
}

#[tokio::test]
async fn reading_that_is_not_whole_serves_only_who_wants_the_same() {
    let (recent, reads) = (recent(), AtomicUsize::new(0));
    assert_eq!(ask(&recent, TOO_MUCH, 0, &reads).await, 1);
    assert_eq!(ask(&recent, TOO_MUCH, 0, &reads).await, 1);
    assert_eq!(ask(&recent, COVERED, 0, &reads).await, 2, "less may be whole");
}

#[tokio::test]
async fn nothing_is_told_from_before_connections_were_renewed() {
    let (recent, reads) = (recent(), AtomicUsize::new(0));
    assert!(recent.told_from(0).is_none());
    ask(&recent, COVERED, 0, &reads).await;
    assert!(recent.told_from(0).is_some() && recent.told_from(1).is_none());
    assert_eq!(ask(&recent, COVERED, 1, &reads).await, 2);
    assert!(recent.told_from(0).is_none() && recent.told_from(1).is_some());
}

#[tokio::test]
async fn old_reading_is_made_again_and_not_told_from() {
    for (age, read, is_told) in [(1, 0, true), (4, 1, true), (11, 1, false)] {
        let (recent, reads) = (recent(), AtomicUsize::new(0));
        let ended = Instant::now().checked_sub(Duration::from_secs(age)).expect("the machine runs for longer");
        let reading = Reading { is_whole: true, ..Reading::default() };
        // It took long, and whoever waited for it wants it all the same.
        let snapshot = Arc::new(Snapshot { ended, ..Snapshot::of(reading, WANTED, ended - Duration::from_secs(5)) });
        recent.newest.store(Some(Arc::new(Newest { snapshot, renewals: 0 })));
        assert_eq!(recent.told_from(0).is_some(), is_told, "{age} s");
        assert_eq!(ask(&recent, COVERED, 0, &reads).await, read, "{age} s");
    }
}
