//! A good history passes every check; each doctored one is found by the check that is meant for it.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use uuid::Uuid;

use super::*;
use crate::faults::clock::Moment;
use crate::faults::history::{Answer, Attempt, Code, Doom, History, How, Loss, ReadCall, Said, Seen, State, Want};
use crate::faults::survey::{AccountNow, Line, OpenRow, Row, Survey};
use crate::faults::timeline::{Start, Struck, Timeline, WrongClock};
use crate::population::Population;
use crate::population::tests::population;

const SECOND: u64 = 1_000_000;

/// A whole run of four accounts, of which 0 and 1 are on shard 1, 2 and 3 on shard 2.
struct Stage {
    population: Population,
    history: History,
    survey: Survey,
    timeline: Timeline,
    now: u64,
}

fn uuid(id: RequestId) -> Uuid {
    Uuid::from_u128(0x1000 + u128::from(id.0))
}

fn said(status: u16, id: RequestId, state: State, amount: i64) -> Answer {
    Answer::Said(Said { status, transfer: uuid(id), state, amount, body: u64::from(id.0) })
}

impl Stage {
    fn empty() -> Self {
        let population = population(1, 2, 2);
        let survey = Survey {
            sagas_closed_after: Some(Duration::from_secs(1)),
            lines: vec![],
            shown: vec![],
            accounts: vec![AccountNow { balance: 0, reserved: 0, entries: 0, shown: vec![(0, 0), (0, 0)] }; 4],
            rows: HashMap::new(),
            open: vec![],
            broken: vec![],
            audited: 16,
        };
        let mut stage = Self {
            history: History::new(1, population.accounts.len()),
            population,
            survey,
            timeline: Timeline::default(),
            now: SECOND,
        };
        for place in 0..4 {
            let deposit = stage.population.account(place).deposit;
            stage.line(place, deposit.amount, false, deposit.id, None, None);
        }
        stage
    }

    /// Each kind of request once, all well.
    fn good() -> Self {
        let mut stage = Self::empty();
        let transfer = stage.begin(Want::Transfer { debit: 0, credit: 1, amount: 100, to_user: false, doom: None });
        stage.call(transfer, How::Asked, Answer::Lost(Loss::HungUp));
        stage.call(transfer, How::Asked, said(201, transfer, State::Posted, 100));
        stage.call(transfer, How::Asked, said(201, transfer, State::Posted, 100));
        let reused = Answer::Refused(422, Code::of("idempotency_key_reused"), None);
        stage.call(transfer, How::Altered, reused);
        stage.post(transfer, 100);

        let refused =
            stage.begin(Want::Transfer { debit: 2, credit: 0, amount: 5, to_user: false, doom: Some(Doom::TooMuch) });
        stage.call(refused, How::Asked, Answer::Open(503, Code::of("unavailable")));
        stage.call(refused, How::Asked, Answer::Refused(422, Code::of("insufficient_funds"), Some(uuid(refused))));
        stage.survey.rows.insert(uuid(refused), vec![Row { shard: 1, state: 4, amount: 5 }]);

        let reserve = stage.begin(Want::Reserve { debit: 1, credit: 3, amount: 60, expires_in_seconds: 3_000_000 });
        stage.call(reserve, How::Asked, said(201, reserve, State::Reserved, 60));
        stage.read(1, Seen::Account { balance: 1_100, reserved: 60, available: 1_040 });
        let commit = stage.begin(Want::Commit { of: reserve, amount: Some(40) });
        stage.call(commit, How::Asked, said(202, reserve, State::Pending, 40));
        stage.call(commit, How::Asked, said(200, reserve, State::Posted, 40));
        stage.call(reserve, How::Asked, said(201, reserve, State::Reserved, 60));
        let release = stage.begin(Want::Release { of: reserve });
        stage.call(release, How::Asked, Answer::Refused(409, Code::of("transfer_not_reserved"), Some(uuid(reserve))));
        stage.post(reserve, 40);

        let held = stage.begin(Want::Reserve { debit: 3, credit: 1, amount: 7, expires_in_seconds: 3_000_000 });
        stage.call(held, How::Asked, said(201, held, State::Reserved, 7));
        stage.hold(held, 1, 3, 7);

        stage.read(0, Seen::Account { balance: 900, reserved: 0, available: 900 });
        stage.read(3, Seen::History { entry: 2, balance: 1_040, is_whole: true });
        stage.read(3, Seen::Open { sum: 7 });
        stage.strike(&[0], Some((0, Moment(2 * SECOND))), 2 * SECOND, 3 * SECOND);
        let after = stage.begin(Want::Transfer { debit: 0, credit: 1, amount: 1, to_user: true, doom: None });
        stage.call(after, How::Asked, said(201, after, State::Posted, 1));
        stage.post(after, 1);
        stage
    }

    fn begin(&mut self, want: Want) -> RequestId {
        self.history.begin(0, want)
    }

    /// A call of half a second, a tenth after what came before.
    fn call(&mut self, id: RequestId, how: How, answer: Answer) {
        self.call_of(id, how, answer, SECOND / 2);
    }

    fn call_of(&mut self, id: RequestId, how: How, answer: Answer, micros: u64) {
        let sent = Moment(self.now + SECOND / 10);
        let answered = Moment(sent.0 + micros);
        self.now = answered.0;
        self.history.record(id, "call", Attempt { how, router: 1, sent, answered, answer, is_replay: false });
    }

    fn read(&mut self, account: u32, seen: Seen) {
        let sent = Moment(self.now + SECOND / 10);
        let answered = Moment(sent.0 + SECOND / 10);
        self.now = answered.0;
        self.history.note_read("read", "answered", ReadCall { account, router: 1, sent, answered, seen });
    }

    /// Books both sides of a request.
    fn post(&mut self, id: RequestId, amount: i64) {
        let (debit, credit) = self.history.get(id).accounts().unwrap();
        let (from, to) = (self.population.account(debit).id, self.population.account(credit).id);
        self.line(debit, amount, true, uuid(id), Some(id), Some(to));
        self.line(credit, amount, false, uuid(id), Some(id), Some(from));
        self.survey.rows.insert(uuid(id), vec![Row { shard: 0, state: 2, amount }]);
    }

    fn line(
        &mut self,
        account: u32,
        amount: i64,
        is_debit: bool,
        transfer: Uuid,
        request: Option<RequestId>,
        other: Option<u64>,
    ) {
        let now = &mut self.survey.accounts[account as usize];
        now.balance += if is_debit { -amount } else { amount };
        now.entries += 1;
        let line =
            Line { account, entry: now.entries, balance: now.balance, amount, is_debit, transfer, request, other };
        self.survey.lines.push(line);
        self.settle();
    }

    fn hold(&mut self, id: RequestId, shard: usize, account: u32, amount: i64) {
        let debit = self.population.account(account).id;
        self.survey.open.push(OpenRow { shard, transfer: uuid(id), debit, amount, is_held: true });
        self.survey.accounts[account as usize].reserved += amount;
        self.settle();
    }

    /// What is shown is what is there.
    fn settle(&mut self) {
        self.survey.lines.sort_by_key(|line| (line.account, line.entry));
        self.survey.shown.clone_from(&self.survey.lines);
        for account in &mut self.survey.accounts {
            account.shown = vec![(account.balance, account.reserved); 2];
        }
    }

    /// The answer before, given again.
    fn replay(&mut self, id: RequestId, answer: Answer) {
        self.call(id, How::Asked, answer);
        self.history.get_mut(id).attempts.last_mut().unwrap().is_replay = true;
    }

    /// A fault of these shards; what it starts again.
    fn strike(&mut self, shards: &[usize], started: Option<(usize, Moment)>, began: u64, ended: u64) {
        if let Some((shard, at)) = started {
            let by = Some(self.timeline.struck.len());
            self.timeline.starts.push(Start { shard, at, harm: "kill".to_owned(), by });
        }
        self.timeline.struck.push(Struck {
            class: "kill a PostgreSQL".to_owned(),
            harm: "kill".to_owned(),
            began: Moment(began),
            ended: Moment(ended),
            routers: vec![],
            shards: shards.to_vec(),
        });
    }

    fn findings(&self) -> Vec<Findings> {
        run(&Scene::new(&self.population, &self.history, &self.survey, &self.timeline))
    }

    fn broken(&self) -> BTreeSet<&'static str> {
        self.findings().iter().flat_map(|findings| &findings.breaches).map(|breach| breach.check).collect()
    }

    fn told(&self) -> Vec<Breach> {
        self.findings().into_iter().flat_map(|findings| findings.breaches).collect()
    }

    /// Takes away the lines of a request that fit, and closes the gap.
    fn unbook(&mut self, id: RequestId, sides: impl Fn(&Line) -> bool) {
        let gone: Vec<Line> =
            self.survey.lines.iter().filter(|line| line.request == Some(id) && sides(line)).copied().collect();
        for gone in gone {
            self.survey.lines.retain(|line| *line != gone);
            let moved = if gone.is_debit { gone.amount } else { -gone.amount };
            let later = self.survey.lines.iter_mut();
            for line in later.filter(|line| line.account == gone.account && line.entry > gone.entry) {
                line.entry -= 1;
                line.balance += moved;
            }
            let now = &mut self.survey.accounts[gone.account as usize];
            now.balance += moved;
            now.entries -= 1;
        }
        self.settle();
    }
}

/// Checks that exactly these find something.
#[track_caller]
fn found_by(stage: &Stage, checks: &[&str]) {
    let told = stage.told();
    let wanted: BTreeSet<&str> = checks.iter().copied().collect();
    assert_eq!(stage.broken(), wanted, "{told:#?}");
}

const TRANSFER: RequestId = RequestId(0);
const REFUSED: RequestId = RequestId(1);
const RESERVE: RequestId = RequestId(2);
const COMMIT: RequestId = RequestId(3);
/// After the release of what was committed.
const HELD: RequestId = RequestId(5);

#[test]
fn good_history_passes_and_every_check_has_looked_at_something() {
    let stage = Stage::good();
    found_by(&stage, &[]);
    for findings in stage.findings() {
        let needs_more = ["two_step_expires"];
        assert!(findings.made > 0 || needs_more.contains(&findings.check()), "{}", findings.check());
    }
}

#[test]
fn folded_history_passes_too() {
    let mut stage = Stage::good();
    stage.timeline = Timeline::default();
    let lines = std::mem::take(&mut stage.survey.lines);
    stage.history.absorb(&lines);
    stage.settle();
    found_by(&stage, &[]);
    stage.history.absorb(&[]);
    let live: Vec<RequestId> = stage.history.live().map(|(id, _)| id).collect();
    assert_eq!(live, [HELD], "only what is open stays");
    found_by(&stage, &[]);
}

#[test]
fn lost_credit_is_found() {
    let mut stage = Stage::good();
    stage.unbook(RESERVE, |line| !line.is_debit);
    found_by(&stage, &["acknowledged_once", "unknown_resolved", "total_kept", "writes_visible"]);
}

#[test]
fn lost_transfer_is_found() {
    let mut stage = Stage::good();
    stage.unbook(RESERVE, |_| true);
    found_by(&stage, &["acknowledged_once", "writes_visible"]);
}

#[test]
fn transfer_booked_twice_is_found() {
    let mut stage = Stage::good();
    stage.post(TRANSFER, 100);
    found_by(&stage, &["acknowledged_once", "writes_visible"]);
    // Once it is folded, a second booking is one of an old transfer.
    let mut stage = Stage::good();
    let lines = std::mem::take(&mut stage.survey.lines);
    stage.history.absorb(&lines);
    stage.history.absorb(&[]);
    stage.timeline = Timeline::default();
    stage.post(TRANSFER, 100);
    found_by(&stage, &["lines_explained"]);
}

#[test]
fn wrong_amount_is_found() {
    let mut stage = Stage::good();
    stage.unbook(TRANSFER, |_| true);
    stage.post(TRANSFER, 99);
    let broken = stage.broken();
    for check in ["acknowledged_once", "lines_explained", "rows_agree"] {
        assert!(broken.contains(check), "{check}: {broken:?}");
    }
}

#[test]
fn refused_transfer_in_the_books_is_found() {
    let mut stage = Stage::good();
    stage.post(REFUSED, 5);
    let broken = stage.broken();
    assert!(broken.contains("rejected_never") && broken.contains("rows_agree"), "{broken:?}");
}

#[test]
fn transfer_that_was_never_sent_is_found_in_the_books() {
    let mut stage = Stage::good();
    let id = stage.begin(Want::Transfer { debit: 0, credit: 1, amount: 3, to_user: false, doom: None });
    stage.timeline.goes_down(1, Moment(stage.now));
    stage.call(id, How::Asked, Answer::NotSent);
    found_by(&stage, &[]);
    stage.post(id, 3);
    found_by(&stage, &["rejected_never"]);
}

#[test]
fn request_that_stays_undecided_is_found() {
    let mut stage = Stage::good();
    let id = stage.begin(Want::Transfer { debit: 0, credit: 1, amount: 3, to_user: false, doom: None });
    stage.call(id, How::Asked, Answer::Open(503, Code::of("unavailable")));
    found_by(&stage, &["unknown_resolved"]);
}

#[test]
fn transfer_that_stays_pending_is_found() {
    let mut stage = Stage::good();
    let id = stage.begin(Want::Transfer { debit: 0, credit: 2, amount: 3, to_user: false, doom: None });
    stage.call(id, How::Asked, said(202, id, State::Pending, 3));
    found_by(&stage, &["unknown_resolved"]);
}

#[test]
fn two_ends_of_one_transfer_are_found() {
    let mut stage = Stage::good();
    let voided = said(200, TRANSFER, State::Released(Code::of("voided")), 100);
    stage.call(TRANSFER, How::Looked, voided);
    found_by(&stage, &["one_outcome"]);
}

#[test]
fn another_answer_for_a_key_is_found() {
    let mut stage = Stage::good();
    let Answer::Said(first) = said(201, TRANSFER, State::Posted, 100) else { panic!() };
    stage.call(TRANSFER, How::Asked, Answer::Said(Said { body: 77, ..first }));
    found_by(&stage, &["same_answer"]);

    let mut stage = Stage::good();
    stage.call(REFUSED, How::Asked, Answer::Refused(422, Code::of("same_account"), Some(uuid(REFUSED))));
    assert!(stage.broken().contains("same_answer"));

    // A reservation is answered as at first, whatever has become of it.
    let mut stage = Stage::good();
    stage.call(RESERVE, How::Asked, said(201, RESERVE, State::Posted, 40));
    assert!(stage.broken().contains("same_answer"));

    // A commit that won, and whose repeat is told that it lost.
    let mut stage = Stage::good();
    stage.call(COMMIT, How::Asked, Answer::Refused(409, Code::of("transfer_not_reserved"), None));
    assert!(stage.broken().contains("same_answer"));
}

#[test]
fn another_answer_for_an_old_key_is_found() {
    let mut stage = Stage::good();
    let lines = std::mem::take(&mut stage.survey.lines);
    stage.history.absorb(&lines);
    stage.history.absorb(&[]);
    stage.timeline = Timeline::default();
    stage.settle();
    stage.call(TRANSFER, How::Asked, said(201, TRANSFER, State::Posted, 100));
    found_by(&stage, &[]);
    stage.call(TRANSFER, How::Asked, Answer::Refused(422, Code::of("insufficient_funds"), None));
    assert!(stage.broken().contains("same_answer"));
}

#[test]
fn key_that_led_to_two_transfers_is_found() {
    let mut stage = Stage::good();
    let id = stage.begin(Want::Transfer { debit: 0, credit: 2, amount: 3, to_user: false, doom: None });
    stage.call(id, How::Asked, said(202, id, State::Pending, 3));
    let Answer::Said(other) = said(201, id, State::Posted, 3) else { panic!() };
    stage.call(id, How::Asked, Answer::Said(Said { transfer: Uuid::from_u128(9), ..other }));
    assert!(stage.broken().contains("same_answer"));
}

#[test]
fn altered_repeat_that_is_taken_is_found() {
    let mut stage = Stage::good();
    stage.call(TRANSFER, How::Altered, said(201, TRANSFER, State::Posted, 101));
    found_by(&stage, &["altered_refused"]);
    let mut stage = Stage::good();
    stage.call(TRANSFER, How::Altered, Answer::Refused(422, Code::of("insufficient_funds"), None));
    found_by(&stage, &["altered_refused"]);
}

#[test]
fn unexpected_answers_are_found() {
    let of_transfer = [
        Answer::Nonsense(201),
        Answer::Open(500, Code::of("internal")),
        Answer::Denied(404, Code::of("not_found")),
        Answer::Denied(401, Code::of("unauthenticated")),
        Answer::Refused(422, Code::of("account_frozen"), None),
    ];
    for answer in of_transfer {
        let mut stage = Stage::good();
        stage.call(TRANSFER, How::Asked, answer);
        assert!(stage.broken().contains("answers_expected"), "{answer}");
    }
    let mut stage = Stage::good();
    stage.call(TRANSFER, How::Looked, Answer::Denied(404, Code::of("not_found")));
    found_by(&stage, &["answers_expected"]);
}

#[test]
fn two_winners_are_found() {
    let mut stage = Stage::good();
    let other = stage.begin(Want::Commit { of: RESERVE, amount: None });
    stage.call(other, How::Asked, said(200, RESERVE, State::Posted, 40));
    found_by(&stage, &["two_step_one_winner"]);
    let mut stage = Stage::good();
    let other = stage.begin(Want::Release { of: RESERVE });
    stage.call(other, How::Asked, said(200, RESERVE, State::Released(Code::of("released_by_client")), 60));
    assert!(stage.broken().contains("two_step_one_winner"));
}

#[test]
fn commit_that_another_shard_did_not_follow_is_no_breach() {
    let mut stage = Stage::good();
    let id = stage.begin(Want::Reserve { debit: 0, credit: 2, amount: 9, expires_in_seconds: 3_000_000 });
    stage.call(id, How::Asked, said(201, id, State::Reserved, 9));
    let commit = stage.begin(Want::Commit { of: id, amount: None });
    stage.call(commit, How::Asked, said(202, id, State::Pending, 9));
    stage.call(id, How::Looked, said(200, id, State::Released(Code::of("voided")), 9));
    stage.call(commit, How::Asked, Answer::Refused(422, Code::of("voided"), Some(uuid(id))));
    found_by(&stage, &[]);
    stage.call(id, How::Looked, said(200, id, State::Released(Code::of("expired")), 9));
    found_by(&stage, &["one_outcome"]);
    let mut stage = Stage::good();
    let id = stage.begin(Want::Reserve { debit: 0, credit: 2, amount: 9, expires_in_seconds: 2 });
    stage.call(id, How::Asked, said(201, id, State::Reserved, 9));
    let commit = stage.begin(Want::Commit { of: id, amount: None });
    stage.call(commit, How::Asked, said(202, id, State::Pending, 9));
    stage.call(id, How::Looked, said(200, id, State::Released(Code::of("expired")), 9));
    stage.call(commit, How::Asked, Answer::Refused(422, Code::of("voided"), Some(uuid(id))));
    found_by(&stage, &["two_step_one_winner"]);
}

#[test]
fn end_that_nobody_asked_for_is_found() {
    let mut stage = Stage::good();
    stage.survey.open.clear();
    stage.survey.accounts[3].reserved = 0;
    stage.post(HELD, 7);
    stage.settle();
    stage.call(HELD, How::Looked, said(200, HELD, State::Posted, 7));
    let broken = stage.broken();
    assert!(broken.contains("two_step_one_winner") && broken.contains("two_step_amounts"), "{broken:?}");
    let mut stage = Stage::good();
    stage.survey.open.clear();
    stage.call(HELD, How::Looked, said(200, HELD, State::Released(Code::of("released_by_client")), 7));
    assert!(stage.broken().contains("two_step_one_winner"));
}

#[test]
fn acknowledged_release_of_what_was_posted_is_found() {
    let mut stage = Stage::good();
    let id = stage.begin(Want::Reserve { debit: 0, credit: 1, amount: 9, expires_in_seconds: 3_000_000 });
    stage.call(id, How::Asked, said(201, id, State::Reserved, 9));
    let release = stage.begin(Want::Release { of: id });
    stage.call(release, How::Asked, said(200, id, State::Released(Code::of("released_by_client")), 9));
    found_by(&stage, &[]);
    stage.post(id, 9);
    let broken = stage.broken();
    assert!(broken.contains("two_step_one_winner") && broken.contains("rejected_never"), "{broken:?}");
}

#[test]
fn commit_of_another_amount_is_found() {
    let mut stage = Stage::good();
    stage.unbook(RESERVE, |_| true);
    stage.post(RESERVE, 41);
    let broken = stage.broken();
    assert!(broken.contains("two_step_amounts") && broken.contains("acknowledged_once"), "{broken:?}");
}

#[test]
fn reservation_that_does_not_expire_is_found() {
    let mut stage = Stage::good();
    let id = stage.begin(Want::Reserve { debit: 0, credit: 1, amount: 9, expires_in_seconds: 2 });
    stage.call(id, How::Asked, said(201, id, State::Reserved, 9));
    stage.call(id, How::Looked, said(200, id, State::Released(Code::of("expired")), 9));
    found_by(&stage, &[]);
    let id = stage.begin(Want::Reserve { debit: 0, credit: 1, amount: 9, expires_in_seconds: 2 });
    stage.call(id, How::Asked, said(201, id, State::Reserved, 9));
    stage.hold(id, 0, 0, 9);
    found_by(&stage, &["two_step_expires"]);
    // It was made by a clock that was an hour ahead, so it is due in an hour.
    stage.timeline.clocks.push(WrongClock { shard: 0, began: Moment(0), ended: Moment(stage.now) });
    found_by(&stage, &[]);
}

#[test]
fn entry_that_nobody_asked_for_is_found() {
    let mut stage = Stage::good();
    stage.line(0, 5, false, Uuid::from_u128(1), None, None);
    found_by(&stage, &["lines_explained", "total_kept"]);
    let mut stage = Stage::good();
    let deposit = stage.population.account(0).deposit;
    stage.line(0, deposit.amount, false, deposit.id, None, None);
    found_by(&stage, &["lines_explained", "total_kept"]);
}

#[test]
fn entry_with_another_counterparty_is_found() {
    let mut stage = Stage::good();
    stage.survey.lines[1].other = Some(5);
    stage.settle();
    found_by(&stage, &["lines_explained"]);
}

#[test]
fn gap_and_wrong_balance_are_found() {
    let mut stage = Stage::good();
    stage.survey.shown.remove(1);
    let broken = stage.broken();
    assert!(broken.contains("histories_gapless") && broken.contains("histories_shown"), "{broken:?}");
    let mut stage = Stage::good();
    stage.survey.shown[1].balance += 1;
    let broken = stage.broken();
    assert!(broken.contains("histories_gapless") && broken.contains("histories_shown"), "{broken:?}");
    let mut stage = Stage::good();
    stage.survey.accounts[0].entries += 1;
    found_by(&stage, &["histories_gapless"]);
}

#[test]
fn impossible_reads_are_found() {
    let seen = [
        Seen::Account { balance: -1, reserved: 0, available: -1 },
        Seen::Account { balance: 900, reserved: -1, available: 901 },
        Seen::Account { balance: 900, reserved: 901, available: -1 },
        Seen::Account { balance: 900, reserved: 0, available: 899 },
        Seen::History { entry: 2, balance: 900, is_whole: false },
        Seen::Open { sum: -1 },
        Seen::Problem(404, Code::of("not_found")),
        Seen::Problem(500, Code::of("internal")),
    ];
    for seen in seen {
        let mut stage = Stage::good();
        stage.read(0, seen);
        assert!(stage.broken().contains("reads_possible"), "{seen:?}");
    }
    let mut stage = Stage::good();
    stage.read(0, Seen::Problem(503, Code::of("unavailable")));
    found_by(&stage, &[]);
}

#[test]
fn routers_that_differ_and_a_total_that_is_off_are_found() {
    let mut stage = Stage::good();
    stage.survey.accounts[0].shown[1].0 += 1;
    found_by(&stage, &["total_kept", "routers_agree"]);
    let mut stage = Stage::good();
    stage.survey.accounts[0].shown[1].1 += 1;
    found_by(&stage, &["routers_agree"]);
}

#[test]
fn stale_read_is_found() {
    // Account 0 has had its deposit, then minus 100, then minus 1.
    let mut stage = Stage::good();
    stage.read(0, Seen::Account { balance: 899, reserved: 0, available: 899 });
    stage.read(0, Seen::History { entry: 3, balance: 899, is_whole: true });
    found_by(&stage, &[]);
    stage.read(0, Seen::Account { balance: 900, reserved: 0, available: 900 });
    found_by(&stage, &["writes_visible"]);
    let mut stage = Stage::good();
    stage.read(0, Seen::History { entry: 2, balance: 900, is_whole: true });
    found_by(&stage, &["writes_visible"]);
    // The credit side is acknowledged together with the debit side.
    let mut stage = Stage::good();
    stage.read(1, Seen::Account { balance: 1_060, reserved: 0, available: 1_060 });
    found_by(&stage, &["writes_visible"]);
}

#[test]
fn read_that_goes_back_behind_an_earlier_one_is_found() {
    let mut stage = Stage::good();
    let id = stage.begin(Want::Transfer { debit: 0, credit: 1, amount: 3, to_user: false, doom: None });
    stage.call(id, How::Asked, Answer::Lost(Loss::HungUp));
    stage.post(id, 3);
    stage.read(0, Seen::Account { balance: 899, reserved: 0, available: 899 });
    stage.read(0, Seen::Account { balance: 896, reserved: 0, available: 896 });
    stage.read(0, Seen::Account { balance: 899, reserved: 0, available: 899 });
    stage.call(id, How::Asked, said(201, id, State::Posted, 3));
    found_by(&stage, &["writes_visible"]);
}

#[test]
fn read_of_what_was_not_asked_for_yet_is_found() {
    let mut stage = Stage::good();
    stage.read(0, Seen::Account { balance: 896, reserved: 0, available: 896 });
    let id = stage.begin(Want::Transfer { debit: 0, credit: 1, amount: 3, to_user: false, doom: None });
    stage.call(id, How::Asked, said(201, id, State::Posted, 3));
    stage.post(id, 3);
    found_by(&stage, &["writes_visible"]);
}

#[test]
fn read_at_the_same_time_may_show_either() {
    for balance in [899, 896] {
        let mut stage = Stage::good();
        let id = stage.begin(Want::Transfer { debit: 0, credit: 1, amount: 3, to_user: false, doom: None });
        let (sent, answered) = (Moment(stage.now + 5), Moment(stage.now + SECOND));
        let seen = Seen::Account { balance, reserved: 0, available: balance };
        let read = ReadCall { account: 0, router: 0, sent, answered, seen };
        stage.history.note_read("read", "answered", read);
        stage.call(id, How::Asked, said(201, id, State::Posted, 3));
        stage.post(id, 3);
        found_by(&stage, &[]);
    }
}

#[test]
fn reservation_that_a_read_does_not_show_is_found() {
    let mut stage = Stage::good();
    stage.read(3, Seen::Account { balance: 1_040, reserved: 0, available: 1_040 });
    found_by(&stage, &["writes_visible"]);
    let mut stage = Stage::good();
    stage.read(3, Seen::Open { sum: 0 });
    found_by(&stage, &["writes_visible"]);
}

#[test]
fn open_saga_is_found() {
    let mut stage = Stage::good();
    stage.survey.sagas_closed_after = None;
    found_by(&stage, &["sagas_closed"]);
    stage.survey.sagas_closed_after = Some(Duration::from_millis(30_001));
    found_by(&stage, &["sagas_closed"]);
    stage.survey.sagas_closed_after = Some(Duration::from_millis(30_000));
    found_by(&stage, &[]);
}

#[test]
fn late_restart_is_found() {
    let mut stage = Stage::good();
    let restart = Moment(stage.now);
    stage.strike(&[1], Some((1, restart)), stage.now, stage.now + SECOND);
    found_by(&stage, &["restarts_in_time"]);
    let id = stage.begin(Want::Transfer { debit: 2, credit: 3, amount: 1, to_user: false, doom: None });
    stage.now += 11 * SECOND;
    stage.call(id, How::Asked, said(201, id, State::Posted, 1));
    stage.post(id, 1);
    found_by(&stage, &["restarts_in_time"]);
    // Another fault in between is given its time.
    stage.strike(&[1], None, restart.0 + SECOND, restart.0 + 5 * SECOND);
    found_by(&stage, &[]);
}

#[test]
fn reads_and_repeats_are_no_served_transfer() {
    let mut stage = Stage::good();
    let before = stage.begin(Want::Transfer { debit: 2, credit: 3, amount: 1, to_user: false, doom: None });
    stage.call(before, How::Asked, said(201, before, State::Posted, 1));
    stage.post(before, 1);
    let restart = stage.now;
    stage.strike(&[1], Some((1, Moment(restart))), restart, restart + SECOND);
    stage.call(before, How::Looked, said(200, before, State::Posted, 1));
    stage.replay(before, said(201, before, State::Posted, 1));
    found_by(&stage, &["restarts_in_time"]);
    let after = stage.begin(Want::Transfer { debit: 2, credit: 3, amount: 1, to_user: false, doom: None });
    stage.call(after, How::Asked, said(201, after, State::Posted, 1));
    stage.post(after, 1);
    found_by(&stage, &[]);
}

#[test]
fn late_and_missing_answers_are_found_where_the_router_lived() {
    let late = |stage: &mut Stage, answer, micros| {
        let began = stage.now;
        stage.call_of(TRANSFER, How::Asked, answer, micros);
        began
    };
    let posted = said(201, TRANSFER, State::Posted, 100);
    for (answer, micros) in
        [(posted, 5 * SECOND + 1), (Answer::Lost(Loss::Timeout), 8 * SECOND), (Answer::Lost(Loss::Broken), SECOND)]
    {
        let mut stage = Stage::good();
        let began = late(&mut stage, answer, micros);
        found_by(&stage, &["answered_in_time"]);
        // From a router that was dead meanwhile nothing is expected; one whose Redis is away has to answer.
        stage.strike(&[], None, began + 2 * SECOND, began + 3 * SECOND);
        stage.timeline.struck.last_mut().unwrap().routers = vec![1];
        found_by(&stage, &["answered_in_time"]);
        stage.timeline.goes_down(1, Moment(began + 2 * SECOND));
        stage.timeline.comes_up(1, Moment(began + 3 * SECOND));
        let is_early = micros <= SECOND;
        assert_eq!(stage.broken().is_empty(), !is_early, "{answer}");
    }
    // What the suite itself has missed is no lateness.
    let mut stage = Stage::good();
    let began = late(&mut stage, posted, 6 * SECOND);
    stage.timeline.stalls.push((Moment(began + 2 * SECOND), Moment(began + 2 * SECOND + SECOND / 2)));
    found_by(&stage, &["answered_in_time"]);
    stage.timeline.stalls.push((Moment(began + 3 * SECOND), Moment(began + 4 * SECOND)));
    found_by(&stage, &[]);
    let mut stage = Stage::good();
    late(&mut stage, Answer::Lost(Loss::HungUp), SECOND / 100);
    found_by(&stage, &[]);
    let mut stage = Stage::good();
    let (sent, answered) = (Moment(stage.now), Moment(stage.now + 6 * SECOND));
    let seen = Seen::Problem(503, Code::of("unavailable"));
    stage.history.note_read("read", "x", ReadCall { account: 0, router: 0, sent, answered, seen });
    found_by(&stage, &["answered_in_time"]);
}

/// A stage on which a call gets no connection, two seconds after the last one before it was answered; and when that is.
fn refused() -> (Stage, Moment) {
    let mut stage = Stage::good();
    stage.now += 2 * SECOND;
    stage.call_of(TRANSFER, How::Asked, Answer::NotSent, SECOND / 1_000);
    let sent = stage.history.get(TRANSFER).attempts.last().unwrap().sent;
    (stage, sent)
}

#[test]
fn refused_connection_is_found_where_the_router_ran() {
    let (mut stage, sent) = refused();
    found_by(&stage, &["answered_in_time"]);
    // Another router's death is no excuse, nor is one that is long over, nor a fault of what is behind the router.
    stage.timeline.goes_down(0, sent);
    stage.timeline.goes_down(1, Moment(SECOND));
    stage.timeline.comes_up(1, Moment(2 * SECOND));
    stage.strike(&[0], None, sent.0 - SECOND, sent.0 + SECOND);
    stage.timeline.struck.last_mut().unwrap().routers = vec![1];
    found_by(&stage, &["answered_in_time"]);
    let (mut stage, sent) = refused();
    stage.timeline.goes_down(1, sent.before(Duration::from_secs(1)));
    stage.timeline.goes_on(1, sent.plus(Duration::from_secs(1)));
    found_by(&stage, &["answered_in_time"]);
    let mut stage = Stage::good();
    let (sent, answered) = (Moment(stage.now), Moment(stage.now + SECOND / 1_000));
    stage.history.note_read("read", "x", ReadCall { account: 0, router: 0, sent, answered, seen: Seen::NotSent });
    found_by(&stage, &["answered_in_time"]);
}

#[test]
fn refused_connection_is_excused_while_the_router_is_down_or_starts() {
    let second = Duration::from_secs(1);
    for (began, ended) in [
        // It was down then; it went down, and came up, as near as can be told.
        (-1_000, 1_000),
        (40, 1_000),
        (-1_000, -40),
        // It was started a second before, and after five at most it listens.
        (-2_000, -1_000),
    ] {
        let (mut stage, sent) = refused();
        let at = |millis: i64| Moment(sent.0.checked_add_signed(millis * 1_000).unwrap());
        stage.timeline.goes_down(1, at(began));
        stage.timeline.comes_up(1, at(ended));
        found_by(&stage, &[]);
    }
    let (mut stage, sent) = refused();
    stage.timeline.goes_down(1, sent.plus(second));
    stage.timeline.comes_up(1, sent.plus(second));
    found_by(&stage, &["answered_in_time"]);
}

#[test]
fn router_that_was_started_is_not_excused_once_it_has_answered_or_had_its_time() {
    let restarted = |stage: &mut Stage| {
        stage.timeline.goes_down(1, Moment(stage.now));
        stage.timeline.comes_up(1, Moment(stage.now));
    };
    let mut stage = Stage::good();
    restarted(&mut stage);
    stage.now += SECOND;
    stage.call_of(TRANSFER, How::Asked, Answer::NotSent, SECOND / 1_000);
    found_by(&stage, &[]);
    stage.call(TRANSFER, How::Asked, said(201, TRANSFER, State::Posted, 100));
    found_by(&stage, &[]);
    stage.call_of(TRANSFER, How::Asked, Answer::NotSent, SECOND / 1_000);
    found_by(&stage, &["answered_in_time"]);

    let mut stage = Stage::good();
    restarted(&mut stage);
    let started = stage.now;
    stage.now += 5 * SECOND;
    stage.call_of(TRANSFER, How::Asked, Answer::NotSent, SECOND / 1_000);
    found_by(&stage, &["answered_in_time"]);
    // Less what the suite itself has missed.
    stage.timeline.stalls.push((Moment(started + SECOND), Moment(started + 2 * SECOND)));
    found_by(&stage, &[]);
}

#[test]
fn broken_audit_is_found() {
    let mut stage = Stage::good();
    stage.survey.broken.push("books_at_zero".to_owned());
    found_by(&stage, &["audit"]);
}
