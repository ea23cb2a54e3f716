//! How long after the load everything is as before: a transfer every 50 ms, whatever became of earlier ones.

use std::time::Duration;

use anyhow::{Result, ensure};
use futures_util::future::try_join_all;
use rand::SeedableRng;
use rand::rngs::SmallRng;
use serde::Serialize;
use tokio::time::Instant;

use super::ground::{Ground, Sort};

/// Between two probes.
const DISTANCE: Duration = Duration::from_millis(50);
/// How long is asked before the load.
const BEFORE: Duration = Duration::from_secs(3);
/// How long is asked after it.
const AFTER: Duration = Duration::from_secs(10);
/// How long all must be well.
const WELL: Duration = Duration::from_secs(1);
/// A probe that takes no longer is never slow: nobody notices it (J. Nielsen, "Usability Engineering", 1993, section 5.5).
const NEVER_SLOW: Duration = Duration::from_millis(100);

/// How it recovered.
#[derive(Debug, Clone, Serialize)]
pub struct Recovery {
    /// Of the probes before the load, the slowest, in milliseconds.
    pub usual_ms: f64,
    /// A probe that took longer was slow, in milliseconds.
    pub slow_ms: f64,
    /// From the end of the load to the first of a second of probes that were all accepted, none of them slow; `None`:
    /// not within ten seconds.
    pub seconds: Option<f64>,
    /// Probes after the load that were refused, failed or were slow.
    pub bad: usize,
}

/// One probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Probe {
    /// When it was due, from the start of the probes.
    due: Duration,
    /// How long it took; `None`: it was not accepted.
    took: Option<Duration>,
}

/// The slowest probe while nothing else is sent.
///
/// # Errors
/// A probe is not accepted.
pub async fn usual(ground: &Ground) -> Result<Duration> {
    let probes = probe(ground, Instant::now(), BEFORE).await?;
    ensure!(probes.iter().all(|probe| probe.took.is_some()), "the wallet refuses transfers without any load");
    Ok(probes.iter().filter_map(|probe| probe.took).max().unwrap_or_default())
}

/// Asks from the end of the load on.
///
/// # Errors
/// An answer has an unknown form.
pub async fn after(ground: &Ground, ended: Instant, usual: Duration) -> Result<Recovery> {
    let slow = (2 * usual).max(NEVER_SLOW);
    let probes = probe(ground, ended, AFTER).await?;
    Ok(Recovery {
        usual_ms: usual.as_secs_f64() * 1e3,
        slow_ms: slow.as_secs_f64() * 1e3,
        seconds: recovered_after(&probes, slow).map(|after| after.as_secs_f64()),
        bad: probes.iter().filter(|probe| !is_well(probe, slow)).count(),
    })
}

async fn probe(ground: &Ground, start: Instant, length: Duration) -> Result<Vec<Probe>> {
    let count = u32::try_from(length.as_millis() / DISTANCE.as_millis())?;
    // Each makes a connection of its own.
    let probes = (0..count).map(async |number| {
        let due = DISTANCE * number;
        let (mut client, region) = ground.client(number as usize);
        let mut random = SmallRng::from_rng(&mut rand::rng());
        tokio::time::sleep_until(start + due).await;
        let (number, call) = ground.draw(&mut random, region)?;
        let sent = client.send(&call).await;
        let took = (start + due).elapsed();
        let sort = ground.note(number, &client, &sent)?;
        anyhow::Ok(Probe { due, took: (sort == Sort::Accepted).then_some(took) })
    });
    try_join_all(probes).await
}

fn is_well(probe: &Probe, slow: Duration) -> bool {
    probe.took.is_some_and(|took| took <= slow)
}

/// When the first probe was due from which on all were well for long enough.
fn recovered_after(probes: &[Probe], slow: Duration) -> Option<Duration> {
    let mut since: Option<Duration> = None;
    for probe in probes {
        match (is_well(probe, slow), since) {
            (false, _) => since = None,
            (true, None) => since = Some(probe.due),
            (true, Some(start)) if probe.due - start >= WELL => return Some(start),
            (true, Some(_)) => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOW: Duration = Duration::from_millis(30);

    fn probes(took_ms: impl Fn(u64) -> Option<u64>) -> Vec<Probe> {
        let due = (0..200).map(|number| number * 50);
        due.map(|due| Probe { due: Duration::from_millis(due), took: took_ms(due).map(Duration::from_millis) })
            .collect()
    }

    fn recovered_ms(took_ms: impl Fn(u64) -> Option<u64>) -> Option<u128> {
        recovered_after(&probes(took_ms), SLOW).map(|after| after.as_millis())
    }

    #[test]
    fn recovery_is_when_a_second_of_probes_is_well() {
        assert_eq!(recovered_ms(|_| Some(5)), Some(0));
        assert_eq!(recovered_ms(|due| (due >= 300).then_some(5)), Some(300), "refused before");
        assert_eq!(recovered_ms(|due| Some(if due < 300 { 31 } else { 5 })), Some(300), "slow before");
        assert_eq!(recovered_ms(|due| (due == 0 || due > 900).then_some(5)), Some(950), "well too shortly");
        assert_eq!(recovered_ms(|due| (due != 9_500).then_some(5)), Some(0), "what comes later is another matter");
        assert_eq!(recovered_ms(|due| (due > 9_500).then_some(5)), None);
        assert_eq!(recovered_ms(|_| None), None);
    }
}
