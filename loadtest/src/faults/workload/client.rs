//! One client.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use anyhow::Result;
use futures_util::future::join;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::deliver::{Line, attempt};
use super::draw::{Delivery, End, Mix, Step, What, delivery};
use super::look::look;
use crate::faults::clock::Moment;
use crate::faults::history::{Answer, How, RequestId, State, Want};
use crate::faults::world::{USUAL_WAIT, World};

/// Clients are people: they think between two steps.
const THINK_MS_MAX: u64 = 40;

/// How long a client insists on a request before it goes on with something else; after the round it is repeated.
const PATIENCE: Duration = Duration::from_secs(6);

const PAUSE_MIN: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_millis(500);

/// A client with its own sequence of steps. It goes on with it in each round.
pub struct Worker {
    world: Rc<World>,
    mix: Mix,
    client: usize,
    home: usize,
    /// The sequence comes from this one, and nothing else does.
    sequence: SmallRng,
    /// Everything that depends on answers comes from this one.
    manner: SmallRng,
    lines: Vec<Line>,
    second_lines: Vec<Line>,
    steps: u64,
    /// Reservations to be ended, and at which step.
    due: VecDeque<Due>,
}

#[derive(Clone, Copy)]
struct Due {
    at: u64,
    of: RequestId,
    end: End,
    delivery: Delivery,
}

impl Worker {
    /// A client; clients are spread over the shards.
    pub fn new(world: Rc<World>, mix: Mix, client: usize, seed: u64) -> Self {
        let own = seed ^ (client as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let lines = |wait| (0..world.routers.len()).map(|router| Line::new(&world, router, wait)).collect();
        Self {
            mix,
            client,
            home: client % world.population.shards.len(),
            sequence: SmallRng::seed_from_u64(own),
            manner: SmallRng::seed_from_u64(own ^ 1),
            lines: lines(USUAL_WAIT),
            second_lines: lines(USUAL_WAIT),
            world,
            steps: 0,
            due: VecDeque::new(),
        }
    }

    /// Goes on until the round is over.
    ///
    /// # Errors
    /// A call cannot be written.
    pub async fn work(&mut self) -> Result<()> {
        self.hang_up();
        while !self.world.is_over.get() {
            self.step().await?;
            self.steps += 1;
            let think = self.manner.random_range(0..THINK_MS_MAX);
            tokio::time::sleep(Duration::from_millis(think)).await;
        }
        Ok(())
    }

    /// Idle connections may be closed from the other side at any time.
    fn hang_up(&mut self) {
        let world = self.world.clone();
        self.lines.iter_mut().chain(&mut self.second_lines).for_each(|line| line.hang_up(&world));
    }

    async fn step(&mut self) -> Result<()> {
        if let Some(at) = self.due.iter().position(|due| due.at <= self.steps) {
            let due = self.due.remove(at);
            return match due {
                Some(due) => self.end(due).await,
                None => Ok(()),
            };
        }
        let world = self.world.clone();
        let step = self.mix.draw(&mut self.sequence, &world.population, world.routers.len(), self.home);
        match step {
            Step::Transfer(want, delivery) => {
                let id = self.begin(want);
                self.deliver(id, delivery).await
            }
            Step::Reserve(want, sent, end, after) => {
                let id = self.begin(want);
                let ending = delivery(&mut self.sequence, world.routers.len());
                self.due.push_back(Due { at: self.steps + 1 + u64::from(after), of: id, end, delivery: ending });
                self.deliver(id, sent).await
            }
            Step::Repeat { back, altered, router } => self.repeat(back, altered, router).await,
            Step::Look { back, router } => match self.back(back) {
                Some(id) => self.look_at(id, router).await,
                None => Ok(()),
            },
            Step::Read { account, what, router } => look(&world, &mut self.lines[router], account, what).await,
        }
    }

    fn begin(&self, want: Want) -> RequestId {
        self.world.history.borrow_mut().begin(self.client, want)
    }

    fn back(&self, back: usize) -> Option<RequestId> {
        self.world.history.borrow().back(self.client, back)
    }

    /// Sends a request as it was drawn, and insists on a decision.
    async fn deliver(&mut self, id: RequestId, delivery: Delivery) -> Result<()> {
        let world = self.world.clone();
        let Some(call) = world.call(id)? else { return Ok(()) };
        let Delivery { router, twice, hang_up_ms, read_back } = delivery;
        let first = attempt(&world, &mut self.lines[router], id, How::Asked, &call, hang_up_ms);
        match twice {
            None => {
                first.await;
            }
            Some((other, after_ms)) => {
                let line = &mut self.second_lines[other];
                let second = async {
                    tokio::time::sleep(Duration::from_millis(after_ms)).await;
                    attempt(&world, line, id, How::Asked, &call, None).await;
                };
                join(first, second).await;
            }
        }
        self.insist(id).await?;
        if let Some(router) = read_back {
            self.read_back(id, router).await?;
        }
        Ok(())
    }

    /// Repeats a request through either router until it is decided, the client loses patience or the round is over.
    async fn insist(&mut self, id: RequestId) -> Result<()> {
        let world = self.world.clone();
        let give_up: Moment = world.clock.now().plus(PATIENCE);
        let mut pause = PAUSE_MIN;
        while !world.is_over.get() && world.clock.now() < give_up {
            let last = world.history.borrow().get(id).key_answers().last();
            let is_decided = world.history.borrow().get(id).decision().is_some();
            if is_decided {
                return Ok(());
            }
            if let Some(Answer::Said(said)) = last
                && said.state == State::Pending
            {
                // It is on its way: one look, and on. The next repeat of the key tells the rest.
                let router = self.manner.random_range(0..world.routers.len());
                return self.look_at(id, router).await;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
            let router = self.manner.random_range(0..world.routers.len());
            let Some(call) = world.call(id)? else { return Ok(()) };
            attempt(&world, &mut self.lines[router], id, How::Asked, &call, None).await;
        }
        Ok(())
    }

    /// What was acknowledged must be seen on both accounts, through whichever router.
    async fn read_back(&mut self, id: RequestId, router: usize) -> Result<()> {
        let world = self.world.clone();
        let of = match world.history.borrow().get(id).want {
            Want::Commit { of, .. } | Want::Release { of } => of,
            Want::Transfer { .. } | Want::Reserve { .. } => id,
        };
        let Some((debit, credit)) = world.history.borrow().get(of).accounts() else { return Ok(()) };
        let what = if self.manner.random() { What::Account } else { What::History };
        look(&world, &mut self.lines[router], debit, what).await?;
        look(&world, &mut self.lines[router], credit, what).await
    }

    async fn repeat(&mut self, back: usize, altered: bool, router: usize) -> Result<()> {
        let Some(id) = self.back(back) else { return Ok(()) };
        let world = self.world.clone();
        if !altered {
            let Some(call) = world.call(id)? else { return Ok(()) };
            attempt(&world, &mut self.lines[router], id, How::Asked, &call, None).await;
            return Ok(());
        }
        // While the first one is not decided, the altered one could be the one that is. And what is not recorded under
        // the key can be asked for with any amount.
        let is_recorded =
            matches!(world.history.borrow().get(id).decision(), Some(Answer::Said(_) | Answer::Refused(..)));
        match world.altered(id)? {
            Some(call) if is_recorded => {
                attempt(&world, &mut self.lines[router], id, How::Altered, &call, None).await;
            }
            _ => {}
        }
        Ok(())
    }

    async fn look_at(&mut self, id: RequestId, router: usize) -> Result<()> {
        let world = self.world.clone();
        let Some(call) = world.look(id, 0)? else { return Ok(()) };
        attempt(&world, &mut self.lines[router], id, How::Looked, &call, None).await;
        Ok(())
    }

    /// Ends a reservation as it was drawn.
    async fn end(&mut self, due: Due) -> Result<()> {
        let Due { of, end, delivery, .. } = due;
        // Its id must be known for that; if it is not, the requests are noted all the same, so that the sequence stays.
        if self.world.history.borrow().get(of).is_open() {
            self.insist(of).await?;
        }
        let commit = |amount| Want::Commit { of, amount };
        match end {
            End::Commit | End::CommitLate => self.deliver_new(commit(None), delivery).await,
            End::CommitPart(part) => self.deliver_new(commit(Some(part)), delivery).await,
            End::Release => self.deliver_new(Want::Release { of }, delivery).await,
            End::Race => self.race(commit(None), Want::Release { of }, delivery).await,
            End::TwoCommits(part) => self.race(commit(None), commit(Some(part)), delivery).await,
            End::Expire => self.look_at(of, delivery.router).await,
        }
    }

    async fn deliver_new(&mut self, want: Want, delivery: Delivery) -> Result<()> {
        let id = self.begin(want);
        self.deliver(id, delivery).await
    }

    /// Two ends at the same time, each through its own router.
    async fn race(&mut self, one: Want, other: Want, delivery: Delivery) -> Result<()> {
        let (one, other) = (self.begin(one), self.begin(other));
        let world = self.world.clone();
        let (Some(first), Some(second)) = (world.call(one)?, world.call(other)?) else { return Ok(()) };
        let router = delivery.router;
        let other_router = (router + 1) % world.routers.len();
        join(
            attempt(&world, &mut self.lines[router], one, How::Asked, &first, delivery.hang_up_ms),
            attempt(&world, &mut self.second_lines[other_router], other, How::Asked, &second, None),
        )
        .await;
        self.insist(one).await?;
        self.insist(other).await
    }
}
