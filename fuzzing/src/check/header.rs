//! The text of a header, read by every type of header that there is.

use remoting::command::EncodeExt;
use remoting::header::{DecodeExt, HeaderError, client, offset, pull, query, route, send, topic};
use remoting::{ExtFields, ExtRef, RequestCode};

use super::frame;
use crate::Outcome;

/// A header as JSON.
///
/// # Panics
/// When a typed header does not survive being written and read, or an error does not name its field.
pub fn check(text: &[u8]) -> Outcome {
    let head = match frame::head(text) {
        Ok(head) => head,
        Err(error) => return Outcome::refused(error),
    };
    let refused = typed(&head.ext);
    // The request's own type is the one that counts; only it makes kinds of outcomes.
    match refused.into_iter().find(|(code, _)| i32::from(*code) == head.code) {
        Some((_, error)) => Outcome::refused(error),
        None => Outcome::Read,
    }
}

/// Tries every type; who refuses the fields, and why.
fn typed(ext: &ExtRef<'_>) -> Vec<(RequestCode, HeaderError)> {
    use RequestCode as Q;
    let mut refused = Vec::new();
    macro_rules! each {
        ($( $code:ident: $header:ty; )*) => {
            $( match <$header>::decode(Q::$code, ext) {
                Ok(header) => {
                    let mut fields = ExtFields::new();
                    header.encode_ext(&mut fields);
                    let again = <$header>::decode(Q::$code, &fields);
                    assert_eq!(again.as_ref(), Ok(&header), "it survives being written");
                }
                Err(error) => {
                    let (HeaderError::Missing { code, field }
                    | HeaderError::BadNumber { code, field, .. }) = &error;
                    let (text, code) = (error.to_string(), code.to_string());
                    assert!(text.contains(&code) && text.contains(field), "{text}");
                    drop(Outcome::refused(text));
                    refused.push((Q::$code, error));
                }
            } )*
        };
    }
    each! {
        SendMessage: send::SendHeader<'_>;
        SendMessageV2: send::SendHeader<'_>;
        SendBatchMessage: send::SendReply<'_>;
        PullMessage: pull::PullHeader<'_>;
        LitePullMessage: pull::PullReply;
        ViewMessageById: pull::ViewMessageHeader<'_>;
        QueryMessage: query::QueryMessageHeader<'_>;
        QueryMessage: query::QueryMessageReply;
        QueryConsumerOffset: offset::QueryOffsetHeader<'_>;
        UpdateConsumerOffset: offset::UpdateOffsetHeader<'_>;
        GetMaxOffset: offset::MaxOffsetHeader<'_>;
        GetMinOffset: offset::QueueHeader<'_>;
        SearchOffsetByTimestamp: offset::SearchOffsetHeader<'_>;
        GetMaxOffset: offset::OffsetReply;
        GetEarliestMsgStoretime: offset::StoreTimeReply;
        UpdateAndCreateTopic: topic::CreateTopicHeader<'_>;
        DeleteTopicInBroker: topic::TopicHeader<'_>;
        GetConsumeStats: topic::ConsumeStatsHeader<'_>;
        GetSubscriptiongroupConfig: topic::GroupHeader<'_>;
        UnregisterClient: client::UnregisterClientHeader<'_>;
        GetConsumerListByGroup: client::ConsumerGroupHeader<'_>;
        HeartBeat: client::HeartbeatReply;
        GetRouteinfoByTopic: route::RouteHeader<'_>;
        RegisterBroker: route::RegisterBrokerHeader<'_>;
        RegisterBroker: route::RegisterBrokerReply<'_>;
        UnregisterBroker: route::BrokerHeader<'_>;
        QueryDataVersion: route::DataVersionReply;
        BrokerHeartbeat: route::BrokerHeartbeatHeader<'_>;
        DeleteTopicInNamesrv: route::DropTopicHeader<'_>;
        GetTopicsByCluster: route::ClusterHeader<'_>;
        GetBrokerMemberGroup: route::MemberGroupHeader<'_>;
        WipeWritePermOfBroker: route::BrokerNameHeader<'_>;
        WipeWritePermOfBroker: route::WipeWritePermReply;
        AddWritePermOfBroker: route::AddWritePermReply;
        PutKvConfig: route::PutKvHeader<'_>;
        GetKvConfig: route::KvKeyHeader<'_>;
        GetKvConfig: route::KvReply<'_>;
        GetKvlistByNamespace: route::KvNamespaceHeader<'_>;
    }
    refused
}
