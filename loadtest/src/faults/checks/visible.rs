//! Read your writes: what was acknowledged is shown by every later read, through whichever router.
//!
//! The entries of an account are in an order that the databases fixed. A read has seen some prefix of it. That prefix
//! has at least every entry that was acknowledged before the read was sent, and every entry that an earlier read had
//! seen; and at most those whose requests were sent before the read was answered. Balances may repeat, so the shortest
//! prefix that fits is taken for what a read has seen: a read is only ever blamed if no prefix fits.

use std::collections::HashMap;

use super::{Findings, Scene};
use crate::faults::clock::Moment;
use crate::faults::history::{Answer, History, ReadCall, RequestId, Said, Seen, State, Want};
use crate::faults::survey::Line;

/// A prefix of an account's entries, by its last entry.
struct Prefix {
    balance: i64,
    /// Whose the last entry is.
    request: Option<RequestId>,
    /// When a client first knew of the last entry.
    told: Option<Moment>,
    /// When the wallet first can have known of it.
    sent: Option<Moment>,
}

/// No read shows less than was acknowledged before it was sent, or what was asked for only after it was answered.
pub fn writes_visible(scene: &Scene<'_>, findings: &mut Findings) {
    let mut lines: HashMap<u32, Vec<&Line>> = HashMap::new();
    for line in &scene.survey.lines {
        lines.entry(line.account).or_default().push(line);
    }
    let mut reads: HashMap<u32, Vec<&ReadCall>> = HashMap::new();
    for read in &scene.history.reads {
        reads.entry(read.account).or_default().push(read);
    }
    let holds = holds(scene);
    for (account, mut reads) in reads {
        reads.sort_by_key(|read| read.sent);
        let known = scene.history.accounts[account as usize];
        let lines = lines.remove(&account).unwrap_or_default();
        let mut prefixes =
            vec![Prefix { balance: known.balance, request: None, told: Some(Moment(0)), sent: Some(Moment(0)) }];
        prefixes.extend(lines.iter().map(|line| prefix(scene.history, line)));
        let walk = Walk { account, first_entry: known.entries, prefixes };
        walk.all(&reads, findings);
        set_aside(account, &reads, holds.get(&account).map_or(&[][..], Vec::as_slice), findings);
    }
}

fn prefix(history: &History, line: &Line) -> Prefix {
    let of = line.request.filter(|id| history.find(*id).is_some());
    Prefix {
        balance: line.balance,
        request: of,
        told: of.and_then(|id| told(history, id)),
        // Of what nobody asked for, other checks tell.
        sent: of.map_or(Some(Moment(0)), |id| sent(history, id)),
    }
}

fn told(history: &History, id: RequestId) -> Option<Moment> {
    let request = history.get(id);
    let ends = request.ends.iter().filter_map(|end| history.get(*end).told_posted());
    request.told_posted().into_iter().chain(ends).min()
}

/// The money of a reservation cannot move before a commit was sent.
fn sent(history: &History, id: RequestId) -> Option<Moment> {
    let request = history.get(id);
    match request.want {
        Want::Reserve { .. } => request.ends.iter().filter_map(|end| history.get(*end).first_sent()).min(),
        _ => request.first_sent(),
    }
}

struct Walk {
    account: u32,
    first_entry: i64,
    prefixes: Vec<Prefix>,
}

impl Walk {
    /// Goes through an account's reads in the order of sending.
    fn all(&self, reads: &[&ReadCall], findings: &mut Findings) {
        let mut acknowledged: Vec<(Moment, usize)> =
            self.prefixes.iter().enumerate().filter_map(|(at, prefix)| Some((prefix.told?, at))).collect();
        acknowledged.sort_unstable();
        // What finished reads have seen, not yet counted since they were not over when the present one was sent.
        let mut seen: Vec<(Moment, usize)> = vec![];
        let (mut least, mut next) = (0, 0);
        for read in reads {
            while let Some((_, at)) = acknowledged.get(next).filter(|(told, _)| *told < read.sent) {
                (least, next) = (least.max(*at), next + 1);
            }
            seen.retain(|(answered, at)| {
                let is_over = *answered < read.sent;
                least = least.max(if is_over { *at } else { 0 });
                !is_over
            });
            let Some(fits) = self.fits(read) else { continue };
            findings.look();
            let most = self.most(read.answered);
            match (least..=most).find(|at| fits(*at)) {
                Some(at) => seen.push((read.answered, at)),
                None => findings.on_entry(self.account, self.prefixes[least].request, self.story(read, least, most)),
            }
        }
    }

    /// What the read has shown, as a question to each prefix.
    fn fits(&self, read: &ReadCall) -> Option<impl Fn(usize) -> bool + '_> {
        let (entry, balance) = match read.seen {
            Seen::Account { balance, .. } => (None, balance),
            Seen::History { entry, balance, .. } => (Some(entry), balance),
            Seen::Open { .. } | Seen::NotSent | Seen::Lost(_) | Seen::Problem(..) => return None,
        };
        Some(move |at: usize| self.prefixes[at].balance == balance && entry.is_none_or(|entry| entry == self.entry(at)))
    }

    /// The longest prefix whose last entry can have been there by then.
    fn most(&self, answered: Moment) -> usize {
        let early = |prefix: &Prefix| prefix.sent.is_some_and(|sent| sent < answered);
        self.prefixes.iter().rposition(early).unwrap_or_default()
    }

    fn entry(&self, at: usize) -> i64 {
        self.first_entry.saturating_add(i64::try_from(at).unwrap_or(i64::MAX))
    }

    fn story(&self, read: &ReadCall, least: usize, most: usize) -> String {
        let ReadCall { router, sent, answered, seen, .. } = read;
        format!(
            "a read through router {router}, sent at {sent} and answered at {answered}, showed {seen:?}; it should be as \
             after an entry from {} (balance {}) to {}",
            self.entry(least),
            self.prefixes[least].balance,
            self.entry(most),
        )
    }
}

/// Money that is surely set aside from one moment to another.
struct Hold {
    amount: i64,
    from: Moment,
    until: Moment,
}

/// Acknowledged reservations until somebody asks for their end, or they may expire.
fn holds(scene: &Scene<'_>) -> HashMap<u32, Vec<Hold>> {
    let mut found: HashMap<u32, Vec<Hold>> = HashMap::new();
    for (_, request) in scene.history.live() {
        let Want::Reserve { debit, amount, expires_in_seconds, .. } = request.want else { continue };
        let reserved = |answer: &Answer| matches!(answer, Answer::Said(Said { state: State::Reserved, .. }));
        let told = request.attempts.iter().filter(|attempt| reserved(&attempt.answer));
        // A repeat gets the first answer again, when the reservation may be over.
        let Some(from) = told.map(|attempt| attempt.answered).min() else { continue };
        let ended = request.ends.iter().filter_map(|end| scene.history.get(*end).first_sent()).min();
        let first = request.first_sent().unwrap_or_default();
        // An hour covers a clock that was set ahead.
        let lasts = u64::from(expires_in_seconds).saturating_sub(3_700);
        let expires = first.plus(std::time::Duration::from_secs(lasts));
        let until = ended.map_or(expires, |ended| ended.min(expires));
        if request.settled.is_none() && until > from {
            found.entry(debit).or_default().push(Hold { amount, from, until });
        }
    }
    found
}

/// No read shows less set aside than was surely set aside all the time.
fn set_aside(account: u32, reads: &[&ReadCall], holds: &[Hold], findings: &mut Findings) {
    for read in reads {
        let shown = match read.seen {
            Seen::Account { reserved, .. } => reserved,
            Seen::Open { sum } => sum,
            Seen::History { .. } | Seen::NotSent | Seen::Lost(_) | Seen::Problem(..) => continue,
        };
        findings.look();
        let lasted = |hold: &&Hold| hold.from < read.sent && read.answered < hold.until;
        let least: i64 = holds.iter().filter(lasted).map(|hold| hold.amount).sum();
        if shown < least {
            let at = read.sent;
            findings.on_account(account, format!("a read at {at} showed {shown} set aside, at least {least} were"));
        }
    }
}
