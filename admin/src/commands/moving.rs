//! `moveMember`: a member whose address is another one now, with the store that it had.

use remoting::RequestCode;
use remoting::header::raft::AddLearnerHeader;

use super::Outcomes;
use super::join::{Joining, ask};
use super::meant::groups_of;
use super::on_leader::on_leader;
use crate::args::{MoveMember, Newcomer};
use crate::error::AdminError;
use crate::group::{Finder, Row, Survey, Target};
use crate::screen::Screen;

/// Tells each group that is meant where the member is.
pub(super) async fn run(command: &MoveMember, screen: &dyn Screen) -> Result<(), AdminError> {
    let (finder, groups) = groups_of(&command.at, &command.new).await?;
    let mut outcomes = Outcomes::new(screen);
    for (target, survey) in groups {
        outcomes.add(one(&finder, &target, &survey, command, screen).await);
    }
    outcomes.end()
}

async fn one(
    finder: &Finder,
    target: &Target,
    survey: &Survey,
    command: &MoveMember,
    screen: &dyn Screen,
) -> Result<(), AdminError> {
    let MoveMember { new, raft_host, .. } = command.clone();
    let found = ask(finder, survey, &Newcomer { new, raft_host, label: None, rate: None }).await?;
    let (group, row) = (survey.group(), moves(survey, &found)?);
    let (label, before) = (&row.member.label, &row.member.addr);
    let Joining { store, addr, broker, .. } = &found;
    let target = &target.with(broker);
    // To a leader, one that is a member already and somewhere else has moved.
    let header =
        AddLearnerHeader { group, store, label, addr, instead_of: None, catch_up_rate: None };
    let changed = on_leader(finder, target, RequestCode::AddRaftLearner, &header).await?;
    screen.line(&match changed {
        true => {
            format!("group {group}: {label} (store {store}) is at {addr} now, and was at {before}")
        }
        false => format!("group {group}: nothing to do, {label} is at {addr}"),
    });
    Ok(())
}

/// The member that the node is which was found.
fn moves<'a>(survey: &'a Survey, found: &Joining) -> Result<Row<'a>, AdminError> {
    let Joining { store, addr, .. } = found;
    survey.member(store).ok_or_else(|| {
        AdminError::Newcomer(format!(
            "group {}: the node at {addr} has the store {store}, and that is no member's: its members are {}. A node with an empty \
             store comes by replaceMember or addLearner",
            survey.group(),
            survey.names()
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::super::super::group::fixtures::{answer, store};
    use super::*;

    fn found(number: usize) -> Joining {
        let (store, label) = (store(number), "n1".to_owned());
        Joining { broker: "10.0.0.9:10911".into(), store, label, addr: "10.0.0.9:40911".into() }
    }

    #[test]
    fn whoever_moves_is_known_by_its_store_and_by_nothing_else() {
        let survey = Survey::new(vec![answer(0)], Vec::new());
        let row = moves(&survey, &found(2)).expect("it is a member");
        assert_eq!(row.member.label, "n2");
        let error = moves(&survey, &found(5)).unwrap_err().to_string();
        assert!(error.contains("is no member's: its members are n0 (10."), "{error}");
    }
}
