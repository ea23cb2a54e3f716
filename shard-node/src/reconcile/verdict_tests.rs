use super::*;
use ledger::Timestamp;
use wire::pairing::{DecisionHalf, Ending, Money, OpenHalf, TerminalHalf};

const CONFIRM: Duration = Duration::from_secs(3);

fn shard(number: u16) -> ShardId {
    ShardId::try_from(number).expect("a shard")
}

fn sgd(amount: i128) -> BTreeSet<Missing> {
    BTreeSet::from([Missing::Clearing { currency: "SGD".to_owned(), amount }])
}

fn differs(amount: i128) -> Look {
    Look::Compared(sgd(amount))
}

fn agrees() -> Look {
    Look::Compared(BTreeSet::new())
}

/// The verdicts after looks at shards 2 and 3, one look a second.
fn verdicts(looks: &[(Look, Look)]) -> Vec<Verdict> {
    let mut suspicions = Suspicions::default();
    let verdicts = looks.iter().zip(0..).map(|((second, third), at)| {
        let looks = BTreeMap::from([(shard(2), second.clone()), (shard(3), third.clone())]);
        suspicions.judge(looks, Duration::from_secs(at), CONFIRM)
    });
    verdicts.collect()
}

#[test]
fn shard_opens_at_once_if_nothing_is_missing_or_nobody_can_be_asked() {
    for looks in [(agrees(), agrees()), (agrees(), Look::Unasked), (Look::Unasked, Look::Unasked)] {
        assert_eq!(verdicts(&[looks]), [Verdict::Open]);
    }
    assert_eq!(Suspicions::default().judge(BTreeMap::new(), Duration::ZERO, CONFIRM), Verdict::Open, "a shard alone");
}

#[test]
fn difference_that_stays_is_certain_after_as_long_as_the_reconciler_waits() {
    let told = verdicts(&vec![(differs(5), agrees()); 9]);
    assert_eq!(told[..6], [Verdict::LookAgain; 6]);
    assert_eq!(told[6..], [Verdict::ReadOnly; 3]);
}

#[test]
fn one_peer_that_has_more_is_enough_and_the_others_do_not_excuse_it() {
    for other in [agrees(), Look::Unasked] {
        assert_eq!(verdicts(&vec![(other, differs(5)); 7]).last(), Some(&Verdict::ReadOnly));
    }
}

#[test]
fn difference_that_goes_away_or_changes_is_not_certain() {
    let same = || (differs(5), agrees());
    assert_eq!(verdicts(&[same(), same(), (agrees(), agrees())]).last(), Some(&Verdict::Open));
    let changing: Vec<_> = (1..20).map(|amount| (differs(amount), agrees())).collect();
    assert_eq!(verdicts(&changing), [Verdict::LookAgain; 19]);
}

#[test]
fn peer_that_is_gone_after_a_suspicion_does_not_open_the_shard() {
    let mut looks = vec![(differs(5), agrees()), (Look::Unasked, agrees())];
    assert_eq!(verdicts(&looks), [Verdict::LookAgain; 2]);
    looks = vec![(differs(5), agrees()); 7];
    looks.push((Look::Unasked, agrees()));
    assert_eq!(verdicts(&looks).last(), Some(&Verdict::ReadOnly));
}

#[test]
fn read_only_shard_stays_so_until_nothing_is_missing() {
    let mut looks = vec![(differs(5), agrees()); 7];
    looks.extend([(differs(4), agrees()), (differs(3), agrees()), (agrees(), agrees())]);
    assert_eq!(verdicts(&looks)[7..], [Verdict::ReadOnly, Verdict::ReadOnly, Verdict::Open]);
}

#[test]
fn what_is_told_names_peer_currency_and_amount() {
    let mut suspicions = Suspicions::default();
    let transfer = Missing::Transfer { id: Uuid::nil(), wrong: "x".to_owned() };
    let missing = sgd(-50).into_iter().chain([transfer]).collect();
    suspicions.judge(BTreeMap::from([(shard(2), Look::Compared(missing))]), Duration::ZERO, CONFIRM);
    let told = suspicions.told();
    assert_eq!(told, "shard 2 has -50 SGD in clearing, 1 recent transfers that this shard does not explain");
    assert_eq!(suspicions.missing().count(), 2);
}

fn money() -> Money {
    Money { debit_account: Some(1), credit_account: Some(2), amount: 5, currency: "SGD".to_owned() }
}

fn ended(ending: Ending, has_debit: bool, has_credit: bool) -> Halves {
    let terminal = TerminalHalf { ending, money: money(), has_debit, has_credit, decided_at: Timestamp(1) };
    Halves { terminal: Some(terminal), ..Halves::default() }
}

fn decided(is_credited: bool) -> Halves {
    let decision = Some(DecisionHalf { is_credited, decided_at: Timestamp(1) });
    Halves { decision, ..Halves::default() }
}

fn open(is_held: bool) -> Halves {
    Halves { open: Some(OpenHalf { is_held, money: money() }), ..Halves::default() }
}

#[test]
fn this_shard_lacks_a_transfer_only_if_the_peer_relies_on_what_is_not_here() {
    let credited = || Halves { decision: decided(true).decision, ..ended(Ending::Posted, false, true) };
    let (debited, released) = (ended(Ending::Posted, true, false), ended(Ending::Released, false, false));
    let cases = [
        ("credited there, unknown here", true, credited(), Halves::default(), true),
        ("credited there, still held here", true, credited(), open(true), true),
        ("credited there, asking here", true, credited(), open(false), false),
        ("credited there, debited here", true, credited(), debited.clone(), false),
        ("decided against there, unknown here", true, decided(false), Halves::default(), true),
        ("debited there, not decided here", false, debited.clone(), Halves::default(), true),
        ("released there, not decided here", false, released.clone(), Halves::default(), true),
        ("debited there, credited here", false, debited, credited(), false),
        ("released there, decided against here", false, released.clone(), decided(false), false),
        ("released there, credited here: wrong, but not lacking", false, released, credited(), false),
    ];
    for (name, is_credit, halves, mine, is_missing) in cases {
        let theirs = DecidedHalf { id: Uuid::from_u128(1), is_credit, halves };
        let found = missing(clearing::Difference::new(), [(&theirs, &mine)].into_iter());
        assert_eq!(!found.is_empty(), is_missing, "{name}: {found:?}");
    }
    let difference = clearing::Difference::from([("SGD".to_owned(), 7)]);
    assert_eq!(missing(difference, std::iter::empty()), sgd(7));
}
