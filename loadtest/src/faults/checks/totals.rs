//! What concerns all accounts together.

use super::{Findings, Scene};

/// All balances together are what was put in.
pub fn kept(scene: &Scene<'_>, findings: &mut Findings) {
    let deposited = scene.population.deposited();
    let routers = scene.survey.accounts.first().map_or(0, |account| account.shown.len());
    for router in 0..routers {
        findings.look();
        let found: i128 = scene.survey.accounts.iter().map(|account| i128::from(account.shown[router].0)).sum();
        // Money between two shards stands on neither account, but then a saga is open, which is found elsewhere.
        if found != deposited && scene.survey.sagas_closed_after.is_some() {
            findings.on_all(format!("{deposited} were put in, and all balances together are {found}"));
        }
    }
}

/// Every router shows what is in the database.
pub fn routers_agree(scene: &Scene<'_>, findings: &mut Findings) {
    for (place, account) in (0..).zip(&scene.survey.accounts) {
        for (balance, reserved) in &account.shown {
            findings.look();
            if (*balance, *reserved) != (account.balance, account.reserved) {
                let what = format!(
                    "balance {balance} and reserved {reserved} are shown, the database has {} and {}",
                    account.balance, account.reserved
                );
                findings.on_account(place, what);
            }
        }
    }
}

/// No invariant of the audit is broken.
pub fn audit(scene: &Scene<'_>, findings: &mut Findings) {
    findings.made += scene.survey.audited;
    for broken in &scene.survey.broken {
        findings.on_all(broken.clone());
    }
}
