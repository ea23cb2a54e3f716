//! After the heal: every request is repeated with its key until it is decided, and keys that were decided before are
//! asked once more.

use std::cell::RefCell;
use std::time::Duration;

use anyhow::Result;
use futures_util::future::{try_join, try_join_all};
use rand::RngExt;
use rand::rngs::SmallRng;

use super::checks::SAGAS_MAX;
use super::clock::Moment;
use super::history::{Fate, History, How, RequestId, Want};
use super::survey::Databases;
use super::workload::{Line, ask, attempt};
use super::world::{USUAL_WAIT, World};

/// How long anything may take to be decided after everything is well again.
const PATIENCE: Duration = SAGAS_MAX;

/// Calls at the same time.
const AT_ONCE: usize = 8;

const PAUSE: Duration = Duration::from_millis(100);

/// Keys of before that are asked again after each heal.
const REPEATED_LIVE: usize = 150;
const REPEATED_OLD: usize = 50;

/// Brings all to an end that can come to one, within 30 s after the heal; tells how long after the heal the last saga
/// was closed, if it was.
///
/// # Errors
/// A call cannot be written, or a database cannot be read.
pub async fn resolve(
    world: &World,
    databases: &Databases,
    healed: Moment,
    random: &mut SmallRng,
) -> Result<Option<Duration>> {
    let until = healed.plus(PATIENCE);
    let open = matching(world, |history, id| history.get(id).is_open());
    let decided = each(world, open, async |line: &mut Line, id| until_decided(world, line, id, until).await);
    // At the same time, so that what the repeats take does not count.
    let ((), closed) = try_join(decided, sagas_closed(world, databases, healed, until)).await?;
    // Those that were pending have an end now, which their keys have to tell.
    let open = matching(world, |history, id| history.get(id).is_open());
    each(world, open, async |line: &mut Line, id| until_decided(world, line, id, until).await).await?;
    let repeats = repeats(&world.history.borrow(), random);
    each(world, repeats, async |line: &mut Line, id| ask(world, line, id).await.map(|_| ())).await?;
    let unended = matching(world, may_have_ended);
    each(world, unended, async |line: &mut Line, id| until_ended(world, line, id, until).await).await?;
    Ok(closed)
}

fn matching(world: &World, wanted: impl Fn(&History, RequestId) -> bool) -> Vec<RequestId> {
    let history = world.history.borrow();
    history.live().map(|(id, _)| id).filter(|id| wanted(&history, *id)).collect()
}

/// Reservations that nobody holds for a client any more, and of which no answer says what became of them.
fn may_have_ended(history: &History, id: RequestId) -> bool {
    let request = history.get(id);
    let Want::Reserve { .. } = request.want else { return false };
    !history.fate(id).is_final() && request.transfer().is_some()
}

/// Repeats a key until it is decided.
async fn until_decided(world: &World, line: &mut Line, id: RequestId, until: Moment) -> Result<()> {
    while world.history.borrow().get(id).is_open() && world.clock.now() < until {
        ask(world, line, id).await?;
        if world.history.borrow().get(id).is_open() {
            tokio::time::sleep(PAUSE).await;
        }
    }
    Ok(())
}

/// Looks at a reservation until it has ended, if it is to expire; once, if it lasts. One that was made while its shard's
/// clock was wrong may do either, so it is looked at until it would be over.
async fn until_ended(world: &World, line: &mut Line, id: RequestId, until: Moment) -> Result<()> {
    let until = match world.expires_soon(id) {
        true => until,
        false => world.due(id).unwrap_or_default().min(until),
    };
    loop {
        let Some(call) = world.look(id, 0)? else { return Ok(()) };
        attempt(world, line, id, How::Looked, &call, None).await;
        let has_ended = world.history.borrow().fate(id).is_final();
        if has_ended || world.clock.now() > until {
            return Ok(());
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Waits until no reservation waits for another shard.
async fn sagas_closed(world: &World, databases: &Databases, healed: Moment, until: Moment) -> Result<Option<Duration>> {
    loop {
        if databases.open().await?.iter().all(|open| open.is_held) {
            return Ok(Some(world.clock.now().since(healed)));
        }
        if world.clock.now() > until {
            return Ok(None);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Some of the round's requests, and some of any age.
fn repeats(history: &History, random: &mut SmallRng) -> Vec<RequestId> {
    let live: Vec<RequestId> = history.live().map(|(id, _)| id).collect();
    let mut chosen: Vec<RequestId> = vec![];
    for _ in 0..REPEATED_LIVE.min(live.len()) {
        chosen.push(live[random.random_range(0..live.len())]);
    }
    let all = u32::try_from(history.len()).unwrap_or(u32::MAX);
    if all > 0 {
        let old = (0..REPEATED_OLD).map(|_| RequestId(random.random_range(0..all)));
        chosen.extend(old.filter(|id| history.find(*id).is_some_and(|request| request.decision().is_some())));
    }
    let asks_again = |id: &RequestId| history.get(*id).fate() != Fate::Unasked;
    chosen.retain(asks_again);
    chosen
}

/// Does something for each request, some at the same time, through the routers in turn.
async fn each(
    world: &World,
    requests: Vec<RequestId>,
    work: impl AsyncFn(&mut Line, RequestId) -> Result<()>,
) -> Result<()> {
    let (requests, work) = (RefCell::new(requests), &work);
    let next = || requests.borrow_mut().pop();
    let workers = (0..AT_ONCE).map(async |number| {
        let mut lines: Vec<Line> =
            (0..world.routers.len()).map(|router| Line::new(world, router, USUAL_WAIT)).collect();
        let mut turn = number;
        while let Some(id) = next() {
            turn += 1;
            let many = lines.len();
            work(&mut lines[turn % many], id).await?;
        }
        anyhow::Ok(())
    });
    try_join_all(workers).await?;
    Ok(())
}
