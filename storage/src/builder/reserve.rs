//! What is kept of the last segment while there is no file for the next one.

/// Bytes at a segment's end that messages leave to commands while there is no file for the next segment;
/// less in small segments.
const LEFT_TO_COMMANDS: u64 = 4 * 1024 * 1024;
/// Bytes that commands leave to trims.
const LEFT_TO_TRIMS: u64 = 64 * 1024;

/// Who wants to append: the end of the last segment is kept for those without whom a full disk would
/// stay full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Messages,
    Command,
    Trim,
}

impl Purpose {
    /// Bytes of a segment that this leaves to others while there is no file for the next one.
    pub(super) fn leaves(self, segment_size: u64) -> u64 {
        match self {
            Self::Messages => (segment_size / 16).min(LEFT_TO_COMMANDS),
            Self::Command => (segment_size / 64).min(LEFT_TO_TRIMS),
            Self::Trim => 0,
        }
    }
}
