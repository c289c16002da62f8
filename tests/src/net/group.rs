//! What the group says of itself, through our `mqadmin`.

use std::path::PathBuf;
use std::time::Duration;

use crate::harness::failure::{Failure, Verdict};
use crate::harness::process::{Finished, run};
use serde_json::Value;

use super::Net;

/// A survey waits for nodes that do not answer.
const SURVEY_LIMIT: Duration = Duration::from_secs(30);
/// A change waits for a learner that catches up.
const CHANGE_LIMIT: Duration = Duration::from_secs(120);

/// Whom to ask.
#[derive(Debug)]
pub struct Group {
    /// Our `mqadmin`.
    pub program: PathBuf,
    /// From which machine.
    pub machine: usize,
    /// The NameServers.
    pub namesrvs: String,
    /// Where outputs are kept.
    pub dir: PathBuf,
}

/// What the group said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// The broker name that it serves.
    pub name: String,
    /// Label of the leader.
    pub leader: Option<String>,
    /// Labels of the voters.
    pub voters: Vec<String>,
    /// A change of members is under way.
    pub changing: bool,
    /// Index of the last entry that is committed, as far as anybody says.
    pub committed: i64,
    /// Nodes that it can lose.
    pub can_lose: i64,
    /// All voters answer, are connected, and lack next to nothing.
    pub complete: bool,
    /// What each member says, for a failure.
    pub text: String,
}

impl State {
    /// The first state in what `groupState --json` printed; `None` if there is no group in it.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        Self::all(text).into_iter().next()
    }

    /// All states in what it printed.
    #[must_use]
    pub fn all(text: &str) -> Vec<Self> {
        let all: Value = serde_json::from_str(text).unwrap_or_default();
        let groups = all.as_array().into_iter().flatten();
        groups.filter_map(|group| Self::one(group, text)).collect()
    }

    fn one(group: &Value, text: &str) -> Option<Self> {
        let leader = group["leader"].as_str();
        let members = group["members"].as_array()?;
        let label = |member: &Value| member["label"].as_str().map(str::to_owned);
        let is_voter = |member: &&Value| member["vote"].as_str() == Some("VOTER");
        let is_leader = |member: &Value| leader.is_some() && member["store"].as_str() == leader;
        let is_there = |member: &Value| {
            let near = member["behindEntries"].as_i64().is_none_or(|behind| behind < 1000);
            let connected = is_leader(member) || member["connected"].as_bool() == Some(true);
            member["answers"].as_bool() == Some(true) && connected && near
        };
        let voters: Vec<&Value> = members.iter().filter(is_voter).collect();
        Some(Self {
            name: group["brokerName"].as_str().unwrap_or_default().to_owned(),
            leader: members.iter().find(|member| is_leader(member)).and_then(label),
            voters: voters.iter().filter_map(|member| label(member)).collect(),
            changing: group["changing"].as_bool().unwrap_or(false),
            committed: group["committedIndex"].as_i64().unwrap_or(0),
            can_lose: group["canLose"].as_i64().unwrap_or(0),
            complete: !voters.is_empty() && voters.iter().all(|member| is_there(member)),
            text: text.to_owned(),
        })
    }

    /// Whether nothing is amiss, with so many voters.
    #[must_use]
    pub fn is_well(&self, voters: usize) -> bool {
        let whole = self.complete && self.voters.len() == voters && !self.changing;
        whole && self.leader.is_some() && self.can_lose >= 1
    }
}

impl Group {
    /// What it says now; `None` if nobody answers who leads.
    ///
    /// # Errors
    /// `mqadmin` cannot be started, or does not end.
    pub fn state(&self, net: &Net) -> Verdict<Option<State>> {
        let seen = self.ask(net, &["groupState", "--json"], SURVEY_LIMIT)?;
        Ok(State::of(&seen.out))
    }

    /// What all groups say now that the NameServers know.
    ///
    /// # Errors
    /// As [`Group::state`].
    pub fn states(&self, net: &Net) -> Verdict<Vec<State>> {
        Ok(State::all(&self.ask(net, &["groupState", "--json"], SURVEY_LIMIT)?.out))
    }

    /// Has a change made; again if it is refused, for what is half done goes on.
    ///
    /// # Errors
    /// It is refused each time.
    pub fn change(&self, net: &Net, words: &[&str]) -> Verdict {
        const TIMES: u32 = 5;
        let mut said = String::new();
        for time in 0..TIMES {
            std::thread::sleep(Duration::from_secs(2) * time.min(1));
            let seen = self.ask(net, words, CHANGE_LIMIT)?;
            if seen.status.success() {
                return Ok(());
            }
            said += &format!("{}{}", seen.out, seen.err);
        }
        let words = words.join(" ");
        Err(Failure::Wrong(format!("mqadmin {words} was refused {TIMES} times:\n{said}")))
    }

    fn ask(&self, net: &Net, words: &[&str], limit: Duration) -> Verdict<Finished> {
        let mut command = net.command(self.machine, &self.program);
        command.args(words).args(["-n", &self.namesrvs]);
        run("mqadmin", &mut command, &self.dir, limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(label: &str, vote: &str, answers: bool) -> String {
        format!(
            r#"{{"label":"{label}","vote":"{vote}","store":"s-{label}","answers":{answers},"connected":{answers},"behindEntries":0}}"#
        )
    }

    fn group(members: &[String], more: &str) -> String {
        format!(r#"[{{"leader":"s-n1","canLose":1,"members":[{}]{more}}}]"#, members.join(","))
    }

    #[test]
    fn groups_are_told_apart_by_their_broker_names() {
        let one = |name: &str| {
            let members = [member("n1", "VOTER", true)];
            let text = group(&members, &format!(r#","brokerName":"{name}""#));
            text.trim_matches(['[', ']']).to_owned()
        };
        let text = format!("[{}]", [one("broker-a"), one("broker-b")].join(","));
        let names: Vec<String> = State::all(&text).into_iter().map(|state| state.name).collect();
        assert_eq!(names, ["broker-a", "broker-b"], "{text}");
    }

    #[test]
    fn a_group_is_well_if_all_voters_are_there_and_somebody_leads() {
        let voters = ["n0", "n1", "n2"].map(|label| member(label, "VOTER", true));
        let state = State::of(&group(&voters, "")).expect("a group");
        assert_eq!(state.leader.as_deref(), Some("n1"));
        assert!(state.is_well(3) && !state.is_well(4));
        let changing = State::of(&group(&voters, r#","changing":true"#)).expect("a group");
        assert!(!changing.is_well(3));
        let mut gone = voters.clone();
        gone[2] = member("n2", "VOTER", false);
        assert!(!State::of(&group(&gone, "")).expect("a group").is_well(3));
        let mut learns = voters.to_vec();
        learns.push(member("n3", "LEARNER", false));
        let state = State::of(&group(&learns, "")).expect("a group");
        assert!(state.is_well(3), "a learner does not count: {state:?}");
    }

    #[test]
    fn what_is_no_group_is_none() {
        for text in ["", "[]", "{}", "mqadmin: no group", "[{\"leader\":null}]"] {
            assert_eq!(State::of(text), None, "{text}");
        }
    }
}
