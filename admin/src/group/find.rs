//! Finding the groups that are meant, and asking their members.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use client::{Client, ClientError, Options};
use futures::future::join_all;
use remoting::body::{Body, ClusterInfo, RaftGroupState, RaftRecovery};
use remoting::command::EncodeExt;
use remoting::header::raft::RecoverGroupHeader;
use remoting::{RequestCode, ResponseCode};
use runtime::timeout;

use super::survey::{Silent, Survey};
use crate::args::Where;
use crate::error::{AdminError, told};

/// A member that has not said anything by then does not answer.
const ANSWER: Duration = Duration::from_secs(3);
/// A change is answered by then, at the latest.
const CHANGE: Duration = Duration::from_secs(15);

/// A group, by where its members may be found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The broker name under which its members register; empty where only addresses are known.
    pub broker_name: String,
    /// The shard; `None` where nobody has said so.
    pub shard: Option<u32>,
    /// Brokers that may be members.
    pub addrs: BTreeSet<String>,
}

impl Target {
    /// The same, where this broker may be a member, too.
    #[must_use]
    pub fn with(&self, broker: &str) -> Self {
        let mut target = self.clone();
        target.addrs.insert(broker.to_owned());
        target
    }
}

/// Asks NameServers and brokers.
pub struct Finder {
    /// For questions.
    quick: Client,
    /// For changes, which take longer.
    patient: Client,
    /// Where routes come from; `None` without NameServers.
    names: Option<Client>,
    at: Where,
}

/// What a broker says to whoever asks for its group.
type Said = Result<RaftGroupState, ClientError>;

impl Finder {
    /// For the groups that are meant.
    ///
    /// # Errors
    /// Nothing says where to look.
    pub fn new(at: &Where) -> Result<Self, AdminError> {
        let client = |names: &str, timeout| Client::new(Options { timeout, ..Options::new(names) });
        let names = at.name_servers();
        if names.is_none() && at.broker.is_none() {
            let what = "name a NameServer (-n, or NAMESRV_ADDR of the environment), or a broker of the group (-b)";
            return Err(AdminError::Usage(what.to_owned()));
        }
        Ok(Self {
            quick: client("", ANSWER),
            patient: client("", CHANGE),
            names: names.as_deref().map(|names| client(names, ANSWER)),
            at: at.clone(),
        })
    }

    /// Asks one broker for its group.
    ///
    /// # Errors
    /// It does not answer, or has no group.
    pub async fn state_of(&self, addr: &str) -> Said {
        let code = RequestCode::GetRaftGroupState;
        let asked = timeout(ANSWER, self.quick.ask(addr, code, &(), &[])).await;
        let late = |_| ClientError::Refused {
            addr: addr.to_owned(),
            request: code.code(),
            code: ResponseCode::RpcTimeOut.code(),
            remark: format!("no answer within {ANSWER:?}"),
        };
        let answer = asked.map_err(late)??;
        RaftGroupState::decode(&answer.body)
            .map_err(|error| ClientError::Body { addr: addr.to_owned(), error })
    }

    /// Has a leader change something; whether anything was to do.
    ///
    /// # Errors
    /// It refuses, or does not answer.
    pub async fn change(
        &self,
        addr: &str,
        code: RequestCode,
        header: &dyn EncodeExt,
    ) -> Result<bool, ClientError> {
        let answer = self.patient.ask(addr, code, header, &[]).await?;
        Ok(answer.ext.get("changed").is_none_or(|changed| changed != "false"))
    }

    /// Asks a broker what it would come to if it became its group by force; has it do so, if the header says that.
    ///
    /// # Errors
    /// It refuses, or does not answer.
    pub async fn recovery(
        &self,
        addr: &str,
        header: &RecoverGroupHeader<'_>,
    ) -> Result<RaftRecovery, ClientError> {
        let answer = self.patient.ask(addr, RequestCode::RecoverRaftGroup, header, &[]).await?;
        RaftRecovery::decode(&answer.body)
            .map_err(|error| ClientError::Body { addr: addr.to_owned(), error })
    }

    /// The groups that are meant, each by its brokers.
    ///
    /// # Errors
    /// None is found, or the NameServers do not answer.
    pub async fn targets(&self) -> Result<Vec<Target>, AdminError> {
        let mut targets = match &self.at.broker {
            Some(brokers) => self.of_brokers(brokers).await?,
            None => self.of_names().await?,
        };
        let is_meant = |shard| self.at.shard.is_none_or(|meant| meant == shard);
        targets.retain(|target| target.shard.is_none_or(is_meant));
        if targets.is_empty() {
            let which = self.at.shard.map(|shard| format!(" of shard {shard}")).unwrap_or_default();
            return Err(AdminError::NoGroup(format!(
                "no Raft group{which} is found there: look at -c and --shard, and whether enableDLegerCommitLog is set in the \
                 brokers' configuration"
            )));
        }
        Ok(targets)
    }

    /// The groups of the shards of these nodes.
    async fn of_brokers(&self, brokers: &str) -> Result<Vec<Target>, AdminError> {
        let brokers: Vec<&str> = listed(brokers).collect();
        let said = join_all(brokers.iter().map(|addr| self.state_of(addr))).await;
        let known: Vec<(&str, RaftGroupState)> = (brokers.iter().zip(&said))
            .filter_map(|(addr, said)| Some((*addr, said.as_ref().ok()?.clone())))
            .collect();
        let Some((_, first)) = known.first() else { return Err(nobody(&brokers, &said)) };
        let mut targets: Vec<Target> = Vec::new();
        for shard in 0..u32::try_from(first.shards.max(1)).expect("it is positive") {
            let at_shard = |(addr, state): &(&str, RaftGroupState)| at_shard(addr, state, shard);
            let addrs = known.iter().filter_map(at_shard).collect();
            let broker_name = name_of_shard(first, shard);
            targets.push(Target { broker_name, shard: Some(shard), addrs });
        }
        // The others of the group are where the NameServers say; without them the ones that were named have to do.
        if let Some(info) = self.registered(&first.namesrv_addr).await {
            for target in &mut targets {
                let known = info.broker_addr_table.get(&target.broker_name);
                target
                    .addrs
                    .extend(known.into_iter().flat_map(|one| one.broker_addrs.values().cloned()));
            }
        }
        // One that did not answer may be the one that is lost: it is told of.
        let like_first = RaftGroupState { shard: 0, ..first.clone() };
        for (addr, _) in brokers.iter().zip(&said).filter(|(_, said)| said.is_err()) {
            for target in &mut targets {
                let shard = target.shard.expect("it was counted");
                target.addrs.extend(at_shard(addr, &like_first, shard));
            }
        }
        Ok(targets)
    }

    /// What NameServers know, those that were given or else these; `None` if nobody says.
    async fn registered(&self, others: &str) -> Option<ClusterInfo> {
        if let Some(names) = &self.names {
            return timeout(CHANGE, names.cluster_info()).await.ok()?.ok();
        }
        if others.is_empty() {
            return None;
        }
        let names = Client::new(Options { timeout: ANSWER, ..Options::new(others) });
        timeout(CHANGE, names.cluster_info()).await.ok()?.ok()
    }

    /// The groups of all brokers that are registered.
    async fn of_names(&self) -> Result<Vec<Target>, AdminError> {
        let names = self.names.as_ref().expect("there are NameServers or brokers");
        let info = names.cluster_info().await?;
        let meant = |cluster: &str| self.at.cluster.as_ref().is_none_or(|name| name == cluster);
        let brokers: BTreeMap<&String, BTreeSet<String>> = (info.broker_addr_table.iter())
            .filter(|(_, broker)| meant(&broker.cluster))
            .map(|(name, broker)| (name, broker.broker_addrs.values().cloned().collect()))
            .collect();
        let asked = brokers.iter().map(|(name, addrs)| async move {
            let said = join_all(addrs.iter().map(|addr| self.state_of(addr))).await;
            target_of(name, addrs, &said)
        });
        Ok(join_all(asked).await.into_iter().flatten().collect())
    }

    /// Asks all members of a group; `None` if it is not the one that is meant.
    ///
    /// # Errors
    /// Nobody answers.
    pub async fn survey(&self, target: &Target) -> Result<Option<Survey>, AdminError> {
        let said = join_all(target.addrs.iter().map(|addr| self.state_of(addr))).await;
        let (mut answers, mut silent) = (Vec::new(), Vec::new());
        for (addr, said) in target.addrs.iter().zip(said) {
            match said {
                Ok(state) => answers.push(state),
                Err(error) => silent.push(Silent { addr: addr.clone(), why: told(&error) }),
            }
        }
        let Some(group) = answers.first().map(|first: &RaftGroupState| first.group.clone()) else {
            let why: Vec<String> = silent.iter().map(|one| format!("\n  {}", one.why)).collect();
            return Err(AdminError::NoGroup(format!(
                "nobody of broker {} answers, so its group is not shown:{}",
                target.broker_name,
                why.concat()
            )));
        };
        answers.retain(|answer| answer.group == group);
        // One broker may be known by two addresses.
        let mut stores = BTreeSet::new();
        answers.retain(|answer| stores.insert(answer.store.clone()));
        let cluster = &answers[0].cluster;
        let is_meant = self.at.group.as_ref().is_none_or(|name| *name == group)
            && self.at.cluster.as_ref().is_none_or(|name| name == cluster);
        Ok(is_meant.then(|| Survey::new(answers, silent)))
    }
}

/// The group of the brokers of a name; `None` if they have none. One of which nobody answers may have one, and is asked again: its
/// operator is to be told of it.
fn target_of(name: &str, addrs: &BTreeSet<String>, said: &[Said]) -> Option<Target> {
    let state = said.iter().flatten().next();
    if state.is_none() && said.iter().any(|said| said.as_ref().is_err_and(has_no_group)) {
        return None;
    }
    let shard = state.map(|state| u32::try_from(state.shard).unwrap_or_default());
    Some(Target { broker_name: name.to_owned(), shard, addrs: addrs.clone() })
}

/// Whether a broker has answered, and has no group: one of Apache's, or one without replicas.
fn has_no_group(error: &ClientError) -> bool {
    let without = [ResponseCode::RequestCodeNotSupported, ResponseCode::InvalidParameter];
    error.refused_with().is_some_and(|code| without.iter().any(|one| one.code() == code))
}

fn nobody(brokers: &[&str], said: &[Said]) -> AdminError {
    let why = brokers
        .iter()
        .zip(said)
        .filter_map(|(addr, said)| Some(format!("\n  {addr}: {}", told(said.as_ref().err()?))));
    AdminError::NoGroup(format!(
        "no broker of -b answers for a Raft group:{}",
        why.collect::<String>()
    ))
}

/// The items of a list.
fn listed(text: &str) -> impl Iterator<Item = &str> {
    text.split(';').map(str::trim).filter(|item| !item.is_empty())
}

/// The address of another shard of the node that `state` comes from, of which `addr` is one shard's.
pub fn at_shard(addr: &str, state: &RaftGroupState, shard: u32) -> Option<String> {
    let (host, port) = addr.rsplit_once(':')?;
    let steps = i64::from(shard) - i64::from(state.shard);
    let port = port.parse::<i64>().ok()? + steps * i64::from(state.shard_port_stride);
    Some(format!("{host}:{}", u16::try_from(port).ok().filter(|port| *port > 0)?))
}

/// The broker name of the first shard of the node that `state` comes from: all its shards, and all nodes with the same groups, have it.
pub fn first_name(state: &RaftGroupState) -> String {
    name_of_shard(state, 0)
}

/// The broker name of another shard of the node that `state` comes from.
fn name_of_shard(state: &RaftGroupState, shard: u32) -> String {
    let own = format!("-{}", state.shard);
    let first = match state.shard {
        0 => &state.broker_name,
        _ => state.broker_name.strip_suffix(&own).unwrap_or(&state.broker_name),
    };
    if shard == 0 { first.to_owned() } else { format!("{first}-{shard}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(shard: i32, name: &str) -> RaftGroupState {
        RaftGroupState {
            shard,
            shards: 3,
            shard_port_stride: 100,
            broker_name: name.to_owned(),
            ..RaftGroupState::default()
        }
    }

    fn refused(code: ResponseCode) -> Said {
        let (addr, remark) = ("h:1".to_owned(), "no".to_owned());
        Err(ClientError::Refused { addr, request: 29001, code: code.code(), remark })
    }

    #[test]
    fn a_group_is_left_out_only_where_a_broker_says_that_there_is_none() {
        let addrs = BTreeSet::from(["h:1".to_owned()]);
        let shard = |said: &[Said]| target_of("a", &addrs, said).map(|target| target.shard);
        let silent = || refused(ResponseCode::RpcTimeOut);
        assert_eq!(shard(&[silent(), Ok(state(2, "a"))]), Some(Some(2)));
        assert_eq!(shard(&[silent(), silent()]), Some(None), "all hang");
        assert_eq!(
            shard(&[refused(ResponseCode::ServiceNotAvailable)]),
            Some(None),
            "its log is read"
        );
        assert_eq!(shard(&[silent(), refused(ResponseCode::RequestCodeNotSupported)]), None);
        assert_eq!(shard(&[refused(ResponseCode::InvalidParameter)]), None, "it has no replicas");
    }

    #[test]
    fn the_shards_of_a_node_are_a_stride_apart() {
        let first = state(0, "east-1");
        assert_eq!(at_shard("h:10911", &first, 2).as_deref(), Some("h:11111"));
        assert_eq!(at_shard("[::1]:11011", &state(1, "a-1"), 0).as_deref(), Some("[::1]:10911"));
        assert_eq!(at_shard("h:65500", &first, 2), None);
        assert_eq!(name_of_shard(&first, 0), "east-1");
        assert_eq!(name_of_shard(&first, 2), "east-1-2");
        assert_eq!(name_of_shard(&state(1, "east-1"), 2), "east-2");
    }
}
