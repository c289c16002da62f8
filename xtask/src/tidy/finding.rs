//! What a rule has to say.

use std::fmt;

use super::tree::File;

/// Whether a finding fails the gate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Weight {
    Error,
    Warning,
}

/// One place where the tree breaks a rule.
#[derive(Debug)]
pub struct Finding {
    pub weight: Weight,
    /// `path` or `path:line`.
    pub place: String,
    /// What is wrong and what would be right.
    pub message: String,
}

impl Finding {
    /// An error that concerns a whole file or folder.
    pub fn of(place: &str, message: impl Into<String>) -> Self {
        Self { weight: Weight::Error, place: place.to_owned(), message: message.into() }
    }

    /// An error at the byte `offset` of `file`.
    pub fn at(file: &File, offset: usize, message: impl Into<String>) -> Self {
        Self::of(&format!("{}:{}", file.path, file.line(offset)), message)
    }

    /// The same finding, but one that does not fail the gate.
    pub fn warning(self) -> Self {
        Self { weight: Weight::Warning, ..self }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let note = match self.weight {
            Weight::Error => "",
            Weight::Warning => "warning: ",
        };
        write!(out, "{}: {note}{}", self.place, self.message)
    }
}
