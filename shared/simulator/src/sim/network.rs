//! The network: it loses, repeats, delays and reorders, and lets some talk to others only one way.

use super::event::Event;
use super::message::{Answer, Asker, Call, Reply};
use super::node::Task;
use super::simulation::Simulation;
use ledger::Command;
use placement::TransferId;

/// The routers' side, for partitions; the shards have their own numbers.
pub(super) const ROUTERS: usize = super::SHARDS;

impl Simulation {
    /// Sends a call, which may arrive any number of times.
    pub(super) fn send(&mut self, call: Call) {
        let (from, to) = (self.site_of(call.asker), self.nodes[call.to].shard);
        let (transfer, request) = concerns(&call);
        let what = describe(&call.command);
        let copies = self.copies(from, to);
        let fate = ["is lost", "is on its way", "is on its way twice"][copies];
        let node = call.to + 1;
        self.trace.note(self.now, transfer, request, format_args!("{what} to node {node} {fate}"));
        for _ in 0..copies {
            let delay = self.delay();
            self.agenda.put(self.now + delay, Event::Arrive(call.clone()));
        }
    }

    /// Sends an answer, which may arrive once.
    pub(super) fn answer(&mut self, node: usize, asker: Option<Asker>, answer: Answer) {
        let Some(to) = asker else {
            return;
        };
        let (from_site, to_site) = (self.nodes[node].shard, self.site_of(to));
        let is_lost = self.copies(from_site, to_site) == 0;
        let transfer = match &answer {
            Answer::Transfer(transfer) | Answer::NotReserved(transfer) => Some(transfer.id),
            Answer::Rejected(_, transfer_id) => *transfer_id,
            _ => None,
        };
        let (transfer, request) = match to {
            Asker::Client { request, .. } => (transfer, Some(request)),
            Asker::Node { node, delivery, .. } => {
                (self.nodes[node].deliveries.get(&delivery).map(|delivery| delivery.transfer).or(transfer), None)
            }
        };
        let fate = if is_lost { " (lost)" } else { "" };
        let (number, what) = (node + 1, answer.text());
        if transfer.is_some() || request.is_some() {
            self.trace.note(self.now, transfer, request, format_args!("node {number} answers: {what}{fate}"));
        }
        if !is_lost {
            let delay = self.delay();
            self.agenda.put(self.now + delay, Event::Answered(Reply { to, from: node, answer }));
        }
    }

    /// A call reaches its node, if that runs.
    pub(super) fn arrive(&mut self, call: Call) {
        let Call { asker, to, command, deadline, wait_until } = call;
        if self.nodes[to].is_up {
            self.submit(to, Task { command, asker: Some(asker), deadline, wait_until });
        }
    }

    pub(super) fn answered(&mut self, reply: Reply) {
        let Reply { to, from, answer } = reply;
        match to {
            Asker::Client { request, .. } => self.told(request, answer),
            Asker::Node { node, incarnation, delivery } => {
                if self.nodes[node].is_up && self.nodes[node].incarnation == incarnation {
                    self.delivered(node, delivery, from, answer);
                }
            }
        }
    }

    /// How many of a message get through.
    fn copies(&mut self, from: usize, to: usize) -> usize {
        if self.cut.contains(&(from, to)) || self.dice.in_thousand(self.weather.loss) {
            return 0;
        }
        1 + usize::from(self.dice.in_thousand(self.weather.repeats))
    }

    fn delay(&mut self) -> i64 {
        match self.dice.in_thousand(self.weather.late) {
            true => self.dice.between(50_000, 20_000_000),
            false => self.dice.between(200, 30_000),
        }
    }

    fn site_of(&self, asker: Asker) -> usize {
        match asker {
            Asker::Client { .. } => ROUTERS,
            Asker::Node { node, .. } => self.nodes[node].shard,
        }
    }
}

fn concerns(call: &Call) -> (Option<TransferId>, Option<usize>) {
    let transfer = match &call.command {
        Command::Credit(credit) => Some(credit.transfer_id),
        Command::Void(void) => Some(void.transfer_id),
        Command::Commit(commit) => Some(commit.transfer_id),
        Command::Release(release) => Some(release.transfer_id),
        _ => None,
    };
    match call.asker {
        Asker::Client { request, .. } => (transfer, Some(request)),
        Asker::Node { .. } => (transfer, None),
    }
}

/// A command in a few words.
pub(super) fn describe(command: &Command) -> String {
    match command {
        Command::Transfer(transfer) => format!("transfer of {}", transfer.amount),
        Command::Reserve(reserve) => {
            format!("reserve of {} for {} s", reserve.transfer.amount, reserve.expires_in_seconds)
        }
        Command::Commit(commit) => match commit.amount {
            Some(amount) => format!("commit of {amount}"),
            None => "commit of all".to_owned(),
        },
        Command::Release(_) => "release".to_owned(),
        Command::Expire(_) => "expiry".to_owned(),
        Command::Credit(credit) => format!("`credit` of {}", credit.amount),
        Command::Void(_) => "`void`".to_owned(),
        Command::Settle(_) => "settlement".to_owned(),
        Command::Deposit(deposit) => format!("deposit of {}", deposit.amount),
        Command::Withdraw(withdrawal) => format!("withdrawal of {}", withdrawal.amount),
        Command::CreateAccount(_) => "new account".to_owned(),
        Command::SetStatus(set) => format!("{:?} of account {}", set.change, set.account_id),
    }
}
