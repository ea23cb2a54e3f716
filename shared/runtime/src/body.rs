//! Reading a request's body without letting the client decide how much memory or time it takes.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Body;
use thiserror::Error;

/// Why a body could not be read.
#[derive(Debug, Error)]
pub enum BodyError {
    /// Longer than allowed: answer 413. The rest was not read, so the connection will close.
    #[error("the body is longer than {max} bytes")]
    TooLarge {
        /// The bytes that are allowed.
        max: usize,
    },
    /// Did not arrive in time: answer 408.
    #[error("the body did not arrive within {timeout:?}")]
    TimedOut {
        /// The time that is allowed.
        timeout: Duration,
    },
    /// The client went away or broke the framing: whatever is answered will hardly be read.
    #[error("the body broke off")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Reads all of `body`: at most `max` bytes, within `timeout`.
///
/// A `Content-Length` over `max` is refused before anything is read. A body that arrives in one frame,
/// as nearly every one does, is not copied.
///
/// # Errors
/// See [`BodyError`].
pub async fn read_limited<B>(body: B, max: usize, timeout: Duration) -> Result<Bytes, BodyError>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    // A length that does not fit usize is certainly too large.
    if usize::try_from(body.size_hint().lower()).map_or(true, |announced| announced > max) {
        return Err(BodyError::TooLarge { max });
    }
    match tokio::time::timeout(timeout, collect(body, max)).await {
        Ok(result) => result,
        Err(_) => Err(BodyError::TimedOut { timeout }),
    }
}

async fn collect<B>(mut body: B, max: usize) -> Result<Bytes, BodyError>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let first = next_data(&mut body).await?.unwrap_or_default();
    if first.len() > max {
        return Err(BodyError::TooLarge { max });
    }
    if body.is_end_stream() {
        return Ok(first);
    }
    let mut whole = BytesMut::from(first);
    while let Some(data) = next_data(&mut body).await? {
        if whole.len() + data.len() > max {
            return Err(BodyError::TooLarge { max });
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole.freeze())
}

/// The next bytes; trailers are not wanted and skipped.
async fn next_data<B>(body: &mut B) -> Result<Option<Bytes>, BodyError>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| BodyError::Broken(error.into()))?;
        if let Ok(data) = frame.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}
