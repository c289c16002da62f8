//! The JSON bodies: a byte that says which, and the text.

use remoting::body::{
    Body, BrokerMemberGroup, CheckClientConfig, ClusterInfo, ConsumeStats, ConsumerConnection,
    ConsumerIds, DataVersion, GroupList, HeartbeatData, KvTable, LockReply, LockRequest,
    MemberGroupReply, RegisterBrokerBody, SubscriptionGroupConfig, TopicConfig, TopicConfigs,
    TopicList, TopicRouteData, TopicStatsTable,
};

use crate::Outcome;

type Check = fn(&[u8]) -> Outcome;

/// Every body, with its name. The place is the byte in front of an input.
pub const BODIES: [(&str, Check); 20] = [
    body::<BrokerMemberGroup>(),
    body::<CheckClientConfig>(),
    body::<ClusterInfo>(),
    body::<ConsumeStats>(),
    body::<ConsumerConnection>(),
    body::<ConsumerIds>(),
    body::<DataVersion>(),
    body::<GroupList>(),
    body::<HeartbeatData>(),
    body::<KvTable>(),
    body::<LockReply>(),
    body::<LockRequest>(),
    body::<MemberGroupReply>(),
    body::<RegisterBrokerBody>(),
    body::<SubscriptionGroupConfig>(),
    body::<TopicConfig>(),
    body::<TopicConfigs>(),
    body::<TopicList>(),
    body::<TopicRouteData>(),
    body::<TopicStatsTable>(),
];

const fn body<B: Body + PartialEq + std::fmt::Debug>() -> (&'static str, Check) {
    (B::NAME, one::<B>)
}

/// A body of any type.
///
/// # Panics
/// When it does not survive being written and read, or an error does not name it.
pub fn check(input: &[u8]) -> Outcome {
    let Some((which, text)) = input.split_first() else {
        return Outcome::refused("no body");
    };
    let (_, check) = BODIES[usize::from(*which) % BODIES.len()];
    check(text)
}

fn one<B: Body + PartialEq + std::fmt::Debug>(text: &[u8]) -> Outcome {
    let body = match B::decode(text) {
        Ok(body) => body,
        Err(error) => {
            let error = error.to_string();
            assert!(error.starts_with(B::NAME), "{error}");
            return Outcome::refused(error);
        }
    };
    let again = body.encode();
    match B::decode(&again) {
        Ok(read) => assert_eq!(read, body, "{} survives being written", B::NAME),
        Err(error) => panic!("{error}: {}", String::from_utf8_lossy(&again)),
    }
    Outcome::Read
}
