//! A cluster to break, and users who move money in it.

#![allow(dead_code)]

use anyhow::{Context, Result, ensure};
use audit::{Limits, ShardTarget, audit};
use local_cluster::session::{Session, Sessions};
use local_cluster::{ADMIN_TOKEN, Answer, Cluster, ClusterSpec, Method, call};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// How long an outcome may stay unknown while something is broken.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running cluster of two regions.
pub struct World {
    pub cluster: Cluster,
}

/// A user with one account.
#[derive(Debug, Clone)]
pub struct Holder {
    pub token: String,
    pub region: String,
    pub account: u64,
}

/// What became of a transfer, for certain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    Posted { transfer: String },
    Refused { code: String },
}

/// A transfer to ask for.
#[derive(Debug, Clone, Copy)]
pub struct Wish<'a> {
    pub key: &'a str,
    pub debit: &'a Holder,
    pub credit: &'a Holder,
    pub amount: i64,
}

impl World {
    pub async fn start(change: impl FnOnce(&mut ClusterSpec)) -> Result<World> {
        let mut spec = ClusterSpec::scratch();
        spec.shards_per_region = 1;
        change(&mut spec);
        Ok(World { cluster: Cluster::start(spec, &mut |_| ()).await? })
    }

    /// A new user with `balance` in an account of the region.
    pub async fn holder(&self, name: &str, region: &str, balance: i64) -> Result<Holder> {
        for region in self.cluster.regions() {
            let mut sessions = Sessions::connect(&self.cluster.redis_url(&region)?).await?;
            let session = Session { user_id: name.to_owned(), scopes: vec!["wallet".to_owned()] };
            sessions.add(name, &session, Duration::from_secs(3_600)).await?;
        }
        let router = self.cluster.router_address(region, 0)?;
        let body = json!({"currency": "SGD", "name": "current"});
        let made = post(router, "/v1/accounts", name, &format!("make-{name}"), &body).await?;
        ensure!(made.status == 201, "{}", made.body);
        let account = made.read::<Value>()?["id"].as_u64().context("an account has an id")?;
        if balance > 0 {
            let deposit = json!({"account_id": account, "amount": balance});
            let paid = post(router, "/v1/admin/deposits", ADMIN_TOKEN, &format!("fund-{name}"), &deposit).await?;
            ensure!(paid.status == 201, "{}", paid.body);
        }
        Ok(Holder { token: name.to_owned(), region: region.to_owned(), account })
    }

    pub async fn balance(&self, holder: &Holder) -> Result<i64> {
        self.account(holder).await?["balance"].as_i64().context("an account has a balance")
    }

    pub async fn account(&self, holder: &Holder) -> Result<Value> {
        self.get(holder, &format!("/v1/accounts/{}", holder.account)).await
    }

    pub async fn get(&self, holder: &Holder, path: &str) -> Result<Value> {
        let router = self.cluster.router_address(&holder.region, 0)?;
        let authorization = format!("Bearer {}", holder.token);
        let headers = [("authorization", authorization.as_str())];
        let answer = patiently(async || call(router, Method::GET, path, &headers, None).await).await?;
        ensure!(answer.status == 200, "{path}: {} {}", answer.status, answer.body);
        answer.read()
    }

    /// All entries of an account, oldest first.
    pub async fn history(&self, holder: &Holder) -> Result<Vec<Value>> {
        let (mut items, mut cursor) = (Vec::new(), String::new());
        loop {
            let path = format!("/v1/accounts/{}/transactions?limit=200&order=asc{cursor}", holder.account);
            let page = self.get(holder, &path).await?;
            items.extend(page["items"].as_array().context("a page has items")?.iter().cloned());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(items),
            }
        }
    }

    /// Asks one router once.
    pub async fn ask(&self, router: SocketAddr, wish: Wish<'_>) -> Result<Answer> {
        let body = json!({
            "debit_account_id": wish.debit.account,
            "credit_account_id": wish.credit.account,
            "amount": wish.amount
        });
        post(router, "/v1/transfers", &wish.debit.token, wish.key, &body).await
    }

    /// Asks with the same key until the outcome is known, as a careful client does.
    pub async fn until_known(&self, router: SocketAddr, wish: Wish<'_>) -> Result<Known> {
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            if let Ok(answer) = self.ask(router, wish).await {
                let body: Value = answer.read().unwrap_or(Value::Null);
                match answer.status.as_u16() {
                    201 => return Ok(Known::Posted { transfer: text(&body, "id")? }),
                    422 => return Ok(Known::Refused { code: text(&body, "code")? }),
                    202 | 409 | 503 => {}
                    other => anyhow::bail!("{} was answered {other}: {}", wish.key, answer.body),
                }
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        anyhow::bail!("the outcome of {} stayed unknown for {PATIENCE:?}", wish.key)
    }

    /// Waits until no saga is open, then audits every shard.
    pub async fn prove(&self) -> Result<()> {
        let started = Instant::now();
        while self.open_sagas().await? > 0 {
            ensure!(started.elapsed() < Duration::from_secs(30), "sagas are still open");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let targets = self.cluster.topology()?.shards.into_iter().map(|shard| {
            let postgres = self.cluster.shard_postgres_url(shard.id.get())?.parse()?;
            Ok(ShardTarget { shard: shard.id, postgres })
        });
        let targets = targets.collect::<Result<Vec<_>>>()?;
        let report = audit(&targets, &Limits::default(), &|_| ()).await?;
        ensure!(report.holds, "broken: {:?}", report.broken().collect::<Vec<_>>());
        Ok(())
    }

    async fn open_sagas(&self) -> Result<i64> {
        let mut open = 0;
        for shard in self.cluster.topology()?.shards {
            let config = self.cluster.shard_postgres_url(shard.id.get())?.parse()?;
            let client = shard_node::store::connect(&config).await?;
            open += client.query_one("SELECT count(*) FROM reservations", &[]).await?.get::<_, i64>(0);
        }
        Ok(open)
    }
}

/// Entries numbered without a gap, each explained by the one before, the last one by the balance.
pub fn explain(history: &[Value], balance: i64) -> Result<()> {
    let mut running = 0;
    for (entry, number) in history.iter().zip(1..) {
        let amount = entry["amount"].as_i64().context("an entry has an amount")?;
        running += if entry["direction"] == "credit" { amount } else { -amount };
        ensure!(entry["entry"] == number, "entry {number} is missing: {entry}");
        ensure!(entry["balance_after"] == running, "entry {number} is not explained by those before: {entry}");
    }
    ensure!(running == balance, "the history comes to {running}, the balance is {balance}");
    Ok(())
}

/// How often each transfer occurs in a history.
pub fn occurrences(history: &[Value], transfer: &str) -> usize {
    history.iter().filter(|entry| entry["transfer_id"] == transfer).count()
}

fn text(body: &Value, field: &str) -> Result<String> {
    Ok(body[field].as_str().with_context(|| format!("no {field} in {body}"))?.to_owned())
}

/// A POST with a key; none if it is empty.
pub async fn post(router: SocketAddr, path: &str, token: &str, key: &str, body: &Value) -> Result<Answer> {
    let authorization = format!("Bearer {token}");
    let headers = [("authorization", authorization.as_str()), ("idempotency-key", key)];
    let headers = if key.is_empty() { &headers[..1] } else { &headers };
    patiently(async || call(router, Method::POST, path, headers, Some(body)).await).await
}

/// Sends the same again while the wallet refuses it for overload, as a good client does: a debug build that shares two
/// cores with the tests can carry little.
async fn patiently(send: impl AsyncFn() -> Result<Answer>) -> Result<Answer> {
    let give_up = Instant::now() + Duration::from_secs(30);
    loop {
        let answer = send().await?;
        let overloaded = answer.status == 503 && answer.body.contains(r#""overloaded""#);
        if !overloaded || Instant::now() > give_up {
            return Ok(answer);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
