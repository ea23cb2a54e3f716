//! Random schedules between two shards: whatever is late, repeated, out of order, lost or given up, whoever commits,
//! releases or lets expire, both sides of every transfer come to the same end, and no money is made or lost.

use crate::invariants::{check, clearing};
use crate::network::{FIRST_DEPOSIT, Network, Winner, expiry, fingerprint};
use crate::random::{amounts, config};
use crate::world::{set_status, user};
use ledger::saga::Decision;
use ledger::{
    Amount, Command, CommitTransfer, CreditTarget, Currency, KeyClaim, KeyHash, PostedTransfer, Rejection,
    ReleaseTransfer, Reservation, ReserveTransfer, StatusChange, TransferCommand, TransferState,
};
use placement::TransferId;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use std::collections::BTreeMap;

#[derive(Debug, Clone)]
enum Step {
    /// A client asks, with one of few keys.
    Ask {
        debit: Index,
        credit: Index,
        amount: i64,
        key: u8,
        /// For how long it is to be reserved, in seconds, if it is.
        hold: Option<u32>,
    },
    Commit {
        transfer: Index,
        amount: Option<i64>,
        key: u8,
        is_foreign: bool,
    },
    Release {
        transfer: Index,
        is_foreign: bool,
    },
    /// Perhaps a late or wrong one of the sweep.
    Expire {
        transfer: Index,
    },
    Sweep,
    /// The shards' clocks need not agree.
    PassTime {
        at: Index,
        seconds: u8,
    },
    /// A client whose answer was lost.
    Repeat {
        request: Index,
    },
    SetStatus {
        account: Index,
        change: StatusChange,
    },
    /// A message arrives; if it stays, it will arrive again.
    Deliver {
        message: Index,
        stays: bool,
    },
    DeliverAll,
    Lose {
        message: Index,
    },
    SendAgain {
        saga: Index,
    },
    GiveUp {
        saga: Index,
    },
}

/// Of a client: mostly less than what an account has at first.
fn asks() -> impl Strategy<Value = Step> {
    let index = any::<Index>;
    let part = proptest::option::of(prop_oneof![4 => 1..=200_i64, 1 => amounts()]);
    let is_foreign = || proptest::bool::weighted(0.1);
    let hold = prop_oneof![2 => Just(None), 3 => (1..=20_u32).prop_map(Some)];
    prop_oneof![
        8 => (index(), index(), amounts(), 0..60_u8, hold)
            .prop_map(|(debit, credit, amount, key, hold)| Step::Ask { debit, credit, amount, key, hold }),
        5 => (index(), part, 0..60_u8, is_foreign())
            .prop_map(|(transfer, amount, key, is_foreign)| Step::Commit { transfer, amount, key, is_foreign }),
        2 => (index(), is_foreign()).prop_map(|(transfer, is_foreign)| Step::Release { transfer, is_foreign }),
        3 => index().prop_map(|request| Step::Repeat { request }),
    ]
}

fn steps() -> impl Strategy<Value = Step> {
    use StatusChange::{Close, Freeze, Unfreeze};
    let index = any::<Index>;
    let change = prop_oneof![2 => Just(Freeze), 3 => Just(Unfreeze), 1 => Just(Close)];
    prop_oneof![
        16 => asks(),
        1 => (index(), change).prop_map(|(account, change)| Step::SetStatus { account, change }),
        1 => index().prop_map(|transfer| Step::Expire { transfer }),
        1 => Just(Step::Sweep),
        2 => (index(), 1..=10_u8).prop_map(|(at, seconds)| Step::PassTime { at, seconds }),
        8 => (index(), proptest::bool::weighted(0.3)).prop_map(|(message, stays)| Step::Deliver { message, stays }),
        1 => Just(Step::DeliverAll),
        2 => index().prop_map(|message| Step::Lose { message }),
        3 => index().prop_map(|saga| Step::SendAgain { saga }),
        2 => index().prop_map(|saga| Step::GiveUp { saga }),
    ]
}

fn pick<T: Clone>(index: &Index, from: &[T]) -> Option<T> {
    (!from.is_empty()).then(|| index.get(from).clone())
}

fn take(network: &mut Network, step: &Step) {
    match step {
        Step::Ask { debit, credit, amount, key, hold } => ask(network, debit, credit, *amount, *key, *hold),
        Step::Commit { transfer, amount, key, is_foreign } => {
            if let Some(begun) = pick(transfer, &targets(network)) {
                let (caller, transfer_id) = (caller(&begun, *is_foreign), begun.credit.transfer_id);
                let amount = amount.map(Amount);
                let key = claim(*key, &(transfer_id, amount));
                network.ask(Command::Commit(CommitTransfer { key, caller, transfer_id, amount }));
            }
        }
        Step::Release { transfer, is_foreign } => {
            if let Some(begun) = pick(transfer, &targets(network)) {
                let (caller, transfer_id) = (caller(&begun, *is_foreign), begun.credit.transfer_id);
                network.ask(Command::Release(ReleaseTransfer { caller, transfer_id }));
            }
        }
        Step::Expire { transfer } => {
            pick(transfer, &targets(network)).into_iter().for_each(|begun| network.ask(expiry(&begun.credit)));
        }
        Step::Sweep => network.sweep(),
        Step::PassTime { at, seconds } => network.shards[at.index(2)].now.0 += i64::from(*seconds) * 1_000_000,
        Step::Repeat { request } => {
            pick(request, &network.asked).into_iter().for_each(|request| drop(network.run(&[request])));
        }
        Step::SetStatus { account, change } => {
            let command = set_status(*account.get(&network.accounts), *change);
            network.run(&[command]);
        }
        Step::Deliver { .. } | Step::DeliverAll | Step::Lose { .. } => deliver(network, step),
        Step::SendAgain { saga } => {
            pick(saga, &network.open_sagas()).into_iter().for_each(|saga| network.send_again(&saga));
        }
        Step::GiveUp { saga } => pick(saga, &network.open_sagas()).into_iter().for_each(|saga| network.give_up(&saga)),
    }
}

fn deliver(network: &mut Network, step: &Step) {
    match step {
        Step::Deliver { message, .. } | Step::Lose { message } if !network.flying.is_empty() => {
            let at = message.index(network.flying.len());
            match step {
                Step::Deliver { stays: true, .. } => drop(network.run(&[network.flying[at].clone()])),
                Step::Deliver { .. } => {
                    let message = network.flying.remove(at);
                    network.run(&[message]);
                }
                _ => drop(network.flying.remove(at)),
            }
        }
        Step::DeliverAll => network.deliver_all(),
        _ => {}
    }
}

fn ask(network: &mut Network, debit: &Index, credit: &Index, amount: i64, number: u8, hold: Option<u32>) {
    let (debit_account_id, credit) = (*debit.get(&network.accounts), *credit.get(&network.accounts));
    let transfer = TransferCommand {
        key: claim(number, &(debit_account_id, credit, amount, hold)),
        caller: network.home(debit_account_id).account(debit_account_id).user_id.clone(),
        debit_account_id,
        credit: CreditTarget::Account(credit),
        amount: Amount(amount),
        message: None,
        reference: None,
    };
    network.ask(match hold {
        None => Command::Transfer(transfer),
        Some(expires_in_seconds) => Command::Reserve(ReserveTransfer { transfer, expires_in_seconds }),
    });
}

/// Those that are held, more often than those that are not.
fn targets(network: &Network) -> Vec<Reservation> {
    let held = network.held();
    [held.clone(), held, network.begun.values().cloned().collect()].concat()
}

fn caller(begun: &Reservation, is_foreign: bool) -> ledger::UserId {
    if is_foreign { user("mallory") } else { begun.credit.debit_user_id.clone() }
}

fn claim(number: u8, request: &impl std::fmt::Debug) -> KeyClaim {
    KeyClaim { hash: KeyHash(number.into()), fingerprint: fingerprint(request) }
}

/// Between any two steps. What stands in clearing, over both shards, is what has been credited there and not
/// yet been committed here.
fn check_all(network: &Network) {
    network.shards.iter().for_each(check);
    let mut open: BTreeMap<Currency, i128> = BTreeMap::new();
    for saga in network.open_sagas() {
        let id = saga.credit.transfer_id;
        if network.shards.iter().any(|shard| matches!(shard.rows.inbox.get(&id), Some(Decision::Credited { .. }))) {
            *open.entry(saga.credit.currency).or_default() -= i128::from(saga.credit.amount.0);
        }
    }
    assert_eq!(clearing(&network.shards), open);
}

/// Every transfer that was ever begun with a reservation: over, and as whoever was first has wanted it.
fn check_ends(network: &Network) {
    for (id, begun) in &network.begun {
        let row = &network.home(begun.credit.debit_account_id).rows.transfers[id];
        assert_eq!(row.transfer.hold, begun.hold);
        match network.winners.get(id) {
            None => {
                assert_eq!(begun.hold, None, "{id} was held, and nobody has won");
                check_saga(network, row, begun.credit.amount);
            }
            Some(Winner::Commit(amount)) => check_committed(network, row, *amount),
            Some(Winner::Release) => check_given_back(network, begun, row, Rejection::ReleasedByClient),
            Some(Winner::Expire) => check_given_back(network, begun, row, Rejection::Expired),
        }
    }
    let two_step = network.begun.iter().filter(|(_, begun)| begun.hold.is_some()).map(|(id, _)| id);
    assert!(network.winners.keys().eq(two_step), "every held transfer has one winner");
}

/// The row of the other shard, if it has one.
fn other_side(network: &Network, id: TransferId) -> Option<&PostedTransfer> {
    let other = &network.shards[usize::from(2 - id.region().get())];
    other.rows.transfers.get(&id)
}

fn check_given_back(network: &Network, begun: &Reservation, row: &PostedTransfer, reason: Rejection) {
    let transfer = &row.transfer;
    assert_eq!((transfer.state, transfer.reason), (TransferState::Released, Some(reason)));
    assert_eq!(transfer.amount, begun.credit.amount);
    assert_eq!(other_side(network, transfer.id), None, "what was given back was not credited");
    assert!(network.shards.iter().all(|shard| !shard.rows.inbox.contains_key(&transfer.id)), "nobody was asked");
}

fn check_committed(network: &Network, row: &PostedTransfer, amount: Amount) {
    let transfer = &row.transfer;
    if transfer.credit_account_id.map(|id| id.region()) != transfer.debit_account_id.map(|id| id.region()) {
        return check_saga(network, row, amount);
    }
    assert_eq!(transfer.amount, amount);
    match transfer.state {
        TransferState::Posted => {
            assert!(row.debit.is_some() && row.credit.is_some(), "{row:?}");
        }
        TransferState::Released => assert!(
            matches!(transfer.reason, Some(Rejection::AccountFrozen | Rejection::AccountClosed)),
            "the credit account can always take it otherwise: {row:?}"
        ),
        open => panic!("{} is {open:?} in the end", transfer.id),
    }
}

/// Posted on both sides with one amount, or on neither.
fn check_saga(network: &Network, debit_side: &PostedTransfer, amount: Amount) {
    let id = debit_side.transfer.id;
    let credit_side = other_side(network, id);
    let decision = &network.shards[usize::from(2 - id.region().get())].rows.inbox[&id];
    assert_eq!(debit_side.transfer.amount, amount);
    match debit_side.transfer.state {
        TransferState::Posted => {
            let credit_side = credit_side.expect("what was debited was credited");
            assert_eq!(credit_side.transfer.amount, amount);
            assert_eq!(credit_side.transfer.credit_user_id, debit_side.transfer.credit_user_id);
            assert!(debit_side.debit.is_some() && credit_side.credit.is_some());
            assert!(matches!(decision, Decision::Credited { .. }));
        }
        TransferState::Released => {
            assert_eq!(credit_side, None, "what was given back was not credited");
            let reason = match decision {
                Decision::Refused(reason) => *reason,
                Decision::Voided => Rejection::Voided,
                Decision::Credited { .. } => panic!("{id} was credited and given back"),
            };
            assert_eq!(debit_side.transfer.reason, Some(reason));
        }
        open => panic!("{id} is {open:?} in the end"),
    }
}

fn check_money(network: &Network) {
    let mut sums: BTreeMap<Currency, i64> = BTreeMap::new();
    let accounts = network.shards.iter().flat_map(|shard| shard.rows.accounts.values());
    for account in accounts {
        assert_eq!(account.reserved, Amount(0));
        *sums.entry(account.currency).or_default() += account.balance.0 - FIRST_DEPOSIT;
    }
    assert!(sums.values().all(|sum| *sum == 0), "money was made or lost: {sums:?}");
}

proptest! {
    #![proptest_config(config(400))]

    #[test]
    fn both_sides_of_every_transfer_come_to_the_same_end(schedule in vec(steps(), 0..120)) {
        let mut network = Network::new();
        check_all(&network);
        for step in &schedule {
            take(&mut network, step);
            check_all(&network);
        }

        // The network heals: what is open is sent again, and answered. And what is held comes to be due.
        for saga in network.open_sagas() {
            network.send_again(&saga);
        }
        network.deliver_all();
        prop_assert_eq!(network.open_sagas(), vec![]);
        network.shards.iter_mut().for_each(|shard| shard.now.0 += 3_600_000_000);
        network.sweep();
        prop_assert_eq!(network.held(), vec![]);
        check_all(&network);
        prop_assert!(clearing(&network.shards).is_empty());
        check_ends(&network);
        check_money(&network);

        // And whatever was ever asked or sent may come once more.
        let before = network.shards.each_ref().map(|shard| shard.rows.clone());
        for request in network.asked.clone() {
            network.run(&[request]);
        }
        network.flying = network.sent.clone();
        network.deliver_all();
        prop_assert_eq!(network.shards.each_ref().map(|shard| shard.rows.clone()), before);
    }
}
