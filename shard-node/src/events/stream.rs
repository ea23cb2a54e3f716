//! The stream in the region's Redis.

use super::config::EventsConfig;
use placement::ShardId;
use redis::AsyncConnectionConfig;
use redis::aio::MultiplexedConnection;
use std::time::Duration;
use wire::event::{FIELD, stream_of};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Redis answers once the events are on its disk, which may be busy.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// What has not been acknowledged may have been written all the same, or may yet be: write it again.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// Redis cannot be reached, or refuses.
    #[error("Redis failed")]
    Redis(#[from] redis::RedisError),
    /// No answer in time.
    #[error("Redis does not answer")]
    Silent(#[from] tokio::time::error::Elapsed),
}

/// A shard's stream.
pub struct Stream {
    client: redis::Client,
    connection: Option<MultiplexedConnection>,
    key: String,
    length_max: u64,
}

impl Stream {
    /// Connects at the first event.
    ///
    /// # Errors
    /// The address cannot be used.
    pub fn new(config: &EventsConfig, shard: ShardId) -> Result<Self, redis::RedisError> {
        let client = redis::Client::open(config.redis_url.expose())?;
        Ok(Stream { client, connection: None, key: stream_of(shard), length_max: config.stream_max })
    }

    /// Appends all events in their order, or, if Redis refuses one, none: an event that is written although one before
    /// it is not would be out of order for good.
    ///
    /// # Errors
    /// [`StreamError`]: append all of them again.
    pub async fn append(&mut self, events: &[String]) -> Result<(), StreamError> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        let mut pipe = redis::pipe();
        pipe.atomic();
        for event in events {
            let add = pipe.cmd("XADD").arg(&self.key).arg("MAXLEN").arg("~").arg(self.length_max);
            add.arg("*").arg(FIELD).arg(event).ignore();
        }
        tokio::time::timeout(ANSWER_TIMEOUT, pipe.query_async::<()>(&mut connection)).await??;
        // Kept only while it answers: one whose other end vanished without a word would be waited for again and again.
        self.connection = Some(connection);
        Ok(())
    }

    async fn connect(&self) -> Result<MultiplexedConnection, StreamError> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(ANSWER_TIMEOUT));
        let connecting = self.client.get_multiplexed_async_connection_with_config(&config);
        Ok(tokio::time::timeout(CONNECT_TIMEOUT, connecting).await??)
    }
}
