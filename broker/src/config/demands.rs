//! Settings that ask for more than this build has. Each stops the start: a broker that answers
//! "stored" must not be weaker than its operator believes.

use std::fmt;

use ::config::{Place, Settings};

use super::RaftGroup;

/// A setting that this build cannot honour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demand {
    /// Where it was set.
    pub place: Place,
    /// The key.
    pub key: &'static str,
    /// The value as written.
    pub value: String,
    /// What is missing.
    pub why: &'static str,
    /// What to do.
    pub remedy: &'static str,
}

impl fmt::Display for Demand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Demand { place, key, value, why, remedy } = self;
        write!(f, "{place}: `{key} = {value}` is refused: {why}; {remedy}")
    }
}

/// All settings that this build cannot honour, one a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demands(pub Vec<Demand>);

impl fmt::Display for Demands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, demand) in self.0.iter().enumerate() {
            if at > 0 {
                writeln!(f)?;
            }
            write!(f, "{demand}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Demands {}

const CONTROLLER: &str =
    "controller mode is not in this build, nobody would take over a dead master";
const CONTROLLER_REMEDY: &str = "take the line out for a broker without replicas, with brokerId = 0 and brokerRole = ASYNC_MASTER";
const ASSIGNED: &str = "only a controller assigns ids, and controller mode is not in this build";
const COPIES: &str = "replication is not in this build, messages would have one copy only";
const COPIES_REMEDY: &str = "set it to 1";
const GROUP_TOO_SMALL: &str = "the Raft group has fewer members";
const GROUP_TOO_SMALL_REMEDY: &str = "add members to dLegerPeers, or take the line out";
const MAJORITY: &str =
    "a send to a Raft group is answered when a majority has the message, and that is fewer";
const MAJORITY_REMEDY: &str = "take the line out";
const SLAVE: &str =
    "primary-backup replication is not in this build, this broker would copy nothing";
const SLAVE_REMEDY: &str = "set brokerId = 0 and brokerRole = ASYNC_MASTER under a brokerName of its own for one more master";
const DOUBLE_WRITE: &str = "primary-backup replication is not in this build, sends would be answered without a slave's copy";
const DOUBLE_WRITE_REMEDY: &str = "set brokerRole = ASYNC_MASTER";
const AUTH: &str =
    "authentication and authorization are not in this build, anybody could send and receive";
const AUTH_REMEDY: &str = "take the line out, and let only trusted clients reach the port";

const TLS: &str = "TLS is not in this build, everything would go over the net in the clear";
const TLS_REMEDY: &str = "take the line out, and let only trusted networks reach the port";

/// What of `settings` this build cannot honour; empty when it can start. Raft groups are no part of it: their
/// configuration is checked first, and the start refuses them then.
pub fn unmet(settings: &Settings, group: Option<&RaftGroup>) -> Vec<Demand> {
    let mut found = Vec::new();
    let mut refuse = |key, why, remedy| found.push(demand(settings, key, why, remedy));
    for (key, why, remedy) in [
        ("enableControllerMode", CONTROLLER, CONTROLLER_REMEDY),
        ("allAckInSyncStateSet", CONTROLLER, CONTROLLER_REMEDY),
        ("authenticationEnabled", AUTH, AUTH_REMEDY),
        ("authorizationEnabled", AUTH, AUTH_REMEDY),
        ("aclEnable", AUTH, AUTH_REMEDY),
        ("useTLS", TLS, TLS_REMEDY),
    ] {
        if settings.bool(key) {
            refuse(key, why, remedy);
        }
    }
    match group {
        Some(group) => copies_in_a_group(settings, group, &mut refuse),
        None => copies_without_a_group(settings, &mut refuse),
    }
    found
}

/// How a demand is taken down: key, what is missing, what to do.
type Refuse<'a> = dyn FnMut(&'static str, &'static str, &'static str) + 'a;

/// The keys that say how many copies there are. Who is master is not asked: it is elected.
fn copies_in_a_group(settings: &Settings, group: &RaftGroup, refuse: &mut Refuse<'_>) {
    let asks_more = |key: &str, most: usize| settings.int::<usize>(key) > most;
    if asks_more("totalReplicas", group.peers.len()) {
        refuse("totalReplicas", GROUP_TOO_SMALL, GROUP_TOO_SMALL_REMEDY);
    }
    for key in ["inSyncReplicas", "minInSyncReplicas"] {
        if asks_more(key, group.majority()) {
            refuse(key, MAJORITY, MAJORITY_REMEDY);
        }
    }
}

fn copies_without_a_group(settings: &Settings, refuse: &mut Refuse<'_>) {
    match settings.int::<i64>("brokerId") {
        0 => {}
        -1 => refuse("brokerId", ASSIGNED, "set it to 0"),
        _ => refuse("brokerId", SLAVE, SLAVE_REMEDY),
    }
    match settings.one_of("brokerRole") {
        "SLAVE" => refuse("brokerRole", SLAVE, SLAVE_REMEDY),
        "SYNC_MASTER" => refuse("brokerRole", DOUBLE_WRITE, DOUBLE_WRITE_REMEDY),
        _ => {}
    }
    for key in ["totalReplicas", "inSyncReplicas", "minInSyncReplicas"] {
        if settings.int::<i64>(key) > 1 {
            refuse(key, COPIES, COPIES_REMEDY);
        }
    }
}

fn demand(
    settings: &Settings,
    key: &'static str,
    why: &'static str,
    remedy: &'static str,
) -> Demand {
    Demand {
        place: settings.place(key).clone(),
        key,
        value: settings.text(key).to_owned(),
        why,
        remedy,
    }
}
