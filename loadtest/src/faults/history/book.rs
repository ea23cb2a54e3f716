//! All requests of a run, and what earlier checks have left of the accounts.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use super::{Answer, Attempt, Fate, How, ReadCall, Request, RequestId, Settled, Want};
use crate::faults::clock::Moment;
use crate::faults::survey::Line;
use crate::faults::timeline::WrongClock;

/// An account as the last check left it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Folded {
    /// The newest entry that was checked.
    pub entries: i64,
    /// The balance after it.
    pub balance: i64,
    /// Of all entries so far, in their order.
    pub digest: u64,
}

/// Everything asked and answered.
#[derive(Debug)]
pub struct History {
    /// Each client's requests in its own order.
    clients: Vec<Vec<Request>>,
    /// The requests with calls that have not been folded away.
    live: BTreeSet<RequestId>,
    /// The reads since the last check.
    pub reads: Vec<ReadCall>,
    /// By place.
    pub accounts: Vec<Folded>,
    /// Calls by kind and the word for their answer.
    pub calls: BTreeMap<(&'static str, &'static str), u64>,
    /// Of what was folded away: requests that some call left open, by what they came to.
    unknowns: BTreeMap<&'static str, u64>,
    /// Transfers whose success was told, one-step and two-step.
    pub acknowledged: u64,
}

/// Reservations for longer than this are not meant to expire in a run.
const EXPIRY_SECONDS_MAX: u32 = 3_600;

/// How long after its time a reservation may be given back while all is well.
const SWEEP_MAX: Duration = Duration::from_secs(2);

impl Folded {
    /// A new account that holds its first deposit, whose entry is still to be checked.
    pub const NEW: Self = Self { entries: 0, balance: 0, digest: 0 };

    /// With one more entry.
    pub fn with(self, line: &Line) -> Self {
        let mut hasher = DefaultHasher::new();
        (self.digest, line.entry, line.transfer, line.amount, line.balance).hash(&mut hasher);
        Self { entries: line.entry, balance: line.balance, digest: hasher.finish() }
    }
}

impl History {
    /// Nothing was asked yet.
    pub fn new(clients: usize, accounts: usize) -> Self {
        Self {
            clients: vec![vec![]; clients.max(1)],
            live: BTreeSet::new(),
            reads: vec![],
            accounts: vec![Folded::NEW; accounts],
            calls: BTreeMap::new(),
            unknowns: BTreeMap::new(),
            acknowledged: 0,
        }
    }

    /// Notes what a client wants, before anything is sent. The name follows from the client and its own sequence, so
    /// that it is the same each time a seed is run.
    pub fn begin(&mut self, client: usize, want: Want) -> RequestId {
        let id = self.name(client, self.clients[client].len());
        self.clients[client].push(Request::new(want));
        if let Want::Commit { of, .. } | Want::Release { of } = want {
            self.get_mut(of).ends.push(id);
            self.live.insert(of);
        }
        self.live.insert(id);
        id
    }

    fn name(&self, client: usize, number: usize) -> RequestId {
        let place = number.saturating_mul(self.clients.len()).saturating_add(client);
        // A run of 2^32 requests would take years.
        RequestId(u32::try_from(place).unwrap_or(u32::MAX))
    }

    /// A client's request, counted back from its newest.
    pub fn back(&self, client: usize, back: usize) -> Option<RequestId> {
        let number = self.clients[client].len().checked_sub(back + 1)?;
        Some(self.name(client, number))
    }

    /// Notes a call, when its answer is there or given up.
    pub fn record(&mut self, id: RequestId, kind: &'static str, attempt: Attempt) {
        *self.calls.entry((kind, attempt.answer.word())).or_default() += 1;
        let request = self.get_mut(id);
        let was_posted = matches!(request.fate(), Fate::Posted(_));
        let at = request.attempts.partition_point(|other| other.sent <= attempt.sent);
        request.attempts.insert(at, attempt);
        request.checked = 0;
        let is_posted = matches!(request.fate(), Fate::Posted(_));
        let counts = !matches!(request.want, Want::Reserve { .. }) && !was_posted && is_posted;
        self.acknowledged += u64::from(counts);
        self.live.insert(id);
    }

    /// Notes a read.
    pub fn note_read(&mut self, kind: &'static str, word: &'static str, read: ReadCall) {
        *self.calls.entry((kind, word)).or_default() += 1;
        self.reads.push(read);
    }

    /// The request of that name.
    ///
    /// # Panics
    /// There is none; names come from [`Self::begin`], or were looked for with [`Self::find`].
    pub fn get(&self, id: RequestId) -> &Request {
        let (client, number) = self.place(id);
        &self.clients[client][number]
    }

    /// The request of a name that somebody else told.
    pub fn find(&self, id: RequestId) -> Option<&Request> {
        let (client, number) = self.place(id);
        self.clients[client].get(number)
    }

    pub(in crate::faults) fn get_mut(&mut self, id: RequestId) -> &mut Request {
        let (client, number) = self.place(id);
        &mut self.clients[client][number]
    }

    fn place(&self, id: RequestId) -> (usize, usize) {
        let place = id.0 as usize;
        (place % self.clients.len(), place / self.clients.len())
    }

    /// The requests with calls that have not been folded away.
    pub fn live(&self) -> impl Iterator<Item = (RequestId, &Request)> {
        self.live.iter().map(|id| (*id, self.get(*id)))
    }

    /// How many requests there are.
    pub fn len(&self) -> usize {
        self.clients.iter().map(Vec::len).sum()
    }

    /// What has become of the money of a transfer or reservation, by all that was told about it and its ends.
    pub fn fate(&self, id: RequestId) -> Fate {
        let request = self.get(id);
        let mut fate = request.fate();
        for end in request.ends.iter().map(|end| self.get(*end)) {
            fate = match end.fate() {
                // An end that lost, or was refused, says nothing of the money.
                Fate::Never(_) if !told_released(end) => fate,
                told @ (Fate::Posted(_) | Fate::Never(_) | Fate::Open) => fate.and(told),
                Fate::Unknown | Fate::Unasked => fate,
            };
        }
        fate
    }

    /// Requests that some call left open, by what they have come to.
    pub fn unknowns(&self) -> BTreeMap<&'static str, u64> {
        let mut unknowns = self.unknowns.clone();
        for word in self.live().filter_map(|(_, request)| was_unknown(request)) {
            *unknowns.entry(word).or_default() += 1;
        }
        unknowns
    }

    /// Whether a reservation, whose debit account is on this shard, is to expire within a run. One that was asked for
    /// while the shard's clock was wrong may be due an hour later.
    pub fn expires_soon(&self, id: RequestId, shard: Option<usize>, clocks: &[WrongClock]) -> bool {
        let request = self.get(id);
        let Want::Reserve { expires_in_seconds, .. } = request.want else { return false };
        let wrong = clocks.iter().filter(|clock| Some(clock.shard) == shard);
        let was_asked = |clock: &WrongClock| {
            request.attempts.iter().any(|attempt| attempt.sent <= clock.ended && clock.began <= attempt.answered)
        };
        expires_in_seconds <= EXPIRY_SECONDS_MAX && !wrong.into_iter().any(was_asked)
    }

    /// By when a reservation that is to expire within a run has done so, if its shard's clock was right.
    pub fn due(&self, id: RequestId) -> Option<Moment> {
        let request = self.get(id);
        let Want::Reserve { expires_in_seconds, .. } = request.want else { return None };
        let told = request.attempts.iter().filter(|attempt| attempt.how == How::Asked && attempt.answer.decides());
        let first = told.map(|attempt| attempt.answered).min()?;
        let length = Duration::from_secs(expires_in_seconds.into()) + SWEEP_MAX;
        (expires_in_seconds <= EXPIRY_SECONDS_MAX).then(|| first.plus(length))
    }

    /// Takes over what a clean check has seen, and folds away what can no longer change.
    pub fn absorb(&mut self, lines: &[Line]) {
        for line in lines {
            let place = line.account as usize;
            self.accounts[place] = self.accounts[place].with(line);
            let Some(id) = line.request.filter(|id| self.find(*id).is_some()) else { continue };
            let booked = &mut self.get_mut(id).booked;
            let side = if line.is_debit { &mut booked.debit } else { &mut booked.credit };
            *side = Some(line.entry);
        }
        self.reads.clear();
        self.reads.shrink_to(4_096);
        let live: Vec<RequestId> = self.live.iter().copied().collect();
        for id in &live {
            self.get_mut(*id).checked += 1;
        }
        for id in live {
            if self.can_be_folded(id) {
                self.fold(id);
            }
        }
    }

    /// Whether the request is over, and was checked twice since. A reservation and its ends are folded together, for each
    /// explains the others.
    fn can_be_folded(&self, id: RequestId) -> bool {
        let first = match self.get(id).want {
            Want::Commit { of, .. } | Want::Release { of } => of,
            Want::Transfer { .. } | Want::Reserve { .. } => id,
        };
        let is_over = |id: RequestId| {
            let request = self.get(id);
            !self.live.contains(&id) || request.settled.is_some() || request.checked >= 2 && !request.is_open()
        };
        self.fate(first).is_final() && is_over(first) && self.get(first).ends.iter().all(|end| is_over(*end))
    }

    fn fold(&mut self, id: RequestId) {
        let (fate, decision) = (self.fate(id), self.get(id).decision());
        if let Some(word) = was_unknown(self.get(id)) {
            *self.unknowns.entry(word).or_default() += 1;
        }
        let request = self.get_mut(id);
        request.settled = decision.map(|answer| Settled { answer, fate });
        // Without a decision nothing was ever sent, which may stay as it is.
        request.attempts = vec![];
        self.live.remove(&id);
    }
}

/// What became of a request that some call left open, if this is one.
fn was_unknown(request: &Request) -> Option<&'static str> {
    let was_open = request.attempts.iter().any(|it| it.how == How::Asked && it.answer.is_unknown());
    let word = || request.decision().map_or("not decided", |decision| decision.word());
    (was_open && request.settled.is_none()).then(word)
}

/// Whether a commit was answered with the end of the whole transfer, and not only with its own.
fn told_released(end: &Request) -> bool {
    let released = |answer: &Answer| matches!(answer, Answer::Said(said) if said.state.is_terminal());
    end.key_answers().any(|answer| released(&answer))
}
