//! `transferLeader`.

use std::time::Duration;

use futures::future::join_all;
use remoting::RequestCode;
use remoting::body::RaftGroupState;
use remoting::header::raft::TransferLeaderHeader;
use runtime::{sleep, timeout};

use super::Outcomes;
use super::meant::groups;
use super::on_leader::{no_leader, on_leader};
use crate::args::TransferLeader;
use crate::error::{AdminError, told};
use crate::group::{Finder, Row, Survey, Target, time};
use crate::screen::Screen;

/// So long a leader stays that was put in office to change the members.
const MEANWHILE: Duration = Duration::from_secs(60);

/// So long a new leader is waited for. It takes office when it has applied what is before its first entry.
const OFFICE: Duration = Duration::from_secs(5);
/// Time between two questions for it.
const AGAIN: Duration = Duration::from_millis(50);

/// Entries that a member gets in a moment.
const NEARLY_ALL: i64 = 1000;

/// For how long no member makes place for the one that should lead.
struct Hold<'a> {
    time: Duration,
    /// Whether a hold that lasts longer stays.
    at_least: bool,
    /// The store of the one that is to lead last meanwhile.
    away: Option<&'a str>,
}

/// Hands leadership over in each group that is meant.
pub(super) async fn run(command: &TransferLeader, screen: &dyn Screen) -> Result<(), AdminError> {
    let (finder, groups) = groups(&command.at).await?;
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
    command: &TransferLeader,
    screen: &dyn Screen,
) -> Result<(), AdminError> {
    let hold = |away| Hold { time: command.hold, at_least: false, away };
    match (&command.to, &command.all_away) {
        (Some(to), _) => {
            let to = survey.expect(to, None)?;
            hand_over(finder, target, survey, to, screen).await?;
            keep(finder, survey, &hold(None), screen).await;
        }
        (None, Some(away)) => {
            let away = survey.expect(away, None)?.member.store.as_str();
            leave(finder, target, survey, away, screen).await?;
            keep(finder, survey, &hold(Some(away)), screen).await;
        }
        (None, None) => {
            return Err(AdminError::Usage("name a member with --to or --all-away".to_owned()));
        }
    }
    await_office(finder, target, screen).await;
    Ok(())
}

/// Has this store not lead.
async fn leave(
    finder: &Finder,
    target: &Target,
    survey: &Survey,
    store: &str,
    screen: &dyn Screen,
) -> Result<(), AdminError> {
    let leader = survey.leader().ok_or_else(|| no_leader(survey))?;
    if leader.store != store {
        let (group, label) = (survey.group(), &leader.label);
        screen.line(&format!("group {group}: nothing to do, {label} leads"));
        return Ok(());
    }
    hand_over(finder, target, survey, successor(survey, store)?, screen).await
}

async fn hand_over(
    finder: &Finder,
    target: &Target,
    survey: &Survey,
    to: Row<'_>,
    screen: &dyn Screen,
) -> Result<(), AdminError> {
    let (group, member) = (survey.group(), to.member);
    let store = Some(member.store.as_str());
    let header =
        TransferLeaderHeader { group, store, hold_millis: None, at_least: None, away: None };
    let changed = on_leader(finder, target, RequestCode::TransferRaftLeader, &header).await?;
    let label = &member.label;
    screen.line(&match changed {
        true => format!("group {group}: {label} leads now"),
        false => format!("group {group}: nothing to do, {label} leads already"),
    });
    Ok(())
}

/// Waits until a member says itself that it leads, so that whatever comes next finds it. Behind the hold, which is not to come late.
async fn await_office(finder: &Finder, target: &Target, screen: &dyn Screen) {
    let wait = async {
        loop {
            let survey = finder.survey(target).await.ok().flatten();
            if survey.is_some_and(|survey| survey.leader().is_some()) {
                return;
            }
            sleep(AGAIN).await;
        }
    };
    if timeout(OFFICE, wait).await.is_err() {
        screen.line(&format!(
            "nobody has said within {OFFICE:?} to lead {}: groupState tells what became of it",
            target.broker_name
        ));
    }
}

/// Before this store is taken out: if it leads, somebody else does.
pub(super) async fn make_place(
    finder: &Finder,
    target: &Target,
    survey: &Survey,
    store: &str,
    screen: &dyn Screen,
) -> Result<(), AdminError> {
    if survey.leader().is_none_or(|leader| leader.store != store) {
        return Ok(());
    }
    hand_over(finder, target, survey, successor(survey, store)?, screen).await?;
    // An operator's own hold is not cut short by this one.
    let hold = Hold { time: MEANWHILE, at_least: true, away: Some(store) };
    keep(finder, survey, &hold, screen).await;
    Ok(())
}

/// Has no member make place for the one that should lead, for that time. Only when another one leads: what is refused leaves nothing
/// behind, and who has just begun to lead stays longer than this takes. All are told at once, so that one that is silent keeps
/// nobody waiting.
async fn keep(finder: &Finder, survey: &Survey, hold: &Hold<'_>, screen: &dyn Screen) {
    let group = survey.group();
    let header = TransferLeaderHeader {
        group,
        store: None,
        hold_millis: i64::try_from(hold.time.as_millis()).ok(),
        at_least: hold.at_least.then_some(true),
        away: hold.away,
    };
    let tell = |one: &RaftGroupState| {
        let addr = one.broker_addr.clone();
        let header = &header;
        async move { finder.change(&addr, RequestCode::TransferRaftLeader, header).await }
    };
    let told_it = join_all(survey.answers.iter().map(tell)).await;
    if !hold.at_least && told_it.iter().any(Result::is_ok) {
        screen.line(&match header.hold_millis {
            Some(0) => format!("group {group}: leadership is held no more"),
            held => format!(
                "group {group}: leadership is held for {} (--hold)",
                time(held.unwrap_or(i64::MAX))
            ),
        });
    }
    for (RaftGroupState { label, .. }, told_it) in survey.answers.iter().zip(told_it) {
        if let Err(error) = told_it {
            screen.line(&format!(
                "group {group}: {label} was not told to stay in office if it leads: {}",
                told(&error)
            ));
        }
    }
    for row in survey.rows().iter().filter(|row| row.own.is_none()) {
        let label = &row.member.label;
        screen.line(&format!(
            "group {group}: {label} was not told to stay in office if it leads: nobody could ask it when this began"
        ));
    }
}

/// Who leads instead of this store: a voter that is connected with the leader and has all of the log, or most of it. First those that can be
/// told to stay in office.
fn successor<'a>(survey: &'a Survey, but: &str) -> Result<Row<'a>, AdminError> {
    let could = |row: &Row<'a>| {
        let member = row.member;
        member.store != but && member.vote == "VOTER" && member.connected == Some(true)
    };
    let rows = survey.rows().into_iter().filter(could);
    let order = |row: &Row<'a>| {
        let behind = row.member.behind.unwrap_or(i64::MAX);
        (behind > NEARLY_ALL, row.own.is_none(), behind)
    };
    rows.min_by_key(order).ok_or_else(|| {
        AdminError::NoLeader(format!(
            "group {}: nobody else could lead: no other member that votes is connected with the leader. Its members are {}",
            survey.group(),
            survey.names()
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::super::super::group::fixtures::{answer, store};
    use super::*;

    #[test]
    fn whoever_votes_and_has_most_leads_instead() {
        let mut leader = answer(0);
        leader.members[1].behind = Some(3);
        let chosen = |leader: RaftGroupState| {
            let survey = Survey::new(vec![leader], Vec::new());
            successor(&survey, &store(0)).map(|row| row.member.label.clone()).ok()
        };
        assert_eq!(chosen(leader.clone()).as_deref(), Some("n2"));
        let survey = Survey::new(vec![leader.clone(), answer(1)], Vec::new());
        let asked = successor(&survey, &store(0)).expect("both could");
        assert_eq!(asked.member.label, "n1", "it can be told to stay in office");
        leader.members[1].behind = Some(NEARLY_ALL + 1);
        let survey = Survey::new(vec![leader.clone(), answer(1)], Vec::new());
        let near = successor(&survey, &store(0)).expect("both could");
        assert_eq!(near.member.label, "n2", "it need not get much first");
        leader.members[2].vote = "LEARNER".to_owned();
        assert_eq!(chosen(leader.clone()).as_deref(), Some("n1"));
        leader.members[1].connected = Some(false);
        assert_eq!(chosen(leader), None);
    }
}
