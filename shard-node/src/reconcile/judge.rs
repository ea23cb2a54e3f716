//! Whether the two halves of a transfer go together. Pure.
//!
//! The halves are read one after the other, and never in one moment; but what is decided stays decided, and causes come
//! before effects: a reservation before the credit, the credit before the debit. So with the halves of one shard read
//! first and those of the other after that, a transfer that is right looks right, whatever goes on meanwhile.

use wire::pairing::{Ending, Halves, Money, TerminalHalf};

/// A shard's part in a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Part {
    /// It has the debit account.
    Debit,
    /// It has the credit account.
    Credit,
}

/// What the debit account's shard has.
enum Debit<'a> {
    Nothing,
    Held,
    Asking(&'a Money),
    Posted(&'a Money),
    Released,
    NeverAsked,
    Impossible,
}

/// What the credit account's shard has.
enum Credit<'a> {
    Nothing,
    Credited(&'a Money),
    Against,
    Impossible(&'static str),
}

/// What is wrong with a transfer, if anything is. `first`: whose halves were read first.
pub fn drift(first: Part, debit: &Halves, credit: &Halves) -> Option<String> {
    let wrong = match (debit_of(debit), credit_of(credit)) {
        (_, Credit::Impossible(what)) => what,
        (Debit::Impossible, _) => "it is open and has ended on the debit shard",

        (Debit::Posted(debited), Credit::Credited(credited)) => return differs("debited", debited, credited),
        (Debit::Posted(_), Credit::Nothing) => "it is debited, and neither credited nor decided about",
        (Debit::Posted(_), Credit::Against) => "it is debited, and the credit shard decided against it",

        (Debit::Asking(reserved), Credit::Credited(credited)) => return differs("reserved", reserved, credited),
        (Debit::Asking(_), Credit::Nothing | Credit::Against) => return None,

        (Debit::Held, Credit::Nothing) => return None,
        // It may have been committed since.
        (Debit::Held, Credit::Credited(_) | Credit::Against) if first == Part::Debit => return None,
        (Debit::Held, Credit::Credited(_)) => "it is credited, and its client has not committed it",
        (Debit::Held, Credit::Against) => "it is decided about, and its client has not committed it",

        (Debit::Released, Credit::Against) => return None,
        (Debit::Released, Credit::Credited(_)) => "it is credited, and released on the debit shard",
        (Debit::Released, Credit::Nothing) => "it is released, and the credit shard has not decided against it",

        (Debit::NeverAsked, Credit::Nothing | Credit::Against) => return None,
        (Debit::NeverAsked, Credit::Credited(_)) => "it is credited, and ended on the debit shard before that",

        (Debit::Nothing, Credit::Nothing) => return None,
        (Debit::Nothing, Credit::Credited(_)) => "it is credited, and the debit shard does not know it",
        (Debit::Nothing, Credit::Against) => "it is decided about, and the debit shard does not know it",
    };
    Some(wrong.to_owned())
}

fn debit_of(halves: &Halves) -> Debit<'_> {
    // A row may hold both sides; one that has no more than the credit side is the other shard's affair.
    let ended = halves.terminal.as_ref().filter(|ended| ended.has_debit || !ended.has_credit);
    match (&halves.open, ended) {
        (None, None) => Debit::Nothing,
        (Some(open), None) if open.is_held => Debit::Held,
        (Some(open), None) => Debit::Asking(&open.money),
        (None, Some(ended)) => match ended.ending {
            Ending::Posted if ended.has_debit => Debit::Posted(&ended.money),
            Ending::Posted => Debit::Impossible,
            Ending::Released => Debit::Released,
            Ending::NeverAsked => Debit::NeverAsked,
        },
        (Some(_), Some(_)) => Debit::Impossible,
    }
}

fn credit_of(halves: &Halves) -> Credit<'_> {
    let credited: Option<&TerminalHalf> = halves.terminal.as_ref().filter(|ended| ended.has_credit);
    let decision = halves.decision.filter(|_| !runtime::bug!("bug::drift_seen_where_none_is"));
    match (decision.map(|decision| decision.is_credited), credited) {
        (Some(true), Some(credited)) => Credit::Credited(&credited.money),
        (Some(true), None) => Credit::Impossible("the credit shard decided to credit it, and has no credit"),
        (Some(false), Some(_)) => Credit::Impossible("the credit shard decided against it, and has credited it"),
        (None, Some(_)) => Credit::Impossible("the credit shard has credited it without a decision"),
        (Some(false), None) => Credit::Against,
        (None, None) => Credit::Nothing,
    }
}

fn differs(what: &str, debit: &Money, credit: &Money) -> Option<String> {
    (debit != credit).then(|| format!("{} is {what}, and {} is credited", told(debit), told(credit)))
}

fn told(money: &Money) -> String {
    let number = |account: Option<i64>| account.map_or("nobody".to_owned(), |account| account.to_string());
    let (from, to) = (number(money.debit_account), number(money.credit_account));
    format!("{} {} from {from} to {to}", money.amount, money.currency)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ledger::Timestamp;
    use wire::pairing::{DecisionHalf, OpenHalf};

    fn money(amount: i64) -> Money {
        Money { debit_account: Some(1), credit_account: Some(2), amount, currency: "SGD".to_owned() }
    }

    fn ended(ending: Ending, has_debit: bool, has_credit: bool) -> Halves {
        let terminal = TerminalHalf { ending, money: money(5), has_debit, has_credit, decided_at: Timestamp(1) };
        Halves { terminal: Some(terminal), ..Halves::default() }
    }

    fn debited() -> Halves {
        ended(Ending::Posted, true, false)
    }

    fn decided(is_credited: bool) -> Halves {
        let decision = Some(DecisionHalf { is_credited, decided_at: Timestamp(1) });
        Halves { decision, ..Halves::default() }
    }

    fn credited() -> Halves {
        Halves { decision: decided(true).decision, ..ended(Ending::Posted, false, true) }
    }

    fn open(is_held: bool, amount: i64) -> Halves {
        Halves { open: Some(OpenHalf { is_held, money: money(amount) }), ..Halves::default() }
    }

    fn all_debits() -> [(&'static str, Halves); 6] {
        [
            ("nothing", Halves::default()),
            ("held", open(true, 5)),
            ("asking", open(false, 5)),
            ("debited", debited()),
            ("released", ended(Ending::Released, false, false)),
            ("never asked", ended(Ending::NeverAsked, false, false)),
        ]
    }

    #[test]
    fn what_a_shard_may_have_beside_each_state_of_the_other() {
        let credits = [("nothing", Halves::default()), ("credited", credited()), ("against", decided(false))];
        let right_if_debit_is_first = [
            ("nothing", "nothing"),
            ("held", "nothing"),
            ("held", "credited"),
            ("held", "against"),
            ("asking", "nothing"),
            ("asking", "credited"),
            ("asking", "against"),
            ("debited", "credited"),
            ("released", "against"),
            ("never asked", "nothing"),
            ("never asked", "against"),
        ];
        for (debit_name, debit) in all_debits() {
            for (credit_name, credit) in &credits {
                let pair = (debit_name, *credit_name);
                let is_right = right_if_debit_is_first.contains(&pair);
                assert_eq!(drift(Part::Debit, &debit, credit).is_none(), is_right, "{pair:?}, debit shard first");
                let is_right = is_right && (debit_name != "held" || *credit_name == "nothing");
                assert_eq!(drift(Part::Credit, &debit, credit).is_none(), is_right, "{pair:?}, credit shard first");
            }
        }
    }

    #[test]
    fn decision_and_credit_without_each_other_are_wrong_whatever_the_debit() {
        let no_decision = ended(Ending::Posted, false, true);
        let both = Halves { decision: decided(false).decision, ..no_decision.clone() };
        for (name, debit) in all_debits() {
            for credit in [&no_decision, &both, &decided(true)] {
                assert!(drift(Part::Debit, &debit, credit).is_some(), "{name}, {credit:?}");
            }
        }
    }

    #[test]
    fn both_halves_must_tell_of_the_same_money() {
        let told = drift(Part::Credit, &open(false, 6), &credited()).expect("differs");
        assert_eq!(told, "6 SGD from 1 to 2 is reserved, and 5 SGD from 1 to 2 is credited");
        let changes: [fn(&mut Money); 4] = [
            |money| money.amount += 1,
            |money| money.currency = "EUR".to_owned(),
            |money| money.credit_account = Some(3),
            |money| money.debit_account = None,
        ];
        for change in changes {
            let mut credit = credited();
            credit.terminal.iter_mut().for_each(|ended| change(&mut ended.money));
            assert!(drift(Part::Debit, &debited(), &credit).is_some(), "{credit:?}");
        }
    }

    #[test]
    fn row_with_both_sides_is_either_half() {
        let both = Halves { decision: decided(true).decision, ..ended(Ending::Posted, true, true) };
        assert_eq!(drift(Part::Debit, &both, &both), None);
        assert!(drift(Part::Debit, &open(false, 5), &debited()).is_none(), "a debit is no credit");
    }

    #[test]
    fn open_transfer_that_has_ended_is_wrong() {
        let both = Halves { open: open(false, 5).open, ..debited() };
        assert!(drift(Part::Debit, &both, &credited()).is_some());
        assert!(drift(Part::Debit, &ended(Ending::Posted, false, false), &credited()).is_some());
    }
}
