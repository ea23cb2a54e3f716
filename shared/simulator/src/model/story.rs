//! A way through the states, told so that a person can follow it.

use super::cast::{NAMES, commit_amount};
use super::memory::Wallet;
use super::search::Counterexample;
use super::step::{Fate, Step};
use super::world::{Ask, Message, Transfer, Verdict, World};
use std::fmt::Write;

/// The letters that stand for the transfers.
const LETTERS: [&str; 2] = ["A", "B"];

impl Wallet {
    /// The whole story of a counterexample.
    pub fn story(&self, found: &Counterexample<Wallet>) -> String {
        let mut world = World::initial(&self.configuration);
        let mut story = format!("{}: {}.\n", self.configuration.name, self.configuration.about);
        for (letter, (spec, _)) in LETTERS.iter().zip(&self.cast.transfers) {
            let (debit, credit) = (NAMES[spec.debit], NAMES[spec.credit]);
            let how = if spec.hold.is_some() { "reserved first" } else { "at once" };
            story += &format!("Transfer {letter}: {} from {debit} to {credit}, {how}.\n", spec.amount);
        }
        story += &self.books(&world);
        for (number, step) in (1..).zip(&found.path) {
            let after = self.after(&world, *step);
            story += &format!("{number:>3}. {}\n", self.sentence(&world, *step));
            story += &self.changes(&world, &after);
            world = after;
        }
        story + &format!("Broken: {}.\n", found.breach.sentence())
    }

    fn sentence(&self, world: &World, step: Step) -> String {
        match step {
            Step::Deliver { message, shard, fate } => {
                format!("{} reaches shard {}{}", self.command(message), shard + 1, ending(fate))
            }
            Step::Lose { message } => format!("{} gets lost", self.command(message)),
            Step::RunAgain { unfinished, fate } => {
                let kept = world.unfinished[unfinished];
                let command = kept.map(|kept| self.command(kept.message)).unwrap_or_default();
                let shard = kept.map_or(0, |kept| kept.shard + 1);
                format!("shard {shard} runs again what broke off: {command}{}", ending(fate))
            }
            Step::Crash { unfinished } => {
                let kept = world.unfinished[unfinished];
                let command = kept.map(|kept| self.command(kept.message)).unwrap_or_default();
                format!("the shard-node that would run {command} again dies")
            }
            Step::Send { transfer } => format!("the sweep sends the message of {}", letter(transfer)),
            Step::TimeOut { transfer } => format!("the message of {} is not answered in time", letter(transfer)),
            Step::GiveUp { transfer } => format!("the debit shard's patience with {} ends", letter(transfer)),
            Step::VoidLate { transfer } => {
                format!("a sweep that had given {} up before its end sends `void`", letter(transfer))
            }
            Step::ComeDue { transfer } => format!("the time of {} passes", letter(transfer)),
            Step::SetFrozen { account, is_frozen } => {
                let what = if is_frozen { "freezes" } else { "unfreezes" };
                format!("an operator {what} {}", NAMES[usize::from(account)])
            }
            Step::Move { account, to } => {
                format!("the slot of {} moves to shard {}", NAMES[usize::from(account)], to + 1)
            }
        }
    }

    fn command(&self, message: Message) -> String {
        let name = letter(message.transfer);
        match message.ask {
            Ask::Begin => format!("the request for {name}"),
            Ask::Commit(number) => match commit_amount(self.cast.spec(message.transfer), number) {
                Some(amount) => format!("the commit of {amount} of {name} (key {number})"),
                None => format!("the commit of all of {name} (key {number})"),
            },
            Ask::Release => format!("the release of {name}"),
            Ask::Expire => format!("the expiry of {name}"),
            Ask::Credit(amount) => format!("`credit {amount}` of {name}"),
            Ask::Void => format!("`void` of {name}"),
            Ask::Settle(verdict) => format!("the answer `{}` for {name}", decision(verdict)),
        }
    }

    /// The accounts, a line.
    fn books(&self, world: &World) -> String {
        let mut line = "     ".to_owned();
        for (account, name) in world.accounts.iter().zip(NAMES).take(self.configuration.accounts.len()) {
            let row = account.row;
            let frozen = if row.is_frozen { ", frozen" } else { "" };
            line += &format!(
                "{name} {} ({} reserved{frozen}) on shard {};  ",
                row.balance,
                row.reserved,
                account.owner + 1
            );
        }
        for (number, total) in (1..).zip(world.clearing).take(usize::from(self.configuration.shards)) {
            line += &format!("clearing {number}: {total};  ");
        }
        line.trim_end().trim_end_matches(';').to_owned() + "\n"
    }

    fn changes(&self, before: &World, after: &World) -> String {
        let mut text = String::new();
        for (name, (before, after)) in LETTERS.iter().zip(before.transfers.iter().zip(&after.transfers)) {
            let changes = changes(before, after);
            if !changes.is_empty() {
                text += &format!("     {name}: {}\n", changes.join(", "));
            }
        }
        if before.accounts != after.accounts || before.clearing != after.clearing {
            text += &self.books(after);
        }
        text
    }
}

fn letter(transfer: u8) -> &'static str {
    LETTERS[usize::from(transfer)]
}

fn ending(fate: Fate) -> &'static str {
    match fate {
        Fate::Answered => "",
        Fate::CrashAfterCommit => ", is committed, and the shard-node dies",
        Fate::CrashBeforeCommit => ", and the shard-node dies before the commit",
        Fate::Unknown { is_committed: true } => ", is committed, and the connection breaks before PostgreSQL says so",
        Fate::Unknown { is_committed: false } => ", and the connection breaks before the commit",
    }
}

fn decision(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Credited => "credited",
        Verdict::Refused(reason) => reason.code(),
        Verdict::Voided => "voided",
    }
}

/// What is different, as `name: value`.
fn changes(before: &Transfer, after: &Transfer) -> Vec<String> {
    let mut found = Vec::new();
    let mut note = |name: &str, before: &dyn std::fmt::Debug, after: &dyn std::fmt::Debug| {
        let (mut old, mut new) = (String::new(), String::new());
        // Writing to a String cannot fail.
        if write!(old, "{before:?}").and(write!(new, "{after:?}")).is_ok() && old != new {
            found.push(format!("{name}: {new}"));
        }
    };
    note("key", &before.key, &after.key);
    note("commit keys", &before.commit_keys, &after.commit_keys);
    note("reservation", &before.reservation, &after.reservation);
    note("outbox row", &before.has_outbox, &after.has_outbox);
    note("end", &before.end, &after.end);
    note("inbox", &before.inbox, &after.inbox);
    note("debited", &before.debited, &after.debited);
    note("credited", &before.credited, &after.credited);
    note("client knows of it", &before.is_known, &after.is_known);
    note("client was told", &before.told, &after.told);
    note("told of commits", &before.commits_told, &after.commits_told);
    note("told of a release", &before.is_release_told, &after.is_release_told);
    found
}
