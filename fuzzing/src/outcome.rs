//! What comes of an input.

use std::hash::{DefaultHasher, Hash, Hasher};

/// The longest text of an error, in bytes: it is sent to a client and written to a log.
pub const MAX_TEXT: usize = 600;

/// What a target made of its input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It could be read; what must then hold was checked.
    Read,
    /// It was refused, and this text says why.
    Refused(String),
}

impl Outcome {
    /// An input that was refused.
    ///
    /// # Panics
    /// When the text is none that a person can work with: empty, longer than `MAX_TEXT`, or of several
    /// lines, as one that repeats what it was given without a look.
    pub fn refused(why: impl ToString) -> Self {
        let text = why.to_string();
        assert!(!text.is_empty(), "an error says what is wrong");
        assert!(text.len() <= MAX_TEXT, "an error of {} bytes: {text}", text.len());
        assert!(!text.contains(char::is_control), "an error is one line of text: {text:?}");
        Self::Refused(text)
    }

    /// Whether the input could be read.
    pub fn is_read(&self) -> bool {
        *self == Self::Read
    }

    /// A number for the kind of outcome: the same for texts that differ in numbers, or from their first to
    /// their last quote. Inputs of a new kind are worth keeping.
    pub fn kind(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        if let Self::Refused(text) = self {
            let quote = ['`', '"'];
            let begin = text.split(quote).next().unwrap_or_default();
            let end = text[begin.len()..].rsplit(quote).next().unwrap_or_default();
            let letters =
                begin.chars().chain(end.chars()).filter(|letter| !letter.is_ascii_hexdigit());
            letters.for_each(|letter| letter.hash(&mut hasher));
        }
        hasher.finish()
    }
}

/// `Ok(_)` was checked already.
impl<T, E: ToString> From<Result<T, E>> for Outcome {
    fn from(result: Result<T, E>) -> Self {
        match result {
            Ok(_) => Self::Read,
            Err(why) => Self::refused(why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Outcome;

    #[test]
    fn kinds_forget_numbers_and_quotes() {
        let kind = |text: &str| Outcome::refused(text).kind();
        assert_eq!(kind("byte 17 of `abc` is bad"), kind("byte 2 of `xyz` is bad"));
        assert_ne!(kind("byte 17 is bad"), kind("byte 17 is missing"));
        assert_ne!(kind("no"), Outcome::Read.kind());
    }

    #[test]
    #[should_panic(expected = "one line")]
    fn a_text_of_two_lines_is_a_bug() {
        Outcome::refused("wrong\nvery");
    }
}
