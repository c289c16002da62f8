//! `promote` and `removeMember`.

use remoting::RequestCode;
use remoting::header::raft::MemberHeader;

use super::Outcomes;
use super::leadership::make_place;
use super::meant::groups;
use super::on_leader::{look, on_leader};
use crate::args::OneMember;
use crate::error::AdminError;
use crate::group::{Finder, Survey, Target, can_lose};
use crate::screen::Screen;

/// Lets a learner vote.
pub(super) async fn promote(command: &OneMember, screen: &dyn Screen) -> Result<(), AdminError> {
    let (finder, groups) = groups(&command.at).await?;
    let mut outcomes = Outcomes::new(screen);
    for (target, survey) in groups {
        outcomes.add(promote_one(&finder, &target, &survey, command, screen).await);
    }
    outcomes.end()
}

async fn promote_one(
    finder: &Finder,
    target: &Target,
    survey: &Survey,
    command: &OneMember,
    screen: &dyn Screen,
) -> Result<(), AdminError> {
    let row = survey.expect(&command.member, None)?;
    let (group, store, label) = (survey.group(), &row.member.store, &row.member.label);
    let header = MemberHeader { group, store };
    let changed = on_leader(finder, target, RequestCode::PromoteRaftLearner, &header).await?;
    screen.line(&match changed {
        true => format!("group {group}: {label} votes now; {}", spare(finder, target).await),
        false => format!("group {group}: nothing to do, {label} votes already"),
    });
    Ok(())
}

/// Takes a member out.
pub(super) async fn remove(command: &OneMember, screen: &dyn Screen) -> Result<(), AdminError> {
    let (finder, groups) = groups(&command.at).await?;
    let mut outcomes = Outcomes::new(screen);
    for (target, survey) in groups {
        outcomes.add(remove_one(&finder, &target, &survey, command, screen).await);
    }
    outcomes.end()
}

async fn remove_one(
    finder: &Finder,
    target: &Target,
    survey: &Survey,
    command: &OneMember,
    screen: &dyn Screen,
) -> Result<(), AdminError> {
    let group = survey.group();
    let Some(row) = survey.find(&command.member, None)? else {
        let (member, names) = (&command.member, survey.names());
        screen.line(&format!(
            "group {group}: nothing to do, no member is called {member}; there are {names}"
        ));
        return Ok(());
    };
    let (store, label) = (&row.member.store, &row.member.label);
    make_place(finder, target, survey, store, screen).await?;
    let header = MemberHeader { group, store };
    let changed = on_leader(finder, target, RequestCode::RemoveRaftMember, &header).await?;
    screen.line(&match changed {
        true => format!(
            "group {group}: {label} is no member any more; {}. Stop its broker if it still runs",
            spare(finder, target).await
        ),
        false => format!("group {group}: nothing to do, {label} is no member any more"),
    });
    Ok(())
}

/// What the loss of a node would mean now.
pub(super) async fn spare(finder: &Finder, target: &Target) -> String {
    match look(finder, target).await {
        Ok(survey) => can_lose(survey.best().spare),
        Err(_) => can_lose(None),
    }
}
