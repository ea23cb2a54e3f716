//! Each call to its place: commands to the lanes, single accounts to the reader, other questions to the pool.

use crate::lane::{Origin, Task};
use crate::node::Node;
use crate::reads::{self, AccountQuestion, Questions};
use crate::reconcile;
use crate::saga::follow;
use ledger::{
    AMOUNT_LIMIT, Command, EXPIRES_IN_SECONDS_MAX, NAME_CHARS_MAX, REFERENCE_CHARS_MAX, ReserveTransfer, check_line,
    check_text,
};
use placement::TransferId;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use wire::answer::Answer;
use wire::link::{Handler, Replier};
use wire::operation::{Call, CallContext, Operation, Read};

/// Takes calls from links.
pub struct Dispatch {
    /// The node.
    pub node: Arc<Node>,
    /// Questions for single accounts.
    pub accounts: Questions,
}

impl Handler for Dispatch {
    fn handle(&self, call: Call, replier: Replier) {
        match call.operation {
            Operation::Command { command, wait_ms } => self.command(command, call.context, wait_ms, replier),
            Operation::Read(read) => self.read(read, call.context, replier),
        }
    }
}

impl Dispatch {
    fn command(&self, command: Command, context: CallContext, wait_ms: u32, replier: Replier) {
        if let Err(detail) = check(&command) {
            return replier.reply(Answer::Invalid(detail));
        }
        runtime::crash!("crash::credit_arrived", if matches!(command, Command::Credit(_) | Command::Void(_)));
        let queue = match self.node.lanes.submit(Task::new(command, context, wait_ms, Some(replier))) {
            Ok(()) => return,
            Err(crate::lane::Refused::Wait) => "lane_wait",
            Err(crate::lane::Refused::Full) => "lane",
            Err(crate::lane::Refused::Down) => "lane_down",
        };
        self.node.metrics.overloaded.with_label_values(&[queue]).inc();
    }

    fn read(&self, read: Read, context: CallContext, replier: Replier) {
        let place = Operation::Read(read.clone()).place();
        if let Some((region, slot)) = place
            && !self.node.standing.load().ownership.owns(region, slot)
        {
            return replier.reply(self.node.moved(region, slot));
        }
        match read {
            Read::Account { id, caller } => self.account(AccountQuestion { id, caller, replier }),
            Read::Transfer { id, wait_ms } => self.transfer(id, wait_ms, context, replier),
            Read::Map { known_version, wait_ms } => self.map(known_version, wait_ms, replier),
            asked @ (Read::Pairing { .. } | Read::Clearing { .. } | Read::Recent { .. }) => {
                let time = Duration::from_millis(u64::from(context.remaining_ms));
                reconcile::answer(&self.node, asked, time, replier);
            }
            other => {
                let time = Duration::from_millis(u64::from(context.remaining_ms));
                reads::answer(&self.node, other, time, replier);
            }
        }
    }

    fn account(&self, question: AccountQuestion) {
        if let Err(question) = self.accounts.ask(question) {
            self.node.metrics.overloaded.with_label_values(&["accounts"]).inc();
            question.replier.reply(Answer::Overloaded { retry_after_ms: 1_000 });
        }
    }

    fn transfer(&self, id: TransferId, wait_ms: u32, context: CallContext, replier: Replier) {
        let origin =
            Origin { context, wait_ms, received: Instant::now(), replier: Some(replier), decided_before: false };
        follow(&self.node, origin, id, None, false);
    }

    fn map(&self, known_version: u64, wait_ms: u32, replier: Replier) {
        let mut maps = self.node.map.subscribe();
        let shutdown = self.node.shutdown.clone();
        tokio::spawn(async move {
            tokio::select! {
                // An error means that the node has ended, and its last map is as good as any.
                changed = maps.wait_for(|map| map.version != known_version) => drop(changed),
                () = tokio::time::sleep(Duration::from_millis(u64::from(wait_ms))) => {}
                () = shutdown.triggered() => {}
            }
            let map = maps.borrow().as_ref().clone();
            replier.reply(Answer::Map(map));
        });
    }
}

/// What a router has checked, checked again: PostgreSQL must never see text that it cannot store, nor a number
/// out of its range.
fn check(command: &Command) -> Result<(), String> {
    let line = |text: &Option<String>, max| match text {
        Some(text) => check_line(text, max).map_err(|error| error.to_string()),
        None => Ok(()),
    };
    match command {
        Command::Reserve(reserve) if !(1..=EXPIRES_IN_SECONDS_MAX).contains(&reserve.expires_in_seconds) => {
            Err(format!("a reservation must expire in 1 to {EXPIRES_IN_SECONDS_MAX} seconds"))
        }
        Command::Transfer(transfer) | Command::Reserve(ReserveTransfer { transfer, .. }) => {
            line(&transfer.reference, REFERENCE_CHARS_MAX)?;
            check_text(transfer.message.as_deref().unwrap_or_default()).map_err(|error| error.to_string())
        }
        Command::Deposit(external) | Command::Withdraw(external) => line(&external.reference, REFERENCE_CHARS_MAX),
        Command::CreateAccount(create) => check_line(&create.name, NAME_CHARS_MAX).map_err(|error| error.to_string()),
        Command::Credit(credit) => {
            check_text(credit.message.as_deref().unwrap_or_default()).map_err(|error| error.to_string())?;
            let storable = (1..=AMOUNT_LIMIT).contains(&credit.amount.0) && reads::is_storable(credit.created_at);
            if storable { Ok(()) } else { Err("a credit must have an amount and a time in range".to_owned()) }
        }
        Command::SetStatus(_) | Command::Void(_) | Command::Settle(_) => Ok(()),
        Command::Commit(_) | Command::Release(_) | Command::Expire(_) => Ok(()),
    }
}
