//! Whether the router can serve: told by the admin port.

use crate::app::App;
use placement::SLOT_COUNT;
use runtime::admin::{Check, Checks};
use std::sync::Arc;
use std::time::Duration;

/// Without news of the topology for so long, the router may no longer know who owns what.
const TOPOLOGY_AGE_MAX: Duration = Duration::from_secs(60);

/// The checks of `/readyz`. They are about the router's own region: another one that is cut off must not take
/// the accounts of this one with it.
pub fn checks(app: Arc<App>) -> Checks {
    Arc::new(move || vec![redis(&app), topology(&app), slots(&app), shards(&app)])
}

fn redis(app: &App) -> Check {
    let ok = app.sessions.is_reachable();
    Check { name: "redis", ok, detail: if ok { "answers" } else { "does not answer" }.to_owned() }
}

fn topology(app: &App) -> Check {
    let age = app.directory.age();
    let detail = match age {
        Some(age) => format!("heard of {:.1} s ago", age.as_secs_f64()),
        None => "no shard-node has answered yet".to_owned(),
    };
    Check { name: "topology", ok: age.is_some_and(|age| age < TOPOLOGY_AGE_MAX), detail }
}

fn slots(app: &App) -> Check {
    let view = app.directory.view();
    let region = view.topology.as_ref().and_then(|topology| topology.region_named(&app.region));
    let (ok, detail) = match region {
        Some(region) => {
            let known = view.ownership.slots_known(region.code);
            (known == usize::from(SLOT_COUNT), format!("{known} of {SLOT_COUNT} slots of {} have an owner", app.region))
        }
        None => (false, format!("the topology has no region {}", app.region)),
    };
    Check { name: "slots", ok, detail }
}

fn shards(app: &App) -> Check {
    let view = app.directory.view();
    let region = view.topology.as_ref().and_then(|topology| topology.region_named(&app.region));
    let ok = region.is_some_and(|region| app.directory.reaches_region(region.code));
    let detail = if ok { "all can be called" } else { "not all can be called" };
    Check { name: "shards", ok, detail: format!("{detail} in {}", app.region) }
}
