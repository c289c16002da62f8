//! Raft groups, as one of their members sees them: the answer to our GET_RAFT_GROUP_STATE (29001).

use serde::{Deserialize, Serialize};

/// A group, and the member that answers. Indexes count the entries of the log from 0; −1 stands for none. What only a leader
/// knows is absent elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct RaftGroupState {
    /// The last entry that is applied here.
    pub applied_index: i64,
    /// Where clients reach this member.
    pub broker_addr: String,
    /// The broker name under which the group's members register.
    pub broker_name: String,
    /// Bytes a second that learners get from this member while it leads, all together.
    pub catch_up_rate: i64,
    /// A change of the members is under way.
    pub changing: bool,
    /// The cluster.
    pub cluster: String,
    /// The last entry that is committed, as far as this member knows.
    pub committed_index: i64,
    /// It leads, and has not heard of a majority for so long that the others may have elected somebody else.
    pub cut_off: bool,
    /// What is wrong with its disk, if it is too full.
    pub disk: Option<String>,
    /// The most milliseconds without a heartbeat after which it stands for election, and half of the time after which it gives its
    /// office up that has heard of no majority.
    pub election_max_millis: i64,
    /// The fewest.
    pub election_min_millis: i64,
    /// The group.
    pub group: String,
    /// Milliseconds for which it still makes no place for the member that should lead, because an operator wants that.
    pub held_millis: Option<i64>,
    /// What this member is called: as the group's log has it, or its configuration if it is not in there.
    pub label: String,
    /// The last entry of its log.
    pub last_index: i64,
    /// Store of the leader, as far as this member knows.
    pub leader: Option<String>,
    /// Bytes of the log begin here.
    pub log_begin: i64,
    /// And end here, committed or not. The logs of all members are the same bytes.
    pub log_end: i64,
    /// All members that the group's log names.
    pub members: Vec<RaftMember>,
    /// NameServers of this member.
    pub namesrv_addr: String,
    /// Where its configuration says that the other members reach it.
    pub raft_addr: String,
    /// How often the group was recovered by force, as this member's log has it.
    pub recoveries: i64,
    /// `LEADER`, `FOLLOWER`, `LEARNER`, or `NONE` for one that does not belong to the group.
    pub role: String,
    /// The shard.
    pub shard: i32,
    /// Distance between the ports of two shards.
    pub shard_port_stride: i32,
    /// Shards of the broker.
    pub shards: i32,
    /// Voters that the group can do without now; below 0 it has no majority.
    pub spare: Option<i64>,
    /// Whether its store belongs to a group: `EMPTY`, `MEMBER`, `ALONE`, or `UNKNOWN` while it starts.
    pub standing: String,
    /// Its store.
    pub store: String,
    /// The newest term that it knows.
    pub term: i64,
}

/// One of the group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct RaftMember {
    /// Where the other members reach it.
    pub addr: String,
    /// Entries of the leader's log that it does not have.
    pub behind: Option<i64>,
    /// Whether the member that answers is connected with it.
    pub connected: Option<bool>,
    /// The last entry that it has said to have, durable as the group's flushing has it.
    pub durable_index: Option<i64>,
    /// Milliseconds since it last answered the leader.
    pub heard_millis_ago: Option<i64>,
    /// What operators call it.
    pub label: String,
    /// Its store.
    pub store: String,
    /// What was last wrong between the member that answers and this one.
    pub trouble: Option<String>,
    /// `VOTER`, `LEARNER`, or while a change is under way `JOINING` and `LEAVING`.
    pub vote: String,
}

/// What a recovery of a group by force comes to, on the member that answers: the answer to our RECOVER_RAFT_GROUP (29007).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct RaftRecovery {
    /// This member is the group already, alone, since the last recovery.
    pub already: bool,
    /// It was asked for, and begins now.
    pub begins: bool,
    /// The last entry that is known here to be committed.
    pub committed_index: i64,
    /// The group.
    pub group: String,
    /// What this member is called.
    pub label: String,
    /// The last entry of its log.
    pub last_index: i64,
    /// The term of that.
    pub last_term: i64,
    /// All members that the group's log names.
    pub members: Vec<RaftRecoveryMember>,
    /// How often the group was recovered by force so far.
    pub recoveries: i64,
    /// Why it is refused, with those named as lost that were.
    pub refusal: Option<String>,
    /// The store of this member.
    pub store: String,
    /// The newest term that it knows.
    pub term: i64,
}

/// One of the group, for whoever decides about a recovery.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct RaftRecoveryMember {
    /// Where the other members reach it.
    pub addr: String,
    /// Whether it has answered, just now.
    pub answers: bool,
    /// The last entry that it has said to have, if the member that answers has led it and knows.
    pub durable_index: Option<i64>,
    /// Milliseconds since it last said anything to the member that answers, since that was started.
    pub heard_millis_ago: Option<i64>,
    /// What operators call it.
    pub label: String,
    /// The last entry of its log, if it has answered.
    pub last_index: Option<i64>,
    /// The term of that.
    pub last_term: Option<i64>,
    /// Its store.
    pub store: String,
    /// `VOTER`, `LEARNER`, or while a change is under way `JOINING` and `LEAVING`.
    pub vote: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::{Body, assert_json};

    #[test]
    fn what_only_a_leader_knows_may_be_absent() {
        let member = RaftMember { store: "0a".to_owned(), ..Default::default() };
        let state = RaftGroupState {
            last_index: -1,
            members: vec![member],
            role: "NONE".to_owned(),
            ..Default::default()
        };
        let text = r#"{"appliedIndex":0,"brokerAddr":"","brokerName":"","catchUpRate":0,"changing":false,"cluster":"","committedIndex":0,"cutOff":false,"electionMaxMillis":0,"electionMinMillis":0,"group":"","label":"","lastIndex":-1,"logBegin":0,"logEnd":0,"members":[{"addr":"","label":"","store":"0a","vote":""}],"namesrvAddr":"","raftAddr":"","recoveries":0,"role":"NONE","shard":0,"shardPortStride":0,"shards":0,"standing":"","store":"","term":0}"#;
        assert_json(&state, text);
        assert_eq!(RaftGroupState::decode(b"{}").unwrap(), RaftGroupState::default());
    }

    #[test]
    fn what_is_not_known_of_a_lost_member_is_absent() {
        let member = RaftRecoveryMember { store: "0b".to_owned(), ..Default::default() };
        let report = RaftRecovery {
            last_index: 9,
            members: vec![member],
            refusal: Some("no".to_owned()),
            ..Default::default()
        };
        let text = r#"{"already":false,"begins":false,"committedIndex":0,"group":"","label":"","lastIndex":9,"lastTerm":0,"members":[{"addr":"","answers":false,"label":"","store":"0b","vote":""}],"recoveries":0,"refusal":"no","store":"","term":0}"#;
        assert_json(&report, text);
    }
}
