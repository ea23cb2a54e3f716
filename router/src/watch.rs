//! What the router does while nobody asks anything of it.

use crate::app::App;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

const MEASURE_EVERY: Duration = Duration::from_secs(1);
const WAIT_MEASURED_EVERY: Duration = Duration::from_millis(25);

/// Starts it, within a tokio runtime; it ends when the set is dropped.
pub fn start(app: &Arc<App>) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    let shared = Arc::clone(app);
    tasks.spawn(async move { shared.sessions.watch().await });
    let shared = Arc::clone(app);
    tasks.spawn(async move { shared.rate_limit.keep_small().await });
    let shared = Arc::clone(app);
    tasks.spawn(async move { measure(&shared).await });
    let shared = Arc::clone(app);
    tasks.spawn(async move { measure_own_wait(&shared).await });
    tasks
}

/// All work waits in one queue, so this task waits as long as any request does.
async fn measure_own_wait(app: &App) {
    loop {
        let due = Instant::now() + WAIT_MEASURED_EVERY;
        tokio::time::sleep_until(due).await;
        app.doors.note_own_wait(due.elapsed(), app.in_flight.count());
    }
}

async fn measure(app: &App) {
    let mut turns = tokio::time::interval(MEASURE_EVERY);
    loop {
        turns.tick().await;
        if let Some(topology) = &app.directory.view().topology {
            app.metrics.topology_version.set(i64::try_from(topology.version).unwrap_or(i64::MAX));
        }
        if let Some(age) = app.directory.age() {
            app.metrics.topology_age_seconds.set(age.as_secs_f64());
        }
    }
}
