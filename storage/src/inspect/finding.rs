//! What a check says.

use std::fmt;
use std::path::{Path, PathBuf};

use model::PhysicalOffset;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It is as it should be.
    Ok,
    /// Worth knowing, nothing to do.
    Info,
    /// Nothing is lost, but it is not as it should be.
    Warning,
    /// Something is damaged.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// One thing that a check has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The file that it is about.
    pub file: PathBuf,
    /// Where in the file, in bytes.
    pub at: Option<u64>,
    /// Where in the log.
    pub offset: Option<PhysicalOffset>,
    /// What was found.
    pub what: String,
    /// What it means for a start and for readers; empty when it means nothing.
    pub means: String,
    /// What to do about it; empty when there is nothing to do.
    pub remedy: String,
}

impl Finding {
    fn new(severity: Severity, file: &Path, what: impl Into<String>) -> Self {
        let (means, remedy) = (String::new(), String::new());
        Self {
            severity,
            file: file.to_owned(),
            at: None,
            offset: None,
            what: what.into(),
            means,
            remedy,
        }
    }

    pub(super) fn ok(file: &Path, what: impl Into<String>) -> Self {
        Self::new(Severity::Ok, file, what)
    }

    pub(super) fn info(file: &Path, what: impl Into<String>) -> Self {
        Self::new(Severity::Info, file, what)
    }

    pub(super) fn warning(file: &Path, what: impl Into<String>) -> Self {
        Self::new(Severity::Warning, file, what)
    }

    pub(super) fn error(file: &Path, what: impl Into<String>) -> Self {
        Self::new(Severity::Error, file, what)
    }

    pub(super) fn at(mut self, at: u64) -> Self {
        self.at = Some(at);
        self
    }

    /// In the log at `offset`, in a file that begins at `base`.
    pub(super) fn in_log(mut self, offset: PhysicalOffset, base: PhysicalOffset) -> Self {
        self.offset = Some(offset);
        self.at = offset.0.checked_sub(base.0);
        self
    }

    pub(super) fn means(mut self, means: impl Into<String>) -> Self {
        self.means = means.into();
        self
    }

    pub(super) fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = remedy.into();
        self
    }
}

impl fmt::Display for Finding {
    /// One line: severity, file, place, what it is, what it means, what to do.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:7} {}", self.severity, self.file.display())?;
        match (self.offset, self.at) {
            (Some(offset), Some(at)) => write!(f, ", offset {offset} (byte {at})")?,
            (Some(offset), None) => write!(f, ", offset {offset}")?,
            (None, Some(at)) => write!(f, ", byte {at}")?,
            (None, None) => {}
        }
        write!(f, ": {}", self.what)?;
        for part in [&self.means, &self.remedy] {
            if !part.is_empty() {
                write!(f, ". {part}")?;
            }
        }
        Ok(())
    }
}
