//! A shard in memory: it keeps the rows that PostgreSQL keeps, and loads, decides and stores a batch as a
//! shard-node does. What the schema would refuse, it refuses by a panic.

use ledger::saga::{DebitState, Decision};
use ledger::{
    Account, Amount, Books, Command, CommitTransfer, Counterpart, CreditTarget, Currency, CurrencyRules, KeyHash,
    KeyRecord, Outcome, Ownership, PostedTransfer, RecordedKey, ReleaseTransfer, Reservation, ReserveTransfer, Stamped,
    Timestamp, TransferCommand, Writes, decide,
};
use placement::{AccountId, ShardId, Slot, TransferId};
use std::collections::{BTreeMap, BTreeSet, HashMap};

#[derive(Debug, Clone)]
pub struct Shard {
    pub id: ShardId,
    pub now: Timestamp,
    pub ownership: Ownership,
    pub currencies: Vec<CurrencyRules>,
    pub rows: Rows,
    stamps: u64,
}

/// The tables.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rows {
    pub accounts: BTreeMap<AccountId, Account>,
    pub keys: BTreeMap<(Slot, KeyHash), KeyRecord>,
    pub reservations: BTreeMap<TransferId, Reservation>,
    /// The reservations whose message is on its way.
    pub outbox: BTreeSet<TransferId>,
    pub inbox: BTreeMap<TransferId, Decision>,
    pub transfers: BTreeMap<TransferId, PostedTransfer>,
    /// Wider than an amount, as the columns are.
    pub totals: BTreeMap<(Counterpart, Currency), i128>,
}

impl Shard {
    pub fn new(id: ShardId, ownership: Ownership, currencies: Vec<CurrencyRules>) -> Shard {
        let now = Timestamp(1_700_000_000_000_000);
        Shard { id, now, ownership, currencies, rows: Rows::default(), stamps: 0 }
    }

    /// Gives each command an id that no other has had on this shard.
    pub fn stamp(&mut self, commands: &[Command]) -> Vec<Stamped> {
        commands.iter().map(|command| self.stamp_one(command.clone())).collect()
    }

    fn stamp_one(&mut self, command: Command) -> Stamped {
        self.stamps += 1;
        let (region, locality) = command.home();
        let random = u64::from(self.id.get()) << 30 | self.stamps;
        let fresh_id = TransferId::new(self.now.unix_ms(), region, locality, random);
        Stamped { command, fresh_id, fresh_discriminator: 7 }
    }

    /// One batch, from the load to the commit.
    pub fn run(&mut self, batch: &[Stamped]) -> (Vec<Outcome>, Writes) {
        let mut books = self.load(batch);
        let (outcomes, writes) = decide(&mut books, batch);
        let accounts = std::mem::take(&mut books.accounts);
        drop(books);
        assert_eq!(outcomes.len(), batch.len(), "one outcome a command");
        self.rows.save(&writes, &accounts);
        (outcomes, writes)
    }

    /// A batch of one command.
    pub fn ask(&mut self, command: Command) -> (Outcome, Writes) {
        let batch = self.stamp(&[command]);
        let (mut outcomes, writes) = self.run(&batch);
        (outcomes.remove(0), writes)
    }

    /// The id that the next command is stamped with is this one's successor.
    pub fn next_id(&self, command: &Command) -> TransferId {
        self.clone().stamp_one(command.clone()).fresh_id
    }

    pub fn account(&self, id: AccountId) -> &Account {
        self.rows.accounts.get(&id).expect("the test has made it")
    }

    pub fn account_mut(&mut self, id: AccountId) -> &mut Account {
        self.rows.accounts.get_mut(&id).expect("the test has made it")
    }

    /// Only what the batch names, as the shard-node does.
    fn load(&self, batch: &[Stamped]) -> Books<'_> {
        let mut books = Books {
            shard: self.id,
            now: self.now,
            ownership: &self.ownership,
            currencies: &self.currencies,
            accounts: HashMap::new(),
            keys: HashMap::new(),
            reservations: HashMap::new(),
            inbox: HashMap::new(),
            neighbourhoods: HashMap::new(),
        };
        for Stamped { command, .. } in batch {
            self.rows.load_for(command, &mut books);
        }
        books
    }
}

impl Rows {
    fn load_for(&self, command: &Command, books: &mut Books<'_>) {
        if let Some(key) = command.key()
            && let Some(row) = self.keys.get(&(command.slot(), key.hash))
        {
            books.keys.insert(key.hash, recorded(row));
        }
        let accounts = self.accounts_of(command).into_iter().filter_map(|id| self.accounts.get(&id));
        books.accounts.extend(accounts.map(|account| (account.id, account.clone())));
        match command {
            Command::Credit(credit) => self.load_decision(credit.transfer_id, books),
            Command::Void(void) => self.load_decision(void.transfer_id, books),
            Command::Settle(settle) => self.load_reservation(settle.transfer_id, books),
            Command::Expire(expire) => self.load_reservation(expire.transfer_id, books),
            Command::Commit(CommitTransfer { transfer_id, .. })
            | Command::Release(ReleaseTransfer { transfer_id, .. }) => self.load_reservation(*transfer_id, books),
            Command::CreateAccount(create) => {
                let mut around = ledger::Neighbourhood::default();
                let range = AccountId::locality_range(create.region, create.locality);
                for (id, account) in self.accounts.range(range) {
                    around.taken.insert(id.discriminator());
                    *around.accounts_of.entry(account.user_id.clone()).or_default() += 1;
                }
                books.neighbourhoods.insert((create.region, create.locality), around);
            }
            Command::Transfer(_) | Command::Reserve(_) => {}
            Command::Deposit(_) | Command::Withdraw(_) | Command::SetStatus(_) => {}
        }
    }

    /// Those that the command names, or whose reservation it names.
    fn accounts_of(&self, command: &Command) -> Vec<AccountId> {
        match command {
            Command::Transfer(transfer) | Command::Reserve(ReserveTransfer { transfer, .. }) => named(transfer),
            Command::Deposit(external) | Command::Withdraw(external) => vec![external.account_id],
            Command::SetStatus(set) => vec![set.account_id],
            Command::Credit(credit) => vec![credit.credit_account_id],
            Command::Settle(settle) => vec![settle.debit_account_id],
            Command::Expire(expire) => vec![expire.debit_account_id],
            Command::Commit(CommitTransfer { transfer_id, .. })
            | Command::Release(ReleaseTransfer { transfer_id, .. }) => {
                let message = self.reservations.get(transfer_id).map(|reservation| &reservation.credit);
                message.map_or(vec![], |message| vec![message.debit_account_id, message.credit_account_id])
            }
            Command::CreateAccount(_) | Command::Void(_) => vec![],
        }
    }

    fn load_reservation(&self, id: TransferId, books: &mut Books<'_>) {
        books.reservations.extend(self.reservations.get(&id).map(|reservation| (id, reservation.clone())));
    }

    fn load_decision(&self, id: TransferId, books: &mut Books<'_>) {
        books.inbox.extend(self.inbox.get(&id).map(|decision| (id, decision.clone())));
    }

    /// In the order of the shard-node's statements.
    fn save(&mut self, writes: &Writes, decided: &HashMap<AccountId, Account>) {
        for (id, account) in decided {
            let stored = self.accounts.get_mut(id).expect("the books hold only accounts that exist");
            match writes.changed.contains(id) {
                true => stored.clone_from(account),
                false => assert_eq!(stored, account, "a change that is not named would be lost"),
            }
        }
        assert!(writes.changed.iter().all(|id| decided.contains_key(id)), "an unknown account has changed");
        for account in &writes.created {
            assert_eq!((account.balance, account.reserved, account.entry_count), (Amount(0), Amount(0), 0));
            assert_eq!(self.accounts.insert(account.id, account.clone()), None, "the account id was taken");
        }
        for row in &writes.transfers {
            self.save_transfer(row);
        }
        for key in &writes.keys {
            assert!(key.transfer_id.is_some() || key.account_id.is_some() || key.rejection.is_some());
            assert_eq!(self.keys.insert((key.slot, key.hash), key.clone()), None, "a key is recorded once");
        }
        for reservation in &writes.reserved {
            assert_eq!(self.reservations.insert(reservation.credit.transfer_id, reservation.clone()), None);
        }
        for committing in &writes.committing {
            self.save_committing(committing);
        }
        for sent in writes.to_send() {
            assert!(self.outbox.insert(sent.credit.transfer_id), "a message is put into the outbox once");
        }
        for id in &writes.settled {
            assert!(self.reservations.remove(id).is_some(), "only an open reservation can be settled");
            self.outbox.remove(id);
        }
        for row in &writes.inbox {
            assert_eq!(self.inbox.insert(row.transfer_id, row.decision.clone()), None, "a decision falls once");
        }
        for (counterpart, change) in &writes.totals {
            *self.totals.entry(*counterpart).or_default() += i128::from(change.0);
        }
    }

    /// Only the state and the amount are stored; all else stays as it was reserved.
    fn save_committing(&mut self, committing: &Reservation) {
        let stored = self.reservations.get_mut(&committing.credit.transfer_id).expect("it was reserved before");
        assert_eq!(stored.state, DebitState::Held, "only what is held can be committed");
        assert!(committing.credit.amount <= stored.credit.amount, "no more than was reserved");
        stored.state = committing.state;
        stored.credit.amount = committing.credit.amount;
        assert_eq!(stored, committing, "any other change would be lost");
    }

    /// Written once; but a debit side joins the row of its credit side, if a moved slot has brought both here.
    fn save_transfer(&mut self, row: &PostedTransfer) {
        let id = row.transfer.id;
        assert!(row.transfer.state.is_terminal());
        let Some(other) = self.transfers.insert(id, row.clone()) else { return };
        let is_other_side =
            other.debit.is_none() && other.credit.is_some() && row.debit.is_some() && row.credit.is_none();
        assert!(is_other_side, "a transfer is written once: {id}");
        let both = PostedTransfer { credit: other.credit, ..row.clone() };
        self.transfers.insert(id, both);
    }
}

fn recorded(row: &KeyRecord) -> RecordedKey {
    RecordedKey {
        fingerprint: row.fingerprint,
        transfer_id: row.transfer_id,
        account_id: row.account_id,
        rejection: row.rejection,
    }
}

fn named(transfer: &TransferCommand) -> Vec<AccountId> {
    match transfer.credit {
        CreditTarget::Account(credit) => vec![transfer.debit_account_id, credit],
        CreditTarget::NoSuchAccount | CreditTarget::NoSuchUser | CreditTarget::Unresolved => {
            vec![transfer.debit_account_id]
        }
    }
}
