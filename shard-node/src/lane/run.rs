//! A lane's life: take what has queued up, decide it, commit it, answer it.

use super::finish::finish;
use super::queue::{Exit, Origin, RETRY_AFTER_MS, Task};
use super::wait_bound::WaitBound;
use crate::config::{LanesConfig, SagaConfig};
use crate::gate::{GoneBack, Opening};
use crate::metrics::LaneMetrics;
use crate::node::Node;
use crate::saga::deliver;
use crate::store::{BatchError, BatchSession, QUESTION_MAX, ReadError, partitions};
use ledger::{Command, Outcome, Reservation, Stamped};
use placement::TransferId;
use rand::RngExt;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::Instant;
use uuid::Uuid;
use wire::answer::Answer;
use wire::trace::TraceContext;

/// A batch that has not come back by then is taken for lost with its connection.
const BATCH_TIMEOUT: Duration = Duration::from_secs(10);
/// How often a batch is run again because other nodes were faster, before it is left to the callers.
const ATTEMPTS_MAX: u32 = 10;
const RECONNECT_AFTER: Duration = Duration::from_millis(50);
const RECONNECT_AFTER_MAX: Duration = Duration::from_secs(1);
/// Lingering pays only when batches come one upon the other, and are not full already.
const LINGER_AFTER: usize = 8;
const LINGER_BELOW: usize = 64;

/// What a lane is told.
#[derive(Debug, Clone)]
pub struct LaneSettings {
    /// Its number, for metrics.
    pub number: u16,
    /// Its rows in the totals: unique among all lanes of all replicas.
    pub writer: i32,
    /// How to connect.
    pub connect: tokio_postgres::Config,
    /// Sizes and times.
    pub lanes: LanesConfig,
    /// Times of sagas.
    pub saga: SagaConfig,
}

/// One writer.
pub struct Lane {
    node: Arc<Node>,
    settings: LaneSettings,
    exit: Exit,
    bound: WaitBound,
    metrics: LaneMetrics,
}

struct Batch {
    stamped: Vec<Stamped>,
    origins: Vec<Origin>,
}

impl Batch {
    /// What may be run again although it may have been committed: commands that a key or an inbox makes safe. The others
    /// are told to ask again.
    fn without_the_unrepeatable(self) -> Batch {
        let is_safe = |command: &Command| match command {
            Command::Transfer(_) | Command::Deposit(_) | Command::Withdraw(_) => true,
            Command::Credit(_) | Command::Void(_) | Command::Settle(_) => true,
            Command::Reserve(_) | Command::Commit(_) | Command::Release(_) | Command::Expire(_) => true,
            Command::CreateAccount(create) => create.key.is_some(),
            // Run late, it could undo a later change of status.
            Command::SetStatus(_) => false,
        };
        let batch = self.only(|stamped, _| is_safe(&stamped.command));
        #[cfg(feature = "faults")]
        let batch = Batch { stamped: batch.stamped.into_iter().map(crate::faults::with_fresh_key).collect(), ..batch };
        batch
    }

    /// What is still waited for. Whoever has stopped waiting was told that nothing is known, and may have done something
    /// else by now: a batch that broke off may be hours old before its database is back.
    fn without_the_expired(self) -> Batch {
        match self.origins.iter().any(Origin::is_expired) {
            true => self.only(|_, origin| !origin.is_expired()),
            false => self,
        }
    }

    fn only(self, stays: impl Fn(&Stamped, &Origin) -> bool) -> Batch {
        let mut batch = Batch { stamped: Vec::new(), origins: Vec::new() };
        for (stamped, origin) in self.stamped.into_iter().zip(self.origins) {
            match stays(&stamped, &origin) {
                true => {
                    batch.stamped.push(stamped);
                    batch.origins.push(origin);
                }
                false => origin.reply(Answer::Unavailable),
            }
        }
        batch
    }
}

/// Why a lane has no session.
#[derive(Debug, thiserror::Error)]
enum Unconnected {
    #[error("the server cannot be reached or takes no writes")]
    Unreachable(#[from] tokio_postgres::Error),
    #[error("the chains of batches cannot be read")]
    Unread(#[from] BatchError),
    #[error(transparent)]
    GoneBack(#[from] GoneBack),
}

struct Committed {
    outcomes: Vec<Outcome>,
    /// Whose messages are to be sent now.
    to_send: Vec<Reservation>,
}

impl Lane {
    /// A lane at the end of its queue.
    pub fn new(node: Arc<Node>, settings: LaneSettings, exit: Exit) -> Lane {
        let metrics = node.metrics.lane(settings.number);
        let lanes = &settings.lanes;
        let bound = WaitBound::new(lanes.wait_max, lanes.batch_max, lanes.queue_max);
        Lane { node, settings, exit, bound, metrics }
    }

    /// Serves until the queue is closed and empty.
    pub async fn run(mut self) {
        let (mut unfinished, mut is_first) = (None, true);
        while let Some(session) = self.connected().await {
            // It may be another server than before. What this lane acknowledges from now on, others must not miss.
            if !std::mem::take(&mut is_first) {
                self.node.renew_connections();
            }
            if !self.admitted().await {
                return;
            }
            // It may have broken, or fallen silent, while the gate was closed.
            if !matches!(tokio::time::timeout(BATCH_TIMEOUT, session.show_admitted()).await, Ok(Ok(()))) {
                tracing::warn!(lane = self.settings.number, "no connection any more");
                self.exit.is_up.store(false, Ordering::Relaxed);
                continue;
            }
            match self.serve(&session, unfinished.take()).await {
                None => return,
                Some(batch) if batch.origins.is_empty() => {}
                Some(batch) => {
                    self.metrics.commits_unknown.inc();
                    unfinished = Some(batch.without_the_unrepeatable().without_the_expired());
                }
            }
            self.exit.is_up.store(false, Ordering::Relaxed);
            tokio::time::sleep(RECONNECT_AFTER).await;
        }
    }

    /// A session, however long it takes; `None` once the node stops. What waits meanwhile is answered: nobody
    /// knows when the database comes back.
    async fn connected(&mut self) -> Option<BatchSession> {
        let mut pause = RECONNECT_AFTER;
        loop {
            match tokio::time::timeout(BATCH_TIMEOUT, self.connect()).await {
                Ok(Ok(session)) => return Some(session),
                // The gate has logged it.
                Ok(Err(Unconnected::GoneBack(_))) => {}
                Ok(Err(error)) => {
                    tracing::warn!(
                        lane = self.settings.number,
                        error = &error as &dyn std::error::Error,
                        "no connection"
                    )
                }
                Err(_) => tracing::warn!(lane = self.settings.number, "no connection in time"),
            }
            let mut waiting = Vec::new();
            self.exit.take_more(&mut waiting, usize::MAX);
            waiting.into_iter().for_each(|task| task.origin.reply(Answer::Unavailable));
            if self.node.shutdown.is_triggered() {
                return None;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(RECONNECT_AFTER_MAX);
        }
    }

    /// Waits until commands may be taken; `false` if the node stops before. During the first look at the peers, what
    /// comes waits in the queue; later it is answered, for nobody knows for how long the gate stays closed.
    async fn admitted(&mut self) -> bool {
        let mut opening = self.node.gate.watch();
        let shutdown = self.node.shutdown.clone();
        loop {
            let state = opening.borrow_and_update().clone();
            let takes_commands = matches!(state, Opening::Open | Opening::Looking);
            self.exit.is_up.store(takes_commands, Ordering::Relaxed);
            if state == Opening::Open {
                return true;
            }
            let mut waiting = Vec::new();
            tokio::select! {
                // An error means that the node has ended.
                changed = opening.changed() => if changed.is_err() { return false },
                () = self.exit.take(&mut waiting, usize::MAX), if !takes_commands => {}
                () = shutdown.triggered() => self.exit.take_more(&mut waiting, usize::MAX),
            }
            waiting.into_iter().for_each(|task| task.origin.reply(Answer::Unavailable));
            if shutdown.is_triggered() {
                return false;
            }
        }
    }

    /// A session with a database that has all that this process saw committed.
    async fn connect(&self) -> Result<BatchSession, Unconnected> {
        let LaneSettings { connect, writer, saga, .. } = &self.settings;
        let session = BatchSession::open(connect, *writer, saga.clone()).await?;
        let expected = self.node.gate.expected(*writer);
        let found = session.heads(expected.keys()).await?;
        self.node.gate.compare(&expected, &found)?;
        Ok(session)
    }

    /// Batch after batch, until the queue is closed (`None`) or the connection breaks; the batch that it broke
    /// with, if there is anything in it, must be run again.
    async fn serve(&mut self, session: &BatchSession, unfinished: Option<Batch>) -> Option<Batch> {
        if let Some(batch) = unfinished
            && let Some(broken) = self.process(session, batch).await
        {
            return Some(broken);
        }
        let mut previous = 0;
        loop {
            let Some(batch) = self.collect(session, previous).await? else {
                tracing::warn!(lane = self.settings.number, "the connection broke while nothing was to be done");
                return Some(Batch { stamped: Vec::new(), origins: Vec::new() });
            };
            previous = batch.origins.len();
            if let Some(broken) = self.process(session, batch).await {
                return Some(broken);
            }
        }
    }

    /// What has queued up; `None` once the queue is closed, or, inside, if the connection breaks before there is anything.
    async fn collect(&mut self, session: &BatchSession, previous: usize) -> Option<Option<Batch>> {
        let max = self.settings.lanes.batch_max;
        let mut tasks: Vec<Task> = Vec::with_capacity(max.min(64));
        tokio::select! {
            biased;
            () = self.exit.take(&mut tasks, max) => {}
            () = session.broken() => return Some(None),
        }
        if tasks.is_empty() {
            return None;
        }
        if previous > LINGER_AFTER && tasks.len() < LINGER_BELOW && !self.settings.lanes.linger.is_zero() {
            tokio::time::sleep(self.settings.lanes.linger).await;
            self.exit.take_more(&mut tasks, max);
        }
        let mut batch = Batch { stamped: Vec::with_capacity(tasks.len()), origins: Vec::with_capacity(tasks.len()) };
        for Task { stamped, origin, .. } in tasks {
            self.metrics.queue_wait_seconds.observe(origin.received.elapsed().as_secs_f64());
            // Nobody waits for it any more, and nothing has been decided: it would be work for nobody.
            if origin.is_expired() || origin.is_abandoned() {
                origin.reply(Answer::Overloaded { retry_after_ms: RETRY_AFTER_MS });
                continue;
            }
            batch.stamped.push(stamped);
            batch.origins.push(origin);
        }
        Some(Some(batch))
    }

    /// Runs a batch to its end, however often that takes. Gives it back if the connection breaks.
    async fn process(&mut self, session: &BatchSession, batch: Batch) -> Option<Batch> {
        let (started, commands) = (Instant::now(), batch.origins.len());
        let broken = self.decide_and_answer(session, batch).await;
        let took = started.elapsed();
        self.metrics.busy_us.inc_by(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        if broken.is_none() {
            self.bound.learn(commands, took);
            self.exit.allowed.follow(&self.bound);
        }
        broken
    }

    async fn decide_and_answer(&self, session: &BatchSession, mut batch: Batch) -> Option<Batch> {
        for _ in 0..ATTEMPTS_MAX {
            batch = batch.without_the_expired();
            if batch.stamped.is_empty() {
                return None;
            }
            stamp(&mut batch.stamped);
            let tried = tokio::time::timeout(BATCH_TIMEOUT, self.attempt(session, &mut batch)).await;
            let Ok(tried) = tried else {
                tracing::error!(lane = self.settings.number, "a batch did not come back in time");
                return Some(batch);
            };
            match tried {
                Ok(committed) => {
                    self.metrics.batch_operations.observe(batch.origins.len() as f64);
                    self.answer(batch, committed);
                    return None;
                }
                Err(BatchError::Conflict(cause)) => tracing::debug!(%cause, "batch runs again"),
                Err(BatchError::StaleOwnership) => self.reread_standing().await,
                Err(BatchError::NoPartition(refused)) => self.make_partition(&refused).await,
                Err(error) if batch.stamped.len() == 1 && !matches!(error, BatchError::Broken(_)) => {
                    tracing::error!(error = &error as &dyn std::error::Error, "an operation cannot be stored");
                    return self.answer_all(batch, || match error {
                        BatchError::Unable(_) => Answer::Unavailable,
                        _ => Answer::Internal,
                    });
                }
                Err(BatchError::Data(_) | BatchError::Unreadable(_) | BatchError::Unable(_)) => {
                    return Box::pin(self.one_by_one(session, batch)).await;
                }
                Err(BatchError::Broken(cause)) => {
                    let error = &cause as &dyn std::error::Error;
                    tracing::warn!(lane = self.settings.number, error, "a batch broke off; it will be run again");
                    return Some(batch);
                }
            }
        }
        tracing::error!(lane = self.settings.number, "a batch found no way through; its callers will ask again");
        self.answer_all(batch, || Answer::Unavailable)
    }

    /// One bad operation must not hurt its neighbours.
    async fn one_by_one(&self, session: &BatchSession, batch: Batch) -> Option<Batch> {
        let mut rest = batch.stamped.into_iter().zip(batch.origins);
        while let Some((stamped, origin)) = rest.next() {
            let single = Batch { stamped: vec![stamped], origins: vec![origin] };
            if let Some(mut broken) = self.decide_and_answer(session, single).await {
                let (stamped, origins): (Vec<_>, Vec<_>) = rest.unzip();
                broken.stamped.extend(stamped);
                broken.origins.extend(origins);
                return Some(broken);
            }
        }
        None
    }

    fn answer_all(&self, batch: Batch, answer: impl Fn() -> Answer) -> Option<Batch> {
        for origin in batch.origins {
            origin.reply(answer());
        }
        None
    }

    async fn attempt(&self, session: &BatchSession, batch: &mut Batch) -> Result<Committed, BatchError> {
        let standing = self.node.standing.load_full();
        let (mut books, head) = session.load(&batch.stamped, &standing).await?;
        #[cfg(feature = "faults")]
        let planted = crate::faults::before(&mut books, &mut batch.stamped);
        let (outcomes, writes) = ledger::decide(&mut books, &batch.stamped);
        #[cfg(feature = "faults")]
        let (outcomes, writes) = crate::faults::after(planted, &mut books, &batch.stamped, outcomes, writes);
        if writes.is_empty() {
            session.rollback().await?;
            return Ok(Committed { outcomes, to_send: Vec::new() });
        }
        let to_send: Vec<Reservation> = writes.to_send().cloned().collect();
        let traces = traces_of(&to_send, batch);
        let committing = Instant::now();
        let decided_before: Vec<bool> = batch.origins.iter().map(|origin| origin.decided_before).collect();
        for (origin, outcome) in batch.origins.iter_mut().zip(&outcomes) {
            origin.decided_before |= matches!(outcome, Outcome::Decided(_));
        }
        runtime::crash!("crash::batch_decided");
        #[cfg(feature = "faults")]
        crate::faults::answer_early(&mut batch.origins, &outcomes);
        let saving = session.save(&writes, &books, head, &traces);
        let saved = runtime::crash!("crash::commit_sent", during saving).await;
        if matches!(&saved, Err(error) if !matches!(error, BatchError::Broken(_))) {
            // Certainly not committed: what is found next time is another's.
            batch.origins.iter_mut().zip(decided_before).for_each(|(origin, before)| origin.decided_before = before);
        }
        if let Some(number) = saved? {
            self.node.gate.acknowledge(self.settings.writer, number);
        }
        runtime::crash!("crash::batch_committed");
        self.metrics.commit_seconds.observe(committing.elapsed().as_secs_f64());
        Ok(Committed { outcomes, to_send })
    }

    fn answer(&self, batch: Batch, committed: Committed) {
        let mut to_send: HashMap<TransferId, Reservation> =
            committed.to_send.into_iter().map(|reservation| (reservation.credit.transfer_id, reservation)).collect();
        for ((origin, stamped), outcome) in batch.origins.into_iter().zip(batch.stamped).zip(committed.outcomes) {
            let trace = origin.context.trace;
            finish(&self.node, origin, &stamped.command, outcome);
            if let Some(reservation) = to_send.remove(&transfer_of(&stamped)) {
                runtime::crash!("crash::reserve_committed", if !matches!(stamped.command, Command::Commit(_)));
                runtime::crash!("crash::held_commit_committed", if matches!(stamped.command, Command::Commit(_)));
                deliver(&self.node, reservation, trace);
            }
        }
    }

    async fn reread_standing(&self) {
        if let Err(error) = self.node.refresh_standing().await {
            tracing::error!(error = &error as &dyn std::error::Error, "the ownership cannot be read");
            tokio::time::sleep(RECONNECT_AFTER).await;
        }
    }

    /// For a transfer of a month that this shard has no partition for: a late message, or what is made or ends while a
    /// clock is wrong.
    async fn make_partition(&self, refused: &tokio_postgres::Error) {
        let Some(id) = partitionless(refused) else {
            return tracing::error!(%refused, "a partition is missing, but not known which");
        };
        let making = self.node.pool.lend(QUESTION_MAX, async |client| {
            partitions::ensure(client, id.unix_ms(), 0..=0).await.map_err(ReadError::from)
        });
        if let Err(error) = making.await {
            tracing::error!(error = &error as &dyn std::error::Error, "a partition cannot be made");
        }
    }
}

/// The id that has found no partition. PostgreSQL names it, in whatever language; the commands of the batch would not tell:
/// their ids may be of any month, and of transfers that do not exist.
fn partitionless(refused: &tokio_postgres::Error) -> Option<TransferId> {
    let detail = refused.as_db_error()?.detail()?;
    let words = detail.split(|letter: char| !(letter.is_ascii_hexdigit() || letter == '-'));
    words.filter_map(|word| TransferId::try_from(word.parse::<Uuid>().ok()?).ok()).next()
}

/// Gives each command an id of its own, should it need one, and a place to look for a free account id.
fn stamp(batch: &mut [Stamped]) {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let unix_ms = u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX);
    let mut random = rand::rng();
    for stamped in batch {
        let (region, locality) = stamped.command.home();
        stamped.fresh_id = TransferId::new(unix_ms, region, locality, random.random());
        stamped.fresh_discriminator = random.random();
    }
}

/// The transfer that a command makes, or goes on with.
fn transfer_of(stamped: &Stamped) -> TransferId {
    match &stamped.command {
        Command::Commit(commit) => commit.transfer_id,
        _ => stamped.fresh_id,
    }
}

/// The trace of the command that begins to send each message.
fn traces_of(to_send: &[Reservation], batch: &Batch) -> Vec<TraceContext> {
    if to_send.is_empty() {
        return Vec::new();
    }
    let pairs = batch.stamped.iter().zip(&batch.origins);
    let by_id: HashMap<TransferId, TraceContext> =
        pairs.map(|(stamped, origin)| (transfer_of(stamped), origin.context.trace)).collect();
    let nobody = TraceContext::begin(1, 1);
    to_send.iter().map(|message| by_id.get(&message.credit.transfer_id).copied().unwrap_or(nobody)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ledger::{ExternalMove, KeyClaim, KeyHash, RequestFingerprint, SetStatus, StatusChange};
    use placement::AccountId;
    use wire::operation::CallContext;

    const PATIENCE: Duration = Duration::from_secs(4);

    fn deposit() -> Command {
        let key = KeyClaim { hash: KeyHash(1), fingerprint: RequestFingerprint(1) };
        let (account_id, amount) = (AccountId::MIN, ledger::Amount(1));
        Command::Deposit(ExternalMove { key, account_id, amount, reference: None })
    }

    fn freeze() -> Command {
        Command::SetStatus(SetStatus { account_id: AccountId::MIN, change: StatusChange::Freeze })
    }

    /// Commands that have come so long ago.
    fn batch(commands: impl IntoIterator<Item = (Command, Duration)>) -> Batch {
        let remaining_ms = u32::try_from(PATIENCE.as_millis()).expect("fits");
        let context = CallContext { request_id: 0, trace: TraceContext::begin(1, 1), remaining_ms };
        let mut batch = Batch { stamped: Vec::new(), origins: Vec::new() };
        for (command, age) in commands {
            let Task { stamped, mut origin, .. } = Task::new(command, context, 0, None);
            origin.received = Instant::now().checked_sub(age).expect("the clock is older");
            batch.stamped.push(stamped);
            batch.origins.push(origin);
        }
        batch
    }

    #[test]
    fn what_nobody_waits_for_any_more_is_not_run_again() {
        let commands =
            [(deposit(), PATIENCE), (deposit(), PATIENCE / 2), (freeze(), PATIENCE * 2), (freeze(), PATIENCE / 2)];
        let left = batch(commands).without_the_expired();
        assert_eq!(left.stamped.iter().map(|stamped| &stamped.command).collect::<Vec<_>>(), [&deposit(), &freeze()]);
        assert_eq!(left.origins.len(), 2);
        assert!(left.origins.iter().all(|origin| origin.received.elapsed() < PATIENCE));
    }

    #[test]
    fn change_of_status_is_not_run_again() {
        let left = batch([(freeze(), Duration::ZERO), (deposit(), Duration::ZERO)]).without_the_unrepeatable();
        assert_eq!(left.stamped.iter().map(|stamped| &stamped.command).collect::<Vec<_>>(), [&deposit()]);
    }
}
