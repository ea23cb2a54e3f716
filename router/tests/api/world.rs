//! Where the cluster is, and users to talk to it as.

use crate::client::{Answer, Call};
use http::Method;
use local_cluster::session::{Session, Sessions};
use local_cluster::{ADMIN_TOKEN, Cluster};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use uuid::Uuid;

/// The cluster's addresses.
#[derive(Debug, Clone)]
pub(crate) struct World {
    /// The router of the region sg.
    pub(crate) sg: SocketAddr,
    /// The router of the region eu.
    pub(crate) eu: SocketAddr,
    /// Redis of both.
    pub(crate) redis: [String; 2],
}

/// A world to come: facts are listed before there is one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Source(Arc<OnceLock<World>>);

impl Source {
    pub(crate) fn set(&self, world: World) {
        self.0.set(world).expect("one world");
    }

    pub(crate) fn world(&self) -> Result<World, &'static str> {
        self.0.get().cloned().ok_or("there is no cluster")
    }
}

/// A user with an account.
#[derive(Debug, Clone)]
pub(crate) struct Holder {
    /// Also the token.
    pub(crate) user: String,
    /// The account.
    pub(crate) id: u64,
}

/// A text that was never used before.
pub(crate) fn fresh(word: &str) -> String {
    format!("{word}-{}", Uuid::now_v7().simple())
}

impl World {
    /// That of a cluster of the regions sg and eu.
    pub(crate) fn of(cluster: &Cluster) -> anyhow::Result<Self> {
        Ok(Self {
            sg: cluster.router_address("sg", 0)?,
            eu: cluster.router_address("eu", 0)?,
            redis: [cluster.redis_url("sg")?, cluster.redis_url("eu")?],
        })
    }

    /// A GET to the router of sg.
    pub(crate) fn get(&self, path: impl Into<String>) -> Call {
        Call::new(self.sg, Method::GET, path)
    }

    /// A POST to the router of sg.
    pub(crate) fn post(&self, path: impl Into<String>) -> Call {
        Call::new(self.sg, Method::POST, path)
    }

    /// A new session of these scopes in both regions; the token is the user's id.
    pub(crate) async fn session(&self, user: &str, scopes: &[&str]) {
        for redis in &self.redis {
            let mut sessions = Sessions::connect(redis).await.expect("Redis");
            let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
            let session = Session { user_id: user.to_owned(), scopes };
            sessions.add(user, &session, Duration::from_secs(600)).await.expect("a session");
        }
    }

    /// A new user without an account.
    pub(crate) async fn user(&self) -> String {
        let user = fresh("user");
        self.session(&user, &["wallet"]).await;
        user
    }

    /// A new account of a user.
    pub(crate) async fn open(&self, user: &str, region: &str) -> u64 {
        self.open_in(user, region, "SGD").await
    }

    /// A new account of a user in a currency.
    pub(crate) async fn open_in(&self, user: &str, region: &str, currency: &str) -> u64 {
        let body = json!({"currency": currency, "region": region});
        let account = self.post("/v1/accounts").token(user).json(&body).send().await.expect(201);
        account["id"].as_u64().expect("an id")
    }

    /// A new user with an account in a region, and so much in it.
    pub(crate) async fn holder_in(&self, region: &str, balance: i64) -> Holder {
        let user = self.user().await;
        let id = self.open(&user, region).await;
        if balance > 0 {
            self.deposit(id, balance).await;
        }
        Holder { user, id }
    }

    /// A new user with an account in sg, and so much in it.
    pub(crate) async fn holder(&self, balance: i64) -> Holder {
        self.holder_in("sg", balance).await
    }

    /// Brings money in.
    pub(crate) async fn deposit(&self, account_id: u64, amount: i64) -> Value {
        let body = json!({"account_id": account_id, "amount": amount});
        self.admin_post("/v1/admin/deposits").key(&fresh("deposit")).json(&body).send().await.expect(201)
    }

    /// A POST of the operator's to the router of sg.
    pub(crate) fn admin_post(&self, path: impl Into<String>) -> Call {
        self.post(path).token(ADMIN_TOKEN)
    }

    /// A transfer with a new key.
    pub(crate) async fn transfer(&self, from: &Holder, to: u64, amount: i64) -> Answer {
        let body = json!({"debit_account_id": from.id, "credit_account_id": to, "amount": amount});
        self.post("/v1/transfers").token(&from.user).key(&fresh("transfer")).json(&body).send().await
    }

    /// The account as its holder sees it.
    pub(crate) async fn account(&self, holder: &Holder) -> Value {
        self.get(format!("/v1/accounts/{}", holder.id)).token(&holder.user).send().await.expect(200)
    }

    /// What is in an account.
    pub(crate) async fn balance(&self, holder: &Holder) -> i64 {
        self.account(holder).await["balance"].as_i64().expect("a balance")
    }
}
