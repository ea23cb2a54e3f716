//! Two shards with transfers both ways, whose books are read at any time.

use super::*;
use crate::store::reconcile::{Asked, Clearing, Decided};
use std::collections::HashSet;
use wire::pairing::{DecisionHalf, Ending, Money, TerminalHalf};

const SECOND: i64 = 1_000_000;
const COVERED: i64 = 40 * SECOND;
/// Account 1 is on shard 1, account 2 on shard 2.
const SHARDS: [i32; 2] = [1, 2];

/// A transfer between the two, by a clock that neither of them has.
struct Story {
    id: Uuid,
    from: i32,
    amount: i64,
    begun: i64,
    credited: Option<i64>,
    debited: Option<i64>,
}

/// Reproducible numbers, see Knuth's MMIX.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: i64) -> i64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        i64::try_from(self.0 >> 33).expect("31 bits") % bound
    }
}

/// Most are over in a moment, some take minutes, some never end.
fn stories(numbers: &mut Numbers, count: u128) -> Vec<Story> {
    let story = |number| {
        let begun = numbers.below(200 * SECOND);
        let step = |numbers: &mut Numbers| match numbers.below(10) {
            0 => None,
            1 => Some(numbers.below(100 * SECOND)),
            _ => Some(numbers.below(SECOND / 10)),
        };
        let credited = step(numbers).map(|pause| begun + pause);
        let debited = credited.and_then(|at| step(numbers).map(|pause| at + pause));
        let from = SHARDS[usize::from(numbers.below(2) == 0)];
        Story { id: Uuid::from_u128(number), from, amount: numbers.below(100) + 1, begun, credited, debited }
    };
    (1..=count).map(story).collect()
}

/// What a shard has at a time; `offset` is what its clock is ahead.
fn reading(stories: &[Story], shard: i32, at: i64, offset: i64) -> Reading {
    let peer = 3 - shard;
    let mut reading = Reading { now: Timestamp(at + offset), is_whole: true, ..Reading::default() };
    reading.server_started = Timestamp(i64::MIN);
    let mut total = 0;
    for story in stories.iter().filter(|story| story.begun <= at) {
        let money = Money {
            debit_account: Some(story.from.into()),
            credit_account: Some((3 - story.from).into()),
            amount: story.amount,
            currency: "SGD".to_owned(),
        };
        let (is_debit, created_at) = (story.from == shard, Timestamp(story.begun + offset));
        let decided = if is_debit { story.debited } else { story.credited }.filter(|decided| *decided <= at);
        match decided {
            Some(decided) => {
                total += i128::from(if is_debit { story.amount } else { -story.amount });
                if decided < at - COVERED {
                    continue;
                }
                let decided_at = Timestamp(decided + offset);
                let (has_debit, has_credit) = (is_debit, !is_debit);
                let half = TerminalHalf { ending: Ending::Posted, money, has_debit, has_credit, decided_at };
                reading.sides.push(Side { id: story.id, half, created_at });
                if !is_debit {
                    let half = DecisionHalf { is_credited: true, decided_at };
                    reading.decisions.push(Decided { id: story.id, half, debit_shard: story.from });
                }
            }
            None if is_debit => reading.asked.push(Asked { id: story.id, money, created_at }),
            None => {}
        }
    }
    reading.clearing.push(Clearing { peer, currency: "SGD".to_owned(), total });
    reading
}

fn books_of(reading: &Reading, shard: i32, age: i64) -> ClearingBooks {
    let peer = 3 - shard;
    let as_of = Timestamp(reading.now.0 - 30 * SECOND - age);
    books(reading, as_of, peer, |account| account == Some(peer.into()))
}

/// When the settling transfers of `books`, told by the other shard, were credited: asked at a later time.
fn credited(stories: &[Story], books: &ClearingBooks, at: i64, offset: i64) -> HashMap<Uuid, Timestamp> {
    let settling: HashSet<Uuid> = books.settling.iter().map(|settling| settling.id).collect();
    let known = stories.iter().filter(|story| settling.contains(&story.id));
    let known = known.filter_map(|story| Some((story.id, story.credited.filter(|credited| *credited <= at)?)));
    known.map(|(id, time)| (id, Timestamp(time + offset))).collect()
}

/// Shard 1 reads, then asks shard 2, whose clock is an hour ahead.
fn compare(stories: &[Story], numbers: &mut Numbers, change: impl Fn(&mut Reading, &mut Reading)) -> Difference {
    const OFFSET: i64 = 3_600 * SECOND;
    let at = 60 * SECOND + numbers.below(180 * SECOND);
    let (age, way) = (numbers.below(4 * SECOND), numbers.below(SECOND));
    let later = at + age + way;
    let (mut mine, mut theirs) = (reading(stories, 1, at, 0), reading(stories, 2, later, OFFSET));
    change(&mut mine, &mut theirs);
    let (mine, theirs) = (books_of(&mine, 1, 0), books_of(&theirs, 2, age));
    assert!(mine.is_whole && theirs.is_whole);
    let asked_at = later + numbers.below(10 * SECOND);
    let there = credited(stories, &mine, asked_at, OFFSET);
    let here = credited(stories, &theirs, asked_at, 0);
    difference(&mine, &theirs, &there, &here)
}

#[test]
fn right_books_come_to_nothing_whenever_they_are_read() {
    let mut numbers = Numbers(1);
    for round in 0..200 {
        let stories = stories(&mut numbers, 1_000);
        assert_eq!(compare(&stories, &mut numbers, |_, _| ()), Difference::new(), "round {round}");
    }
}

#[test]
fn changed_total_is_told_to_the_unit() {
    let mut numbers = Numbers(2);
    let stories = stories(&mut numbers, 1_000);
    let told = |sum| Difference::from([("SGD".to_owned(), sum)]);
    assert_eq!(compare(&stories, &mut numbers, |mine, _| mine.clearing[0].total += 7), told(7));
    assert_eq!(compare(&stories, &mut numbers, |_, theirs| theirs.clearing[0].total -= 9), told(-9));
    let eur = Clearing { peer: 2, currency: "EUR".to_owned(), total: 1 };
    let found = compare(&stories, &mut numbers, |mine, _| mine.clearing.push(eur.clone()));
    assert_eq!(found, Difference::from([("EUR".to_owned(), 1)]));
    let others = Clearing { peer: 3, currency: "SGD".to_owned(), total: 1 };
    assert_eq!(compare(&stories, &mut numbers, |mine, _| mine.clearing.push(others.clone())), Difference::new());
}

#[test]
fn credit_whose_decision_is_gone_still_counts_for_its_peer() {
    let mut numbers = Numbers(3);
    let stories = stories(&mut numbers, 1_000);
    assert_eq!(compare(&stories, &mut numbers, |mine, _| mine.decisions.clear()), Difference::new());
}

#[test]
fn nothing_follows_while_times_are_no_measure() {
    let mut numbers = Numbers(4);
    let stories = stories(&mut numbers, 1_000);
    let mut right = reading(&stories, 1, 100 * SECOND, 0);
    assert!(books_of(&right, 1, 0).is_whole);
    right.covered_since = Timestamp(66 * SECOND);
    assert!(!books_of(&right, 1, 0).is_whole, "a reading that does not go back far enough");
    right.covered_since = Timestamp(65 * SECOND);
    assert!(books_of(&right, 1, 0).is_whole);
    right.server_started = Timestamp(90 * SECOND);
    assert!(!books_of(&right, 1, 0).is_whole, "a server that has just started");
    right.server_started = Timestamp(0);
    right.now = Timestamp(99 * SECOND);
    assert!(!books_of(&right, 1, 0).is_whole, "a clock that was set back");
}
