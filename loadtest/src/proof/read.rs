//! Reads every account's history, a page at a time, into the proof.

use std::cell::RefCell;

use anyhow::Result;

use super::{Proof, Verdict};
use crate::api::{self, HistoryPage};
use crate::client::Client;
use crate::fleet::{Manner, read_account};
use crate::journal::Journal;
use crate::population::Population;

/// Reads and checks all accounts; `progress` is told after each. Nothing may be in flight any more.
///
/// # Errors
/// Something could not be read. What was read and is wrong is in the verdict.
pub async fn prove(
    population: &Population,
    journal: &Journal,
    manner: &Manner,
    progress: impl Fn(),
) -> Result<Verdict> {
    let proof = RefCell::new(Proof::new(population, journal));
    let check = async |client: &mut Client, place: u32| {
        check_account(&proof, population, manner, client, place).await?;
        progress();
        Ok(())
    };
    manner.each_account(population, check).await?;
    Ok(proof.into_inner().finish())
}

async fn check_account(
    proof: &RefCell<Proof<'_>>,
    population: &Population,
    manner: &Manner,
    client: &mut Client,
    place: u32,
) -> Result<()> {
    let account = population.account(place);
    let authorization = population.authorization(account);
    let mut walk = proof.borrow().walk(place);
    let mut cursor: Option<String> = None;
    loop {
        let call = api::history(authorization, account.id, cursor.as_deref())?;
        let page: HistoryPage = manner.ask(client, &call, |call, reply| api::read(call, reply)).await?;
        let mut proof = proof.borrow_mut();
        page.items.iter().for_each(|line| proof.line(&mut walk, line));
        drop(proof);
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    let call = api::get(authorization, account.uri.clone());
    let now = manner.ask(client, &call, read_account).await?;
    proof.borrow_mut().end(walk, &now);
    Ok(())
}
