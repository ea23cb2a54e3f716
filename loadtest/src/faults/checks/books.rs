//! Every entry is one that somebody asked for.

use super::{Findings, Scene};
use crate::faults::history::{Request, Want};
use crate::faults::survey::Line;

/// No entry is without a request, on another account, of another amount, or of a request that was over before.
pub fn lines_explained(scene: &Scene<'_>, findings: &mut Findings) {
    for line in &scene.survey.lines {
        findings.look();
        let deposit = scene.population.account(line.account).deposit;
        if line.request.is_none() && line.transfer == deposit.id && line.amount == deposit.amount && !line.is_debit {
            if line.entry != 1 {
                findings.on_account(line.account, format!("its deposit is entry {}, a second time", line.entry));
            }
            continue;
        }
        let found = line.request.and_then(|id| Some((id, scene.history.find(id)?)));
        let Some((id, request)) = found else {
            let what = format!("nobody asked for entry {} (transfer {})", line.entry, line.transfer);
            findings.on_account(line.account, what);
            continue;
        };
        if let Some(field) = difference(scene, request, line) {
            findings.on_request(id, format!("the {field} of entry {} is not what was asked for", line.entry));
        }
        if scene.side(id, line.is_debit).before.is_some() {
            findings.on_request(id, format!("entry {} is a second one, long after the first", line.entry));
        }
    }
}

/// The first field in which an entry differs from what was asked for.
fn difference(scene: &Scene<'_>, request: &Request, line: &Line) -> Option<&'static str> {
    let Some(((debit, credit), amount)) = request.accounts().zip(request.amount()) else { return Some("request") };
    let (own, other) = if line.is_debit { (debit, credit) } else { (credit, debit) };
    let may_be_less = matches!(request.want, Want::Reserve { .. });
    if own != line.account {
        Some("account")
    } else if line.other != Some(scene.population.account(other).id) {
        Some("counterparty")
    } else if line.amount != amount && !(may_be_less && (1..amount).contains(&line.amount)) {
        Some("amount")
    } else {
        None
    }
}
