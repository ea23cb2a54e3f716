//! Waits until no transfer is pending any more.

use std::cell::RefCell;

use anyhow::Result;
use tokio::time::Instant;
use uuid::Uuid;

use crate::api;
use crate::client::Client;
use crate::fleet::{Manner, each};
use crate::journal::{Journal, Outcome};
use crate::load::outcome_of;
use crate::population::Population;

/// How long the wallet is asked to wait for a transfer's end; answers come a little later, and in time.
const WAIT_SECONDS: u64 = 2;

/// Follows every transfer that was said to be pending to its end, and notes that. What is still pending after the
/// patience of `manner` stays so in the journal.
///
/// # Errors
/// A transfer cannot be read.
pub async fn settle(population: &Population, journal: &RefCell<Journal>, manner: &Manner) -> Result<()> {
    let give_up = Instant::now() + manner.patience;
    let pending = journal.borrow().pending();
    for (place, region) in population.regions.iter().enumerate() {
        let here = pending.iter().filter(|(_, _, debit)| population.account(*debit).region == place);
        let follow = async |client: &mut Client, (number, id, debit): &(usize, Uuid, u32)| {
            let authorization = population.authorization(population.account(*debit));
            let call = api::transfer_state(authorization, *id, WAIT_SECONDS)?;
            while Instant::now() < give_up {
                let outcome = manner.ask(client, &call, |call, reply| {
                    api::read::<api::TransferState<'_>>(call, reply)?;
                    outcome_of(reply)
                });
                let outcome = outcome.await?;
                journal.borrow_mut().settle(*number, outcome);
                if !matches!(outcome, Outcome::Pending(_)) {
                    break;
                }
            }
            Ok(())
        };
        each(manner.clients(region), here, follow).await?;
    }
    Ok(())
}
