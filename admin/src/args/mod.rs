//! The command line: every flag with its range and its default.

mod parse;

use std::net::IpAddr;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

/// Asks and changes the Raft groups of a cluster. All other commands are those of Apache's mqadmin, which works with this broker
///
/// The exit code is 0 if it is done or there was nothing to do, 1 if it was refused or has failed, 2 for a mistake in the
/// command line. Whatever was interrupted may be called again.
#[derive(Clone, Debug, Parser)]
#[command(name = "mqadmin", version)]
pub struct CommandLine {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What can be done.
#[derive(Clone, Debug, Subcommand)]
#[command(rename_all = "camelCase")]
pub enum Command {
    /// Show every group: who leads, who votes, how far each member is, and whether it can lose a node
    GroupState(GroupState),
    /// Add a new node as a learner, which gets the log and does not vote, and watch it catch up
    AddLearner(AddLearner),
    /// Let a learner vote that has caught up
    Promote(OneMember),
    /// Take a member out of its group
    RemoveMember(OneMember),
    /// Replace a member, lost or not, by a new node: add, catch up, and change their places
    ReplaceMember(ReplaceMember),
    /// Tell a group that a member is at another address now, with the store that it had
    MoveMember(MoveMember),
    /// Hand leadership over to a member, or away from one
    TransferLeader(TransferLeader),
}

/// Which groups are meant: those of all shards that are found there.
#[derive(Args, Clone, Debug, Default)]
pub struct Where {
    /// NameServers, several separated by `;`; without it NAMESRV_ADDR of the environment, or those of the brokers in -b
    #[arg(short = 'n', long = "namesrvAddr", value_name = "HOST:PORT", value_parser = parse::addresses)]
    pub namesrv: Option<String>,
    /// Brokers of the group, one of its nodes or several separated by `;`, by the address of their first shard
    #[arg(short = 'b', long = "brokerAddr", value_name = "HOST:PORT", value_parser = parse::addresses)]
    pub broker: Option<String>,
    /// Only the groups of this cluster
    #[arg(short = 'c', long = "clusterName", value_name = "NAME")]
    pub cluster: Option<String>,
    /// Only this group
    #[arg(short = 'g', long = "group", value_name = "NAME")]
    pub group: Option<String>,
    /// Only the groups of this shard
    #[arg(long, value_name = "N")]
    pub shard: Option<u32>,
}

/// See [`Command::GroupState`].
#[derive(Args, Clone, Debug)]
pub struct GroupState {
    /// Which groups.
    #[command(flatten)]
    pub at: Where,
    /// Print one JSON array instead of tables
    #[arg(long)]
    pub json: bool,
}

/// The node that joins.
#[derive(Args, Clone, Debug)]
pub struct Newcomer {
    /// The new node's broker, by the address of its first shard: it runs, with an empty store
    #[arg(long, value_name = "HOST:PORT", value_parser = parse::address)]
    pub new: String,
    /// Where the other members reach the new node, if not where its own dLegerPeers says
    #[arg(long, value_name = "IP")]
    pub raft_host: Option<IpAddr>,
    /// What the new member is called, if not as its own dLegerSelfId says
    #[arg(long, value_name = "LABEL")]
    pub label: Option<String>,
    /// Bytes a second that learners get from now on, such as 128MiB; without it as raftCatchUpRate of the leader says
    #[arg(long, value_name = "BYTES", value_parser = parse::rate)]
    pub rate: Option<u64>,
}

/// See [`Command::AddLearner`].
#[derive(Args, Clone, Debug)]
pub struct AddLearner {
    /// Which groups.
    #[command(flatten)]
    pub at: Where,
    /// Who.
    #[command(flatten)]
    pub newcomer: Newcomer,
    /// Do not wait until it has caught up
    #[arg(long)]
    pub no_wait: bool,
}

/// See [`Command::Promote`] and [`Command::RemoveMember`].
#[derive(Args, Clone, Debug)]
pub struct OneMember {
    /// Which groups.
    #[command(flatten)]
    pub at: Where,
    /// The member: its label, its Raft address, or the first digits of its store's id
    #[arg(long, value_name = "MEMBER")]
    pub member: String,
}

/// See [`Command::ReplaceMember`].
#[derive(Args, Clone, Debug)]
pub struct ReplaceMember {
    /// Which groups.
    #[command(flatten)]
    pub at: Where,
    /// The member that goes: its label, its Raft address, or the first digits of its store's id
    #[arg(long, value_name = "MEMBER")]
    pub old: String,
    /// Who comes.
    #[command(flatten)]
    pub newcomer: Newcomer,
}

/// See [`Command::MoveMember`].
#[derive(Args, Clone, Debug)]
pub struct MoveMember {
    /// Which groups.
    #[command(flatten)]
    pub at: Where,
    /// The broker of the member that has moved, by the address of its first shard as it is now: it runs, with its old store
    #[arg(long, value_name = "HOST:PORT", value_parser = parse::address)]
    pub new: String,
    /// Where the other members reach it, if not where its own dLegerPeers says
    #[arg(long, value_name = "IP")]
    pub raft_host: Option<IpAddr>,
}

/// See [`Command::TransferLeader`].
#[derive(Args, Clone, Debug)]
#[group(skip)]
pub struct TransferLeader {
    /// Which groups.
    #[command(flatten)]
    pub at: Where,
    /// The member that is to lead: its label, its Raft address, or the first digits of its store's id
    #[arg(long, value_name = "MEMBER", required_unless_present = "all_away")]
    pub to: Option<String>,
    /// Before maintenance: this member leads none of the groups afterwards
    #[arg(long, value_name = "MEMBER", conflicts_with = "to")]
    pub all_away: Option<String>,
    /// For so long no member makes place for the one that should lead (preferredLeaderId), such as 90s, 15m or 2h; 0s lets
    /// them at once
    #[arg(long, value_name = "TIME", default_value = "15m", value_parser = parse::time)]
    pub hold: Duration,
}

impl CommandLine {
    /// Of these words, the first of which is the program.
    ///
    /// # Errors
    /// They make no command; says what is wrong.
    pub fn of_words<'a>(words: impl Iterator<Item = &'a str>) -> Result<Self, clap::Error> {
        Self::try_parse_from(words)
    }
}

impl Where {
    /// The NameServers: as given, or as the environment has them where no broker is given.
    pub fn name_servers(&self) -> Option<String> {
        let around = || std::env::var("NAMESRV_ADDR").ok().filter(|text| !text.trim().is_empty());
        self.namesrv.clone().or_else(|| self.broker.is_none().then(around).flatten())
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parsed(words: &str) -> Result<Command, clap::Error> {
        let words = std::iter::once("mqadmin").chain(words.split(' '));
        CommandLine::try_parse_from(words).map(|line| line.command)
    }

    #[test]
    fn the_command_line_is_sound() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn commands_are_spelled_as_apaches() {
        let Ok(Command::GroupState(state)) = parsed("groupState -n a:1;b:2 -c C --json") else {
            panic!("it is a command")
        };
        assert_eq!(state.at.name_servers().as_deref(), Some("a:1;b:2"));
        assert!(state.json && state.at.cluster.as_deref() == Some("C"));
        assert!(parsed("group-state -b a:1").is_err());
        assert!(parsed("replaceMember -b a:1 --old n1 --new b:2 --rate 8MiB").is_ok());
        assert!(parsed("replaceMember -b a:1 --old n1").is_err(), "somebody has to come");
        assert!(parsed("moveMember -b a:1 --new b:2 --raft-host 10.0.0.7").is_ok());
        assert!(parsed("moveMember -b a:1").is_err(), "it is somewhere");
    }

    #[test]
    fn leadership_goes_to_somebody_or_away_from_somebody() {
        let Ok(Command::TransferLeader(to)) = parsed("transferLeader -b a:1 --to n1 --hold 90s")
        else {
            panic!("it is a command")
        };
        assert_eq!((to.to.as_deref(), to.hold), (Some("n1"), Duration::from_secs(90)));
        assert!(parsed("transferLeader -b a:1 --all-away n1").is_ok());
        assert!(parsed("transferLeader -b a:1").is_err());
        assert!(parsed("transferLeader -b a:1 --to n1 --all-away n2").is_err());
    }
}
