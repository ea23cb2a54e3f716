//! Whether a half and what was found of the other one go together. Pure.

use placement::ShardId;

use super::found::{Decision, Found, Money};
use super::half::{Half, Role};

/// What two halves come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The other half is there.
    Paired,
    /// The other shard has the amount set aside, and will follow.
    Open,
    /// Nothing is there; it may be too new, or on another shard by now.
    Missing,
    /// The other shard has something else, for good.
    Contradicts(String),
}

/// Compares a half with what the shard `peer` has.
pub(super) fn judge(half: &Half, found: &Found, peer: ShardId) -> Verdict {
    let verdict = match half.role {
        Role::Debit => debit(half, found),
        Role::Credit => credit(half, found),
        Role::Release => release(half, found),
        Role::Refusal => refusal(half, found),
    };
    match verdict {
        Verdict::Contradicts(there) => Verdict::Contradicts(format!("{}; shard {peer} {there}", told(half))),
        other => other,
    }
}

/// A half in words.
pub(super) fn told(half: &Half) -> String {
    let did = match half.role {
        Role::Debit => "debited",
        Role::Credit => "credited",
        Role::Release => "released",
        Role::Refusal => return format!("transfer {} was refused or voided", half.id),
    };
    let (amount, currency) = (half.amount.unwrap_or_default(), half.currency.as_deref().unwrap_or_default());
    format!("transfer {} {did} {amount} {currency}", half.id)
}

/// Who debits was told of a credit.
fn debit(half: &Half, found: &Found) -> Verdict {
    let credited = found.terminal.as_ref().filter(|terminal| terminal.has_credit);
    match (found.decision, credited) {
        (Some(Decision::Against(_)), _) => contradicts("refused or voided it"),
        (_, Some(credited)) if !is_same(half, &credited.money) => differs("credited", &credited.money),
        (None, Some(_)) => contradicts("credited it without a decision"),
        (Some(Decision::Credited), Some(_)) => Verdict::Paired,
        (Some(Decision::Credited), None) => contradicts("decided to credit it, and did not"),
        (None, None) => Verdict::Missing,
    }
}

/// Who credits was asked by someone who has the amount set aside until it is debited.
fn credit(half: &Half, found: &Found) -> Verdict {
    if let Some(terminal) = found.terminal.as_ref().filter(|terminal| terminal.has_debit) {
        return match is_same(half, &terminal.money) {
            true => Verdict::Paired,
            false => differs("debited", &terminal.money),
        };
    }
    match (&found.open, &found.terminal) {
        (Some(open), _) if is_same(half, open) => Verdict::Open,
        (Some(open), _) => differs("has set aside", open),
        (None, Some(terminal)) if terminal.is_released => contradicts("released it"),
        (None, Some(_) | None) => Verdict::Missing,
    }
}

fn release(half: &Half, found: &Found) -> Verdict {
    match found.decision {
        Some(Decision::Against(reason)) if reason == half.reason => Verdict::Paired,
        Some(Decision::Against(_)) => contradicts("decided against it for another reason"),
        Some(Decision::Credited) => contradicts("credited it"),
        None => Verdict::Missing,
    }
}

fn refusal(half: &Half, found: &Found) -> Verdict {
    match (&found.open, &found.terminal) {
        (Some(_), _) => Verdict::Open,
        (None, Some(terminal)) if terminal.has_debit => contradicts("debited it"),
        (None, Some(terminal)) if terminal.is_released && terminal.reason == half.reason => Verdict::Paired,
        (None, Some(terminal)) if terminal.is_released => contradicts("released it for another reason"),
        (None, Some(_) | None) => Verdict::Missing,
    }
}

fn is_same(half: &Half, money: &Money) -> bool {
    let accounts = half.debit_account == money.debit_account && half.credit_account == money.credit_account;
    accounts && half.amount == Some(money.amount) && half.currency.as_ref() == Some(&money.currency)
}

fn contradicts(there: &str) -> Verdict {
    Verdict::Contradicts(there.to_owned())
}

fn differs(did: &str, money: &Money) -> Verdict {
    let number = |account: Option<i64>| account.map_or("nobody".to_owned(), |account| account.to_string());
    let (from, to) = (number(money.debit_account), number(money.credit_account));
    Verdict::Contradicts(format!("{did} {} {} from {from} to {to}", money.amount, money.currency))
}

#[cfg(test)]
mod tests {
    use super::super::found::Terminal;
    use super::*;

    fn half(role: Role) -> Half {
        Half {
            role,
            id: uuid::Uuid::nil(),
            debit_account: Some(1),
            credit_account: Some(2),
            amount: Some(5),
            currency: Some("SGD".to_owned()),
            reason: matches!(role, Role::Release | Role::Refusal).then_some(11),
        }
    }

    fn money(amount: i64) -> Money {
        Money { debit_account: Some(1), credit_account: Some(2), amount, currency: "SGD".to_owned() }
    }

    fn terminal(has_debit: bool, has_credit: bool) -> Option<Terminal> {
        let is_released = !has_debit && !has_credit;
        let reason = is_released.then_some(11);
        Some(Terminal { money: money(5), is_released, reason, has_debit, has_credit })
    }

    fn verdict(role: Role, found: &Found) -> Verdict {
        judge(&half(role), found, ShardId::try_from(3).unwrap())
    }

    fn is_contradiction(role: Role, found: &Found) -> bool {
        matches!(verdict(role, found), Verdict::Contradicts(_))
    }

    #[test]
    fn halves_that_match_are_paired() {
        let credited = Found { terminal: terminal(false, true), decision: Some(Decision::Credited), open: None };
        assert_eq!(verdict(Role::Debit, &credited), Verdict::Paired);
        let debited = Found { terminal: terminal(true, false), ..Found::default() };
        assert_eq!(verdict(Role::Credit, &debited), Verdict::Paired);
        let refused = Found { decision: Some(Decision::Against(Some(11))), ..Found::default() };
        assert_eq!(verdict(Role::Release, &refused), Verdict::Paired);
        let released = Found { terminal: terminal(false, false), ..Found::default() };
        assert_eq!(verdict(Role::Refusal, &released), Verdict::Paired);
    }

    #[test]
    fn row_with_both_sides_pairs_either_half() {
        let both = Found { terminal: terminal(true, true), decision: Some(Decision::Credited), open: None };
        assert_eq!(verdict(Role::Debit, &both), Verdict::Paired);
        assert_eq!(verdict(Role::Credit, &both), Verdict::Paired);
    }

    #[test]
    fn credit_and_refusal_wait_for_an_open_transfer() {
        let open = Found { open: Some(money(5)), ..Found::default() };
        assert_eq!(verdict(Role::Credit, &open), Verdict::Open);
        assert_eq!(verdict(Role::Refusal, &open), Verdict::Open);
        assert_eq!(verdict(Role::Debit, &open), Verdict::Missing);
    }

    #[test]
    fn nothing_at_all_is_only_missing() {
        for role in [Role::Debit, Role::Credit, Role::Release, Role::Refusal] {
            assert_eq!(verdict(role, &Found::default()), Verdict::Missing);
        }
    }

    #[test]
    fn final_disagreement_contradicts() {
        let refused = Found { decision: Some(Decision::Against(Some(11))), ..Found::default() };
        let credited = Found { terminal: terminal(false, true), decision: Some(Decision::Credited), open: None };
        let undecided = Found { terminal: terminal(false, true), ..Found::default() };
        let debited = Found { terminal: terminal(true, false), ..Found::default() };
        let released = Found { terminal: terminal(false, false), ..Found::default() };
        let other_amount = Found { open: Some(money(6)), ..Found::default() };
        let voided = Found { decision: Some(Decision::Against(Some(16))), ..Found::default() };
        assert!(is_contradiction(Role::Debit, &refused));
        assert!(is_contradiction(Role::Debit, &undecided));
        assert!(is_contradiction(Role::Credit, &released));
        assert!(is_contradiction(Role::Credit, &other_amount));
        assert!(is_contradiction(Role::Release, &credited));
        assert!(is_contradiction(Role::Release, &voided));
        assert!(is_contradiction(Role::Refusal, &debited));
    }
}
