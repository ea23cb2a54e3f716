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
