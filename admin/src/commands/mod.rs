//! The commands.

mod catch_up;
mod group_state;
mod join;
mod leadership;
mod member;
mod moving;
mod on_leader;
mod replace;

use crate::args::{Command, Where};
use crate::error::AdminError;
use crate::group::{Finder, Survey, Target};
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
    }
}

/// The groups that are meant, of which there is one at least.
async fn groups(at: &Where) -> Result<(Finder, Vec<(Target, Survey)>), AdminError> {
    let finder = Finder::new(at)?;
    let (mut groups, mut failed) = (Vec::new(), Vec::new());
    for target in finder.targets().await? {
        match finder.survey(&target).await {
            Ok(survey) => groups.extend(survey.map(|survey| (target, survey))),
            Err(error) => failed.push(error),
        }
    }
    unanswered(at, failed, groups.is_empty())?;
    Ok((finder, groups))
}

/// What is wrong if nobody of some groups has answered, or none is left that is meant. Where one is named, and was found, the others are
/// nobody's business.
fn unanswered(at: &Where, failed: Vec<AdminError>, is_none: bool) -> Result<(), AdminError> {
    let failed: Vec<String> = failed.iter().map(ToString::to_string).collect();
    match (failed.is_empty(), is_none) {
        (true, false) => Ok(()),
        (false, false) if at.group.is_some() => Ok(()),
        (true, true) => Err(AdminError::NoGroup(
            "no Raft group of these is the one that is meant: look at -g and -c".to_owned(),
        )),
        (false, _) => Err(AdminError::NoGroup(failed.join("\n"))),
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
