//! Random schedules between two shards: whatever is late, repeated, out of order, lost or given up, both sides
//! of every transfer come to the same end, and no money is made or lost.

use crate::invariants::{check, clearing};
use crate::network::{FIRST_DEPOSIT, Network};
use crate::random::{amounts, config};
use crate::world::{key, set_status};
use ledger::saga::Decision;
use ledger::{Amount, Command, CreditTarget, Currency, Rejection, StatusChange, TransferCommand, TransferState};
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

fn steps() -> impl Strategy<Value = Step> {
    use StatusChange::{Close, Freeze, Unfreeze};
    let index = any::<Index>;
    let change = prop_oneof![2 => Just(Freeze), 3 => Just(Unfreeze), 1 => Just(Close)];
    prop_oneof![
        8 => (index(), index(), amounts(), 0..40_u8)
            .prop_map(|(debit, credit, amount, key)| Step::Ask { debit, credit, amount, key }),
        1 => (index(), change).prop_map(|(account, change)| Step::SetStatus { account, change }),
        8 => (index(), proptest::bool::weighted(0.3)).prop_map(|(message, stays)| Step::Deliver { message, stays }),
        1 => Just(Step::DeliverAll),
        2 => index().prop_map(|message| Step::Lose { message }),
        3 => index().prop_map(|saga| Step::SendAgain { saga }),
        2 => index().prop_map(|saga| Step::GiveUp { saga }),
    ]
}

fn take(network: &mut Network, step: &Step) {
    let pick = |index: &Index, from: usize| (from > 0).then(|| index.index(from));
    match step {
        Step::Ask { debit, credit, amount, key } => ask(network, debit, credit, *amount, *key),
        Step::SetStatus { account, change } => {
            let command = set_status(*account.get(&network.accounts), *change);
            network.run(&[command]);
        }
        Step::Deliver { message, stays } => {
            if let Some(at) = pick(message, network.flying.len()) {
                let message = if *stays { network.flying[at].clone() } else { network.flying.remove(at) };
                network.run(&[message]);
            }
        }
        Step::DeliverAll => network.deliver_all(),
        Step::Lose { message } => {
            if let Some(at) = pick(message, network.flying.len()) {
                network.flying.remove(at);
            }
        }
        Step::SendAgain { saga } => {
            let open = network.open_sagas();
            pick(saga, open.len()).into_iter().for_each(|at| network.send_again(&open[at]));
        }
        Step::GiveUp { saga } => {
            let open = network.open_sagas();
            pick(saga, open.len()).into_iter().for_each(|at| network.give_up(&open[at]));
        }
    }
}

fn ask(network: &mut Network, debit: &Index, credit: &Index, amount: i64, number: u8) {
    let (debit_account_id, credit) = (*debit.get(&network.accounts), *credit.get(&network.accounts));
    let home = &network.shards[usize::from(debit_account_id.region().get() - 1)];
    let command = TransferCommand {
        key: key(number.into()),
        caller: home.account(debit_account_id).user_id.clone(),
        debit_account_id,
        credit: CreditTarget::Account(credit),
        amount: Amount(amount),
        message: None,
        reference: None,
    };
    network.run(&[Command::Transfer(command)]);
}

/// Between any two steps. What stands in clearing, over both shards, is what has been credited there and not
/// yet been committed here.
fn check_all(network: &Network) {
    network.shards.iter().for_each(check);
    let mut open: BTreeMap<Currency, i128> = BTreeMap::new();
    for held in network.open_sagas() {
        let id = held.credit.transfer_id;
        if network.shards.iter().any(|shard| matches!(shard.rows.inbox.get(&id), Some(Decision::Credited { .. }))) {
            *open.entry(held.credit.currency).or_default() -= i128::from(held.credit.amount.0);
        }
    }
    assert_eq!(clearing(&network.shards), open);
}

/// Every transfer that was ever begun: posted on both sides with one amount, or on neither.
fn check_ends(network: &Network) {
    for (id, debit_account_id) in &network.begun {
        let debit_at = usize::from(debit_account_id.region().get() - 1);
        let debit_side = &network.shards[debit_at].rows.transfers[id];
        let credit_side = network.shards[1 - debit_at].rows.transfers.get(id);
        let decision = &network.shards[1 - debit_at].rows.inbox[id];
        match debit_side.transfer.state {
            TransferState::Posted => {
                let credit_side = credit_side.expect("what was debited was credited");
                assert_eq!(credit_side.transfer.amount, debit_side.transfer.amount);
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
    fn both_sides_of_every_transfer_come_to_the_same_end(schedule in vec(steps(), 0..80)) {
        let mut network = Network::new();
        check_all(&network);
        for step in &schedule {
            take(&mut network, step);
            check_all(&network);
        }

        // The network heals: what is open is sent again, and answered.
        for held in network.open_sagas() {
            network.send_again(&held);
        }
        network.deliver_all();
        prop_assert_eq!(network.open_sagas(), vec![]);
        check_all(&network);
        prop_assert!(clearing(&network.shards).is_empty());
        check_ends(&network);
        check_money(&network);

        // And whatever was ever sent may come once more.
        let before = network.shards.each_ref().map(|shard| shard.rows.clone());
        network.flying = network.sent.clone();
        network.deliver_all();
        prop_assert_eq!(network.shards.each_ref().map(|shard| shard.rows.clone()), before);
    }
}
