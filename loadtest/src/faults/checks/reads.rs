//! What a read shows can be, by itself.

use super::{Findings, Scene};
use crate::faults::history::{Code, Seen};

/// No read shows an overdraft, more set aside than is there, or a page that does not follow from itself.
pub fn possible(scene: &Scene<'_>, findings: &mut Findings) {
    let internal = Code::of("internal");
    for read in &scene.history.reads {
        findings.look();
        let at = read.sent;
        match read.seen {
            Seen::Account { balance, reserved, available } => {
                let can_be = 0 <= reserved && reserved <= balance && available == balance - reserved;
                if !can_be {
                    let what =
                        format!("a read at {at} showed balance {balance}, reserved {reserved}, available {available}");
                    findings.on_account(read.account, what);
                }
            }
            Seen::History { balance, is_whole, .. } => {
                if balance < 0 || !is_whole {
                    findings.on_account(read.account, format!("a page of its history at {at} contradicts itself"));
                }
            }
            Seen::Open { sum } if sum < 0 => {
                findings.on_account(read.account, format!("open transfers of {sum} were shown at {at}"));
            }
            Seen::Problem(status, code) if status < 500 && status != 429 || code == internal => {
                findings.on_account(read.account, format!("a read at {at} was answered with {status} {code}"));
            }
            Seen::Open { .. } | Seen::NotSent | Seen::Lost(_) | Seen::Problem(..) => {}
        }
    }
}
