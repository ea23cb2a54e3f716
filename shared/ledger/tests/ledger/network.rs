//! Two shards and the messages between them, which may be late, repeated, out of order or lost.

use crate::shard::Shard;
use crate::world::{currencies, key, region, shard_id, user};
use ledger::saga::{DebitEvent, DebitState, Decision, next_debit};
use ledger::{
    Amount, Command, CreateAccount, Decided, ExternalMove, Outcome, Ownership, Reservation, Settle, VoidMessage,
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

pub struct Network {
    pub shards: [Shard; 2],
    pub accounts: Vec<AccountId>,
    /// Messages on their way.
    pub flying: Vec<Command>,
    /// All messages that were ever sent.
    pub sent: Vec<Command>,
    /// All transfers between the shards that were ever begun, and their debit accounts.
    pub begun: BTreeMap<TransferId, AccountId>,
}

impl Network {
    pub fn new() -> Network {
        let shards = [1, 2].map(|number| {
            let owned = Ownership::new(region(number), Slot::all());
            Shard::new(shard_id(number.into()), owned, currencies())
        });
        let begun = BTreeMap::new();
        let mut network = Network { shards, accounts: vec![], flying: vec![], sent: vec![], begun };
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

    /// Commands of one shard in one batch; what is to be sent because of them is sent.
    pub fn run(&mut self, commands: &[Command]) -> Vec<Outcome> {
        let Some(at) = commands.first().map(|command| self.at(command)) else { return vec![] };
        let shard = &mut self.shards[at];
        let batch = shard.stamp(commands);
        let (outcomes, writes) = shard.run(&batch);
        let credit_shard = shard.id;
        for held in writes.reserved {
            self.begun.insert(held.credit.transfer_id, held.credit.debit_account_id);
            self.send(Command::Credit(held.credit));
        }
        for (command, outcome) in commands.iter().zip(&outcomes) {
            assert_ne!(*outcome, Outcome::Contradiction, "{command:?}");
            if let Outcome::Decided(Decided::Decision(decision)) = outcome {
                let settle = self.answer(command, decision.clone(), credit_shard);
                self.send(settle);
            }
        }
        outcomes
    }

    fn answer(&self, question: &Command, decision: Decision, credit_shard: ShardId) -> Command {
        let transfer_id = match question {
            Command::Credit(credit) => credit.transfer_id,
            Command::Void(void) => void.transfer_id,
            other => panic!("{other:?} is no question"),
        };
        let debit_account_id = self.begun[&transfer_id];
        Command::Settle(Settle { transfer_id, debit_account_id, credit_shard, decision })
    }

    pub fn send(&mut self, message: Command) {
        self.sent.push(message.clone());
        self.flying.push(message);
    }

    pub fn open_sagas(&self) -> Vec<Reservation> {
        self.shards.iter().flat_map(|shard| shard.rows.reservations.values().cloned()).collect()
    }

    /// The sweep: the message follows from the reservation's state.
    pub fn send_again(&mut self, held: &Reservation) {
        self.send(match held.state {
            DebitState::Reserved => Command::Credit(held.credit.clone()),
            DebitState::Voiding => Command::Void(VoidMessage {
                transfer_id: held.credit.transfer_id,
                debit_shard: held.credit.debit_shard,
                credit_account_id: held.credit.credit_account_id,
            }),
            DebitState::Committed | DebitState::Released(_) => panic!("a saga that is over has no reservation"),
        });
    }

    /// `void_after` has passed.
    pub fn give_up(&mut self, held: &Reservation) {
        let (state, _) = next_debit(held.state, DebitEvent::GiveUp).unwrap();
        let held = Reservation { state, ..held.clone() };
        let debit_shard = usize::from(held.credit.debit_shard.get() - 1);
        self.shards[debit_shard].rows.reservations.insert(held.credit.transfer_id, held.clone());
        self.send_again(&held);
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
