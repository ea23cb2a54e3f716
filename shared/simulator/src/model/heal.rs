//! Liveness: once nothing more goes wrong, everything comes to its end.

use super::memory::Wallet;
use super::step::{Fate, Step};
use super::world::{Ask, Message, Verdict, World};
use ledger::saga::DebitState;

/// A transfer needs at most a commit unknown, a message, its answer, and for each the next.
const ROUNDS_MAX: usize = 4;

impl Wallet {
    /// Whether from this state a fair continuation ends every transfer: the lanes finish what they had begun, the
    /// sweeps send what the outboxes hold to the present owner, its answer is brought back, and what is held expires.
    /// No client does anything more.
    pub fn can_end(&self, world: &World) -> bool {
        let mut world = *world;
        for _ in 0..ROUNDS_MAX {
            if is_over(&world) {
                return true;
            }
            self.finish_batches(&mut world);
            for transfer in 0..self.cast.transfers.len() {
                // At most two.
                self.push_on(&mut world, u8::try_from(transfer).unwrap_or(u8::MAX));
            }
        }
        is_over(&world)
    }

    fn finish_batches(&self, world: &mut World) {
        while world.unfinished[0].is_some() {
            *world = self.after(world, Step::RunAgain { unfinished: 0, fate: Fate::Answered });
        }
    }

    fn push_on(&self, world: &mut World, transfer: u8) {
        let state = world.transfers[usize::from(transfer)];
        let spec = self.cast.spec(transfer);
        let Some(reservation) = state.reservation else {
            return;
        };
        let ask = match reservation.state {
            DebitState::Held => {
                *world = self.after(world, Step::ComeDue { transfer });
                return self.ask(world, Message { transfer, ask: Ask::Expire }, spec.debit);
            }
            DebitState::Crediting => Ask::Credit(reservation.amount),
            DebitState::Voiding => Ask::Void,
            DebitState::Committed | DebitState::Released(_) => return,
        };
        if state.has_outbox {
            *world = self.after(world, Step::Send { transfer });
            self.ask(world, Message { transfer, ask }, spec.credit);
            let answers = world.transfers[usize::from(transfer)].verdicts_flying;
            for verdict in Verdict::ALL.into_iter().filter(|verdict| answers & verdict.bit() != 0) {
                self.ask(world, Message { transfer, ask: Ask::Settle(verdict) }, spec.debit);
            }
        }
    }

    fn ask(&self, world: &mut World, message: Message, account: usize) {
        let shard = world.accounts[account].owner;
        *world = self.after(world, Step::Deliver { message, shard, fate: Fate::Answered });
    }
}

/// Nothing is open, and nothing is left in a memory that might be lost.
fn is_over(world: &World) -> bool {
    let is_quiet = world.unfinished.iter().all(Option::is_none);
    is_quiet && world.transfers.iter().all(|state| state.reservation.is_none() && !state.has_outbox)
}
