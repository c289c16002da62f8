//! Carries out runs one after the other, or side by side.

use crate::args::Mode;
use crate::error::BenchError;
use crate::interrupts::Interrupts;
use crate::report::{Screen, Summary, Told};
use crate::run::run;

/// What all runs of a process share.
pub struct Session {
    /// What ends them early.
    pub interrupts: Interrupts,
    /// Where progress goes.
    pub screen: Screen,
}

impl Session {
    /// Carries out one run; `label` names it, empty if it is the only one.
    ///
    /// # Errors
    /// [`BenchError`].
    pub async fn load(&self, label: &str, mode: &Mode) -> Result<Summary, BenchError> {
        self.load_until(label, mode, &self.interrupts).await
    }

    /// The same, with an end of its own.
    ///
    /// # Errors
    /// [`BenchError`].
    pub async fn load_until(
        &self,
        label: &str,
        mode: &Mode,
        interrupts: &Interrupts,
    ) -> Result<Summary, BenchError> {
        let name = if label.is_empty() { mode.name() } else { label };
        let mut told = Told::default();
        let mut on_second = |second: &_| self.screen.second(label, &mut told, second);
        let outcome = run(mode.clone(), interrupts, &mut on_second).await?;
        let mut summary = Summary::new(mode, outcome);
        self.screen.end(name, &told, &summary.latencies);
        label.clone_into(&mut summary.label);
        Ok(summary)
    }

    /// Whether somebody wants the end.
    #[must_use]
    pub fn is_interrupted(&self) -> bool {
        self.interrupts.count() > 0
    }
}
