//! The commands.

mod catch_up;
mod group_state;
mod join;
mod leadership;
mod meant;
mod member;
mod moving;
mod on_leader;
mod recover;
mod replace;

use crate::args::Command;
use crate::error::AdminError;
use crate::screen::Screen;

/// Carries a command out.
///
/// # Errors
/// [`AdminError`]; what was done before stays, and the command may be called again.
pub async fn carry_out(command: &Command, screen: &dyn Screen) -> Result<(), AdminError> {
    match command {
        Command::GroupState(command) => group_state::run(command, screen).await,
        Command::AddLearner(command) => join::run(command, screen).await,
        Command::Promote(command) => member::promote(command, screen).await,
        Command::RemoveMember(command) => member::remove(command, screen).await,
        Command::ReplaceMember(command) => replace::run(command, screen).await,
        Command::MoveMember(command) => moving::run(command, screen).await,
        Command::TransferLeader(command) => leadership::run(command, screen).await,
        Command::ForceRecover(command) => recover::run(command, screen).await,
    }
}

/// What comes of several groups: each is told of, and one that fails does not keep the others from being done.
struct Outcomes<'a> {
    screen: &'a dyn Screen,
    groups: usize,
    failed: usize,
}

impl<'a> Outcomes<'a> {
    fn new(screen: &'a dyn Screen) -> Self {
        Self { screen, groups: 0, failed: 0 }
    }

    fn add(&mut self, outcome: Result<(), AdminError>) {
        self.groups += 1;
        if let Err(error) = outcome {
            self.failed += 1;
            self.screen.line(&error.to_string());
        }
    }

    fn end(self) -> Result<(), AdminError> {
        let Self { groups, failed, .. } = self;
        if failed == 0 { Ok(()) } else { Err(AdminError::Some { failed, groups }) }
    }
}
