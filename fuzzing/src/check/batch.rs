//! The body of a batch send.

use remoting::batch::{self, BatchError, FIXED_BYTES};

use crate::Outcome;

/// The two numbers of a message that mean nothing: from here on, and so many bytes.
const IGNORED: (usize, usize) = (4, 8);

/// Messages behind each other.
///
/// # Panics
/// When what is read is not, written again, what was there, or when an error names a place outside.
pub fn check(body: &[u8]) -> Outcome {
    let (mut again, mut expected) = (Vec::new(), body.to_vec());
    for message in batch::messages(body) {
        match message {
            Ok(message) => {
                let begin = again.len() + IGNORED.0;
                batch::append(&mut again, &message).expect("it came in such a form");
                expected[begin..begin + IGNORED.1].fill(0);
                assert!(again.len() - begin + IGNORED.0 >= FIXED_BYTES);
                assert_eq!(again, expected[..again.len()], "a message is what was there");
            }
            Err(error) => {
                let (BatchError::Truncated { at, .. }
                | BatchError::NegativeLength { at, .. }
                | BatchError::SizeMismatch { at, .. }) = error
                else {
                    panic!("{error}: nobody has written anything");
                };
                assert_eq!(at, again.len(), "the error names the message after the last good one");
                return Outcome::refused(error);
            }
        }
    }
    assert_eq!(again.len(), body.len(), "nothing is left over");
    Outcome::Read
}
