//! Messages to other shards and the sweeps that send them again, as in `shard-node/src/saga` and `store/outbox.rs`.

use super::event::Event;
use super::message::{Answer, Asker, Call};
use super::node::{Delivery, Task};
use super::simulation::Simulation;
use super::{RETRY_MAX, RETRY_MIN, SWEEP_HELD_EVERY, SWEEP_OUTBOX_EVERY};
use crate::Bug;
use ledger::saga::{DebitEvent, DebitState, Decision, Effect, Event as SagaEvent, State, next};
use ledger::{Command, ExpireTransfer, Rejection, Reservation, Settle, VoidMessage};
use placement::TransferId;

impl Simulation {
    /// Sends the message that follows from the reservation's state.
    pub(super) fn deliver(&mut self, node: usize, reservation: Reservation) {
        let transfer = reservation.credit.transfer_id;
        let debit_account_id = reservation.credit.debit_account_id;
        let command = message(reservation);
        let to = self.entrance_of(&command);
        self.tickets += 1;
        let delivery = self.tickets;
        let incarnation = self.nodes[node].incarnation;
        self.nodes[node].deliveries.insert(delivery, Delivery { transfer, debit_account_id });
        if self.options.bug == Some(Bug::OutboxRowDeletedWhenSent) {
            self.stores[self.nodes[node].shard].rows.outbox.remove(&transfer);
        }
        let asker = Asker::Node { node, incarnation, delivery };
        let deadline = self.now + self.times.lease;
        self.send(Call { asker, to, command, deadline, wait_until: self.now });
    }

    /// Only a typed decision decides; anything else means: ask again.
    pub(super) fn delivered(&mut self, node: usize, delivery: u64, from: usize, answer: Answer) {
        let Some(Delivery { transfer, debit_account_id }) = self.nodes[node].deliveries.remove(&delivery) else {
            return;
        };
        let refused = Decision::Refused(Rejection::CreditAccountNotFound);
        let (decision, credit_shard) = match answer {
            Answer::Decision(decision, shard) => (decision, shard),
            Answer::Moved if self.options.bug == Some(Bug::MovedTakenForRefusal) => {
                (refused, self.stores[self.nodes[from].shard].shard)
            }
            Answer::Unavailable | Answer::Overloaded if self.options.bug == Some(Bug::TimeoutTakenForRefusal) => {
                (refused, self.stores[self.nodes[from].shard].shard)
            }
            _ => return,
        };
        let settle = Settle { transfer_id: transfer, debit_account_id, credit_shard, decision };
        self.submit_own(node, Command::Settle(settle), self.times.lease);
    }

    fn submit_own(&mut self, node: usize, command: Command, patience: i64) {
        let task = Task { command, asker: None, deadline: self.now + patience, wait_until: self.now };
        self.submit(node, task);
    }

    /// Claims what is due in the outbox.
    pub(super) fn sweep_outbox(&mut self, node: usize) {
        let incarnation = self.nodes[node].incarnation;
        self.agenda.put(self.now + SWEEP_OUTBOX_EVERY, Event::SweepOutbox { node, incarnation });
        let shard = self.nodes[node].shard;
        if !self.stores[shard].is_up {
            return;
        }
        let claimed = self.claim(shard);
        let mut given_up = Vec::new();
        for reservation in claimed {
            match reservation.state == DebitState::Voiding && self.is_crediting(shard, reservation.credit.transfer_id) {
                true => given_up.push(reservation),
                false => self.deliver(node, reservation),
            }
        }
        if !given_up.is_empty() {
            let after = self.dice.between(200, 2_000);
            self.agenda.put(self.now + after, Event::BeginToVoid { node, incarnation, claimed: given_up });
        }
    }

    /// Puts the next attempts off, and gives up what has been tried for too long; in memory only.
    fn claim(&mut self, shard: usize) -> Vec<Reservation> {
        let now = self.stores[shard].time(self.now);
        let due: Vec<TransferId> = self.stores[shard]
            .rows
            .outbox
            .iter()
            .filter(|(_, row)| row.next_attempt_at <= now)
            .map(|(id, _)| *id)
            .collect();
        let mut claimed = Vec::new();
        for id in due {
            let jitter = self.dice.between(500, 1_000);
            let rows = &mut self.stores[shard].rows;
            let (Some(row), Some(held)) = (rows.outbox.get_mut(&id), rows.reservations.get(&id)) else {
                continue;
            };
            row.attempts += 1;
            let pause = RETRY_MAX.min(RETRY_MIN << row.attempts.min(20));
            row.next_attempt_at = ledger::Timestamp(now.0 + pause * jitter / 1_000);
            let mut reservation = held.reservation.clone();
            let event = SagaEvent::Debit(DebitEvent::GiveUp);
            match next(State::Debit(reservation.state), event) {
                Ok((State::Debit(state), Effect::SendVoid)) if held.void_after <= now => reservation.state = state,
                Ok(_) => {}
                Err(_) => self.breach(super::check::Breach::of("no two decisions contradict each other", Some(id))),
            }
            claimed.push(reservation);
        }
        claimed
    }

    fn is_crediting(&self, shard: usize, id: TransferId) -> bool {
        let held = self.stores[shard].rows.reservations.get(&id);
        held.is_some_and(|held| held.reservation.state == DebitState::Crediting)
    }

    /// In a transaction of its own, and only then are the messages sent; even if somebody was faster, for to void is
    /// always safe.
    pub(super) fn begin_to_void(&mut self, node: usize, claimed: Vec<Reservation>) {
        let (shard, incarnation) = (self.nodes[node].shard, self.nodes[node].incarnation);
        if !self.stores[shard].is_up {
            return;
        }
        let ids: Vec<TransferId> = claimed.iter().map(|reservation| reservation.credit.transfer_id).collect();
        if self.options.bug == Some(Bug::ReleaseOnTimer) {
            let now = self.stores[shard].time(self.now);
            return ids.iter().for_each(|id| self.stores[shard].release_unasked(*id, now));
        }
        if self.stores[shard].begin_to_void(&ids).is_err() {
            return self.agenda.put(self.now + 2_000, Event::BeginToVoid { node, incarnation, claimed });
        }
        for reservation in claimed {
            let id = Some(reservation.credit.transfer_id);
            self.trace.note(self.now, id, None, format_args!("shard {} gives up", shard + 1));
            self.deliver(node, reservation);
        }
    }

    /// Brings what has expired into the lanes.
    pub(super) fn sweep_held(&mut self, node: usize) {
        let incarnation = self.nodes[node].incarnation;
        self.agenda.put(self.now + SWEEP_HELD_EVERY, Event::SweepHeld { node, incarnation });
        let shard = self.nodes[node].shard;
        if !self.stores[shard].is_up {
            return;
        }
        let mut now = self.stores[shard].time(self.now);
        if self.options.bug == Some(Bug::ExpiryByNodeClock) {
            now.0 = super::EPOCH.0 + self.now + self.nodes[node].clock_offset;
        }
        let ignores_state = self.options.bug == Some(Bug::ExpiryIgnoresState);
        let is_due = |reservation: &Reservation| {
            let is_held = reservation.state == DebitState::Held || ignores_state;
            is_held && reservation.hold.is_some_and(|hold| hold.expires_at <= now)
        };
        let held = self.stores[shard].rows.reservations.values().map(|held| &held.reservation);
        let due: Vec<ExpireTransfer> = held
            .filter(|reservation| is_due(reservation))
            .map(|reservation| ExpireTransfer {
                transfer_id: reservation.credit.transfer_id,
                debit_account_id: reservation.credit.debit_account_id,
            })
            .collect();
        for expired in due {
            self.submit_own(node, Command::Expire(expired), 10_000_000);
        }
    }
}

fn message(reservation: Reservation) -> Command {
    match reservation.state {
        DebitState::Crediting => Command::Credit(reservation.credit),
        DebitState::Voiding | DebitState::Held | DebitState::Committed | DebitState::Released(_) => {
            Command::Void(VoidMessage {
                transfer_id: reservation.credit.transfer_id,
                debit_shard: reservation.credit.debit_shard,
                credit_account_id: reservation.credit.credit_account_id,
            })
        }
    }
}
