//! Everything that is simulated, and what happens next.

use super::cast::{Cast, CastError};
use super::check::Breach;
use super::event::{Agenda, Event};
use super::fault::Weather;
use super::node::Node;
use super::random::Dice;
use super::request::Request;
use super::rows::SagaTimes;
use super::run::Options;
use super::store::{Saving, Store};
use super::tally::Tally;
use super::trace::Trace;
use super::{REPLICAS, SHARDS};
use ledger::{Command, Stamped};
use placement::TransferId;
use std::collections::BTreeSet;

/// The whole world of one run.
pub(super) struct Simulation {
    pub options: Options,
    pub dice: Dice,
    pub trace: Trace,
    pub agenda: Agenda,
    /// The time that no clock shows: microseconds from the beginning.
    pub now: i64,
    pub cast: Cast,
    pub stores: Vec<Store>,
    pub nodes: Vec<Node>,
    pub requests: Vec<Request>,
    pub times: SagaTimes,
    pub weather: Weather,
    /// From where to where nothing gets through.
    pub cut: BTreeSet<(usize, usize)>,
    /// Which shards' servers are slow.
    pub is_slow: [bool; SHARDS],
    pub is_healed: bool,
    /// Numbers that are used once.
    pub tickets: u64,
    /// What occurred how often.
    pub tally: Tally,
    pub breach: Option<Breach>,
}

impl Simulation {
    /// Everybody has an account with money in it, and all nodes are about to start.
    pub fn new(options: Options, keeps_trace: bool) -> Result<Simulation, CastError> {
        let mut dice = Dice::of_seed(options.seed);
        let cast = Cast::new()?;
        let void_after_max = *dice.pick(&[500_000, 3_000_000, 15_000_000]);
        let times =
            SagaTimes { void_after: dice.between(200_000, void_after_max), lease: dice.between(200_000, 3_000_000) };
        let offset = |dice: &mut Dice| dice.between(-5_000_000, 5_000_000);
        let stores = Cast::shards()?
            .into_iter()
            .map(|(shard, owned)| Store::new(shard, owned, offset(&mut dice), times, options.bug))
            .collect();
        let hour = 3_600_000_000;
        let nodes = (0..SHARDS * REPLICAS).map(|node| Node::new(node / REPLICAS, dice.between(-hour, hour))).collect();
        let weather = Weather::of(&mut dice);
        let mut simulation = Simulation {
            options,
            dice,
            trace: Trace::new(keeps_trace),
            agenda: Agenda::default(),
            now: 0,
            cast,
            stores,
            nodes,
            requests: Vec::new(),
            times,
            weather,
            cut: BTreeSet::new(),
            is_slow: [false; SHARDS],
            is_healed: false,
            tickets: 0,
            tally: Tally::default(),
            breach: None,
        };
        simulation.found();
        simulation.plan();
        Ok(simulation)
    }

    /// Accounts and first deposits, by the same decision as everything else.
    fn found(&mut self) {
        for (number, holder) in (1..).zip(self.cast.holders.clone()) {
            let shard = holder.shard;
            for command in self.cast.founding(super::planted::COMMIT_KEYS - number, &holder) {
                let (region, locality) = command.home();
                let fresh_id = TransferId::new(1, region, locality, self.dice.bits());
                let stamped = Stamped { command, fresh_id, fresh_discriminator: 1 };
                let time = self.stores[shard].time(0);
                if let Ok(saving) = self.stores[shard].load(&[stamped], time, &self.cast.currencies) {
                    self.commit(shard, &saving);
                }
            }
        }
    }

    /// Stores a batch, and looks at once at what it has done. `false` if another node was faster.
    pub fn commit(&mut self, shard: usize, saving: &Saving) -> bool {
        let is_stored = self.stores[shard].commit(saving);
        if is_stored {
            self.tally.count(saving);
            self.note_commit(shard, saving);
            self.check_commit(shard, saving);
        }
        self.tally.conflicts += u64::from(!is_stored);
        is_stored
    }

    fn note_commit(&mut self, shard: usize, saving: &Saving) {
        let number = shard + 1;
        for row in &saving.writes.transfers {
            let (state, amount) = (row.transfer.state.as_str(), row.transfer.amount);
            let side = match (row.debit, row.credit) {
                (Some(_), Some(_)) => "both sides",
                (Some(_), None) => "debit side",
                (None, Some(_)) => "credit side",
                (None, None) => "no side",
            };
            let reason = row.transfer.reason.map_or("", ledger::Rejection::code);
            let what = format_args!("shard {number} commits: {state} {amount}, {side} {reason}");
            self.trace.note(self.now, Some(row.transfer.id), None, what);
        }
        for reservation in saving.writes.reserved.iter().chain(&saving.writes.committing) {
            let (state, amount) = (reservation.state, reservation.credit.amount);
            let what = format_args!("shard {number} commits: reservation of {amount}, {state:?}");
            self.trace.note(self.now, Some(reservation.credit.transfer_id), None, what);
        }
        for row in &saving.writes.inbox {
            let what = format_args!("shard {number} commits: decision {:?}", row.decision);
            self.trace.note(self.now, Some(row.transfer_id), None, what);
        }
    }

    /// What happens next; `false` when nothing does before that time, or when something is wrong.
    pub fn step(&mut self, until: i64) -> bool {
        let Some((at, event)) = self.agenda.take() else {
            return false;
        };
        if at > until {
            self.agenda.put(at, event);
            return false;
        }
        self.now = self.now.max(at);
        self.happen(event);
        self.breach.is_none()
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Ask { request } => self.ask(request),
            Event::Patience { request, attempt } => self.lose_patience(request, attempt),
            Event::Arrive(call) => self.arrive(call),
            Event::Answered(reply) => self.answered(reply),
            Event::Lane { node, lane, ticket } => {
                if self.nodes[node].lanes[lane].ticket == ticket {
                    self.go_on(node, lane);
                }
            }
            Event::EndDoubt { shard, transaction, is_committed } => self.end_doubt(shard, transaction, is_committed),
            Event::SweepOutbox { node, incarnation } if self.runs(node, incarnation) => self.sweep_outbox(node),
            Event::SweepHeld { node, incarnation } if self.runs(node, incarnation) => self.sweep_held(node),
            Event::BeginToVoid { node, incarnation, claimed } if self.runs(node, incarnation) => {
                self.begin_to_void(node, claimed);
            }
            Event::WaitOver { node, incarnation, transfer, waiting } if self.runs(node, incarnation) => {
                self.wait_over(node, transfer, waiting);
            }
            Event::SweepOutbox { .. } | Event::SweepHeld { .. } => {}
            Event::BeginToVoid { .. } | Event::WaitOver { .. } => {}
            Event::Strike => self.strike(),
            Event::StartNode { node } => self.start_node(node),
            Event::StartStore { shard } => self.start_store(shard),
            Event::Mend { from, to } => drop(self.cut.remove(&(from, to))),
            Event::Heal => self.heal(),
            Event::AskAllAgain => self.ask_all_again(),
        }
    }

    /// Whether what was meant for a process still reaches it.
    fn runs(&self, node: usize, incarnation: u64) -> bool {
        self.nodes[node].is_up && self.nodes[node].incarnation == incarnation
    }

    /// A node that owns the command's slot, whichever runs or not; now and then, by an old map, one that does not.
    pub fn entrance_of(&mut self, command: &Command) -> usize {
        let owner = super::cast::shard_of(command.region(), command.slot());
        let is_astray = !self.is_healed && self.dice.in_thousand(20);
        let shard = if is_astray { self.dice.place(SHARDS) } else { owner };
        shard * REPLICAS + self.dice.place(REPLICAS)
    }

    /// Notes the first breach.
    pub fn breach(&mut self, breach: Breach) {
        self.breach.get_or_insert(breach);
    }
}
