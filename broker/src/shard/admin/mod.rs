//! What the tools ask: runtime information, settings of topics and groups, progress, connections.

mod connections;
mod latency;
mod progress;
mod runtime_info;
mod settings;
mod stats;
mod window;

use std::rc::Rc;

use bytes::Bytes;
use remoting::{CommandRef, RequestCode};
use transport::Connection;

pub use latency::Latency;
pub use settings::data_version;
pub use stats::{Days, Stats, sample};
pub use window::{Counter, SmallCounter, Span};

use super::replica::{changes, recover, state};
use super::reply::{Caller, Refusal};
use super::{Handler, Shard};

/// The rest of the requests: those of the tools, and those that nobody here serves (code 3).
pub fn other(shard: &Rc<Shard>, connection: &Connection, request: &CommandRef<'_>, body: Bytes) {
    let handler: Handler = match RequestCode::from_code(request.code) {
        Some(RequestCode::GetBrokerRuntimeInfo) => runtime_info::runtime_info,
        Some(RequestCode::GetTopicConfig) => settings::topic,
        Some(RequestCode::GetAllTopicConfig) => settings::all_topics,
        Some(RequestCode::GetSystemTopicListFromBroker) => settings::system_topics,
        Some(RequestCode::GetSubscriptiongroupConfig) => settings::group,
        Some(RequestCode::GetAllSubscriptiongroupConfig) => settings::all_groups,
        Some(RequestCode::DeleteSubscriptiongroup) => super::groups::delete,
        Some(RequestCode::GetTopicStatsInfo) => progress::topic,
        Some(RequestCode::GetConsumeStats) => progress::group,
        Some(RequestCode::QueryTopicConsumeByWho) => progress::groups_of_topic,
        Some(RequestCode::GetConsumerConnectionList) => connections::consumers,
        Some(RequestCode::GetProducerConnectionList) => connections::producers,
        Some(RequestCode::GetRaftGroupState) => state::answer,
        Some(RequestCode::AddRaftLearner) => changes::add_learner,
        Some(RequestCode::PromoteRaftLearner) => changes::promote,
        Some(RequestCode::RemoveRaftMember) => changes::remove,
        Some(RequestCode::ReplaceRaftMember) => changes::replace,
        Some(RequestCode::TransferRaftLeader) => changes::transfer,
        Some(RequestCode::RecoverRaftGroup) => recover::recover,
        _ => return transport::not_supported(connection, request),
    };
    handler(shard, connection, request, body);
}

/// Answers a body, or refuses.
fn answer(caller: &Caller, body: Result<Vec<u8>, Refusal>) {
    match body {
        Ok(body) => caller.body(&(), &body),
        Err(refusal) => refusal.send(caller),
    }
}
