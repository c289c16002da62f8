//! `forceRecover`: one member becomes the group, whose majority is lost for good.

use std::time::Duration;

use remoting::body::{RaftRecovery, RaftRecoveryMember};
use remoting::header::raft::RecoverGroupHeader;
use runtime::{now, sleep};

use crate::args::{ForceRecover, Where};
use crate::error::AdminError;
use crate::group::{Finder, at_shard};
use crate::screen::Screen;

/// So long it is waited for the member to lead its group.
const PATIENCE: Duration = Duration::from_secs(120);
/// Time between two looks at it.
const AGAIN: Duration = Duration::from_millis(500);

/// Tells what it would come to, and does it if that is wanted.
pub(super) async fn run(command: &ForceRecover, screen: &dyn Screen) -> Result<(), AdminError> {
    let at = Where { broker: Some(command.broker.clone()), ..Where::default() };
    let finder = Finder::new(&at)?;
    let asked = Asked::of(&finder, command).await?;
    let report = asked.ask(&[], false).await?;
    if report.already {
        screen.line(&format!(
            "group {}: nothing to do, {} alone is the group since it was recovered by force",
            report.group, report.label
        ));
        return Ok(());
    }
    let named =
        command.lost.iter().map(|text| named(&report, text)).collect::<Result<Vec<_>, _>>()?;
    let lost: Vec<&RaftRecoveryMember> = match named.is_empty() {
        false => named,
        true => report.members.iter().filter(|one| is_silent_voter(one)).collect(),
    };
    let stores: Vec<&str> = lost.iter().map(|one| one.store.as_str()).collect();
    let judged = asked.ask(&stores, false).await?;
    screen.line(&text(&judged));
    match (&judged.refusal, command.go_on) {
        (Some(why), true) => Err(AdminError::Stuck(format!("group {}: {why}", judged.group))),
        (Some(why), false) => {
            screen.line(&format!("It is refused: {why}"));
            Ok(())
        }
        (None, false) => {
            screen.line(&how_to_go_on(command, &lost));
            Ok(())
        }
        (None, true) => asked.carry_out(&judged, &stores, screen).await,
    }
}

/// The member that is asked.
struct Asked<'a> {
    finder: &'a Finder,
    addr: String,
    group: String,
}

impl<'a> Asked<'a> {
    async fn of(finder: &'a Finder, command: &ForceRecover) -> Result<Self, AdminError> {
        let state = finder.state_of(&command.broker).await?;
        let no_shard = || {
            let ForceRecover { broker, shard, .. } = command;
            AdminError::NoGroup(format!(
                "the node of {broker} has no shard {shard}: look at --shard"
            ))
        };
        if i64::from(command.shard) >= i64::from(state.shards.max(1)) {
            return Err(no_shard());
        }
        let addr = at_shard(&command.broker, &state, command.shard).ok_or_else(no_shard)?;
        let group = match i64::from(command.shard) == i64::from(state.shard) {
            true => state.group,
            false => finder.state_of(&addr).await?.group,
        };
        Ok(Self { finder, addr, group })
    }

    async fn ask(&self, lost: &[&str], go_on: bool) -> Result<RaftRecovery, AdminError> {
        let lost = lost.join(";");
        let lost = Some(lost.as_str()).filter(|lost| !lost.is_empty());
        let header = RecoverGroupHeader { group: &self.group, lost, go_on: Some(go_on) };
        let asked = self.finder.recovery(&self.addr, &header).await;
        let refused = |source| AdminError::Refused { group: self.group.clone(), source };
        let mut report = asked.map_err(refused)?;
        // `n2` comes before `n10`.
        report.members.sort_by(|a, b| (a.label.len(), &a.label).cmp(&(b.label.len(), &b.label)));
        Ok(report)
    }

    async fn carry_out(
        &self,
        judged: &RaftRecovery,
        lost: &[&str],
        screen: &dyn Screen,
    ) -> Result<(), AdminError> {
        let (group, label) = (&judged.group, &judged.label);
        if !self.ask(lost, true).await?.begins {
            return Err(AdminError::Stuck(format!(
                "group {group}: {label} has not begun: ask again"
            )));
        }
        screen.line(&format!("group {group}: {label} opens its log again, and becomes the group"));
        let end = now() + PATIENCE;
        loop {
            sleep(AGAIN).await;
            let state = self.finder.state_of(&self.addr).await;
            if let Ok(state) = &state
                && state.recoveries > judged.recoveries
                && state.role == "LEADER"
            {
                screen.line(&format!(
                    "group {group}: {label} alone is the group now, in term {}, and takes messages; it cannot lose a node. Add others \
                     with empty stores (`mqadmin addLearner`, then `promote`), and keep the old ones stopped",
                    state.term
                ));
                return Ok(());
            }
            if now() >= end {
                let why = match state {
                    Ok(state) => format!("it is {} in term {}", state.role, state.term),
                    Err(error) => error.to_string(),
                };
                return Err(AdminError::Stuck(format!(
                    "group {group}: {label} does not lead after {PATIENCE:?}: {why}. Its log says why; ask again, what is done is not done \
                     twice"
                )));
            }
        }
    }
}

fn is_silent_voter(member: &RaftRecoveryMember) -> bool {
    !member.answers && member.vote != "LEARNER"
}

/// The member that is meant.
fn named<'a>(report: &'a RaftRecovery, text: &str) -> Result<&'a RaftRecoveryMember, AdminError> {
    let is_named = |one: &&RaftRecoveryMember| one.label == text || one.addr == text;
    let is_store = |one: &&RaftRecoveryMember| text.len() >= 4 && one.store.starts_with(text);
    let mut found: Vec<_> = report.members.iter().filter(is_named).collect();
    if found.is_empty() {
        found = report.members.iter().filter(is_store).collect();
    }
    match found[..] {
        [one] => Ok(one),
        _ => {
            let all: Vec<String> = report
                .members
                .iter()
                .map(|one| format!("{} ({}, store {})", one.label, one.addr, one.store))
                .collect();
            let how_many = if found.is_empty() { "nobody is" } else { "several are" };
            Err(AdminError::Member(format!(
                "group {}: {how_many} called {text}; its members are {}",
                report.group,
                all.join(", ")
            )))
        }
    }
}

/// What it would come to.
fn text(report: &RaftRecovery) -> String {
    let RaftRecovery { group, label, store, last_index, last_term, committed_index, .. } = report;
    let mut lines = vec![format!(
        "group {group}: {label} (store {store}) would become the group, alone. Its log ends with entry {last_index} of term {last_term}; it \
         knows that all up to {committed_index} is committed"
    )];
    let uncommitted = last_index - committed_index;
    if uncommitted > 0 {
        lines.push(format!(
            "The last {uncommitted} entries will be committed as well, though the group may never have done so: messages whose senders got \
             no answer may appear"
        ));
    }
    let others: Vec<_> = report.members.iter().filter(|one| one.store != *store).collect();
    lines.extend(others.iter().map(|one| row(one)));
    let lost: Vec<&str> =
        others.iter().filter(|one| is_silent_voter(one)).map(|one| one.label.as_str()).collect();
    if !lost.is_empty() {
        lines.push(format!(
            "What may be lost: what {} had behind entry {last_index}. If a leader among them has acknowledged messages that {label} had not got \
             yet, they are gone; nobody here knows how many",
            lost.join(" and ")
        ));
    }
    lines.join("\n")
}

/// A line about another member.
fn row(member: &RaftRecoveryMember) -> String {
    let RaftRecoveryMember { label, addr, vote, .. } = member;
    let mut parts = vec![match (member.answers, member.last_index.zip(member.last_term)) {
        (true, Some((index, term))) => {
            format!("answers; its log ends with entry {index} of term {term}")
        }
        (true, None) => "answers; its log is empty".to_owned(),
        (false, _) => "does not answer".to_owned(),
    }];
    match member.heard_millis_ago {
        _ if member.answers => {}
        Some(millis) => parts.push(format!("last heard {} s ago", millis / 1000)),
        None => parts.push("never heard since the broker was started".to_owned()),
    }
    if let Some(index) = member.durable_index {
        parts.push(format!("it had acknowledged all up to entry {index}"));
    }
    format!("  {label}  {}  {addr}  {}", vote.to_lowercase(), parts.join("; "))
}

/// What to type to go on.
fn how_to_go_on(command: &ForceRecover, lost: &[&RaftRecoveryMember]) -> String {
    let names: Vec<String> = lost.iter().map(|one| format!(" --lost {}", one.label)).collect();
    let shard = match command.shard {
        0 => String::new(),
        shard => format!(" --shard {shard}"),
    };
    format!(
        "Nothing was changed. Only if the disks of all of these are lost for good, or their brokers will never run again:\n  mqadmin \
         forceRecover -b {}{shard}{} --go-on",
        command.broker,
        names.concat()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(number: usize) -> RaftRecoveryMember {
        RaftRecoveryMember {
            addr: format!("10.0.0.{number}:40911"),
            label: format!("n{number}"),
            store: format!("{number:032x}"),
            vote: "VOTER".to_owned(),
            ..RaftRecoveryMember::default()
        }
    }

    fn report() -> RaftRecovery {
        let own = RaftRecoveryMember { answers: true, ..member(0) };
        let acknowledged = RaftRecoveryMember { durable_index: Some(98), ..member(1) };
        RaftRecovery {
            committed_index: 97,
            group: "g".to_owned(),
            label: "n0".to_owned(),
            last_index: 99,
            last_term: 3,
            members: vec![own, acknowledged, member(2)],
            store: member(0).store,
            ..RaftRecovery::default()
        }
    }

    #[test]
    fn an_operator_is_told_what_would_be_lost_and_what_would_appear() {
        let told = text(&report());
        for part in [
            "Its log ends with entry 99 of term 3",
            "The last 2 entries will be committed as well",
            "n1  voter  10.0.0.1:40911  does not answer; never heard",
            "had acknowledged all up to entry 98",
            "what n1 and n2 had behind entry 99",
        ] {
            assert!(told.contains(part), "{part}: {told}");
        }
        let mut well = report();
        (well.committed_index, well.members) = (99, vec![member(0)]);
        assert!(!text(&well).contains("may"), "nothing is lost: {}", text(&well));
    }

    #[test]
    fn the_lost_are_found_by_label_address_and_store() {
        let mut report = report();
        for text in ["n1", "10.0.0.1:40911", &member(1).store] {
            assert_eq!(named(&report, text).expect("one is meant").label, "n1", "{text}");
        }
        let error = named(&report, "n7").unwrap_err().to_string();
        assert!(error.contains("nobody is called n7; its members are n0 (10."), "{error}");
        report.members[2].label = "n1".to_owned();
        assert!(named(&report, "n1").unwrap_err().to_string().contains("several are"));
    }

    #[test]
    fn what_to_type_names_all_that_are_lost() {
        let broker = "a:1".to_owned();
        let command = ForceRecover { broker, shard: 1, lost: Vec::new(), go_on: false };
        let typed = how_to_go_on(&command, &[&member(1), &member(2)]);
        let typed = typed.lines().last().expect("a line").trim();
        assert_eq!(typed, "mqadmin forceRecover -b a:1 --shard 1 --lost n1 --lost n2 --go-on");
    }
}
