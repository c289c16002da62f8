//! `cluster status`: who runs, and what the groups say.

use std::collections::BTreeSet;
use std::process::ExitCode;

use admin::args::Where;
use admin::group::{self, Finder, Halt, Survey, Target};
use admin::{AdminError, Screen, Terminal};

use super::ClusterError;
use super::home::Home;
use super::layout::{Layout, Process, group_name};
use super::processes;
use crate::member::Role;

/// What was found.
pub(super) struct Standing {
    /// The processes with their ids, `None` for one that does not run.
    processes: Vec<(Process, Option<u32>)>,
    /// What the members of each group say; why none does.
    groups: Vec<Result<Survey, String>>,
}

/// Shows the cluster.
pub(super) async fn run(home: &Home) -> Result<ExitCode, ClusterError> {
    let layout = home.layout()?;
    let standing = ask(home, &layout).await;
    Terminal::default().line(&standing.text(home, &layout));
    let is_well = standing.missing().is_none() && standing.is_serving();
    Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Looks for the processes and asks the brokers among them.
pub(super) async fn ask(home: &Home, layout: &Layout) -> Standing {
    let all = layout.processes();
    let pids = processes::running(home, &all);
    let processes: Vec<(Process, Option<u32>)> = all.into_iter().zip(pids).collect();
    let mut groups = Vec::new();
    for number in 0..layout.groups() {
        let of_group =
            |(one, _): &&(Process, Option<u32>)| one.role == Role::Broker && one.group == number;
        // Where none of them runs, whoever has their ports is none of this cluster.
        let addrs: BTreeSet<String> =
            processes.iter().filter(of_group).map(|(one, _)| address(one)).collect();
        let runs = processes.iter().filter(of_group).any(|(_, pid)| pid.is_some());
        groups.push(match runs {
            true => survey(number, addrs).await.map_err(|error| error.to_string()),
            false => Err("none of its brokers runs".to_owned()),
        });
    }
    Standing { processes, groups }
}

async fn survey(number: u16, addrs: BTreeSet<String>) -> Result<Survey, AdminError> {
    let list = addrs.iter().map(String::as_str).collect::<Vec<_>>().join(";");
    let finder = Finder::new(&Where { broker: Some(list), ..Where::default() })?;
    let target = Target { broker_name: group_name(number), shard: Some(0), addrs };
    let survey = finder.survey(&target).await?;
    Ok(survey.expect("any group is meant"))
}

fn address(one: &Process) -> String {
    format!("127.0.0.1:{}", one.port)
}

impl Standing {
    /// The first process that does not run.
    pub(super) fn missing(&self) -> Option<&Process> {
        self.processes.iter().find(|(_, pid)| pid.is_none()).map(|(one, _)| one)
    }

    /// Every group has a leader that says so itself, and takes messages.
    fn is_serving(&self) -> bool {
        let serves = |group: &Survey| group.leader().is_some() && Halt::of(group).is_none();
        self.groups.iter().all(|group| group.as_ref().is_ok_and(serves))
    }

    /// Every broker answers, every group has a leader, and could lose as many as it has voters for. Who votes may be others by now than
    /// those that the cluster was made with.
    pub(super) fn is_complete(&self) -> bool {
        self.groups.iter().all(|group| group.as_ref().is_ok_and(Survey::is_whole))
    }

    /// The process id of a leader.
    pub(super) fn a_leader(&self) -> Option<u32> {
        let leader = self.groups.iter().flatten().find_map(Survey::leader)?;
        let is_it = |(one, _): &&(Process, Option<u32>)| address(one) == leader.broker_addr;
        self.processes.iter().find(is_it)?.1
    }

    /// A line a process, and the table of each group.
    pub(super) fn text(&self, home: &Home, layout: &Layout) -> String {
        let mut lines = vec![format!("{:<16}{:>8}{:>7}  role", "process", "pid", "port")];
        for (one, pid) in &self.processes {
            let name = &one.name;
            let role = self.role(one, *pid);
            let pid = pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string());
            lines.push(format!("{name:<16}{pid:>8}{:>7}  {role}", one.port));
        }
        for (number, group) in (0..).zip(&self.groups) {
            lines.push(String::new());
            lines.push(match group {
                Ok(survey) => group::text(survey).trim_end().to_owned(),
                Err(why) => format!("group {}: {why}", group_name(number)),
            });
        }
        let (namesrv, dir) = (layout.namesrv_addr(), home.dir().display());
        lines.push(format!("\nNameServers {namesrv}, data in {dir}, logs in {dir}/*/log"));
        lines.join("\n")
    }

    /// What a process does, in a word or two.
    fn role(&self, one: &Process, pid: Option<u32>) -> &'static str {
        if pid.is_none() {
            return "does not run";
        }
        if one.role == Role::Namesrv {
            return "NameServer";
        }
        let group = self.groups.get(usize::from(one.group)).and_then(|group| group.as_ref().ok());
        let address = address(one);
        let stranger = group
            .and_then(|group| group.strangers().find(|stranger| stranger.broker_addr == address));
        // One that was taken out and was not told so goes on to take itself for a member.
        if stranger.is_some_and(|stranger| !stranger.members.is_empty()) {
            return "is no member of the group any more";
        }
        let said = group
            .and_then(|group| group.answers.iter().find(|answer| answer.broker_addr == address));
        match said.map(|said| (said.role.as_str(), said.cut_off)) {
            Some(("LEADER", false)) => "leader",
            Some(("LEADER", true)) => "leader of which a majority does not hear",
            Some(("FOLLOWER", _)) => "follower",
            Some(("LEARNER", _)) => "learner",
            Some(_) => "waits for the group",
            None => "broker that does not answer",
        }
    }
}
