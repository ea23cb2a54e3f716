//! Which points are armed, and how often they were hit.

use super::point::{Kind, Point, Side};
use serde::Serialize;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

/// The environment variable that arms points from the start.
const ENVIRONMENT: &str = "FAILPOINTS";

/// The points of this program; empty until it begins.
static POINTS: OnceLock<&'static [Point]> = OnceLock::new();
static HITS: OnceLock<Mutex<HashMap<&'static str, u64>>> = OnceLock::new();

/// Why a point was not armed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArmError {
    /// There is no such point in this program.
    #[error("this program has no point {0}")]
    Unknown(String),
    /// The action is none.
    #[error("{action:?} is no action: {reason}")]
    Action {
        /// What was given.
        action: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// A point as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PointState {
    /// Its name.
    pub name: &'static str,
    /// What it does, and what it is for.
    #[serde(flatten)]
    pub kind: Kind,
    /// Where it is.
    pub side: Side,
    /// What happens at a hit.
    pub about: &'static str,
    /// The action that it is armed with; `None`: off. An action with a count stays when it is used up.
    pub armed: Option<String>,
    /// How often it was hit since the process began.
    pub hits: u64,
}

/// Says which points this program has, and arms those that the environment names. To be called once, before anything
/// of the program runs.
///
/// # Errors
/// The environment arms what cannot be armed.
pub fn begin(points: &'static [Point]) -> Result<(), ArmError> {
    POINTS.get_or_init(|| points);
    let wanted = std::env::var(ENVIRONMENT).unwrap_or_default();
    for one in wanted.split(';').map(str::trim).filter(|one| !one.is_empty()) {
        let (name, action) = one.split_once('=').unwrap_or((one, "return"));
        arm(name.trim(), action)?;
    }
    Ok(())
}

/// Arms a point: from now on each evaluation asks the action.
///
/// # Errors
/// See [`ArmError`]; nothing has changed then.
pub fn arm(name: &str, action: &str) -> Result<(), ArmError> {
    let point = points().iter().find(|point| point.name == name);
    let point = point.ok_or_else(|| ArmError::Unknown(name.to_owned()))?;
    let action = action.trim();
    let refused = |reason: &str| ArmError::Action { action: action.to_owned(), reason: reason.to_owned() };
    if action.split("->").any(|one| one.trim().ends_with("pause")) {
        return Err(refused("a process of one thread could not be told to go on"));
    }
    fail::cfg(point.name, action).map_err(|reason| refused(&reason))
}

/// Turns all points off.
pub fn disarm_all() {
    for point in points() {
        fail::remove(point.name);
    }
}

/// All points, in the order of the program's table.
pub fn list() -> Vec<PointState> {
    let armed: HashMap<String, String> = fail::list().into_iter().collect();
    let hits = hits();
    let states = points().iter().map(|point| PointState {
        name: point.name,
        kind: point.kind,
        side: point.side,
        about: point.about,
        armed: armed.get(point.name).filter(|action| *action != "off").cloned(),
        hits: hits.get(point.name).copied().unwrap_or_default(),
    });
    states.collect()
}

pub(super) fn count_hit(name: &'static str) {
    *hits().entry(name).or_default() += 1;
}

fn points() -> &'static [Point] {
    POINTS.get().copied().unwrap_or_default()
}

fn hits() -> MutexGuard<'static, HashMap<&'static str, u64>> {
    HITS.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner)
}
