//! One call a file.

pub mod commit_transfer;
pub mod create_account;
pub mod create_transfer;
pub mod currencies;
pub mod deposit;
pub mod docs;
mod external_move;
pub mod get_account;
pub mod get_transfer;
pub mod list_accounts;
pub mod list_open_transfers;
pub mod list_transactions;
pub mod openapi;
pub mod release_transfer;
pub mod set_status;
pub mod topology;
pub mod withdraw;

use crate::admission::Asked;
use crate::app::App;
use crate::exchange::Exchange;
use crate::reply::Outcome;
use crate::route::Call;
use ledger::StatusChange;

/// Runs a call that may be run.
///
/// # Errors
/// What the call's spec names.
pub async fn run(exchange: &Exchange<'_>, call: Call, asked: Asked<'_>) -> Outcome {
    match call {
        Call::CreateAccount => create_account::run(exchange, &asked).await,
        Call::ListAccounts => list_accounts::run(exchange, &asked).await,
        Call::GetAccount => get_account::run(exchange, &asked).await,
        Call::ListTransactions => list_transactions::run(exchange, &asked).await,
        Call::ListOpenTransfers => list_open_transfers::run(exchange, &asked).await,
        Call::CreateTransfer => create_transfer::run(exchange, &asked).await,
        Call::CommitTransfer => commit_transfer::run(exchange, &asked).await,
        Call::ReleaseTransfer => release_transfer::run(exchange, &asked).await,
        Call::GetTransfer => get_transfer::run(exchange, &asked).await,
        Call::ListCurrencies => currencies::run(exchange),
        Call::Deposit => deposit::run(exchange, &asked).await,
        Call::Withdraw => withdraw::run(exchange, &asked).await,
        Call::Freeze => set_status::run(exchange, &asked, StatusChange::Freeze).await,
        Call::Unfreeze => set_status::run(exchange, &asked, StatusChange::Unfreeze).await,
        Call::Close => set_status::run(exchange, &asked, StatusChange::Close).await,
        Call::GetTopology => topology::run(exchange, &asked),
        Call::OpenApi | Call::Docs => page(exchange.app, call),
    }
}

/// Answers a call that is open to everybody.
///
/// # Errors
/// The call is none of those: a defect.
pub fn page(app: &App, call: Call) -> Outcome {
    match call {
        Call::OpenApi => Ok(openapi::run(app)),
        Call::Docs => Ok(docs::run(app)),
        _ => {
            tracing::error!(route = call.spec().name, "a call that needs a session was taken for a page");
            Err(crate::refusal::Refusal::new(wire::api::ErrorCode::Internal))
        }
    }
}
