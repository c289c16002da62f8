//! `replaceMember`: one that is lost, or goes, makes place for a new node. Whatever of it is done already is not done again, so
//! that it may be interrupted anywhere.

use remoting::RequestCode;
use remoting::header::raft::ReplaceMemberHeader;

use super::Outcomes;
use super::catch_up::watch;
use super::join::{Joining, add, ask};
use super::leadership::make_place;
use super::meant::groups_of;
use super::member::spare;
use super::on_leader::{look, on_leader};
use crate::args::ReplaceMember;
use crate::error::AdminError;
use crate::group::{Finder, Row, Survey, Target};
use crate::screen::Screen;

/// Replaces a member in each group that is meant.
pub(super) async fn run(command: &ReplaceMember, screen: &dyn Screen) -> Result<(), AdminError> {
    let (finder, groups) = groups_of(&command.at, &command.newcomer.new).await?;
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
    command: &ReplaceMember,
    screen: &dyn Screen,
) -> Result<(), AdminError> {
    let (group, joining) = (survey.group(), ask(finder, survey, &command.newcomer).await?);
    let target = &target.with(&joining.broker);
    let Some(old) = goes(survey, &joining, &command.old)? else {
        let (label, old) = (&joining.label, &command.old);
        screen.line(&format!(
            "group {group}: nothing to do, {label} votes, and no other member is called {old}"
        ));
        return Ok(());
    };
    let old_store = old.member.store.as_str();
    add(finder, target, survey, &joining, Some(old_store), command.newcomer.rate, screen).await?;
    watch(finder, target, &joining, screen).await?;
    // The copy takes long, and who led before it may lead no more.
    make_place(finder, target, &look(finder, target).await?, old_store, screen).await?;
    let header = ReplaceMemberHeader { group, old: old_store, new: &joining.store };
    on_leader(finder, target, RequestCode::ReplaceRaftMember, &header).await?;
    let lost = match old.own {
        Some(own) => format!(". {} still runs at {}: stop it", own.label, own.broker_addr),
        None => String::new(),
    };
    screen.line(&format!(
        "group {group}: {} (store {old_store}) is replaced by {} (store {}); {}{lost}",
        old.member.label,
        joining.label,
        joining.store,
        spare(finder, target).await
    ));
    Ok(())
}

/// The member that goes; `None` if it went before, and the new one votes.
fn goes<'a>(
    survey: &'a Survey,
    joining: &Joining,
    old: &str,
) -> Result<Option<Row<'a>>, AdminError> {
    let votes = survey.member(&joining.store).is_some_and(|row| row.member.vote == "VOTER");
    if votes && survey.find(old, Some(&joining.store))?.is_none() {
        return Ok(None);
    }
    survey.expect(old, Some(&joining.store)).map(Some)
}

#[cfg(test)]
mod tests {
    use super::super::super::group::fixtures::{answer, member, store};
    use super::*;

    fn joining(number: usize) -> Joining {
        let (store, label) = (store(number), "n1".to_owned());
        Joining { broker: "10.0.0.9:10911".into(), store, label, addr: "10.0.0.9:40911".into() }
    }

    fn survey(newcomers_vote: &str) -> Survey {
        let mut leader = answer(0);
        let newcomer = member(5);
        let label = "n1".to_owned();
        leader.members.push(remoting::body::RaftMember {
            vote: newcomers_vote.to_owned(),
            label,
            ..newcomer
        });
        Survey::new(vec![leader], Vec::new())
    }

    #[test]
    fn the_one_that_goes_is_not_the_one_that_comes_under_its_label() {
        let survey = survey("LEARNER");
        let old = goes(&survey, &joining(5), "n1").expect("one is meant").expect("it is there");
        assert_eq!(old.member.store, store(1));
        assert!(goes(&survey, &joining(5), "n9").is_err(), "nobody is called so");
    }

    #[test]
    fn once_it_is_done_there_is_nothing_to_do() {
        let mut leader = survey("VOTER").answers.remove(0);
        leader.members.retain(|member| member.store != store(1));
        let survey = Survey::new(vec![leader], Vec::new());
        assert_eq!(goes(&survey, &joining(5), "n1").expect("nobody else is meant"), None);
    }
}
