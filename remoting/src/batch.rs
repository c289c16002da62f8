//! The body of SEND_BATCH_MESSAGE (320): several messages for one queue.
//!
//! Each is `i32 size | i32 0 | i32 0 | i32 flag | i32 length, body | i16 length, properties`,
//! big-endian; the size counts itself. They follow each other without gaps.

/// Bytes of a message without its body and properties.
pub const FIXED_BYTES: usize = 22;

/// Bytes of the four fields before the body's length.
const BEFORE_BODY: usize = 16;

/// One message of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchMessage<'a> {
    /// The application's flag.
    pub flag: i32,
    /// The message's body.
    pub body: &'a [u8],
    /// Its properties in wire form.
    pub properties: &'a [u8],
}

/// A batch that breaks its own format. Answer with code 13 and this text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// The batch ends within a message.
    #[error("batch message {index} at byte {at} breaks off: {left} bytes are left")]
    Truncated {
        /// Which message, from 0.
        index: usize,
        /// Where it starts in the body.
        at: usize,
        /// Bytes from there to the end.
        left: usize,
    },
    /// A length is negative.
    #[error("batch message {index} at byte {at} has a negative length")]
    NegativeLength {
        /// Which message, from 0.
        index: usize,
        /// Where it starts in the body.
        at: usize,
    },
    /// The size of a message is not the size of its parts.
    #[error("batch message {index} at byte {at} says it has {size} bytes, its parts have {parts}")]
    SizeMismatch {
        /// Which message, from 0.
        index: usize,
        /// Where it starts in the body.
        at: usize,
        /// The size field.
        size: i32,
        /// Bytes of its parts.
        parts: usize,
    },
    /// A part is longer than its length field can say.
    #[error(
        "a batch message with a body of {body} and properties of {properties} bytes does not fit: at most 2 GiB and 32767"
    )]
    TooLong {
        /// Bytes of the body.
        body: usize,
        /// Bytes of the properties.
        properties: usize,
    },
}

/// The messages of a batch, in order. After an error it ends.
#[derive(Clone, Debug)]
pub struct BatchMessages<'a> {
    bytes: &'a [u8],
    at: usize,
    index: usize,
}

/// Reads the body of a batch send. An empty body has no messages; whether that is allowed is for
/// the broker to say.
#[must_use]
pub fn messages(body: &[u8]) -> BatchMessages<'_> {
    BatchMessages { bytes: body, at: 0, index: 0 }
}

impl<'a> Iterator for BatchMessages<'a> {
    type Item = Result<BatchMessage<'a>, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.bytes.len() {
            return None;
        }
        let message = self.message();
        match message {
            Ok((message, bytes)) => {
                assert!(bytes >= FIXED_BYTES && self.at + bytes <= self.bytes.len());
                self.at += bytes;
                self.index += 1;
                Some(Ok(message))
            }
            Err(error) => {
                self.at = self.bytes.len();
                Some(Err(error))
            }
        }
    }
}

impl std::iter::FusedIterator for BatchMessages<'_> {}

impl<'a> BatchMessages<'a> {
    /// The message at the current position, and its size.
    fn message(&self) -> Result<(BatchMessage<'a>, usize), BatchError> {
        let (at, index) = (self.at, self.index);
        let rest = &self.bytes[at..];
        let truncated = BatchError::Truncated { index, at, left: rest.len() };
        let negative = BatchError::NegativeLength { index, at };
        let i32_at = |from: usize| rest.get(from..).and_then(|r| r.first_chunk()).ok_or(truncated);
        let part =
            |from: usize, len: usize| rest.get(from..from.saturating_add(len)).ok_or(truncated);
        let size = i32::from_be_bytes(*i32_at(0)?);
        let flag = i32::from_be_bytes(*i32_at(12)?);
        let body_len = i32::from_be_bytes(*i32_at(BEFORE_BODY)?);
        let body_len = usize::try_from(body_len).map_err(|_| negative)?;
        let body = part(BEFORE_BODY + 4, body_len)?;
        let length_at = BEFORE_BODY + 4 + body_len;
        let length = part(length_at, 2)?.first_chunk().ok_or(truncated)?;
        let properties_len = usize::try_from(i16::from_be_bytes(*length)).map_err(|_| negative)?;
        let properties = part(length_at + 2, properties_len)?;
        let parts = length_at + 2 + properties_len;
        if usize::try_from(size) != Ok(parts) {
            return Err(BatchError::SizeMismatch { index, at, size, parts });
        }
        Ok((BatchMessage { flag, body, properties }, parts))
    }
}

/// Appends one message to a batch.
///
/// # Errors
/// [`BatchError::TooLong`] if a length does not fit its field; `out` is then as it was.
pub fn append(out: &mut Vec<u8>, message: &BatchMessage<'_>) -> Result<(), BatchError> {
    let (body, properties) = (message.body.len(), message.properties.len());
    let too_long = BatchError::TooLong { body, properties };
    let size = FIXED_BYTES.saturating_add(body).saturating_add(properties);
    let size = i32::try_from(size).map_err(|_| too_long)?;
    let body = i32::try_from(body).map_err(|_| too_long)?;
    let properties = i16::try_from(properties).map_err(|_| too_long)?;
    for number in [size, 0, 0, message.flag, body] {
        out.extend_from_slice(&number.to_be_bytes());
    }
    out.extend_from_slice(message.body);
    out.extend_from_slice(&properties.to_be_bytes());
    out.extend_from_slice(message.properties);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rustfmt::skip]
    const BATCH: &[u8] = &[
        0, 0, 0, 28,  0, 0, 0, 0,  0, 0, 0, 0,  0, 0, 0, 7,
        0, 0, 0, 2, b'h', b'i',
        0, 4, b'K', 1, b'v', 2,
        0, 0, 0, 22,  0, 0, 0, 0,  0, 0, 0, 0,  0xff, 0xff, 0xff, 0xff,
        0, 0, 0, 0,
        0, 0,
    ];

    #[test]
    fn messages_follow_each_other() {
        let want = [
            BatchMessage { flag: 7, body: b"hi", properties: b"K\x01v\x02" },
            BatchMessage { flag: -1, body: b"", properties: b"" },
        ];
        let read: Result<Vec<_>, _> = messages(BATCH).collect();
        assert_eq!(read.unwrap(), want);
        let mut out = Vec::new();
        for message in &want {
            append(&mut out, message).unwrap();
        }
        assert_eq!(out, BATCH);
        assert_eq!(messages(b"").count(), 0);
    }

    #[test]
    fn every_cut_is_noticed() {
        for len in 1..BATCH.len() {
            let last = messages(&BATCH[..len]).last().unwrap();
            let (index, at) = if len > 28 { (1, 28) } else { (0, 0) };
            if len == 28 {
                assert!(last.is_ok());
            } else {
                assert_eq!(last, Err(BatchError::Truncated { index, at, left: len - at }));
            }
        }
    }

    #[test]
    fn lengths_that_lie_are_errors_and_end_the_batch() {
        let mut batch = BATCH.to_vec();
        batch[3] = 29;
        let error = BatchError::SizeMismatch { index: 0, at: 0, size: 29, parts: 28 };
        assert_eq!(messages(&batch).collect::<Vec<_>>(), [Err(error)]);
        let mut batch = BATCH.to_vec();
        batch[16] = 0x80;
        let error = BatchError::NegativeLength { index: 0, at: 0 };
        assert_eq!(messages(&batch).collect::<Vec<_>>(), [Err(error)]);
        let mut batch = BATCH.to_vec();
        batch[28 + 20] = 0xff;
        let error = BatchError::NegativeLength { index: 1, at: 28 };
        assert_eq!(messages(&batch).nth(1), Some(Err(error)));
        let mut batch = BATCH.to_vec();
        batch[16] = 0x7f;
        let error = BatchError::Truncated { index: 0, at: 0, left: 50 };
        assert_eq!(messages(&batch).collect::<Vec<_>>(), [Err(error)]);
    }

    #[test]
    fn properties_have_a_short_length() {
        let properties = vec![b'x'; 32_768];
        let message = BatchMessage { flag: 0, body: b"", properties: &properties };
        let error = BatchError::TooLong { body: 0, properties: 32_768 };
        assert_eq!(append(&mut Vec::new(), &message), Err(error));
    }
}
