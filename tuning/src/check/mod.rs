//! Whether a machine is fit for a broker. It is looked at first (`observe`), then judged by pure functions (`decide`), so that
//! every verdict can be tested on any machine.

mod decide;
mod facts;
mod observe;
mod report;

pub use decide::decide;
pub use facts::{Cpu, Device, Facts, Kernel, Limits, Memory, Mount, Reading, Store, Unknown};
pub use observe::observe;
pub use report::{json, text};

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// As it should be.
    Ok,
    /// Nothing to do, worth knowing.
    Info,
    /// It could not be looked at; the row says why.
    Unknown,
    /// It works, slower or less safely than it could.
    Warning,
    /// A broker does not start, or loses what it acknowledged.
    Error,
}

impl Severity {
    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Info => "info",
            Self::Unknown => "unknown",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// The outcome of one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// What was looked at.
    pub check: &'static str,
    /// How much it matters.
    pub severity: Severity,
    /// What there should be.
    pub required: String,
    /// What there is.
    pub current: String,
    /// What to do, as a command where there is one, and why; of what is unknown, why it is.
    pub fix: Option<String>,
}

impl Row {
    fn new(check: &'static str, required: impl Into<String>, current: impl Into<String>) -> Self {
        let (required, current) = (required.into(), current.into());
        Self { check, severity: Severity::Ok, required, current, fix: None }
    }

    /// The row with a remark, as severe as said.
    fn rated(self, severity: Severity, fix: impl Into<String>) -> Self {
        assert!(severity != Severity::Ok, "what is as it should be needs no fix");
        Self { severity, fix: Some(fix.into()), ..self }
    }

    /// A row for something that could not be looked at.
    fn unknown(check: &'static str, required: impl Into<String>, why: &Unknown) -> Self {
        Self::new(check, required, "unknown").rated(Severity::Unknown, why.to_string())
    }
}
