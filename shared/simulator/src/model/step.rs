//! What can happen in a state.

use super::memory::Wallet;
use super::world::{Ask, End, Fault, Message, Transfer, Unfinished, Verdict, World};
use crate::Bug;
use ledger::Rejection;
use ledger::saga::{DebitEvent, DebitState, Effect, Event, State, next};

/// Something that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A command reaches a shard, for the first time or again.
    Deliver {
        /// The command.
        message: Message,
        /// The shard.
        shard: u8,
        /// What becomes of it there.
        fate: Fate,
    },
    /// A message gets lost.
    Lose {
        /// The message.
        message: Message,
    },
    /// A lane, connected again, runs what it does not know to be committed.
    RunAgain {
        /// Its place in [`World::unfinished`].
        unfinished: usize,
        /// What becomes of it now.
        fate: Fate,
    },
    /// A shard-node dies with what only its memory holds.
    Crash {
        /// The place of what it would have run again.
        unfinished: usize,
    },
    /// The sweep sends what the outbox holds for a transfer.
    Send {
        /// The transfer.
        transfer: u8,
    },
    /// A message was not answered in time.
    TimeOut {
        /// The transfer.
        transfer: u8,
    },
    /// The debit shard's patience with a transfer ends.
    GiveUp {
        /// The transfer.
        transfer: u8,
    },
    /// A sweep that had given a transfer up before its end sends `void` all the same.
    VoidLate {
        /// The transfer.
        transfer: u8,
    },
    /// The time of a hold passes.
    ComeDue {
        /// The transfer.
        transfer: u8,
    },
    /// An operator freezes an account, or unfreezes it.
    SetFrozen {
        /// The account.
        account: u8,
        /// Which of the two.
        is_frozen: bool,
    },
    /// A slot becomes another shard's, with all its rows.
    Move {
        /// The account in it.
        account: u8,
        /// The new owner.
        to: u8,
    },
}

/// What becomes of a command on a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Committed and answered, and what it sends is sent.
    Answered,
    /// Committed; then the shard-node crashes.
    CrashAfterCommit,
    /// The shard-node crashes before the commit.
    CrashBeforeCommit,
    /// The connection breaks during the commit, which happened or not; the lane does not know and will run it again.
    Unknown {
        /// Whether it happened.
        is_committed: bool,
    },
}

impl Fate {
    const ALL: [Fate; 5] = [
        Fate::Answered,
        Fate::CrashAfterCommit,
        Fate::CrashBeforeCommit,
        Fate::Unknown { is_committed: true },
        Fate::Unknown { is_committed: false },
    ];
}

impl Wallet {
    /// Everything that can happen in a state.
    pub fn steps(&self, world: &World, steps: &mut Vec<Step>) {
        for transfer in 0..self.cast.transfers.len() {
            // At most two.
            let transfer = u8::try_from(transfer).unwrap_or(u8::MAX);
            self.deliveries(world, transfer, steps);
            self.losses(world, transfer, steps);
            self.ticks(world, transfer, steps);
        }
        self.faults(world, steps);
        self.operations(world, steps);
    }

    fn deliveries(&self, world: &World, transfer: u8, steps: &mut Vec<Step>) {
        let spec = self.cast.spec(transfer);
        let unfinished = world.unfinished.iter().flatten().count();
        let may_break = unfinished < self.configuration.unfinished_max;
        for ask in self.asks(world, transfer) {
            let home = match ask {
                Ask::Credit(_) | Ask::Void => world.accounts[spec.credit],
                _ => world.accounts[spec.debit],
            };
            let message = Message { transfer, ask };
            for shard in (0..self.configuration.shards).filter(|shard| home.owners_ever & (1 << shard) != 0) {
                for fate in Fate::ALL {
                    if may_break || !matches!(fate, Fate::Unknown { .. }) {
                        steps.push(Step::Deliver { message, shard, fate });
                    }
                }
            }
        }
    }

    /// The commands on their way: what was sent and not lost, and what clients and sweeps may ask at any time.
    fn asks(&self, world: &World, transfer: u8) -> Vec<Ask> {
        let state = &world.transfers[usize::from(transfer)];
        let mut asks = vec![Ask::Begin];
        if let Some(hold) = self.cast.spec(transfer).hold {
            // Without its id nobody can name it.
            if state.is_known {
                let wanted = (0..).zip(hold.commits).filter(|(_, commit)| commit.is_some());
                asks.extend(wanted.map(|(number, _)| Ask::Commit(number)));
                asks.extend(hold.is_released.then_some(Ask::Release));
            }
            asks.extend(state.is_due.then_some(Ask::Expire));
        }
        asks.extend(flying(state));
        asks
    }

    fn losses(&self, world: &World, transfer: u8, steps: &mut Vec<Step>) {
        let asks = flying(&world.transfers[usize::from(transfer)]);
        steps.extend(asks.map(|ask| Step::Lose { message: Message { transfer, ask } }));
    }

    fn ticks(&self, world: &World, transfer: u8, steps: &mut Vec<Step>) {
        let state = &world.transfers[usize::from(transfer)];
        if state.has_outbox && state.is_pending() {
            steps.extend([Step::Send { transfer }, Step::TimeOut { transfer }, Step::GiveUp { transfer }]);
        }
        if state.end.is_some() && state.inbox.is_some() {
            steps.push(Step::VoidLate { transfer });
        }
        if state.begun > 0 && !state.is_due && self.cast.spec(transfer).hold.is_some() {
            steps.push(Step::ComeDue { transfer });
        }
    }

    fn faults(&self, world: &World, steps: &mut Vec<Step>) {
        for unfinished in 0..world.unfinished.iter().flatten().count() {
            steps.extend(Fate::ALL.map(|fate| Step::RunAgain { unfinished, fate }));
            steps.push(Step::Crash { unfinished });
        }
    }

    fn operations(&self, world: &World, steps: &mut Vec<Step>) {
        for (account, spec) in (0..).zip(self.configuration.accounts) {
            let state = &world.accounts[usize::from(account)];
            if spec.is_frozen_at_times {
                steps.push(Step::SetFrozen { account, is_frozen: !state.row.is_frozen });
            }
            if world.moves_left > 0 {
                let others = spec.moves_to.iter().filter(|to| **to != state.owner);
                steps.extend(others.map(|to| Step::Move { account, to: *to }));
            }
        }
    }

    /// The state after a step.
    pub fn after(&self, before: &World, step: Step) -> World {
        let mut world = *before;
        match step {
            Step::Deliver { message, shard, fate } => self.run(&mut world, message, shard, fate),
            Step::Lose { message } => lose(&mut world, message),
            Step::RunAgain { unfinished, fate } => {
                if let Some(Unfinished { shard, message }) = world.take_unfinished(unfinished) {
                    self.run(&mut world, message, shard, fate);
                }
            }
            Step::Crash { unfinished } => drop(world.take_unfinished(unfinished)),
            Step::Send { transfer } => self.send(&mut world, transfer),
            Step::TimeOut { transfer } => self.time_out(&mut world, transfer),
            Step::GiveUp { transfer } => self.give_up(&mut world, transfer),
            Step::VoidLate { transfer } => world.transfers[usize::from(transfer)].is_void_flying = true,
            Step::ComeDue { transfer } => world.transfers[usize::from(transfer)].is_due = true,
            Step::SetFrozen { account, is_frozen } => {
                world.accounts[usize::from(account)].row.is_frozen = is_frozen;
            }
            Step::Move { account, to } => self.move_slot(&mut world, account, to),
        }
        world
    }

    /// The message follows from the reservation's state, as in the shard-node.
    fn send(&self, world: &mut World, transfer: u8) {
        let state = &mut world.transfers[usize::from(transfer)];
        let Some(reservation) = state.reservation else {
            return;
        };
        match reservation.state {
            DebitState::Crediting => state.credits_flying |= 1 << reservation.amount,
            DebitState::Voiding => state.is_void_flying = true,
            DebitState::Held | DebitState::Committed | DebitState::Released(_) => {}
        }
        if self.has(Bug::OutboxRowDeletedWhenSent) {
            state.has_outbox = false;
        }
    }

    /// Nobody knows anything more than before.
    fn time_out(&self, world: &mut World, transfer: u8) {
        if self.has(Bug::TimeoutTakenForRefusal) {
            let refused = Verdict::Refused(Rejection::CreditAccountNotFound);
            world.transfers[usize::from(transfer)].verdicts_flying |= refused.bit();
        }
    }

    fn give_up(&self, world: &mut World, transfer: u8) {
        if self.has(Bug::ReleaseOnTimer) {
            return self.release_unasked(world, transfer);
        }
        let state = &mut world.transfers[usize::from(transfer)];
        let Some(reservation) = &mut state.reservation else {
            return;
        };
        match next(State::Debit(reservation.state), Event::Debit(DebitEvent::GiveUp)) {
            Ok((State::Debit(state), Effect::SendVoid)) => reservation.state = state,
            Ok(_) => {}
            Err(_) => world.fault = Some(Fault::Contradiction),
        }
    }

    fn release_unasked(&self, world: &mut World, transfer: u8) {
        let debit = self.cast.spec(transfer).debit;
        let state = &mut world.transfers[usize::from(transfer)];
        if let Some(reservation) = state.reservation.take() {
            world.accounts[debit].row.reserved -= reservation.amount;
            state.end = Some(End::Released(Rejection::Voided));
            state.has_outbox = false;
        }
    }

    /// The rows of the slot go along, and its sum is posted into clearing on both shards.
    fn move_slot(&self, world: &mut World, account: u8, to: u8) {
        let moved = &mut world.accounts[usize::from(account)];
        world.clearing[usize::from(moved.owner)] += moved.row.balance;
        world.clearing[usize::from(to)] -= moved.row.balance;
        moved.owner = to;
        moved.owners_ever |= 1 << to;
        world.moves_left -= 1;
        for ((spec, _), state) in self.cast.transfers.iter().zip(&mut world.transfers) {
            if spec.credit == usize::from(account) && self.has(Bug::MoveForgetsDecisions) {
                state.inbox = None;
            }
            if spec.debit == usize::from(account) && self.has(Bug::MoveForgetsReservations) {
                (state.reservation, state.has_outbox) = (None, false);
            }
            if spec.debit == usize::from(account) && self.has(Bug::MoveForgetsKeys) {
                (state.key, state.commit_keys) = (None, Default::default());
            }
        }
    }
}

/// The messages on their way; each may arrive any number of times.
fn flying(state: &Transfer) -> impl Iterator<Item = Ask> {
    let (credits, verdicts) = (state.credits_flying, state.verdicts_flying);
    let credits = (1..8).filter(move |amount| credits & (1 << amount) != 0).map(Ask::Credit);
    let verdicts = Verdict::ALL.into_iter().filter(move |verdict| verdicts & verdict.bit() != 0);
    credits.chain(state.is_void_flying.then_some(Ask::Void)).chain(verdicts.map(Ask::Settle))
}

fn lose(world: &mut World, message: Message) {
    let state = &mut world.transfers[usize::from(message.transfer)];
    match message.ask {
        Ask::Credit(amount) => state.credits_flying &= !(1 << amount),
        Ask::Void => state.is_void_flying = false,
        Ask::Settle(verdict) => state.verdicts_flying &= !verdict.bit(),
        // A client asks again, and so does the sweep.
        Ask::Begin | Ask::Commit(_) | Ask::Release | Ask::Expire => {}
    }
}
