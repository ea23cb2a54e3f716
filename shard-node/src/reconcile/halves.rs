//! What one reading has of transfers with other shards, half by half. Pure.

use super::judge::Part;
use crate::store::reconcile::Reading;
use std::collections::HashMap;
use uuid::Uuid;
use wire::pairing::{Halves, OpenHalf};

/// This shard's half of a transfer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Half {
    /// The transfer.
    pub id: Uuid,
    /// What this shard is in it.
    pub part: Part,
    /// What the shard has of it.
    pub halves: Halves,
}

/// The halves of a reading, each once.
pub fn of(reading: &Reading) -> Vec<Half> {
    let mut found: HashMap<(Uuid, Part), Halves> = HashMap::with_capacity(reading.sides.len());
    for side in &reading.sides {
        let part = if side.half.has_credit { Part::Credit } else { Part::Debit };
        found.entry((side.id, part)).or_default().terminal = Some(side.half.clone());
    }
    for decided in &reading.decisions {
        found.entry((decided.id, Part::Credit)).or_default().decision = Some(decided.half);
    }
    for asked in &reading.asked {
        let open = OpenHalf { is_held: false, money: asked.money.clone() };
        found.entry((asked.id, Part::Debit)).or_default().open = Some(open);
    }
    found.into_iter().map(|((id, part), halves)| Half { id, part, halves }).collect()
}

impl Half {
    /// Whether it is the end of a transfer without a posting. Within a shard nobody else needs to know of it.
    pub fn moved_nothing(&self) -> bool {
        let ended = self.halves.terminal.as_ref();
        self.part == Part::Debit && ended.is_some_and(|ended| !ended.has_debit && !ended.has_credit)
    }

    /// Whether all of it is there, and nothing of it can change any more.
    pub fn has_ended(&self) -> bool {
        let Halves { open, terminal, decision } = &self.halves;
        match (self.part, decision) {
            (Part::Debit, _) => open.is_none() && terminal.is_some(),
            (Part::Credit, Some(decision)) => decision.is_credited == terminal.is_some(),
            (Part::Credit, None) => false,
        }
    }

    /// The account whose owner has the other half, as far as this one tells.
    pub fn other_account(&self) -> Option<i64> {
        let ended = self.halves.terminal.as_ref().map(|ended| &ended.money);
        let money = ended.or(self.halves.open.as_ref().map(|open| &open.money))?;
        match self.part {
            Part::Debit => money.credit_account,
            Part::Credit => money.debit_account,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::reconcile::{Asked, Decided, Side};
    use ledger::Timestamp;
    use wire::pairing::{DecisionHalf, Ending, Money, TerminalHalf};

    fn money() -> Money {
        Money { debit_account: Some(1), credit_account: Some(2), amount: 5, currency: "SGD".to_owned() }
    }

    fn side(id: u128, ending: Ending, has_debit: bool, has_credit: bool) -> Side {
        let half = TerminalHalf { ending, money: money(), has_debit, has_credit, decided_at: Timestamp(1) };
        Side { id: Uuid::from_u128(id), half, created_at: Timestamp(0) }
    }

    #[test]
    fn credit_and_its_decision_are_one_half_and_each_is_one_without_the_other() {
        let half = DecisionHalf { is_credited: true, decided_at: Timestamp(1) };
        let decided = |id| Decided { id: Uuid::from_u128(id), half, debit_shard: 2 };
        let reading = Reading {
            sides: vec![
                side(1, Ending::Posted, false, true),
                side(2, Ending::Posted, false, true),
                side(4, Ending::Posted, true, false),
                side(5, Ending::NeverAsked, false, false),
            ],
            decisions: vec![decided(1), decided(3)],
            asked: vec![Asked { id: Uuid::from_u128(6), money: money(), created_at: Timestamp(0) }],
            ..Reading::default()
        };
        let mut halves = of(&reading);
        halves.sort_unstable_by_key(|half| half.id);
        let told = halves.iter().map(|half| {
            let has = &half.halves;
            (half.part, has.terminal.is_some(), has.decision.is_some(), has.open.is_some(), half.other_account())
        });
        let expected = [
            (Part::Credit, true, true, false, Some(1)),
            (Part::Credit, true, false, false, Some(1)),
            (Part::Credit, false, true, false, None),
            (Part::Debit, true, false, false, Some(2)),
            (Part::Debit, true, false, false, Some(2)),
            (Part::Debit, false, false, true, Some(2)),
        ];
        assert_eq!(told.collect::<Vec<_>>(), expected);
        assert_eq!(halves.iter().filter(|half| half.moved_nothing()).count(), 1);
    }
}
