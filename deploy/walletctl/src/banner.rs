//! What `up` says when everything is ready.

use std::fmt;
use std::time::Duration;

use anyhow::{Context, Result};
use local_cluster::{ADMIN_TOKEN, Cluster, SeededAccount};
use rand::RngExt;
use serde_json::{Value, json};

use crate::first_check;
use crate::output::table;

/// How long a start took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Took {
    /// Building our own programs; `None` if there was nothing to build from.
    pub(crate) build: Option<Duration>,
    /// All else.
    pub(crate) rest: Duration,
}

/// A cluster that has just become ready.
pub(crate) struct Banner {
    accounts: Vec<SeededAccount>,
    verified: String,
    routers: Vec<(String, String)>,
    took: Took,
    ending: String,
}

impl fmt::Display for Took {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} s", self.rest.as_secs_f64())?;
        match self.build {
            Some(build) => write!(f, " after a build of {:.1} s", build.as_secs_f64()),
            None => Ok(()),
        }
    }
}

impl Banner {
    /// Asks the cluster for what there is to say.
    pub(crate) async fn of(cluster: &Cluster, took: Took, ending: String) -> Result<Self> {
        let accounts = cluster.seeded_accounts().await?;
        let regions = cluster.regions().into_iter();
        let routers = regions.map(|region| Ok((cluster.router_url(&region)?, region))).map(|pair: Result<_>| {
            let (url, region) = pair?;
            Ok((region, url))
        });
        let verified = first_check::verify(cluster).await;
        Ok(Self { accounts, verified, routers: routers.collect::<Result<_>>()?, took, ending })
    }

    /// The text for people.
    pub(crate) fn text(&self) -> Result<String> {
        let header = ["USER", "TOKEN", "REGION", "ACCOUNT", "BALANCE"];
        let rows = self.accounts.iter().map(|account| {
            let balance = format!("{} SGD", account.balance);
            vec![
                account.user_id.clone(),
                account.user_id.clone(),
                account.region.clone(),
                account.id.to_string(),
                balance,
            ]
        });
        let (_, first) = self.routers.first().context("a cluster has a router")?;
        Ok(format!(
            "\n{}\noperator's token: {ADMIN_TOKEN}\nverify: {}\n\ntry:\n{}\ndocs: {first}/docs\nready in {}; {}",
            table(&header, rows),
            self.verified,
            self.examples()?.join("\n"),
            self.took,
            self.ending
        ))
    }

    /// Commands that work when pasted: look, move money to another region, look there.
    fn examples(&self) -> Result<Vec<String>> {
        let (house, other) = (self.account("house")?, self.account("yunus")?);
        let (here, there) = (self.router(&house.region)?, self.router(&other.region)?);
        let body = format!(
            r#"{{"debit_account_id": {}, "credit_user_id": "{}", "amount": 250, "message": "lunch"}}"#,
            house.id, other.user_id
        );
        // Pasted twice it moves the money once; the next start prints another key.
        let key = format!("lunch-{:08x}", rand::rng().random::<u32>());
        Ok(vec![
            format!("  curl -H 'Authorization: Bearer house' {here}/v1/accounts"),
            format!(
                "  curl -H 'Authorization: Bearer house' -H 'Idempotency-Key: {key}' \\\n       \
                 -H 'Content-Type: application/json' -d '{body}' {here}/v1/transfers"
            ),
            format!("  curl -H 'Authorization: Bearer yunus' {there}/v1/accounts"),
        ])
    }

    /// The same for programs.
    pub(crate) fn json(&self) -> Value {
        let routers: Vec<Value> =
            self.routers.iter().map(|(region, url)| json!({"region": region, "url": url})).collect();
        let accounts: Vec<Value> = self
            .accounts
            .iter()
            .map(|account| {
                let SeededAccount { user_id, region, id, balance } = account;
                json!({"user_id": user_id, "token": user_id, "region": region, "id": id, "balance": balance})
            })
            .collect();
        let build_seconds = self.took.build.map(|build| build.as_secs_f64());
        json!({
            "routers": routers,
            "accounts": accounts,
            "verify": self.verified,
            "build_seconds": build_seconds,
            "ready_seconds": self.took.rest.as_secs_f64(),
        })
    }

    fn account(&self, user_id: &str) -> Result<&SeededAccount> {
        let found = self.accounts.iter().find(|account| account.user_id == user_id);
        found.with_context(|| format!("{user_id} has no account"))
    }

    fn router(&self, region: &str) -> Result<&String> {
        let found = self.routers.iter().find(|(name, _)| name == region);
        found.map(|(_, url)| url).with_context(|| format!("region {region} has no router"))
    }
}
