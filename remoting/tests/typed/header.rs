//! Headers by code.

use remoting::command::EncodeExt;
use remoting::header::{DecodeExt, client, offset, pull, route, send, topic};
use remoting::{ExtFields, RequestCode};

use super::{COMMON_FIELDS, Finding, Typed};

/// Reads the fields by a type, writes them, and compares.
macro_rules! check {
    ($header:ty, $code:expr, $ext:expr) => {{
        let header = <$header>::decode($code, $ext).map_err(|error| error.to_string())?;
        let mut again = ExtFields::new();
        header.encode_ext(&mut again);
        if <$header>::decode($code, &again).as_ref() != Ok(&header) {
            return Err(format!("{} does not survive writing: {header:?}", stringify!($header)));
        }
        unknown($ext, &again).map(|()| Typed::Yes)
    }};
}

/// Fields that the type does not know.
fn unknown(ext: &ExtFields, known: &ExtFields) -> Result<(), Finding> {
    let short = known.get("a").is_some() && ext.get("producerGroup").is_some();
    for (name, value) in ext.iter() {
        // Long names of a send come back as short ones; their values are what is compared.
        let kept = if short {
            known.iter().any(|(_, have)| have.eq_ignore_ascii_case(value))
        } else {
            known.get(name).is_some_and(|have| have.eq_ignore_ascii_case(value))
        };
        if !kept && !COMMON_FIELDS.contains(&name) {
            return Err(format!("the header has no field `{name}` = `{value}`"));
        }
    }
    Ok(())
}

/// The header of a request.
pub fn request(code: RequestCode, ext: &ExtFields) -> Result<Typed, Finding> {
    use RequestCode as Q;
    match code {
        Q::SendMessage | Q::SendMessageV2 | Q::SendBatchMessage => {
            check!(send::SendHeader<'_>, code, ext)
        }
        Q::PullMessage | Q::LitePullMessage => check!(pull::PullHeader<'_>, code, ext),
        Q::ViewMessageById => check!(pull::ViewMessageHeader<'_>, code, ext),
        Q::QueryConsumerOffset => check!(offset::QueryOffsetHeader<'_>, code, ext),
        Q::UpdateConsumerOffset => check!(offset::UpdateOffsetHeader<'_>, code, ext),
        Q::GetMaxOffset => check!(offset::MaxOffsetHeader<'_>, code, ext),
        Q::GetMinOffset | Q::GetEarliestMsgStoretime => {
            check!(offset::QueueHeader<'_>, code, ext)
        }
        Q::SearchOffsetByTimestamp => check!(offset::SearchOffsetHeader<'_>, code, ext),
        Q::UpdateAndCreateTopic => check!(topic::CreateTopicHeader<'_>, code, ext),
        Q::DeleteTopicInBroker
        | Q::GetTopicConfig
        | Q::GetTopicStatsInfo
        | Q::QueryTopicConsumeByWho => check!(topic::TopicHeader<'_>, code, ext),
        Q::GetConsumeStats => check!(topic::ConsumeStatsHeader<'_>, code, ext),
        Q::GetSubscriptiongroupConfig => check!(topic::GroupHeader<'_>, code, ext),
        Q::UnregisterClient => check!(client::UnregisterClientHeader<'_>, code, ext),
        Q::GetConsumerListByGroup | Q::NotifyConsumerIdsChanged | Q::GetConsumerConnectionList => {
            check!(client::ConsumerGroupHeader<'_>, code, ext)
        }
        Q::GetRouteinfoByTopic => check!(route::RouteHeader<'_>, code, ext),
        Q::RegisterBroker => check!(route::RegisterBrokerHeader<'_>, code, ext),
        Q::UnregisterBroker | Q::QueryDataVersion => check!(route::BrokerHeader<'_>, code, ext),
        Q::BrokerHeartbeat => check!(route::BrokerHeartbeatHeader<'_>, code, ext),
        Q::DeleteTopicInNamesrv => check!(route::DropTopicHeader<'_>, code, ext),
        Q::GetTopicsByCluster => check!(route::ClusterHeader<'_>, code, ext),
        Q::GetBrokerMemberGroup => check!(route::MemberGroupHeader<'_>, code, ext),
        Q::WipeWritePermOfBroker | Q::AddWritePermOfBroker => {
            check!(route::BrokerNameHeader<'_>, code, ext)
        }
        Q::PutKvConfig => check!(route::PutKvHeader<'_>, code, ext),
        Q::GetKvConfig | Q::DeleteKvConfig => check!(route::KvKeyHeader<'_>, code, ext),
        Q::GetKvlistByNamespace => check!(route::KvNamespaceHeader<'_>, code, ext),
        Q::HeartBeat
        | Q::LockBatchMq
        | Q::UnlockBatchMq
        | Q::CheckClientConfig
        | Q::GetBrokerRuntimeInfo
        | Q::UpdateAndCreateSubscriptiongroup
        | Q::GetBrokerClusterInfo
        | Q::GetSystemTopicListFromNs
        | Q::GetAllTopicListFromNameserver => nothing(ext),
        _ => Ok(Typed::No),
    }
}

/// The header of an answer that succeeded.
pub fn reply(code: RequestCode, ext: &ExtFields) -> Result<Typed, Finding> {
    use RequestCode as Q;
    match code {
        Q::SendMessage | Q::SendMessageV2 | Q::SendBatchMessage => {
            check!(send::SendReply<'_>, code, ext)
        }
        Q::PullMessage | Q::LitePullMessage => check!(pull::PullReply, code, ext),
        Q::QueryConsumerOffset | Q::GetMaxOffset | Q::GetMinOffset | Q::SearchOffsetByTimestamp => {
            check!(offset::OffsetReply, code, ext)
        }
        Q::GetEarliestMsgStoretime => check!(offset::StoreTimeReply, code, ext),
        Q::HeartBeat => check!(client::HeartbeatReply, code, ext),
        Q::RegisterBroker => check!(route::RegisterBrokerReply<'_>, code, ext),
        Q::QueryDataVersion => check!(route::DataVersionReply, code, ext),
        Q::WipeWritePermOfBroker => check!(route::WipeWritePermReply, code, ext),
        Q::AddWritePermOfBroker => check!(route::AddWritePermReply, code, ext),
        Q::GetKvConfig => check!(route::KvReply<'_>, code, ext),
        _ if request_has_type(code) => nothing(ext),
        _ => Ok(Typed::No),
    }
}

/// Is the request one that is served? Its answers are known then, too.
fn request_has_type(code: RequestCode) -> bool {
    request(code, &ExtFields::new()) != Ok(Typed::No)
}

fn nothing(ext: &ExtFields) -> Result<Typed, Finding> {
    unknown(ext, &ExtFields::new()).map(|()| Typed::Yes)
}
