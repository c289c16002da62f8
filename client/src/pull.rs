//! Reading messages.

use std::time::Duration;

use bytes::Bytes;
use remoting::header::pull::{PullHeader, PullReply, ViewMessageHeader, pull_flag};
use remoting::{RequestCode, ResponseCode};

use crate::client::{Client, header, refused};
use crate::error::ClientError;

/// What to read.
#[derive(Debug, Clone, Copy)]
pub struct Pull<'a> {
    /// The consumer group.
    pub group: &'a str,
    /// The topic.
    pub topic: &'a str,
    /// The queue.
    pub queue: i32,
    /// Queue offset of the first message wanted.
    pub offset: i64,
    /// At most so many messages.
    pub max: i32,
    /// Tags (`*` for all) instead of what the group's heartbeats say.
    pub tags: Option<&'a str>,
    /// How long the broker may hold the request while there is nothing.
    pub hold: Option<Duration>,
    /// The group's progress, to be stored by the way.
    pub commit: Option<i64>,
}

/// What a pull has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PullStatus {
    /// Messages.
    Found,
    /// The end of the queue (code 19).
    End,
    /// Nothing that fits among those looked at; go on from the next offset at once (code 20).
    NothingFits,
    /// The offset is outside of the queue; go on from the next offset (code 21).
    Moved,
}

/// The answer to a pull.
#[derive(Debug, Clone)]
pub struct Pulled {
    /// What it is.
    pub status: PullStatus,
    /// Where to go on, and the bounds of the queue.
    pub reply: PullReply,
    /// Stored records, one after the other.
    pub records: Bytes,
}

impl Client {
    /// Reads messages of one queue.
    ///
    /// # Errors
    /// Refused, for instance with code 24 if the group has not been heard of and no tags are given.
    pub async fn pull(&self, addr: &str, pull: &Pull<'_>) -> Result<Pulled, ClientError> {
        let code = RequestCode::PullMessage;
        let flags = [
            (pull.commit.is_some(), pull_flag::COMMIT_OFFSET),
            (pull.hold.is_some(), pull_flag::SUSPEND),
            (pull.tags.is_some(), pull_flag::SUBSCRIPTION),
        ];
        let hold = pull.hold.unwrap_or_default();
        let ask = PullHeader {
            consumer_group: pull.group,
            topic: pull.topic,
            lite_topic: None,
            queue_id: pull.queue,
            queue_offset: pull.offset,
            max_msg_nums: pull.max,
            sys_flag: flags.iter().filter(|(on, _)| *on).map(|(_, bit)| bit).sum(),
            commit_offset: pull.commit.unwrap_or(0),
            suspend_timeout_millis: i64::try_from(hold.as_millis()).unwrap_or(i64::MAX),
            subscription: pull.tags,
            sub_version: 0,
            expression_type: pull.tags.map(|_| "TAG"),
            max_msg_bytes: None,
            request_source: None,
            proxy_forward_client_id: None,
        };
        let answer = self.exchange_held(addr, code, &ask, hold).await?;
        let status = match ResponseCode::from_code(answer.code) {
            Some(ResponseCode::Success) => PullStatus::Found,
            Some(ResponseCode::PullNotFound) => PullStatus::End,
            Some(ResponseCode::PullRetryImmediately) => PullStatus::NothingFits,
            Some(ResponseCode::PullOffsetMoved) => PullStatus::Moved,
            _ => return Err(refused(addr, code, answer)),
        };
        Ok(Pulled { status, reply: header(addr, code, &answer)?, records: answer.body })
    }

    /// The stored record at a physical offset.
    ///
    /// # Errors
    /// Refused with code 1 if there is none.
    pub async fn view(&self, addr: &str, offset: i64) -> Result<Bytes, ClientError> {
        let ask = ViewMessageHeader { topic: None, offset };
        Ok(self.ask(addr, RequestCode::ViewMessageById, &ask, &[]).await?.body)
    }
}
