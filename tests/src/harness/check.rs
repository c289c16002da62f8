//! A check: a name, what it needs, how long it may take and what it does.

use std::time::Duration;

use super::drivers::Part;
use super::failure::Verdict;
use super::lab::Lab;
use super::servers::Maker;

/// What a check does.
pub type Body = Box<dyn Fn(&mut Lab) -> Verdict>;

/// One line of a run.
pub struct Check {
    /// `suite/what` or `suite/who/what`.
    pub name: String,
    /// What must have been built, and so which tools must be there.
    pub parts: Vec<Part>,
    /// Cores it takes to run it.
    pub cores: usize,
    /// If it makes network namespaces: what they are called by.
    pub net: Option<&'static str>,
    /// After this long everything it started is killed.
    pub limit: Duration,
    /// What it does.
    pub body: Body,
}

impl Check {
    /// A check of the servers of `against`; their programs are among its parts.
    pub fn new(
        name: impl Into<String>,
        against: Maker,
        parts: &[Part],
        limit_seconds: u64,
        body: impl Fn(&mut Lab) -> Verdict + 'static,
    ) -> Self {
        let servers = match against {
            Maker::Ours => Part::Servers,
            Maker::Apache => Part::Apache,
        };
        let mut parts = parts.to_vec();
        parts.push(servers);
        parts.sort_unstable();
        parts.dedup();
        Self {
            name: name.into(),
            parts,
            cores: 1,
            net: None,
            limit: Duration::from_secs(limit_seconds),
            body: Box::new(body),
        }
    }

    /// The same, where this program can make network namespaces.
    #[must_use]
    pub fn with_net(self, program: &'static str) -> Self {
        Self { net: Some(program), ..self }
    }

    /// The same, on a machine that lets us use this many cores.
    #[must_use]
    pub fn with_cores(self, cores: usize) -> Self {
        Self { cores, ..self }
    }
}
