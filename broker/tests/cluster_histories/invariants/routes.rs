//! A NameServer that is there names the leader of each group soon after it was elected, and none that was followed; and it has each
//! address of a group once.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use remoting::body::BrokerData;
use runtime::Instant;

/// Time in which a leader is registered, where nothing has been wrong for [`QUIET`].
const PROMPT: Duration = Duration::from_secs(2);
/// Time in which it is, once nothing is wrong between it and the NameServer any more: a broker tries again every five seconds, and a
/// connection may be cut that it does not know of.
const LATE: Duration = Duration::from_secs(40);
const QUIET: Duration = Duration::from_secs(40);

/// A leader, as it says itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leader {
    pub node: usize,
    pub addr: String,
    pub term: i64,
}

#[derive(Default)]
pub struct Routes {
    /// When something was wrong last with a node, or with a NameServer, or between them.
    trouble: BTreeMap<(usize, usize), Instant>,
    /// By shard and NameServer: a leader that it does not name, and since when.
    unnamed: BTreeMap<(u32, usize), (Leader, Instant)>,
    pub looks: u64,
}

impl Routes {
    /// Something is wrong now.
    pub fn trouble(&mut self, node: usize, names: usize, now: Instant) {
        self.trouble.insert((node, names), now);
    }

    /// What a NameServer says of a group.
    pub fn says(
        &mut self,
        (shard, names): (u32, usize),
        said: Option<&BrokerData>,
        leader: &Leader,
        now: Instant,
    ) {
        self.looks += 1;
        if let Some(said) = said {
            let addrs: BTreeSet<&String> = said.broker_addrs.values().collect();
            assert_eq!(addrs.len(), said.broker_addrs.len(), "an address is named twice: {said:?}");
        }
        let master = said.and_then(|said| said.broker_addrs.get(&0));
        if master == Some(&leader.addr) {
            self.unnamed.remove(&(shard, names));
            return;
        }
        let (unnamed, since) =
            self.unnamed.entry((shard, names)).or_insert_with(|| (leader.clone(), now));
        if unnamed != leader {
            (*unnamed, *since) = (leader.clone(), now);
        }
        let trouble = self.trouble.get(&(leader.node, names)).copied();
        let quiet = trouble.is_none_or(|last| *since > last + QUIET);
        let limit = if quiet { PROMPT } else { LATE };
        let from = trouble.map_or(*since, |last| last.max(*since));
        assert!(
            now - from < limit,
            "NameServer {names} has {master:?} for the leader of shard {shard}, and {leader:?} leads since {since:?}"
        );
    }
}
