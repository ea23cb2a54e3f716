//! Length-prefixed postcard.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The longest frame that is taken, in bytes. The largest regular one is a page of 200 entries.
pub const FRAME_BYTES_MAX: usize = 1 << 20;

/// The peer does not speak the protocol, or the stream is damaged: the connection must be closed.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// Longer than [`FRAME_BYTES_MAX`].
    #[error("a frame of {0} bytes is over the limit")]
    TooLong(usize),
    /// Not what was expected.
    #[error("a frame cannot be decoded")]
    Malformed(#[source] postcard::Error),
    /// Something that postcard cannot write.
    #[error("a frame cannot be encoded")]
    Unencodable(#[source] postcard::Error),
}

/// How many bytes at the front are whole frames: for who passes frames on without reading them.
///
/// # Errors
/// [`FrameError::TooLong`]: this is no stream of frames.
pub fn whole(bytes: &[u8]) -> Result<usize, FrameError> {
    let mut end = 0;
    while let Some(length) = next(&bytes[end..])? {
        end += length;
    }
    Ok(end)
}

/// The length of the frame at the front, its prefix included; `None` until all of it has come.
///
/// # Errors
/// [`FrameError::TooLong`]: this is no stream of frames.
pub fn next(bytes: &[u8]) -> Result<Option<usize>, FrameError> {
    let Some(prefix) = bytes.first_chunk::<4>() else {
        return Ok(None);
    };
    let length = u32::from_le_bytes(*prefix) as usize;
    if length > FRAME_BYTES_MAX {
        return Err(FrameError::TooLong(length));
    }
    Ok(Some(4 + length).filter(|length| *length <= bytes.len()))
}

/// Whether a whole frame is a call or an answer, and not a mere sign of life.
pub fn matters(frame: &[u8]) -> bool {
    // Postcard writes the place of a variant first, and both stand in the first place of their enum.
    frame.get(4) == Some(&0)
}

/// The same call or answer under another number; `None` for any other frame.
pub fn renumbered(frame: &[u8], number: u32) -> Option<Bytes> {
    let matters = frame.get(4..).filter(|_| matters(frame));
    let (_, rest) = postcard::take_from_bytes::<u32>(matters?.get(1..)?).ok()?;
    let mut changed = BytesMut::with_capacity(frame.len() + 4);
    changed.put_u32_le(0);
    changed.put_u8(0);
    postcard::to_io(&number, (&mut changed).writer()).ok()?;
    changed.put_slice(rest);
    let length = u32::try_from(changed.len() - 4).ok()?;
    changed[..4].copy_from_slice(&length.to_le_bytes());
    Some(changed.freeze())
}

/// Appends one frame; nothing, if there is an error.
pub(super) fn encode(message: &impl Serialize, buffer: &mut BytesMut) -> Result<(), FrameError> {
    let start = buffer.len();
    let appended = append(message, buffer, start);
    if appended.is_err() {
        buffer.truncate(start);
    }
    appended
}

fn append(message: &impl Serialize, buffer: &mut BytesMut, start: usize) -> Result<(), FrameError> {
    buffer.put_u32_le(0);
    postcard::to_io(message, (&mut *buffer).writer()).map_err(FrameError::Unencodable)?;
    let length = buffer.len() - start - 4;
    let prefix = u32::try_from(length).ok().filter(|_| length <= FRAME_BYTES_MAX);
    let prefix = prefix.ok_or(FrameError::TooLong(length))?;
    buffer[start..start + 4].copy_from_slice(&prefix.to_le_bytes());
    Ok(())
}

/// Takes the next whole frame off the front; `None` until more bytes have come.
pub(super) fn decode<T: DeserializeOwned>(buffer: &mut BytesMut) -> Result<Option<T>, FrameError> {
    let Some(length) = next(buffer)? else {
        return Ok(None);
    };
    let message = postcard::from_bytes(&buffer[4..length]).map_err(FrameError::Malformed)?;
    buffer.advance(length);
    Ok(Some(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_cut_anywhere_are_put_together() {
        let mut whole = BytesMut::new();
        for message in ["one", "two", ""] {
            encode(&message, &mut whole).expect("encodes");
        }
        for cut in 0..whole.len() {
            let mut buffer = BytesMut::from(&whole[..cut]);
            let mut found = Vec::new();
            while let Some(message) = decode::<String>(&mut buffer).expect("decodes") {
                found.push(message);
            }
            buffer.extend_from_slice(&whole[cut..]);
            while let Some(message) = decode::<String>(&mut buffer).expect("decodes") {
                found.push(message);
            }
            assert_eq!(found, ["one", "two", ""]);
        }
    }

    #[test]
    fn whole_frames_are_told_from_the_beginning_of_one() {
        let mut frames = BytesMut::new();
        encode(&"one", &mut frames).expect("encodes");
        let first = frames.len();
        encode(&"two", &mut frames).expect("encodes");
        for cut in 0..frames.len() {
            assert_eq!(whole(&frames[..cut]).expect("frames"), if cut < first { 0 } else { first });
        }
        assert_eq!(whole(&frames).expect("frames"), frames.len());
        assert!(whole(&[0xff; 4]).is_err());
    }

    #[test]
    fn calls_and_answers_matter_and_signs_of_life_do_not() {
        use super::super::{Request, Response};
        use crate::answer::Answer;
        use crate::operation::{Call, CallContext, Operation, Read};
        use crate::trace::TraceContext;
        fn encoded(message: &impl Serialize) -> BytesMut {
            let mut buffer = BytesMut::new();
            encode(message, &mut buffer).expect("encodes");
            buffer
        }
        assert!(matters(&encoded(&Response::Answer(7, Box::new(Answer::NotFound)))));
        assert!(!matters(&encoded(&Response::Pong)) && !matters(&encoded(&Response::GoAway)));
        let context = CallContext { request_id: 7, trace: TraceContext::begin(1, 2), remaining_ms: 5 };
        let operation = Operation::Read(Read::Map { known_version: 0, wait_ms: 0 });
        assert!(matters(&encoded(&Request::Call(7, Box::new(Call { context, operation })))));
        assert!(!matters(&encoded(&Request::Ping)));
    }

    #[test]
    fn answer_keeps_its_content_under_another_number() {
        use super::super::Response;
        use crate::answer::Answer;
        let answer = |number| Response::Answer(number, Box::new(Answer::Overloaded { retry_after_ms: 70_000 }));
        for number in [0, 200, u32::MAX] {
            let mut frame = BytesMut::new();
            encode(&answer(300), &mut frame).expect("encodes");
            let mut changed = BytesMut::from(renumbered(&frame, number).expect("it is an answer"));
            assert_eq!(decode::<Response>(&mut changed).expect("decodes"), Some(answer(number)));
            assert!(changed.is_empty());
        }
        let mut pong = BytesMut::new();
        encode(&Response::Pong, &mut pong).expect("encodes");
        assert_eq!(renumbered(&pong, 7), None);
    }

    #[test]
    fn what_does_not_fit_leaves_nothing_behind() {
        let mut buffer = BytesMut::new();
        encode(&"before", &mut buffer).expect("fits");
        let before = buffer.clone();
        let error = encode(&"x".repeat(FRAME_BYTES_MAX), &mut buffer).expect_err("too long");
        assert!(matches!(error, FrameError::TooLong(_)));
        assert_eq!(buffer, before);
    }

    #[test]
    fn absurd_lengths_and_garbage_are_refused() {
        let mut long = BytesMut::from(&[0xff, 0xff, 0xff, 0xff][..]);
        assert!(matches!(decode::<String>(&mut long), Err(FrameError::TooLong(_))));
        let mut garbage = BytesMut::from(&[2, 0, 0, 0, 0xff, 0xff][..]);
        assert!(matches!(decode::<String>(&mut garbage), Err(FrameError::Malformed(_))));
    }
}
