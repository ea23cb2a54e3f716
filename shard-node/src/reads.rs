//! Questions: single accounts in batches, everything else one by one through the pool.

use crate::lane::{Allowed, Origin, WaitBound};
use crate::node::{Node, TOO_MANY_READS};
use crate::store::{self, QUESTION_MAX, ReadError, entries, from_micros, reading, to_micros};
use ledger::{Account, AccountStatus, Amount, TransferState, UserId};
use placement::{AccountId, ShardId};
use runtime::serve::BoxError;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;
use wire::answer::{Answer, EntriesPage};
use wire::link::Replier;
use wire::operation::{EntriesQuery, OPEN_TRANSFERS_PAGE, OpenTransfersQuery, Read};

/// One question for an account that waits for the next batch.
#[derive(Debug)]
pub struct AccountQuestion {
    /// Which.
    pub id: AccountId,
    /// Who asks; `None` for an operator.
    pub caller: Option<UserId>,
    /// The way back.
    pub replier: Replier,
}

/// Accounts read in one query at most.
const BATCH_MAX: usize = 512;
/// Questions that may wait, however fast they are answered.
const QUEUE_MAX: usize = 16_384;
const TIMEOUT: Duration = Duration::from_secs(3);

/// The entrance of the queue of questions for single accounts.
#[derive(Debug)]
pub struct Questions {
    queue: mpsc::Sender<AccountQuestion>,
    allowed: Arc<Allowed>,
}

/// Its exit.
#[derive(Debug)]
pub struct Questioned {
    queue: mpsc::Receiver<AccountQuestion>,
    bound: WaitBound,
    allowed: Arc<Allowed>,
}

/// A queue in which nothing waits for longer than that for its query to begin.
pub fn questions(wait_max: Duration) -> (Questions, Questioned) {
    let (sender, receiver) = mpsc::channel(QUEUE_MAX);
    let allowed = Arc::new(Allowed::new(BATCH_MAX));
    let bound = WaitBound::new(wait_max, BATCH_MAX, QUEUE_MAX);
    (Questions { queue: sender, allowed: allowed.clone() }, Questioned { queue: receiver, bound, allowed })
}

impl Questions {
    /// Queues a question.
    ///
    /// # Errors
    /// It would have waited too long: here it is again.
    pub fn ask(&self, question: AccountQuestion) -> Result<(), AccountQuestion> {
        let waiting = self.queue.max_capacity() - self.queue.capacity();
        if !self.allowed.admits(waiting) {
            return Err(question);
        }
        self.queue.try_send(question).map_err(mpsc::error::TrySendError::into_inner)
    }
}

impl Questioned {
    fn learn(&mut self, questions: usize, took: Duration) {
        self.bound.learn(questions, took);
        self.allowed.follow(&self.bound);
    }
}

/// Answers questions for single accounts, with one query for all that have queued up. A question that arrives
/// while a query is on its way waits for the next one: it may follow a write acknowledged meanwhile.
pub async fn read_accounts(node: Arc<Node>, connect: tokio_postgres::Config, mut questions: Questioned) {
    let mut batch = Vec::with_capacity(BATCH_MAX);
    let mut is_told = false;
    while !questions.queue.is_closed() || !questions.queue.is_empty() {
        let renewals = node.renewals();
        let error: BoxError = match tokio::time::timeout(TIMEOUT, AccountReader::open(&connect, renewals)).await {
            Ok(Ok(reader)) => {
                is_told = false;
                node.reader_is_up.store(true, Ordering::Relaxed);
                reader.serve(&node, &mut questions, &mut batch).await;
                node.reader_is_up.store(false, Ordering::Relaxed);
                continue;
            }
            Ok(Err(error)) => error.into(),
            Err(late) => late.into(),
        };
        if !std::mem::replace(&mut is_told, true) {
            tracing::warn!(error = &*error as &dyn std::error::Error, "no connection to read accounts; trying again");
        }
        give_up(&mut questions, &mut batch).await;
    }
    node.metrics.reader_stopped();
}

/// While there is no database, whoever waits is answered `Unavailable`, by the dropped repliers.
async fn give_up(questions: &mut Questioned, batch: &mut Vec<AccountQuestion>) {
    batch.clear();
    while questions.queue.try_recv().is_ok() {}
    tokio::time::sleep(Duration::from_millis(100)).await;
}

struct AccountReader {
    client: tokio_postgres::Client,
    statement: tokio_postgres::Statement,
    /// What was counted before it connected.
    renewals: u64,
}

impl AccountReader {
    async fn open(connect: &tokio_postgres::Config, renewals: u64) -> Result<AccountReader, tokio_postgres::Error> {
        let client = crate::store::connect_past_barrier(connect).await?;
        let statement = reading::prepare_accounts(&client).await?;
        Ok(AccountReader { client, statement, renewals })
    }

    /// Serves until the queue is closed, the connection breaks, or it is not to be believed any more, which is looked at
    /// once the questions are there: what they may follow was acknowledged before. Those that were not answered stay in the
    /// batch, for the next connection.
    async fn serve(&self, node: &Node, questions: &mut Questioned, batch: &mut Vec<AccountQuestion>) {
        while !batch.is_empty() || self.receive(questions, batch).await {
            if node.renewals() != self.renewals {
                return;
            }
            let (started, asked) = (Instant::now(), batch.len());
            match self.find(batch).await {
                Ok(found) => {
                    questions.learn(asked, started.elapsed());
                    batch.drain(..).for_each(|question| reply(question, &found));
                }
                Err(ReadError::Unreadable(_)) => {
                    if let Err(error) = self.one_by_one(batch).await {
                        return keep_if_broken(batch, &error);
                    }
                }
                Err(error) => return keep_if_broken(batch, &error),
            }
        }
    }

    /// Waits for questions; `false` if there will be none over this connection.
    async fn receive(&self, questions: &mut Questioned, batch: &mut Vec<AccountQuestion>) -> bool {
        tokio::select! {
            biased;
            count = questions.queue.recv_many(batch, BATCH_MAX) => count > 0,
            () = store::broken(&self.client) => false,
        }
    }

    /// One account that cannot be understood must not hurt its neighbours. An error of the connection's own leaves the
    /// others unanswered.
    async fn one_by_one(&self, batch: &mut Vec<AccountQuestion>) -> Result<(), ReadError> {
        while let Some(question) = batch.pop() {
            match self.find(std::slice::from_ref(&question)).await {
                Ok(found) => reply(question, &found),
                Err(error @ ReadError::Unreadable(_)) => {
                    tracing::error!(error = &error as &dyn std::error::Error, account = %question.id, "not read");
                    question.replier.reply(Answer::Internal);
                }
                Err(error) => {
                    batch.push(question);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    async fn find(&self, batch: &[AccountQuestion]) -> Result<HashMap<AccountId, Account>, ReadError> {
        let ids: Vec<i64> = batch.iter().map(|question| question.id.as_i64()).collect();
        let finding = reading::accounts(&self.client, &self.statement, &ids);
        let found = tokio::time::timeout(TIMEOUT, finding).await.map_err(|_| ReadError::Silent)??;
        #[cfg(feature = "faults")]
        let found = crate::faults::from_old_copies(found);
        Ok(found)
    }
}

/// A server that answers with an error would answer so again; whoever waits is told by the dropped repliers.
fn keep_if_broken(batch: &mut Vec<AccountQuestion>, error: &ReadError) {
    tracing::warn!(error = error as &dyn std::error::Error, "accounts were not read");
    let is_broken = match error {
        ReadError::Postgres(error) => error.code().is_none(),
        ReadError::Silent => true,
        ReadError::Pool(_) | ReadError::Unreadable(_) => false,
    };
    if !is_broken {
        batch.clear();
    }
}

fn reply(question: AccountQuestion, found: &HashMap<AccountId, Account>) {
    let visible = found.get(&question.id).filter(|account| may_see(account, &question.caller));
    let answer = visible.cloned().map(|account| Answer::Account { account, replayed: false });
    question.replier.reply(answer.unwrap_or(Answer::NotFound));
}

fn may_see(account: &Account, caller: &Option<UserId>) -> bool {
    caller.as_ref().is_none_or(|caller| *caller == account.user_id)
}

/// Answers any other question in the background.
pub fn answer(node: &Arc<Node>, read: Read, wait_over: Duration, replier: Replier) {
    let Some(place) = node.read_place() else { return replier.reply(TOO_MANY_READS) };
    let node = node.clone();
    tokio::spawn(async move {
        let _place = place;
        let asking = node.pool.lend(QUESTION_MAX, async |client| ask(client, read, node.shard).await);
        let answered = tokio::time::timeout(wait_over, asking).await;
        replier.reply(match answered {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "a question was not answered");
                Answer::Unavailable
            }
            Err(_) => Answer::Unavailable,
        });
    });
}

async fn ask(client: &deadpool_postgres::Client, read: Read, shard: ShardId) -> Result<Answer, ReadError> {
    match read {
        Read::AccountsOfUser { region, locality, user_id } => {
            Ok(Answer::Accounts(reading::accounts_of_user(client, region, locality, &user_id).await?))
        }
        Read::ResolveUser { region, locality, user_id, currency } => {
            let accounts = reading::accounts_of_user(client, region, locality, &user_id).await?;
            let usable = |account: &&Account| account.status == AccountStatus::Open && account.currency == currency;
            Ok(Answer::Resolved(accounts.iter().find(usable).map(|account| account.id)))
        }
        Read::Entries(query) => history(client, query).await,
        Read::OpenTransfersPage(query) => open_transfers(client, query, shard).await,
        Read::OpenTransfers { account_id, caller } => {
            let states = vec![TransferState::Pending, TransferState::Reserved];
            let limit = OPEN_TRANSFERS_PAGE;
            open_transfers(client, OpenTransfersQuery { account_id, caller, states, after: None, limit }, shard).await
        }
        // These have their own ways.
        Read::Account { .. }
        | Read::Transfer { .. }
        | Read::Map { .. }
        | Read::Pairing { .. }
        | Read::Clearing { .. }
        | Read::Recent { .. } => Ok(Answer::Invalid("not a question for the pool".to_owned())),
    }
}

async fn open_transfers(
    client: &deadpool_postgres::Client,
    query: OpenTransfersQuery,
    shard: ShardId,
) -> Result<Answer, ReadError> {
    match owned(client, query.account_id, &query.caller).await? {
        None => Ok(Answer::NotFound),
        Some(_) => Ok(Answer::Transfers(reading::open_transfers(client, &query, shard).await?)),
    }
}

async fn owned(
    client: &deadpool_postgres::Client,
    id: AccountId,
    caller: &UserId,
) -> Result<Option<Account>, ReadError> {
    Ok(reading::account(client, id).await?.filter(|account| account.user_id == *caller))
}

async fn history(client: &deadpool_postgres::Client, query: EntriesQuery) -> Result<Answer, ReadError> {
    let Some(account) = owned(client, query.account_id, &query.caller).await? else {
        return Ok(Answer::NotFound);
    };
    let mut numbers = 1..account.entry_count + 1;
    if let Some(from) = query.from {
        numbers.start = entries::first_at_or_after(client, account.id, account.entry_count, from).await?;
    }
    if let Some(to) = query.to {
        numbers.end = entries::first_at_or_after(client, account.id, account.entry_count, to).await?;
    }
    match query.after_entry {
        Some(after) if query.newest_first => numbers.end = numbers.end.min(after),
        Some(after) => numbers.start = numbers.start.max(after.saturating_add(1)),
        None => {}
    }
    // One more than asked for tells whether there is another page.
    let limit = i64::from(query.limit) + 1;
    let (account_id, newest_first, direction) = (account.id, query.newest_first, query.direction);
    let wanted = entries::Wanted { account_id, numbers, newest_first, direction, limit };
    let mut items = entries::page(client, &wanted, to_micros(jiff::Timestamp::now())).await?;
    let more = items.len() > usize::from(query.limit);
    items.truncate(usize::from(query.limit));
    #[cfg(feature = "faults")]
    crate::faults::without_first(&query, &mut items);
    Ok(Answer::Entries(EntriesPage { items, more }))
}

/// Answers with the account that a key made before, as it was then.
pub fn replayed_account(node: &Arc<Node>, origin: Origin, id: AccountId, replayed: bool) {
    let Some(place) = node.read_place() else { return origin.reply(TOO_MANY_READS) };
    let node = node.clone();
    tokio::spawn(async move {
        let _place = place;
        let reading = node.pool.lend(QUESTION_MAX, async |client| reading::account(client, id).await);
        let answer = match reading.await {
            Ok(found) => {
                found.map_or(Answer::NotFound, |account| Answer::Account { account: as_made(account), replayed })
            }
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "an account was not read");
                Answer::Unavailable
            }
        };
        origin.reply(answer);
    });
}

/// All but these stay for good.
fn as_made(account: Account) -> Account {
    let nothing = Amount(0);
    Account { balance: nothing, reserved: nothing, entry_count: 0, status: AccountStatus::Open, ..account }
}

/// Times that PostgreSQL's calendar has.
pub fn is_storable(time: ledger::Timestamp) -> bool {
    to_micros(from_micros(time)) == time
}
