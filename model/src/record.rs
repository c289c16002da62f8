//! The message record: one layout on the wire and on the disk.
//!
//! RocketMQ 5.5.0, `MessageDecoder` and `CommitLog`; all integers big-endian. `docs/format/record.md`
//! has the table. A record is written in two steps: [`Draft::encode`] lays it down once, where the
//! message arrives; [`stamp`] fills in the offsets and the store time once its place is known.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use thiserror::Error;

use crate::ids::{PhysicalOffset, QueueId, QueueOffset, UnixMillis};
use crate::properties;
use crate::sys_flag;

/// Magic of a record whose topic length takes one byte.
pub const MAGIC_V1: u32 = 0xDAA3_20A7;
/// Magic of a record whose topic length takes two bytes.
pub const MAGIC_V2: u32 = 0xDAA3_20AB;
/// The longest topic of a version 1 record, in bytes.
pub const MAX_TOPIC_V1: usize = 127;

const AT_MAGIC: usize = 4;
const AT_BODY_CRC: usize = 8;
const AT_QUEUE_ID: usize = 12;
const AT_FLAG: usize = 16;
const AT_QUEUE_OFFSET: usize = 20;
const AT_PHYSICAL_OFFSET: usize = 28;
const AT_SYS_FLAG: usize = 36;
const AT_BORN_TIME: usize = 40;
const AT_BORN_HOST: usize = 48;
const V4_HOST: usize = 8;
const V6_HOST: usize = 20;
/// Bytes of a record with IPv4 hosts before its body: the fixed part, and the body's length.
const FIXED_V4: usize = 88;
/// The same with IPv6 hosts, which is the most.
const FIXED_MAX: usize = FIXED_V4 + 2 * (V6_HOST - V4_HOST);
/// Fewest bytes a record can have: a topic of one byte, no body, no properties.
pub const MIN_LEN: usize = FIXED_V4 + 1 + 1 + 2;

const _: () = assert!(AT_BORN_HOST + V4_HOST == 56);
const _: () = assert!(AT_BORN_HOST + V4_HOST + 8 + V4_HOST + 4 + 8 + 4 == FIXED_V4);

/// What is wrong with a record's bytes, and where.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RecordError {
    /// The bytes end before the record does.
    #[error("the record needs {needed} bytes, {available} are there")]
    Short {
        /// Bytes the record says it has, or needs at least.
        needed: usize,
        /// Bytes given.
        available: usize,
    },
    /// Neither version's magic.
    #[error("no message record: magic {0:#010x}")]
    Magic(u32),
    /// A length inside leads out of the record.
    #[error("the record's {field} leads out of it: {value} in a record of {total} bytes")]
    Field {
        /// The field.
        field: &'static str,
        /// Its value.
        value: i64,
        /// The record's size in bytes.
        total: usize,
    },
    /// The lengths inside do not add up to the record's size.
    #[error("the record's parts have {parts} bytes, its size says {total}")]
    Sum {
        /// Sum of the parts.
        parts: usize,
        /// Size at the head of the record.
        total: usize,
    },
    /// The body is not the one that was stored.
    #[error("body CRC-32 is {found:#010x}, the record says {expected:#010x}")]
    BodyCrc {
        /// As computed.
        found: u32,
        /// As stored.
        expected: u32,
    },
    /// The topic is not UTF-8.
    #[error("the record's topic is not UTF-8")]
    Topic,
}

/// A message on its way into the log: everything but its place.
#[derive(Clone, Copy, Debug)]
pub struct Draft<'a> {
    /// Topic name: 1 to [`crate::topic::MAX_RETRY_TOPIC`] bytes.
    pub topic: &'a str,
    /// The queue within the topic.
    pub queue_id: QueueId,
    /// The application's flag.
    pub flag: i32,
    /// See [`crate::sys_flag`]; the two host bits are set by the encoder.
    pub sys_flag: i32,
    /// When the client made the message.
    pub born_time: UnixMillis,
    /// The client's address.
    pub born_host: SocketAddr,
    /// The address that the broker is reached at; part of the message id.
    pub store_host: SocketAddr,
    /// How often a consumer has given the message back.
    pub reconsume_times: i32,
    /// Offset of the half message that this one commits, else 0.
    pub prepared_offset: i64,
    /// The body, as the client sent it.
    pub body: &'a [u8],
    /// Property text, at most [`properties::MAX_LEN`] bytes together with [`Draft::more_properties`].
    pub properties: &'a [u8],
    /// Pairs that the broker adds.
    pub more_properties: &'a [u8],
}

/// CRC-32 of a body as a record stores it: without the sign bit.
#[must_use]
pub fn body_crc(body: &[u8]) -> u32 {
    crc32fast::hash(body) & 0x7FFF_FFFF
}

fn host_len(host: SocketAddr) -> usize {
    if host.is_ipv4() { V4_HOST } else { V6_HOST }
}

impl Draft<'_> {
    /// The separator that the client left out before the broker's own pairs.
    fn missing_separator(&self) -> bool {
        let ends = self.properties.last().is_none_or(|last| *last == properties::VALUE_END);
        !ends && !self.more_properties.is_empty()
    }

    /// Bytes of the property text that the record will hold.
    #[must_use]
    pub fn properties_len(&self) -> usize {
        self.properties.len() + usize::from(self.missing_separator()) + self.more_properties.len()
    }

    /// Bytes of the record.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        let topic_len_bytes = if self.topic.len() > MAX_TOPIC_V1 { 2 } else { 1 };
        let hosts = host_len(self.born_host) + host_len(self.store_host);
        FIXED_V4 - 2 * V4_HOST
            + hosts
            + self.body.len()
            + topic_len_bytes
            + self.topic.len()
            + 2
            + self.properties_len()
    }

    /// Lays the record down in `out`, as [`Draft::write`] does.
    ///
    /// # Panics
    /// When `out` is not exactly [`Draft::encoded_len`] bytes, and as [`Draft::write`].
    pub fn encode(&self, out: &mut [u8]) {
        assert_eq!(
            out.len(),
            self.encoded_len(),
            "a record is encoded into exactly its own length"
        );
        let mut to = Cursor { out, at: 0 };
        self.write(|part| to.put(part));
    }

    /// Gives the record to `put`, in parts, one behind the other; [`Draft::encoded_len`] bytes altogether. Queue
    /// offset, physical offset and store time stay 0 until [`stamp`]. The body's CRC is computed here, while the
    /// body is in the cache.
    ///
    /// # Panics
    /// When a length is beyond what the layout holds: the caller checks those limits where it can still
    /// answer the client.
    pub fn write(&self, mut put: impl FnMut(&[u8])) {
        assert!(!self.topic.is_empty() && self.topic.len() <= crate::topic::MAX_RETRY_TOPIC);
        assert!(
            self.properties_len() <= properties::MAX_LEN,
            "properties are checked by the caller"
        );
        let v2 = self.topic.len() > MAX_TOPIC_V1;
        let (mut head, mut written) = ([0; FIXED_MAX], 0);
        let fixed = self.head(&mut head, v2);
        let mut put = |part: &[u8]| {
            written += part.len();
            put(part);
        };
        put(&head[..fixed]);
        put(self.body);
        let topic_len = u16::try_from(self.topic.len()).expect("checked above").to_be_bytes();
        put(if v2 { &topic_len } else { &topic_len[1..] });
        put(self.topic.as_bytes());
        put(&u16::try_from(self.properties_len()).expect("checked above").to_be_bytes());
        put(self.properties);
        if self.missing_separator() {
            put(&[properties::VALUE_END]);
        }
        put(self.more_properties);
        assert_eq!(written, self.encoded_len(), "the parts of a record add up to its length");
    }

    /// Lays down all that comes before the body; its length.
    fn head(&self, out: &mut [u8; FIXED_MAX], v2: bool) -> usize {
        let mut to = Cursor { out, at: 0 };
        to.u32(u32::try_from(self.encoded_len()).expect("a record is smaller than 4 GiB"));
        to.u32(if v2 { MAGIC_V2 } else { MAGIC_V1 });
        to.u32(body_crc(self.body));
        to.u32(self.queue_id.0);
        to.put(&self.flag.to_be_bytes());
        to.put(&[0; 16]); // queue offset and physical offset: stamped
        to.put(&self.sys_flag_with_hosts().to_be_bytes());
        to.put(&self.born_time.0.to_be_bytes());
        to.host(self.born_host);
        to.put(&[0; 8]); // store time: stamped
        to.host(self.store_host);
        to.put(&self.reconsume_times.to_be_bytes());
        to.put(&self.prepared_offset.to_be_bytes());
        to.u32(u32::try_from(self.body.len()).expect("a body is smaller than 4 GiB"));
        to.at
    }

    fn sys_flag_with_hosts(&self) -> i32 {
        let mut flag = self.sys_flag & !(sys_flag::BORN_HOST_V6 | sys_flag::STORE_HOST_V6);
        if self.born_host.is_ipv6() {
            flag |= sys_flag::BORN_HOST_V6;
        }
        if self.store_host.is_ipv6() {
            flag |= sys_flag::STORE_HOST_V6;
        }
        flag
    }
}

struct Cursor<'a> {
    out: &'a mut [u8],
    at: usize,
}

impl Cursor<'_> {
    fn put(&mut self, bytes: &[u8]) {
        self.out[self.at..self.at + bytes.len()].copy_from_slice(bytes);
        self.at += bytes.len();
    }

    fn u32(&mut self, value: u32) {
        self.put(&value.to_be_bytes());
    }

    fn host(&mut self, host: SocketAddr) {
        match host.ip() {
            IpAddr::V4(ip) => self.put(&ip.octets()),
            IpAddr::V6(ip) => self.put(&ip.octets()),
        }
        self.u32(u32::from(host.port()));
    }
}

/// Fills in what is known only once the record has its place.
///
/// # Panics
/// When `record` is not a record that [`Draft::encode`] laid down.
pub fn stamp(record: &mut [u8], queue: QueueOffset, physical: PhysicalOffset, stored: UnixMillis) {
    assert!(record.len() >= MIN_LEN, "a stamped record is a whole record");
    let magic = u32_at(record, AT_MAGIC);
    assert!(magic == MAGIC_V1 || magic == MAGIC_V2, "a stamped record has a record's magic");
    put_u64(record, AT_QUEUE_OFFSET, queue.0);
    put_u64(record, AT_PHYSICAL_OFFSET, physical.0);
    let at = AT_BORN_HOST + born_host_len(record);
    put_u64(record, at, stored.0);
}

fn born_host_len(record: &[u8]) -> usize {
    let v6 = i32_at(record, AT_SYS_FLAG) & sys_flag::BORN_HOST_V6 != 0;
    if v6 { V6_HOST } else { V4_HOST }
}

/// Bytes at the beginning of a record that a [`Head`] is read from; every record has as many.
pub const HEAD_LEN: usize = AT_BORN_HOST + V6_HOST + 8;
const _: () = assert!(HEAD_LEN <= MIN_LEN);

/// What the beginning of a record tells, for those who do not need the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Bytes of the record.
    pub len: u32,
    /// Queue within the topic.
    pub queue_id: QueueId,
    /// Position in the queue.
    pub queue_offset: QueueOffset,
    /// Position of the record in the log.
    pub physical_offset: PhysicalOffset,
    /// When the leader stored the message.
    pub store_time: UnixMillis,
}

impl Head {
    /// Reads the head of the record at the beginning of `bytes`. Only the magic is checked: the caller
    /// compares the other fields with what he knows of the record.
    ///
    /// # Errors
    /// [`RecordError::Short`] below [`HEAD_LEN`] bytes, [`RecordError::Magic`].
    pub fn parse(bytes: &[u8]) -> Result<Self, RecordError> {
        if bytes.len() < HEAD_LEN {
            return Err(RecordError::Short { needed: HEAD_LEN, available: bytes.len() });
        }
        let magic = u32_at(bytes, AT_MAGIC);
        if magic != MAGIC_V1 && magic != MAGIC_V2 {
            return Err(RecordError::Magic(magic));
        }
        Ok(Self {
            len: u32_at(bytes, 0),
            queue_id: QueueId(u32_at(bytes, AT_QUEUE_ID)),
            queue_offset: QueueOffset(u64_at(bytes, AT_QUEUE_OFFSET)),
            physical_offset: PhysicalOffset(u64_at(bytes, AT_PHYSICAL_OFFSET)),
            store_time: UnixMillis(u64_at(bytes, AT_BORN_HOST + born_host_len(bytes))),
        })
    }
}

/// A record in place: its bytes, with the bounds of its parts checked.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    bytes: &'a [u8],
    topic: &'a str,
    after_born_host: usize,
    body: (usize, usize),
    properties: (usize, usize),
}

impl<'a> Record<'a> {
    /// Reads the record at the beginning of `bytes`, which may go on after it. Every length inside is
    /// checked; the body's CRC is not ([`Record::check_body`] does that).
    ///
    /// # Errors
    /// [`RecordError`] says which part is wrong.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, RecordError> {
        if bytes.len() < MIN_LEN {
            return Err(RecordError::Short { needed: MIN_LEN, available: bytes.len() });
        }
        let magic = u32_at(bytes, AT_MAGIC);
        if magic != MAGIC_V1 && magic != MAGIC_V2 {
            return Err(RecordError::Magic(magic));
        }
        let total = u32_at(bytes, 0) as usize;
        if total < MIN_LEN || total > bytes.len() {
            return Err(RecordError::Short { needed: total.max(MIN_LEN), available: bytes.len() });
        }
        Self::parts(&bytes[..total], magic == MAGIC_V2)
    }

    fn parts(bytes: &'a [u8], v2: bool) -> Result<Self, RecordError> {
        let total = bytes.len();
        let sys = i32_at(bytes, AT_SYS_FLAG);
        let store_host = if sys & sys_flag::STORE_HOST_V6 == 0 { V4_HOST } else { V6_HOST };
        let after_born_host = AT_BORN_HOST + born_host_len(bytes);
        let at_body_len = after_born_host + 8 + store_host + 4 + 8;
        let mut at = at_body_len;
        let mut part = |field: &'static str, width: usize| -> Result<(usize, usize), RecordError> {
            let end = at + width;
            if end > total {
                return Err(RecordError::Short { needed: end, available: total });
            }
            let len = bytes[at..end].iter().fold(0usize, |n, byte| n << 8 | usize::from(*byte));
            if len > total - end {
                let value = i64::try_from(len).unwrap_or(i64::MAX);
                return Err(RecordError::Field { field, value, total });
            }
            at = end + len;
            Ok((end, end + len))
        };
        let body = part("body length", 4)?;
        let topic = part("topic length", if v2 { 2 } else { 1 })?;
        let properties = part("properties length", 2)?;
        if at != total {
            return Err(RecordError::Sum { parts: at, total });
        }
        let topic =
            std::str::from_utf8(&bytes[topic.0..topic.1]).map_err(|_| RecordError::Topic)?;
        Ok(Self { bytes, topic, after_born_host, body, properties })
    }

    /// Checks the body against its CRC.
    ///
    /// # Errors
    /// [`RecordError::BodyCrc`] with both values.
    pub fn check_body(&self) -> Result<(), RecordError> {
        let (found, expected) = (body_crc(self.body()), u32_at(self.bytes, AT_BODY_CRC));
        if found == expected { Ok(()) } else { Err(RecordError::BodyCrc { found, expected }) }
    }

    /// The record's bytes, and no more.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Topic name.
    #[must_use]
    pub fn topic(&self) -> &'a str {
        self.topic
    }

    /// Queue within the topic.
    #[must_use]
    pub fn queue_id(&self) -> QueueId {
        QueueId(u32_at(self.bytes, AT_QUEUE_ID))
    }

    /// The application's flag.
    #[must_use]
    pub fn flag(&self) -> i32 {
        i32_at(self.bytes, AT_FLAG)
    }

    /// Position in the queue.
    #[must_use]
    pub fn queue_offset(&self) -> QueueOffset {
        QueueOffset(u64_at(self.bytes, AT_QUEUE_OFFSET))
    }

    /// Position of the record in the log.
    #[must_use]
    pub fn physical_offset(&self) -> PhysicalOffset {
        PhysicalOffset(u64_at(self.bytes, AT_PHYSICAL_OFFSET))
    }

    /// See [`crate::sys_flag`].
    #[must_use]
    pub fn sys_flag(&self) -> i32 {
        i32_at(self.bytes, AT_SYS_FLAG)
    }

    /// When the client made the message.
    #[must_use]
    pub fn born_time(&self) -> UnixMillis {
        UnixMillis(u64_at(self.bytes, AT_BORN_TIME))
    }

    /// When the leader stored the message.
    #[must_use]
    pub fn store_time(&self) -> UnixMillis {
        UnixMillis(u64_at(self.bytes, self.after_born_host))
    }

    /// The client's address.
    #[must_use]
    pub fn born_host(&self) -> SocketAddr {
        host(&self.bytes[AT_BORN_HOST..self.after_born_host])
    }

    /// The broker's address.
    #[must_use]
    pub fn store_host(&self) -> SocketAddr {
        let v6 = self.sys_flag() & sys_flag::STORE_HOST_V6 != 0;
        let at = self.after_born_host + 8;
        host(&self.bytes[at..at + if v6 { V6_HOST } else { V4_HOST }])
    }

    /// How often a consumer has given the message back.
    #[must_use]
    pub fn reconsume_times(&self) -> i32 {
        i32_at(self.bytes, self.body.0 - 4 - 8 - 4)
    }

    /// The body as stored.
    #[must_use]
    pub fn body(&self) -> &'a [u8] {
        &self.bytes[self.body.0..self.body.1]
    }

    /// The property text.
    #[must_use]
    pub fn properties(&self) -> &'a [u8] {
        &self.bytes[self.properties.0..self.properties.1]
    }

    /// The hash of the record's tag; 0 without one.
    #[must_use]
    pub fn tag_hash(&self) -> i64 {
        properties::find(self.properties(), properties::TAGS).map_or(0, crate::tag::tag_hash)
    }
}

fn host(bytes: &[u8]) -> SocketAddr {
    let (ip, port) = bytes.split_at(bytes.len() - 4);
    let port = u16::from_be_bytes([port[2], port[3]]);
    let ip = match <[u8; 16]>::try_from(ip) {
        Ok(octets) => IpAddr::V6(Ipv6Addr::from(octets)),
        Err(_) => IpAddr::V4(Ipv4Addr::new(ip[0], ip[1], ip[2], ip[3])),
    };
    SocketAddr::new(ip, port)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn i32_at(bytes: &[u8], at: usize) -> i32 {
    i32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_be_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

fn put_u64(bytes: &mut [u8], at: usize, value: u64) {
    bytes[at..at + 8].copy_from_slice(&value.to_be_bytes());
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
