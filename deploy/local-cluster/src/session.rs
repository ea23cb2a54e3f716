//! Sessions in a region's Redis, in the form that the Auth Service writes them.
//!
//! Key `session:<hex sha256 of the token>`, value `{"user_id": "yunus", "scopes": ["wallet"]}`, expiry on the key. Only
//! the hash is stored: who can read Redis cannot act as a user.

use std::time::Duration;

use anyhow::{Context, Result};
use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

const KEY_PREFIX: &str = "session:";

/// Who a token speaks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// The user.
    pub user_id: String,
    /// What the user may do: `wallet`, `admin`.
    pub scopes: Vec<String>,
}

/// A new token: 256 random bits in hexadecimal.
pub fn new_token() -> String {
    hex::encode(rand::random::<[u8; 32]>())
}

/// The key of a token's session.
pub fn key(token: &str) -> String {
    format!("{KEY_PREFIX}{}", hex::encode(Sha256::digest(token.as_bytes())))
}

/// The sessions of one region.
pub struct Sessions {
    redis: MultiplexedConnection,
}

impl Sessions {
    /// Connects to a region's Redis, such as `redis://127.0.0.1:8580/`.
    ///
    /// # Errors
    /// It cannot be reached.
    pub async fn connect(url: &str) -> Result<Self> {
        let client = redis::Client::open(url).with_context(|| format!("{url} is no address of a Redis"))?;
        let redis = client.get_multiplexed_async_connection().await.with_context(|| format!("no Redis at {url}"))?;
        Ok(Self { redis })
    }

    /// Writes the session of a token, replacing one it may have, for `life` from now.
    ///
    /// # Errors
    /// Redis does not answer, or refuses.
    pub async fn add(&mut self, token: &str, session: &Session, life: Duration) -> Result<()> {
        let value = serde_json::to_string(session)?;
        let seconds = life.as_secs().max(1);
        self.redis.set_ex::<_, _, ()>(key(token), value, seconds).await.context("cannot write the session")
    }

    /// Deletes the session of a token; `false` if there is none. Routers forget it when their cache of it ends.
    ///
    /// # Errors
    /// Redis does not answer, or refuses.
    pub async fn revoke(&mut self, token: &str) -> Result<bool> {
        let deleted: u64 = self.redis.del(key(token)).await.context("cannot delete the session")?;
        Ok(deleted > 0)
    }

    /// The keys of all sessions of a user. Reads every session of the region, so it takes time in a large one.
    ///
    /// # Errors
    /// Redis does not answer, or refuses.
    pub async fn of_user(&mut self, user_id: &str) -> Result<Vec<String>> {
        let mut found = Vec::new();
        for key in self.all_keys().await? {
            let value: Option<String> = self.redis.get(&key).await?;
            let session = value.and_then(|value| serde_json::from_str::<Session>(&value).ok());
            if session.is_some_and(|session| session.user_id == user_id) {
                found.push(key);
            }
        }
        Ok(found)
    }

    /// Deletes all sessions of a user and tells their keys. As slow as [`Self::of_user`].
    ///
    /// # Errors
    /// Redis does not answer, or refuses.
    pub async fn revoke_user(&mut self, user_id: &str) -> Result<Vec<String>> {
        let keys = self.of_user(user_id).await?;
        if !keys.is_empty() {
            self.redis.del::<_, ()>(&keys).await.context("cannot delete the sessions")?;
        }
        Ok(keys)
    }

    async fn all_keys(&mut self) -> Result<Vec<String>> {
        let mut keys = Vec::new();
        let pattern = format!("{KEY_PREFIX}*");
        let mut scan = self.redis.scan_match::<_, String>(pattern).await.context("cannot list the sessions")?;
        while let Some(key) = scan.next_item().await {
            keys.push(key?);
        }
        Ok(keys)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_is_the_hash_of_the_token() {
        assert_eq!(key("abc"), "session:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn tokens_have_256_bits_and_differ() {
        assert_eq!(new_token().len(), 64);
        assert_ne!(new_token(), new_token());
    }

    #[test]
    fn session_has_the_form_of_the_contract() {
        let session = Session { user_id: "yunus".to_owned(), scopes: vec!["wallet".to_owned()] };
        assert_eq!(serde_json::to_string(&session).unwrap(), r#"{"user_id":"yunus","scopes":["wallet"]}"#);
    }
}
