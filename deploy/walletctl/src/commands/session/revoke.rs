//! `walletctl session revoke`

use std::collections::BTreeSet;
use std::io::Read;

use anyhow::{Context, Result};
use local_cluster::session;
use serde_json::json;

use super::targets::Targets;
use crate::GlobalOptions;
use crate::outcome::Outcome;
use crate::output::{print, print_json};

/// End a session, or all sessions of a user
///
/// Routers keep sessions for a few seconds (sessions.cache_ttl_ms, 5 s unless configured), so that is how long a
/// revoked token may still work. Finding a user's sessions reads all sessions of a region, which takes time in a
/// large one.
#[derive(Debug, clap::Args)]
pub(crate) struct Revoke {
    #[command(flatten)]
    which: Which,

    #[command(flatten)]
    targets: Targets,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Which {
    /// The token; - reads it from standard input, where other users cannot see it
    #[arg(long)]
    token: Option<String>,

    /// The user
    #[arg(long, value_name = "ID")]
    user: Option<String>,
}

impl Revoke {
    pub(crate) async fn run(self, options: &GlobalOptions) -> Result<Outcome> {
        if options.dry_run {
            print(&format!("would revoke in {}", self.targets.urls(options)?.join(", ")))?;
            return Ok(Outcome::Fine);
        }
        let token = self.which.token()?;
        // A session stands in several regions under the same key, and counts once.
        let mut revoked = BTreeSet::new();
        for sessions in &mut self.targets.connect(options).await? {
            if let Some(token) = &token {
                let was_there = sessions.revoke(token).await?;
                revoked.extend(was_there.then(|| session::key(token)));
            }
            if let Some(user) = &self.which.user {
                revoked.extend(sessions.revoke_user(user).await?);
            }
        }
        let revoked = revoked.len();
        if options.json {
            print_json(&json!({"revoked": revoked}))?;
        } else {
            let sessions = if revoked == 1 { "session" } else { "sessions" };
            print(&format!("{revoked} {sessions} revoked; routers forget them within their cache time, usually 5 s"))?;
        }
        Ok(if revoked == 0 { Outcome::NotWell } else { Outcome::Fine })
    }
}

impl Which {
    fn token(&self) -> Result<Option<String>> {
        if self.token.as_deref() != Some("-") {
            return Ok(self.token.clone());
        }
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).context("cannot read the token from standard input")?;
        Ok(Some(text.trim().to_owned()))
    }
}
