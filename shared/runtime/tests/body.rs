//! Reading bodies: the client decides neither how long they are nor how long they take.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use runtime::body::{BodyError, read_limited};

const LONG: Duration = Duration::from_secs(20);

/// Gives its frames, and then ends or stalls; counts nothing that is not asked for.
struct Frames {
    left: VecDeque<&'static str>,
    announced: Option<u64>,
    stalls: bool,
}

fn frames(left: &[&'static str]) -> Frames {
    Frames { left: left.iter().copied().collect(), announced: None, stalls: false }
}

impl Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.left.pop_front() {
            Some(data) => Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(data.as_bytes()))))),
            None if self.stalls => Poll::Pending,
            None => Poll::Ready(None),
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.announced.map(SizeHint::with_exact).unwrap_or_default()
    }
}

#[tokio::test]
async fn body_of_several_frames_is_put_together() {
    assert_eq!(read_limited(frames(&["ab", "", "cd"]), 4, LONG).await.unwrap(), "abcd");
    assert_eq!(read_limited(frames(&[]), 4, LONG).await.unwrap(), "");
}

#[tokio::test]
async fn announced_length_over_the_limit_is_refused_before_reading() {
    let body = Frames { announced: Some(5), stalls: true, ..frames(&[]) };
    assert!(matches!(read_limited(body, 4, LONG).await, Err(BodyError::TooLarge { max: 4 })));
}

#[tokio::test]
async fn body_that_grows_over_the_limit_is_refused_without_waiting_for_its_end() {
    for left in [["abcde", ""], ["abcd", "e"]] {
        let body = Frames { stalls: true, ..frames(&left) };
        assert!(matches!(read_limited(body, 4, LONG).await, Err(BodyError::TooLarge { max: 4 })));
    }
}

#[tokio::test]
async fn body_that_stalls_is_given_up() {
    let body = Frames { stalls: true, ..frames(&["ab"]) };
    let timeout = Duration::from_millis(10);
    assert!(matches!(read_limited(body, 4, timeout).await, Err(BodyError::TimedOut { .. })));
}
