//! `walletctl session add`

use std::time::Duration;

use anyhow::Result;
use clap::ValueEnum;
use jiff::Timestamp;
use ledger::{USER_ID_BYTES_MAX, UserId};
use local_cluster::session::{Session, new_token};
use serde_json::json;

use super::targets::Targets;
use crate::GlobalOptions;
use crate::duration;
use crate::outcome::Outcome;
use crate::output::{print, print_json};

/// Make a session and print its token, once
///
/// The token has 256 random bits. Redis gets only its SHA-256, so it cannot be shown again.
#[derive(Debug, clap::Args)]
pub(crate) struct Add {
    /// Who the token speaks for
    #[arg(long, value_name = "ID", value_parser = user_id)]
    user: UserId,

    /// What it may do
    #[arg(long, value_delimiter = ',', default_value = "wallet")]
    scope: Vec<Scope>,

    /// How long it is valid, such as 90s, 15m, 1h, 7d
    #[arg(long, value_parser = duration::parse, default_value = "1h")]
    ttl: Duration,

    #[command(flatten)]
    targets: Targets,
}

/// As routers read it: they know nobody by any other.
fn user_id(text: &str) -> Result<UserId, String> {
    let rule = format!("a user id has 1 to {USER_ID_BYTES_MAX} bytes and no control characters");
    text.parse().map_err(|_| rule)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Scope {
    /// The user's own accounts
    Wallet,
    /// Operator calls
    Admin,
}

impl Scope {
    fn as_str(self) -> &'static str {
        match self {
            Self::Wallet => "wallet",
            Self::Admin => "admin",
        }
    }
}

impl Add {
    pub(crate) async fn run(self, options: &GlobalOptions) -> Result<Outcome> {
        let session = self.session();
        if options.dry_run {
            let urls = self.targets.urls(options)?.join(", ");
            print(&format!("would add a session of {} in {urls}", session.user_id))?;
            return Ok(Outcome::Fine);
        }
        let token = new_token();
        let expires_at = Timestamp::now().checked_add(self.ttl)?;
        for sessions in &mut self.targets.connect(options).await? {
            sessions.add(&token, &session, self.ttl).await?;
        }
        if options.json {
            let scopes = &session.scopes;
            let answer =
                json!({"token": token, "user_id": session.user_id, "scopes": scopes, "expires_at": expires_at});
            print_json(&answer)?;
        } else {
            // Only the token, so that it can go into a variable.
            eprintln!("session of {} until {expires_at:.0}; the token is shown only now", session.user_id);
            print(&token)?;
        }
        Ok(Outcome::Fine)
    }

    fn session(&self) -> Session {
        let mut scopes: Vec<String> = self.scope.iter().map(|scope| scope.as_str().to_owned()).collect();
        scopes.sort_unstable();
        scopes.dedup();
        Session { user_id: self.user.to_string(), scopes }
    }
}
