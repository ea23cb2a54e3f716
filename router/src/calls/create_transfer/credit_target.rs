//! Where a transfer's money goes, as far as it can be found out before the debit account's shard decides.

use super::Credit;
use crate::exchange::Exchange;
use crate::refusal::Refusal;
use futures_util::future::join_all;
use ledger::{CreditTarget, Currency, UserId};
use placement::{AccountId, Locality, RegionCode};
use wire::answer::Answer;
use wire::operation::{Operation, Read};

/// Finds it. Whether an account exists is for its shard to say.
///
/// # Errors
/// [`wire::api::ErrorCode::NotFound`]: the debit account is not the caller's.
/// [`wire::api::ErrorCode::Unavailable`]: the debit account's shard cannot be asked.
pub(super) async fn find(
    exchange: &Exchange<'_>,
    caller: &UserId,
    debit_account_id: AccountId,
    credit: Credit,
) -> Result<CreditTarget, Box<Refusal>> {
    match credit {
        Credit::Account(number) => {
            Ok(exchange.account_id(number)?.map_or(CreditTarget::NoSuchAccount, CreditTarget::Account))
        }
        Credit::User(user_id) => {
            let currency = currency_of(exchange, caller, debit_account_id).await?;
            account_of_user(exchange, debit_account_id.region(), user_id, currency).await
        }
    }
}

async fn currency_of(
    exchange: &Exchange<'_>,
    caller: &UserId,
    debit_account_id: AccountId,
) -> Result<Currency, Box<Refusal>> {
    let read = Read::Account { id: debit_account_id, caller: Some(caller.clone()) };
    match exchange.ask(Operation::Read(read)).await? {
        Answer::Account { account, .. } => Ok(account.currency),
        other => Err(Refusal::from_answer(other)),
    }
}

/// The user's account in the first region, or else in the first of the others, in the topology's order, that
/// has one. A region that cannot be asked might have one, so it is never passed over; half of the time is kept
/// for the shard to answer a repeat, whose target was found before.
async fn account_of_user(
    exchange: &Exchange<'_>,
    first: RegionCode,
    user_id: UserId,
    currency: Currency,
) -> Result<CreditTarget, Box<Refusal>> {
    let locality = Locality::of_user(user_id.as_str());
    let time = exchange.remaining() / 2;
    let resolve = |region| {
        let read = Read::ResolveUser { region, locality, user_id: user_id.clone(), currency };
        async move {
            match exchange.ask_within(time, Operation::Read(read)).await {
                Ok(Answer::Resolved(Some(account_id))) => CreditTarget::Account(account_id),
                Ok(Answer::Resolved(None)) => CreditTarget::NoSuchUser,
                Ok(_) | Err(_) => CreditTarget::Unresolved,
            }
        }
    };
    let in_first = resolve(first).await;
    if in_first != CreditTarget::NoSuchUser {
        return Ok(in_first);
    }
    let topology = exchange.topology()?;
    let others = topology.regions.iter().map(|region| region.code).filter(|code| *code != first);
    let targets = join_all(others.map(resolve)).await;
    let first_found = targets.into_iter().find(|target| *target != CreditTarget::NoSuchUser);
    Ok(first_found.unwrap_or(CreditTarget::NoSuchUser))
}
