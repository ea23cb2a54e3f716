//! Afterwards: what was refused for overload is sent again with its key and must be done then, and what has no answer is
//! asked for until it has one.

use anyhow::{Context, Result};
use serde::Serialize;
use tokio::time::Instant;

use super::ground::Ground;
use super::{PATIENCE, manner};
use crate::client::Client;
use crate::fleet::each;
use crate::journal::Outcome;
use crate::load::outcome_of;
use crate::until_known;

/// What came of the repeats.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Repeats {
    /// Refused before, and sent again with the same key.
    pub refused_before: usize,
    /// Of these, answered for good.
    pub decided: usize,
    /// Without an answer before, and asked for.
    pub unknown_before: usize,
    /// Of these, still without one.
    pub unknown: usize,
}

/// Sends them again.
///
/// # Errors
/// An answer has an unknown form.
pub async fn send(ground: &Ground, refused: &[usize]) -> Result<Repeats> {
    let unknown = numbers_unknown(ground);
    send_all(ground, refused).await?;
    send_all(ground, &unknown).await?;
    let journal = ground.journal.borrow();
    let outcome = |number: &usize| journal.get(*number).map(|asked| asked.outcome);
    let decided = |number: &&usize| !matches!(outcome(number), None | Some(Outcome::Unknown));
    Ok(Repeats {
        refused_before: refused.len(),
        decided: refused.iter().filter(decided).count(),
        unknown_before: unknown.len(),
        unknown: unknown.iter().filter(|number| !decided(number)).count(),
    })
}

fn numbers_unknown(ground: &Ground) -> Vec<usize> {
    let journal = ground.journal.borrow();
    let numbered = journal.transfers().iter().enumerate();
    numbered.filter(|(_, asked)| asked.outcome == Outcome::Unknown).map(|(number, _)| number).collect()
}

async fn send_all(ground: &Ground, numbers: &[usize]) -> Result<()> {
    let give_up = Instant::now() + PATIENCE;
    let again = async |client: &mut Client, number: &usize| {
        let call = ground.call(*number)?;
        // From here on it may happen, whatever it was told before.
        ground.journal.borrow_mut().settle(*number, Outcome::Unknown);
        if let Some(reply) = until_known::send(client, &call, give_up, |_| ()).await {
            let outcome = outcome_of(&reply).with_context(|| format!("transfer {number}, sent again"))?;
            ground.journal.borrow_mut().settle(*number, outcome);
        }
        Ok(())
    };
    let clients = (0..manner().clients).map(|turn| ground.client(turn).0).collect();
    each(clients, numbers, again).await
}
