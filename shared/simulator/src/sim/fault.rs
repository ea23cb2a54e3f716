//! What breaks, when, and for how long.

use super::event::Event;
use super::network::ROUTERS;
use super::node::Work;
use super::random::Dice;
use super::simulation::Simulation;
use super::{REPLICAS, SHARDS};

/// How bad the times are, in thousandths of all cases.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Weather {
    /// Connections that break in a step of a batch.
    pub breaks: i64,
    /// Messages lost.
    pub loss: i64,
    /// Messages that arrive twice.
    pub repeats: i64,
    /// Messages that are very late.
    pub late: i64,
    /// Strikes that do break something.
    pub strikes: i64,
}

impl Weather {
    pub fn of(dice: &mut Dice) -> Weather {
        Weather {
            breaks: *dice.pick(&[0, 20, 100]),
            loss: *dice.pick(&[0, 20, 150]),
            repeats: *dice.pick(&[0, 100, 400]),
            late: *dice.pick(&[0, 20, 100]),
            strikes: *dice.pick(&[0, 500, 1_000]),
        }
    }
}

/// How long the bad times last.
pub(super) const BAD_TIMES: i64 = 30_000_000;
/// How long everything has then to come to its end, and once more when all has been asked again.
pub(super) const GOOD_TIMES: i64 = 45_000_000;

impl Simulation {
    /// The whole course of a run.
    pub(super) fn plan(&mut self) {
        for node in 0..self.nodes.len() {
            let at = self.dice.between(0, 100_000);
            self.agenda.put(at, Event::StartNode { node });
        }
        let mut at = 0;
        while at < BAD_TIMES {
            at += self.dice.between(200_000, 3_000_000);
            self.agenda.put(at, Event::Strike);
        }
        self.plan_requests(BAD_TIMES);
        self.agenda.put(BAD_TIMES, Event::Heal);
        self.agenda.put(BAD_TIMES + GOOD_TIMES, Event::AskAllAgain);
    }

    pub(super) fn strike(&mut self) {
        if self.is_healed || !self.dice.in_thousand(self.weather.strikes) {
            return;
        }
        match self.dice.between(0, 6) {
            0 | 1 => {
                let node = self.dice.place(SHARDS * REPLICAS);
                self.crash_node(node);
            }
            2 => {
                let shard = self.dice.place(SHARDS);
                self.crash_store(shard);
            }
            3 => self.slow_down(),
            _ => self.cut_off(),
        }
    }

    fn crash_node(&mut self, number: usize) {
        if !self.nodes[number].is_up {
            return;
        }
        self.trace.note(self.now, None, None, format_args!("node {} crashes", number + 1));
        let node = &mut self.nodes[number];
        (node.is_up, node.incarnation) = (false, node.incarnation + 1);
        node.waiting.clear();
        node.deliveries.clear();
        let shard = node.shard;
        let mut open = Vec::new();
        for lane in &mut node.lanes {
            self.tickets += 1;
            lane.ticket = self.tickets;
            lane.queue.clear();
            if let Work::Saving { saving, .. } = std::mem::replace(&mut lane.work, Work::down(Vec::new())) {
                open.push(saving);
            }
        }
        for saving in open {
            match self.dice.in_thousand(500) {
                true => self.leave_in_doubt(shard, saving),
                false => self.stores[shard].roll_back(saving.transaction),
            }
        }
        let after = self.dice.between(50_000, 4_000_000);
        self.agenda.put(self.now + after, Event::StartNode { node: number });
    }

    pub(super) fn start_node(&mut self, number: usize) {
        let node = &mut self.nodes[number];
        if node.is_up {
            return;
        }
        node.is_up = true;
        let incarnation = node.incarnation;
        for lane in 0..node.lanes.len() {
            self.wake(number, lane, 0);
        }
        self.agenda.put(self.now, Event::SweepOutbox { node: number, incarnation });
        self.agenda.put(self.now, Event::SweepHeld { node: number, incarnation });
        self.trace.note(self.now, None, None, format_args!("node {} starts", number + 1));
    }

    fn crash_store(&mut self, shard: usize) {
        if !self.stores[shard].is_up {
            return;
        }
        self.trace.note(self.now, None, None, format_args!("the store of shard {} crashes", shard + 1));
        self.stores[shard].crash();
        for node in (0..self.nodes.len()).filter(|node| node / REPLICAS == shard) {
            if self.nodes[node].is_up {
                self.break_all_off(node);
            }
        }
        let after = self.dice.between(50_000, 4_000_000);
        self.agenda.put(self.now + after, Event::StartStore { shard });
    }

    fn break_all_off(&mut self, node: usize) {
        for lane in 0..self.nodes[node].lanes.len() {
            match std::mem::replace(&mut self.nodes[node].lanes[lane].work, Work::Idle) {
                Work::Idle => self.break_off(node, lane, Vec::new()),
                Work::Loading { batch, .. } | Work::Saving { batch, .. } | Work::Committed { batch, .. } => {
                    self.break_off(node, lane, batch);
                }
                down @ Work::Down { .. } => self.nodes[node].lanes[lane].work = down,
            }
        }
    }

    pub(super) fn start_store(&mut self, shard: usize) {
        if !self.stores[shard].is_up {
            self.stores[shard].is_up = true;
            self.trace.note(self.now, None, None, format_args!("the store of shard {} is back", shard + 1));
        }
    }

    fn slow_down(&mut self) {
        let shard = self.dice.place(SHARDS);
        self.is_slow[shard] = !self.is_slow[shard];
        let what = if self.is_slow[shard] { "slow" } else { "fast again" };
        self.trace.note(self.now, None, None, format_args!("the store of shard {} is {what}", shard + 1));
    }

    fn cut_off(&mut self) {
        let from = self.dice.place(ROUTERS + 1);
        let to = (from + 1 + self.dice.place(ROUTERS)) % (ROUTERS + 1);
        let after = self.dice.between(300_000, 15_000_000);
        let both = self.dice.in_thousand(500);
        for (from, to) in [(from, to), (to, from)].into_iter().take(1 + usize::from(both)) {
            self.cut.insert((from, to));
            self.agenda.put(self.now + after, Event::Mend { from, to });
            let what = format_args!("nothing gets from {} to {}", site(from), site(to));
            self.trace.note(self.now, None, None, what);
        }
    }

    /// From now on nothing breaks, and what is broken is mended.
    pub(super) fn heal(&mut self) {
        self.trace.note(self.now, None, None, format_args!("everything is mended"));
        self.is_healed = true;
        self.weather = Weather::default();
        self.cut.clear();
        self.is_slow = [false; SHARDS];
        for shard in 0..SHARDS {
            self.start_store(shard);
        }
        for node in 0..self.nodes.len() {
            self.start_node(node);
        }
    }
}

fn site(number: usize) -> String {
    match number {
        ROUTERS => "the routers".to_owned(),
        shard => format!("shard {}", shard + 1),
    }
}
