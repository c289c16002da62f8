//! How many bytes a message is on the wire and on the device.

use model::{Draft, QueueId, UnixMillis};
use remoting::Command;
use remoting::header::send::SendReply;

use crate::limits::BLOCK;
use crate::wire::{SendTemplate, Sender};

/// What a log adds to a record at most before it is rounded up to whole blocks.
const ENTRY: usize = 128;

/// Bytes of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Sizes {
    /// The request that sends it.
    pub request: usize,
    /// The acknowledgement.
    pub reply: usize,
    /// The write that makes it durable, whole blocks.
    pub write: usize,
}

impl Sizes {
    /// For a body of so many bytes; `write` overrides what is written.
    #[must_use]
    pub fn of(body: usize, write: Option<usize>) -> Sizes {
        let sender =
            Sender { group: "mqbench", topic: "bench", topic_queues: 8, key: 0, body_len: body };
        let request = SendTemplate::new(&sender, "broker-a", 0).frame_len();
        let write = write.unwrap_or_else(|| (record(body) + ENTRY).next_multiple_of(BLOCK));
        Sizes { request, reply: reply(), write }
    }
}

fn reply() -> usize {
    let header = SendReply {
        msg_id: "7F000001000078BF00000000000002C7",
        queue_id: 0,
        queue_offset: 1_000_000,
        transaction_id: Some("7F000001000078BF00000000000002C7"),
        batch_uniq_id: None,
        recall_handle: None,
        region: Some("DefaultRegion"),
        trace_on: Some(true),
    };
    let mut out = Vec::new();
    Command::reply_to(1_000_000, 0).with_ext(&header).encode(&mut out).expect("it fits a frame");
    out.len()
}

fn record(body: usize) -> usize {
    let body = vec![0; body];
    let host = ([127, 0, 0, 1], 10911).into();
    let draft = Draft {
        topic: "bench",
        queue_id: QueueId(0),
        flag: 0,
        sys_flag: 0,
        born_time: UnixMillis(0),
        born_host: host,
        store_host: host,
        reconsume_times: 0,
        prepared_offset: 0,
        body: &body,
        properties: &[b'x'; 64],
        more_properties: b"",
    };
    draft.encoded_len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_of_a_kibibyte_takes_a_block() {
        let sizes = Sizes::of(1024, None);
        assert_eq!(sizes.write, 4096);
        assert!(sizes.request > 1200 && sizes.request < 2048, "{sizes:?}");
        assert!(sizes.reply > 150 && sizes.reply < 512, "{sizes:?}");
        assert_eq!(Sizes::of(4096, None).write, 8192);
        assert_eq!(Sizes::of(1024, Some(65_536)).write, 65_536);
    }
}
