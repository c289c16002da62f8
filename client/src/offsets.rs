//! Queue offsets and the progress of groups.

use remoting::header::offset::{
    Boundary, MaxOffsetHeader, OffsetReply, QueryOffsetHeader, QueueHeader, SearchOffsetHeader,
    StoreTimeReply, UpdateOffsetHeader,
};
use remoting::{RequestCode, ResponseCode};

use crate::client::{Client, accepted, header};
use crate::error::ClientError;

impl Client {
    /// One more than the largest queue offset.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn max_offset(
        &self,
        addr: &str,
        topic: &str,
        queue: i32,
    ) -> Result<i64, ClientError> {
        let code = RequestCode::GetMaxOffset;
        let ask = MaxOffsetHeader { topic, queue_id: queue, committed: None };
        let answer = self.ask(addr, code, &ask, &[]).await?;
        header(addr, code, &answer).map(|reply: OffsetReply| reply.offset)
    }

    /// The smallest queue offset.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn min_offset(
        &self,
        addr: &str,
        topic: &str,
        queue: i32,
    ) -> Result<i64, ClientError> {
        let code = RequestCode::GetMinOffset;
        let answer = self.ask(addr, code, &QueueHeader { topic, queue_id: queue }, &[]).await?;
        header(addr, code, &answer).map(|reply: OffsetReply| reply.offset)
    }

    /// The queue offset that belongs to a store time (milliseconds since 1970).
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn search_offset(
        &self,
        addr: &str,
        topic: &str,
        queue: i32,
        timestamp: i64,
        boundary: Boundary,
    ) -> Result<i64, ClientError> {
        let code = RequestCode::SearchOffsetByTimestamp;
        let ask =
            SearchOffsetHeader { topic, lite_topic: None, queue_id: queue, timestamp, boundary };
        let answer = self.ask(addr, code, &ask, &[]).await?;
        header(addr, code, &answer).map(|reply: OffsetReply| reply.offset)
    }

    /// Store time of the oldest message of a queue, milliseconds since 1970; −1 if it is empty.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn earliest_store_time(
        &self,
        addr: &str,
        topic: &str,
        queue: i32,
    ) -> Result<i64, ClientError> {
        let code = RequestCode::GetEarliestMsgStoretime;
        let answer = self.ask(addr, code, &QueueHeader { topic, queue_id: queue }, &[]).await?;
        header(addr, code, &answer).map(|reply: StoreTimeReply| reply.timestamp)
    }

    /// A group's progress in a queue; `None` if there is none.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn group_offset(
        &self,
        addr: &str,
        group: &str,
        topic: &str,
        queue: i32,
    ) -> Result<Option<i64>, ClientError> {
        let code = RequestCode::QueryConsumerOffset;
        let ask = QueryOffsetHeader {
            consumer_group: group,
            topic,
            queue_id: queue,
            set_zero_if_not_found: Some(false),
        };
        let answer = self.exchange(addr, code, &ask, &[]).await?;
        if answer.code == ResponseCode::QueryNotFound.code() {
            return Ok(None);
        }
        let answer = accepted(addr, code, answer)?;
        header(addr, code, &answer).map(|reply: OffsetReply| Some(reply.offset))
    }

    /// Stores a group's progress: the queue offset of the first message not consumed yet.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn commit_offset(
        &self,
        addr: &str,
        group: &str,
        topic: &str,
        queue: i32,
        offset: i64,
    ) -> Result<(), ClientError> {
        let ask = UpdateOffsetHeader {
            consumer_group: group,
            topic,
            queue_id: queue,
            commit_offset: offset,
        };
        self.ask(addr, RequestCode::UpdateConsumerOffset, &ask, &[]).await.map(drop)
    }
}
