//! The first users of a local cluster, each with a token equal to the user's name, and the first money.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures_util::future::try_join_all;
use hyper::{Method, StatusCode};
use placement::AccountId;
use serde_json::{Value, json};
use wire::api::{Account, AccountList, CreateAccountRequest, ExternalMoveRequest};

use crate::cluster::Cluster;
use crate::http::{Answer, call};
use crate::session::{Session, Sessions};

/// Sessions are written again at each start.
const SESSION_LIFE: Duration = Duration::from_secs(365 * 24 * 3600);

/// How long a part of the cluster that is not available yet is asked again, and how often.
const PATIENCE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(100);

const CURRENCY: &str = "SGD";
const ACCOUNT_NAME: &str = "current";

/// What `house` starts with, in [`CURRENCY`].
const FIRST_MONEY: i64 = 1_000_000;

/// The users, in the order in which they are shown. Their tokens are their names.
pub const USERS: [&str; 4] = ["house", "yunus", "nick", "andrew"];

/// The token with the scope `admin`.
pub const ADMIN_TOKEN: &str = "admin";

/// A user's account, as the API showed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeededAccount {
    /// The owner.
    pub user_id: String,
    /// Its region.
    pub region: String,
    /// Its id.
    pub id: AccountId,
    /// What is in it, in SGD.
    pub balance: i64,
}

/// The region a user's account is opened in: `house` and `nick` in the first, the others in the last.
fn home_of<'a>(user: &str, regions: &'a [String]) -> Option<&'a String> {
    if matches!(user, "house" | "nick") { regions.first() } else { regions.last() }
}

/// Makes sessions, accounts and the deposit, as far as they are not there.
pub(crate) async fn seed(cluster: &Cluster) -> Result<()> {
    let regions = cluster.regions();
    try_join_all(regions.iter().map(|region| add_sessions(cluster, region))).await?;
    let accounts = try_join_all(USERS.iter().map(|user| open_account(cluster, user))).await?;
    deposit(cluster, &accounts[0]).await
}

async fn add_sessions(cluster: &Cluster, region: &str) -> Result<()> {
    let mut sessions = Sessions::connect(&cluster.redis_url(region)?).await?;
    for user in USERS {
        let session = Session { user_id: user.to_owned(), scopes: vec!["wallet".to_owned()] };
        sessions.add(user, &session, SESSION_LIFE).await?;
    }
    let admin = Session { user_id: "admin".to_owned(), scopes: vec!["admin".to_owned()] };
    sessions.add(ADMIN_TOKEN, &admin, SESSION_LIFE).await
}

async fn open_account(cluster: &Cluster, user: &str) -> Result<SeededAccount> {
    let regions = cluster.regions();
    let home = home_of(user, &regions).context("a cluster has a region")?;
    let router = cluster.router_address(home, 0)?;
    if let Some(account) = current_account(router, user).await? {
        return Ok(account);
    }
    let body = CreateAccountRequest {
        currency: CURRENCY.to_owned(),
        name: Some(ACCOUNT_NAME.to_owned()),
        region: Some(home.clone()),
    };
    let key = format!("seed-account-{user}");
    let answer = send(router, Method::POST, "/v1/accounts", user, Some(&key), Some(&json!(body))).await?;
    Ok(SeededAccount::from(answer.read::<Account>()?))
}

async fn current_account(router: SocketAddr, user: &str) -> Result<Option<SeededAccount>> {
    let answer = send(router, Method::GET, "/v1/accounts", user, None, None).await?;
    let accounts = answer.read::<AccountList>()?.items.into_iter();
    let mut current = accounts.filter(|found| found.name == ACCOUNT_NAME && found.currency.as_str() == CURRENCY);
    Ok(current.next().map(SeededAccount::from))
}

impl From<Account> for SeededAccount {
    fn from(account: Account) -> Self {
        let Account { id, user_id, region, balance, .. } = account;
        Self { user_id, region, id, balance }
    }
}

/// Its key makes the deposit happen once, however often the cluster is started.
async fn deposit(cluster: &Cluster, house: &SeededAccount) -> Result<()> {
    let router = cluster.router_address(&house.region, 0)?;
    let body =
        ExternalMoveRequest { account_id: house.id.into(), amount: FIRST_MONEY, reference: Some("seed".to_owned()) };
    let path = "/v1/admin/deposits";
    send(router, Method::POST, path, ADMIN_TOKEN, Some("seed-house"), Some(&json!(body))).await?;
    Ok(())
}

async fn send(
    router: SocketAddr,
    method: Method,
    path: &str,
    token: &str,
    key: Option<&str>,
    body: Option<&Value>,
) -> Result<Answer> {
    let authorization = format!("Bearer {token}");
    let mut headers = vec![("authorization", authorization.as_str())];
    headers.extend(key.map(|key| ("idempotency-key", key)));
    let deadline = Instant::now() + PATIENCE;
    let answer = loop {
        let answer = call(router, method.clone(), path, &headers, body).await?;
        // 503: nothing is known to have happened, and the same key may be sent again.
        if answer.status != StatusCode::SERVICE_UNAVAILABLE || Instant::now() > deadline {
            break answer;
        }
        tokio::time::sleep(PAUSE).await;
    };
    ensure!(answer.status.is_success(), "{path} answered {}: {}", answer.status, answer.body);
    Ok(answer)
}

impl Cluster {
    /// The users' accounts as they are now, in the order of [`USERS`].
    ///
    /// # Errors
    /// A router does not answer, or a user has no account.
    pub async fn seeded_accounts(&self) -> Result<Vec<SeededAccount>> {
        let regions = self.regions();
        let accounts = USERS.iter().map(async |user| {
            let home = home_of(user, &regions).context("a cluster has a region")?;
            let found = current_account(self.router_address(home, 0)?, user).await?;
            found.with_context(|| format!("{user} has no account"))
        });
        try_join_all(accounts).await
    }
}
