//! Two shards, the clients, and the messages between them, which may be late, repeated, out of order or lost.

use crate::shard::Shard;
use crate::world::{currencies, key, region, shard_id, user};
use ledger::saga::{DebitEvent, DebitState, Decision, Event, State, next};
use ledger::{
    Amount, Command, CreateAccount, CreditMessage, Decided, ExpireTransfer, ExternalMove, KeyHash, Outcome, Ownership,
    Rejection, RequestFingerprint, Reservation, Settle, VoidMessage,
};
use placement::{AccountId, Locality, ShardId, Slot, TransferId};
use std::collections::BTreeMap;

/// Each shard has two accounts in SGD and one in EUR.
const HOLDERS: [(u8, &str, &str); 6] = [
    (1, "yunus", "SGD"),
    (1, "nick", "SGD"),
    (1, "nick", "EUR"),
    (2, "andrew", "SGD"),
    (2, "olga", "SGD"),
    (2, "olga", "EUR"),
];

/// What every account has at first.
pub const FIRST_DEPOSIT: i64 = 500;

/// What has ended a reservation: never two of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Winner {
    Commit(Amount),
    Release,
    Expire,
}

/// What a request is told for ever: a transfer, or a refusal and perhaps the transfer that it is about.
type Answer = Result<TransferId, (Rejection, Option<TransferId>)>;

pub struct Network {
    pub shards: [Shard; 2],
    pub accounts: Vec<AccountId>,
    /// Messages on their way.
    pub flying: Vec<Command>,
    /// All messages that were ever sent.
    pub sent: Vec<Command>,
    /// All that clients and the sweep have ever asked for.
    pub asked: Vec<Command>,
    /// All transfers that were ever begun with a reservation, as they were then.
    pub begun: BTreeMap<TransferId, Reservation>,
    /// What became of those that their client had reserved.
    pub winners: BTreeMap<TransferId, Winner>,
    /// What was answered under a key.
    answers: BTreeMap<(Slot, KeyHash, u128), Answer>,
}

impl Network {
    pub fn new() -> Network {
        let shards = [1, 2].map(|number| {
            let owned = Ownership::new(region(number), Slot::all());
            Shard::new(shard_id(number.into()), owned, currencies())
        });
        let (begun, winners, answers) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let (flying, sent, asked) = (vec![], vec![], vec![]);
        let mut network = Network { shards, accounts: vec![], flying, sent, asked, begun, winners, answers };
        for (number, (region_code, name, currency)) in (1_000..).zip(HOLDERS) {
            let account_id = network.open_account(region_code, name, currency);
            let (key, amount) = (key(number), Amount(FIRST_DEPOSIT));
            network.run(&[Command::Deposit(ExternalMove { key, account_id, amount, reference: None })]);
            network.accounts.push(account_id);
        }
        network
    }

    fn open_account(&mut self, region_code: u8, name: &str, currency: &str) -> AccountId {
        let create = CreateAccount {
            key: None,
            user_id: user(name),
            name: "current".to_owned(),
            currency: currency.to_owned(),
            region: region(region_code),
            locality: Locality::of_user(name),
            region_known: true,
        };
        match self.run(&[Command::CreateAccount(create)]).remove(0) {
            Outcome::Decided(Decided::Account(account)) => account.id,
            other => panic!("an account can be made: {other:?}"),
        }
    }

    /// The shard that decides the command.
    fn at(&self, command: &Command) -> usize {
        usize::from(command.region().get() - 1)
    }

    /// Where the account is.
    pub fn home(&self, account: AccountId) -> &Shard {
        &self.shards[usize::from(account.region().get() - 1)]
    }

    /// A client, or the sweep; it may come again.
    pub fn ask(&mut self, command: Command) {
        self.asked.push(command.clone());
        self.run(&[command]);
    }

    /// Commands of one shard in one batch; what is to be sent because of them is sent.
    pub fn run(&mut self, commands: &[Command]) -> Vec<Outcome> {
        let Some(at) = commands.first().map(|command| self.at(command)) else { return vec![] };
        let shard = &mut self.shards[at];
        let batch = shard.stamp(commands);
        let (outcomes, writes) = shard.run(&batch);
        let credit_shard = shard.id;
        for reservation in &writes.reserved {
            self.begun.insert(reservation.credit.transfer_id, reservation.clone());
        }
        for begun in writes.to_send() {
            self.send(Command::Credit(begun.credit.clone()));
        }
        for (command, outcome) in commands.iter().zip(&outcomes) {
            assert_ne!(*outcome, Outcome::Contradiction, "{command:?}");
            self.remember_answer(command, outcome);
            match outcome {
                Outcome::Decided(Decided::Decision(decision)) => {
                    let settle = self.answer(command, decision.clone(), credit_shard);
                    self.send(settle);
                }
                Outcome::Decided(Decided::Transfer(transfer)) => self.remember_winner(command, transfer.id),
                _ => {}
            }
        }
        outcomes
    }

    /// The same key and request are told the same, whatever has happened since.
    fn remember_answer(&mut self, command: &Command, outcome: &Outcome) {
        let Some(key) = command.key() else { return };
        let answer = match outcome {
            Outcome::Decided(Decided::Rejected { rejection: Rejection::IdempotencyKeyReused, .. }) => None,
            Outcome::Decided(Decided::Transfer(transfer)) => Some(Ok(transfer.id)),
            Outcome::ReplayedTransfer(id) => Some(Ok(*id)),
            Outcome::Decided(Decided::Rejected { rejection, transfer_id })
            | Outcome::ReplayedRejection { rejection, transfer_id } => Some(Err((*rejection, *transfer_id))),
            _ => None,
        };
        let request = (command.slot(), key.hash, key.fingerprint.0);
        match (self.answers.get(&request), answer) {
            (None, Some(answer)) => drop(self.answers.insert(request, answer)),
            (before, answer) => assert_eq!(before, answer.as_ref(), "{command:?}: {outcome:?}"),
        }
    }

    /// Exactly one of commit, release and expiry wins.
    fn remember_winner(&mut self, command: &Command, id: TransferId) {
        let winner = match command {
            Command::Commit(commit) => Winner::Commit(commit.amount.unwrap_or(self.begun[&id].credit.amount)),
            Command::Release(_) => Winner::Release,
            Command::Expire(_) => Winner::Expire,
            _ => return,
        };
        assert_eq!(self.winners.insert(id, winner), None, "{id} has two winners");
    }

    fn answer(&self, question: &Command, decision: Decision, credit_shard: ShardId) -> Command {
        let transfer_id = match question {
            Command::Credit(credit) => credit.transfer_id,
            Command::Void(void) => void.transfer_id,
            other => panic!("{other:?} is no question"),
        };
        let debit_account_id = self.begun[&transfer_id].credit.debit_account_id;
        Command::Settle(Settle { transfer_id, debit_account_id, credit_shard, decision })
    }

    pub fn send(&mut self, message: Command) {
        self.sent.push(message.clone());
        self.flying.push(message);
    }

    fn reservations(&self) -> impl Iterator<Item = &Reservation> {
        self.shards.iter().flat_map(|shard| shard.rows.reservations.values())
    }

    /// Those that are being credited or voided.
    pub fn open_sagas(&self) -> Vec<Reservation> {
        self.reservations().filter(|reservation| reservation.state != DebitState::Held).cloned().collect()
    }

    /// Those that their client may commit or release.
    pub fn held(&self) -> Vec<Reservation> {
        self.reservations().filter(|reservation| reservation.state == DebitState::Held).cloned().collect()
    }

    /// The outbox: the message follows from the reservation's state.
    pub fn send_again(&mut self, saga: &Reservation) {
        self.send(match saga.state {
            DebitState::Crediting => Command::Credit(saga.credit.clone()),
            DebitState::Voiding => Command::Void(VoidMessage {
                transfer_id: saga.credit.transfer_id,
                debit_shard: saga.credit.debit_shard,
                credit_account_id: saga.credit.credit_account_id,
            }),
            DebitState::Held => panic!("what is held has no message"),
            DebitState::Committed | DebitState::Released(_) => panic!("a saga that is over has no reservation"),
        });
    }

    /// `void_after` has passed.
    pub fn give_up(&mut self, saga: &Reservation) {
        let after = next(State::Debit(saga.state), Event::Debit(DebitEvent::GiveUp));
        let Ok((State::Debit(state), _)) = after else { panic!("a saga can be given up: {after:?}") };
        let saga = Reservation { state, ..saga.clone() };
        let debit_shard = usize::from(saga.credit.debit_shard.get() - 1);
        self.shards[debit_shard].rows.reservations.insert(saga.credit.transfer_id, saga.clone());
        self.send_again(&saga);
    }

    /// The sweep: all that are due.
    pub fn sweep(&mut self) {
        for held in self.held() {
            let now = self.home(held.credit.debit_account_id).now;
            if held.hold.is_some_and(|hold| hold.expires_at <= now) {
                self.ask(expiry(&held.credit));
            }
        }
    }

    /// All that is on its way arrives, each shard's in one batch; and so on until nothing more is sent.
    pub fn deliver_all(&mut self) {
        while !self.flying.is_empty() {
            let arriving = std::mem::take(&mut self.flying);
            let (here, there): (Vec<_>, Vec<_>) = arriving.into_iter().partition(|message| self.at(message) == 0);
            self.run(&here);
            self.run(&there);
        }
    }
}

/// What the sweep asks for.
pub fn expiry(message: &CreditMessage) -> Command {
    let (transfer_id, debit_account_id) = (message.transfer_id, message.debit_account_id);
    Command::Expire(ExpireTransfer { transfer_id, debit_account_id })
}

/// Of all that a client asks for.
pub fn fingerprint(request: &impl std::fmt::Debug) -> RequestFingerprint {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    format!("{request:?}").hash(&mut hasher);
    RequestFingerprint(hasher.finish().into())
}
