//! Sessions for the users of a load, as the Auth Service would write them.

use std::time::Duration;

use anyhow::Result;
use futures_util::future::try_join_all;
use http::HeaderValue;
use local_cluster::session::{Session, Sessions, new_token};

/// The users' tokens, and the regions that know them. Nobody else learns a token.
pub struct Visitors {
    redis: Vec<String>,
    regions: Vec<Sessions>,
    tokens: Vec<String>,
}

impl Visitors {
    /// Connects to the Redis of every region.
    ///
    /// # Errors
    /// One cannot be reached.
    pub async fn connect(redis: &[String]) -> Result<Self> {
        let regions = try_join_all(redis.iter().map(|url| Sessions::connect(url))).await?;
        Ok(Self { redis: redis.to_vec(), regions, tokens: vec![] })
    }

    /// Gives a user a session in every region, and returns the `Authorization` header that goes with it.
    ///
    /// # Errors
    /// A Redis does not answer, or refuses.
    pub async fn admit(&mut self, user_id: &str, scope: &str, life: Duration) -> Result<HeaderValue> {
        let token = new_token();
        let session = Session { user_id: user_id.to_owned(), scopes: vec![scope.to_owned()] };
        self.tokens.push(token.clone());
        try_join_all(self.regions.iter_mut().map(|region| region.add(&token, &session, life))).await?;
        let mut header = HeaderValue::try_from(format!("Bearer {token}"))?;
        header.set_sensitive(true);
        Ok(header)
    }

    /// Revokes every session that was given, over new connections: those of the beginning may not have outlived the
    /// load.
    ///
    /// # Errors
    /// A Redis does not answer, or refuses; the sessions then end by themselves.
    pub async fn dismiss(self) -> Result<()> {
        let Self { redis, tokens, .. } = &self;
        let regions = redis.iter().map(async |url| {
            let mut region = Sessions::connect(url).await?;
            for token in tokens {
                region.revoke(token).await?;
            }
            anyhow::Ok(())
        });
        try_join_all(regions).await?;
        Ok(())
    }
}
