//! From a request's code to its handler.

use std::rc::Rc;

use bytes::Bytes;
use remoting::{CommandRef, RequestCode};
use transport::{Connection, Serve};

use super::replica::forward;
use super::{
    Shard, admin, clients, groups, locks, long_poll, offsets, pull, query, send, send_back, topics,
    view,
};

/// The requests of a shard's connections.
pub struct Requests(pub Rc<Shard>);

impl Serve for Requests {
    fn on_request(&self, connection: &Connection, request: CommandRef<'_>, body: Bytes) {
        dispatch(&self.0, connection, &request, body);
    }

    fn on_frame(
        &self,
        connection: &Connection,
        request: CommandRef<'_>,
        body: Bytes,
        frame: &Bytes,
    ) {
        if !forward::take(&self.0, connection, &request, frame) {
            dispatch(&self.0, connection, &request, body);
        }
    }

    fn on_close(&self, connection: &Connection) {
        long_poll::connection_closed(&self.0, connection);
        clients::connection_closed(&self.0, connection);
    }
}

/// Whether a request changes something. A question that wants no answer costs nothing: no task, no read.
pub(in crate::shard) fn has_effect(code: RequestCode) -> bool {
    matches!(
        code,
        RequestCode::SendMessage
            | RequestCode::SendMessageV2
            | RequestCode::SendBatchMessage
            | RequestCode::PullMessage
            | RequestCode::LitePullMessage
            | RequestCode::ConsumerSendMsgBack
            | RequestCode::UpdateConsumerOffset
            | RequestCode::UpdateAndCreateTopic
            | RequestCode::DeleteTopicInBroker
            | RequestCode::HeartBeat
            | RequestCode::UnregisterClient
            | RequestCode::LockBatchMq
            | RequestCode::UnlockBatchMq
            | RequestCode::UpdateAndCreateSubscriptiongroup
            | RequestCode::DeleteSubscriptiongroup
    )
}

/// Hands a request to its handler. A handler answers at once, or keeps a [`super::reply::Caller`] and
/// answers later; none waits here.
pub(in crate::shard) fn dispatch(
    shard: &Rc<Shard>,
    connection: &Connection,
    request: &CommandRef<'_>,
    body: Bytes,
) {
    let code = RequestCode::from_code(request.code);
    if request.flag.is_oneway() && !code.is_some_and(has_effect) {
        return;
    }
    let handler = match code {
        Some(RequestCode::SendMessage | RequestCode::SendMessageV2) => send::send,
        Some(RequestCode::SendBatchMessage) => send::send_batch,
        Some(RequestCode::PullMessage | RequestCode::LitePullMessage) => pull::pull,
        Some(RequestCode::ConsumerSendMsgBack) => send_back::refuse,
        Some(RequestCode::QueryConsumerOffset) => offsets::query,
        Some(RequestCode::UpdateConsumerOffset) => offsets::update,
        Some(RequestCode::GetMaxOffset) => view::max_offset,
        Some(RequestCode::GetMinOffset) => view::min_offset,
        Some(RequestCode::SearchOffsetByTimestamp) => view::search_offset,
        Some(RequestCode::GetEarliestMsgStoretime) => view::earliest_store_time,
        Some(RequestCode::ViewMessageById) => view::by_id,
        Some(RequestCode::QueryMessage) => query::by_key,
        Some(RequestCode::UpdateAndCreateTopic) => topics::create,
        Some(RequestCode::DeleteTopicInBroker) => topics::delete,
        Some(RequestCode::HeartBeat) => clients::heartbeat,
        Some(RequestCode::UnregisterClient) => clients::unregister,
        Some(RequestCode::GetConsumerListByGroup) => clients::consumer_list,
        Some(RequestCode::CheckClientConfig) => clients::check_config,
        Some(RequestCode::LockBatchMq) => locks::lock,
        Some(RequestCode::UnlockBatchMq) => locks::unlock,
        Some(RequestCode::UpdateAndCreateSubscriptiongroup) => groups::update,
        _ => admin::other,
    };
    handler(shard, connection, request, body);
}
