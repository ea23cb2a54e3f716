//! Making accounts.

use crate::refusals::{Rung, assert_first_rung_answers, codes, rejections};
use crate::shard::Shard;
use crate::world::{account, create, key, region, sgd, shard, user};
use ledger::{
    ACCOUNTS_PER_USER_MAX, Account, AccountStatus, Amount, Command, CreateAccount, Decided, KeyRecord, Outcome,
    Rejection, Writes,
};
use placement::{AccountId, Locality, Slot};

/// In the order in which the decision looks.
pub const LADDER: &[Rung<CreateAccount>] = &[
    Rung {
        when: "there is no such region",
        rejection: Rejection::RegionUnknown,
        spoil: |_, command| command.region_known = false,
    },
    Rung {
        when: "the currency is no currency",
        rejection: Rejection::CurrencyUnknown,
        spoil: |_, command| command.currency = "sgd".to_owned(),
    },
    Rung {
        when: "the currency is not offered",
        rejection: Rejection::CurrencyUnknown,
        spoil: |_, command| command.currency = "JPY".to_owned(),
    },
    Rung {
        when: "the user has as many accounts as one may have",
        rejection: Rejection::AccountLimitReached,
        spoil: |shard, _| fill(shard, "olga", ACCOUNTS_PER_USER_MAX),
    },
];

/// Gives the user of olga's locality so many accounts.
fn fill(shard: &mut Shard, name: &str, count: usize) {
    for discriminator in (0..=u16::MAX).take(count) {
        let id = olgas(discriminator);
        shard.rows.accounts.insert(id, account(id, name, sgd(), 0));
    }
}

fn olgas(discriminator: u16) -> AccountId {
    AccountId::new(region(1), Locality::of_user("olga"), discriminator)
}

fn home() -> Slot {
    Slot::of(region(1), Locality::of_user("olga"))
}

fn made_with_7(shard: &Shard) -> Account {
    Account {
        id: olgas(7),
        user_id: user("olga"),
        name: "savings".to_owned(),
        currency: sgd(),
        balance: Amount(0),
        reserved: Amount(0),
        entry_count: 0,
        status: AccountStatus::Open,
        created_at: shard.now,
    }
}

fn record(account_id: Option<AccountId>, rejection: Option<Rejection>) -> KeyRecord {
    let claim = key(3);
    let (hash, fingerprint) = (claim.hash, claim.fingerprint);
    KeyRecord { slot: home(), hash, fingerprint, transfer_id: None, account_id, rejection }
}

#[test]
fn each_refusal_is_recorded_under_the_key_without_a_transfer() {
    for Rung { when, rejection, spoil } in LADDER {
        let (mut shard, mut command) = (shard(), create());
        spoil(&mut shard, &mut command);
        let (outcome, writes) = shard.ask(Command::CreateAccount(command));
        let decided = Decided::Rejected { rejection: *rejection, transfer_id: None };
        assert_eq!(outcome, Outcome::Decided(decided), "{when}");
        assert_eq!(writes, Writes { keys: vec![record(None, Some(*rejection))], ..Writes::default() }, "{when}");
    }
}

#[test]
fn each_refusal_without_a_key_leaves_nothing() {
    for Rung { when, rejection, spoil } in LADDER {
        let (mut shard, mut command) = (shard(), CreateAccount { key: None, ..create() });
        spoil(&mut shard, &mut command);
        let (outcome, writes) = shard.ask(Command::CreateAccount(command));
        let decided = Decided::Rejected { rejection: *rejection, transfer_id: None };
        assert_eq!(outcome, Outcome::Decided(decided), "{when}");
        assert!(writes.is_empty(), "{when}");
    }
}

#[test]
fn of_two_causes_the_earlier_rung_is_the_answer() {
    assert_first_rung_answers(LADDER, &create(), Command::CreateAccount);
}

#[test]
fn these_and_no_others_can_refuse_an_account() {
    let expected = codes([Rejection::RegionUnknown, Rejection::CurrencyUnknown, Rejection::AccountLimitReached]);
    assert_eq!(rejections(LADDER), expected);
}

#[test]
fn an_account_is_made_empty_and_open_at_the_stamped_discriminator() {
    let mut shard = shard();
    let (outcome, writes) = shard.ask(Command::CreateAccount(create()));
    let made = made_with_7(&shard);
    assert_eq!(outcome, Outcome::Decided(Decided::Account(made.clone())));
    let keys = vec![record(Some(made.id), None)];
    assert_eq!(writes, Writes { created: vec![made], keys, ..Writes::default() });
}

#[test]
fn an_account_without_a_key_is_made_anew_with_each_request() {
    let mut shard = shard();
    let keyless = Command::CreateAccount(CreateAccount { key: None, ..create() });
    let batch = shard.stamp(&[keyless.clone(), keyless]);
    let (_, writes) = shard.run(&batch);
    let ids: Vec<AccountId> = writes.created.iter().map(|account| account.id).collect();
    assert_eq!(ids, [olgas(7), olgas(8)]);
    assert!(writes.keys.is_empty());
}

#[test]
fn a_taken_discriminator_is_passed_over_around_the_end_whoever_has_taken_it() {
    let mut shard = shard();
    for taken in [u16::MAX - 1, u16::MAX, 0] {
        shard.rows.accounts.insert(olgas(taken), account(olgas(taken), "somebody with the same hash", sgd(), 0));
    }
    let mut batch = shard.stamp(&[Command::CreateAccount(create())]);
    batch[0].fresh_discriminator = u16::MAX - 1;
    let (_, writes) = shard.run(&batch);
    assert_eq!(writes.created[0].id, olgas(1));
}

#[test]
fn the_last_account_of_the_limit_is_made_and_the_next_in_the_batch_is_not() {
    let mut shard = shard();
    fill(&mut shard, "olga", ACCOUNTS_PER_USER_MAX - 1);
    let another = CreateAccount { key: Some(key(4)), ..create() };
    let batch = shard.stamp(&[Command::CreateAccount(create()), Command::CreateAccount(another)]);
    let (outcomes, writes) = shard.run(&batch);
    assert!(matches!(outcomes[0], Outcome::Decided(Decided::Account(_))));
    let rejection = Rejection::AccountLimitReached;
    assert_eq!(outcomes[1], Outcome::Decided(Decided::Rejected { rejection, transfer_id: None }));
    assert_eq!(writes.created.len(), 1);
}

#[test]
fn the_accounts_of_others_with_the_same_locality_do_not_count() {
    let mut shard = shard();
    fill(&mut shard, "somebody with the same hash", ACCOUNTS_PER_USER_MAX);
    let (outcome, _) = shard.ask(Command::CreateAccount(create()));
    assert!(matches!(outcome, Outcome::Decided(Decided::Account(_))));
}

#[test]
fn a_locality_without_a_free_discriminator_is_full() {
    let mut shard = shard();
    fill(&mut shard, "somebody with the same hash", 1 << 16);
    let (outcome, _) = shard.ask(Command::CreateAccount(create()));
    let rejection = Rejection::AccountLimitReached;
    assert_eq!(outcome, Outcome::Decided(Decided::Rejected { rejection, transfer_id: None }));
}

/// Nobody can know its id before the commit, so the rest of the batch comes before it as well as after it.
#[test]
fn an_account_made_in_a_batch_exists_from_the_next_batch_on() {
    let mut shard = shard();
    let deposit = |number| {
        Command::Deposit(ledger::ExternalMove { key: key(number), account_id: olgas(7), ..crate::world::external() })
    };
    let batch = shard.stamp(&[Command::CreateAccount(create()), deposit(5)]);
    let (outcomes, _) = shard.run(&batch);
    assert_eq!(outcomes[1], Outcome::NotFound);
    let (outcome, _) = shard.ask(deposit(6));
    assert!(matches!(outcome, Outcome::Decided(Decided::Transfer(_))));
}
