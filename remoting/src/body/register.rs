//! What a broker registers: its topics, plain or compressed.
//!
//! The compressed form is a zlib stream of: `i32 length, DataVersion JSON`; `i32 count` and that
//! many `i32 length, text` topics; `i32 length, JSON list` of filter servers; and since 5.0.0
//! `i32 count` and that many `i32 length, JSON` mappings. RocketMQ 5.5.0, class RegisterBrokerBody.

use std::collections::BTreeMap;
use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use serde::{Deserialize, Serialize};

use crate::body::{Body, BodyError, DataVersion, TopicConfig, TopicConfigs};
use crate::command::version;
use crate::fastjson;
use crate::limits::MAX_INFLATED;
use crate::quote;

/// The body of REGISTER_BROKER (103).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct RegisterBrokerBody {
    /// Filter servers; no longer used.
    pub filter_server_list: Vec<String>,
    /// The broker's topics.
    #[serde(rename = "topicConfigSerializeWrapper")]
    pub topics: TopicConfigs,
}

/// A compressed registration that cannot be read. Answer with code 1 and this text.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// The zlib stream is damaged or ends early.
    #[error("registration body is no zlib stream: set compressedRegister=false on the broker")]
    Zlib {
        /// What the decoder said.
        #[source]
        source: std::io::Error,
    },
    /// It inflates to more than allowed.
    #[error("registration body inflates to more than {MAX_INFLATED} bytes: register fewer topics")]
    TooLong,
    /// A length or a count is negative or leads beyond the end.
    #[error("registration body breaks off at byte {at} of the inflated text, in {part}")]
    Truncated {
        /// Byte position in the inflated text.
        at: usize,
        /// What was read there.
        part: &'static str,
    },
    /// A topic line does not have its five parts, or not the numbers.
    #[error(
        "registration body has the topic line `{line}`: name, two queue numbers, perm, filter type"
    )]
    Topic {
        /// The line, shortened.
        line: String,
    },
    /// One of the JSON parts cannot be read.
    #[error(transparent)]
    Json(#[from] BodyError),
}

/// The checksum of a registration body that goes into `bodyCrc32`: CRC-32 without the top bit.
#[must_use]
pub fn body_crc(body: &[u8]) -> i32 {
    let crc = crc32fast::hash(body) & 0x7fff_ffff;
    i32::try_from(crc).expect("31 bits fit an i32")
}

impl RegisterBrokerBody {
    /// Reads the compressed form. `broker_version` is the version in the broker's header.
    ///
    /// # Errors
    /// [`RegisterError`].
    pub fn decode_compressed(bytes: &[u8], broker_version: i32) -> Result<Self, RegisterError> {
        let inflated = inflate(bytes)?;
        let mut parts = Parts { text: &inflated, at: 0 };
        let version = parts.piece("the data version")?;
        let data_version = DataVersion::decode(version)?;
        let mut topics = BTreeMap::new();
        for _ in 0..parts.count("the topic count")? {
            let config = topic_from_line(parts.piece("a topic")?)?;
            topics.insert(config.topic_name.clone(), config);
        }
        let filter_server_list = json(parts.piece("the filter servers")?, "filter server list")?;
        let mut mappings = BTreeMap::new();
        if broker_version >= version::V5_0_0 {
            for _ in 0..parts.count("the mapping count")? {
                let mapping: serde_json::Value = json(parts.piece("a mapping")?, "topic mapping")?;
                let topic = mapping.get("topic").and_then(|topic| topic.as_str());
                mappings.insert(topic.unwrap_or_default().to_owned(), mapping);
            }
        }
        let topics = TopicConfigs {
            data_version,
            topic_config_table: topics,
            topic_queue_mapping_info_map: mappings,
            ..TopicConfigs::default()
        };
        Ok(Self { filter_server_list, topics })
    }

    /// Writes the compressed form as our version writes it, all at once; [`super::RegisterWriter`] does it in pieces.
    /// System flags and order marks of topics have no place in it.
    ///
    /// # Errors
    /// [`RegisterError::TooLong`] if nobody could read it back.
    pub fn encode_compressed(&self) -> Result<Vec<u8>, RegisterError> {
        let mut text = Vec::new();
        piece(&mut text, &self.topics.data_version.encode())?;
        count(&mut text, self.topics.topic_config_table.len())?;
        for config in self.topics.topic_config_table.values() {
            piece(&mut text, topic_to_line(config).as_bytes())?;
        }
        piece(&mut text, &written(&self.filter_server_list))?;
        count(&mut text, self.topics.topic_queue_mapping_info_map.len())?;
        for mapping in self.topics.topic_queue_mapping_info_map.values() {
            piece(&mut text, &written(mapping))?;
        }
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&text).map_err(|source| RegisterError::Zlib { source })?;
        encoder.finish().map_err(|source| RegisterError::Zlib { source })
    }
}

pub(super) fn written(value: &impl Serialize) -> Vec<u8> {
    fastjson::to_vec(value).expect("lists and JSON values are what the writer supports")
}

fn json<T: serde::de::DeserializeOwned>(
    text: &[u8],
    body: &'static str,
) -> Result<T, RegisterError> {
    fastjson::from_slice(text).map_err(|problem| BodyError { body, problem }.into())
}

fn inflate(bytes: &[u8]) -> Result<Vec<u8>, RegisterError> {
    let limit = u64::try_from(MAX_INFLATED).expect("the limit fits 64 bits");
    let mut inflated = Vec::new();
    let mut decoder = ZlibDecoder::new(bytes).take(limit + 1);
    decoder.read_to_end(&mut inflated).map_err(|source| RegisterError::Zlib { source })?;
    if inflated.len() > MAX_INFLATED {
        return Err(RegisterError::TooLong);
    }
    Ok(inflated)
}

/// Reads the inflated text from front to back.
struct Parts<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Parts<'a> {
    /// A number that is not negative. It bounds a loop whose every round reads four bytes or fails,
    /// so that a count that lies costs nothing.
    fn count(&mut self, part: &'static str) -> Result<usize, RegisterError> {
        let truncated = RegisterError::Truncated { at: self.at, part };
        let rest = self.text.get(self.at..).unwrap_or_default();
        let Some(number) = rest.first_chunk::<4>() else {
            return Err(truncated);
        };
        self.at += 4;
        usize::try_from(i32::from_be_bytes(*number)).map_err(|_| truncated)
    }

    /// A length and that many bytes.
    fn piece(&mut self, part: &'static str) -> Result<&'a [u8], RegisterError> {
        let len = self.count(part)?;
        let end = self.at.saturating_add(len);
        let Some(piece) = self.text.get(self.at..end) else {
            return Err(RegisterError::Truncated { at: self.at, part });
        };
        self.at = end;
        Ok(piece)
    }
}

pub(super) fn count(text: &mut Vec<u8>, number: usize) -> Result<(), RegisterError> {
    let number = i32::try_from(number).map_err(|_| RegisterError::TooLong)?;
    text.extend_from_slice(&number.to_be_bytes());
    Ok(())
}

pub(super) fn piece(text: &mut Vec<u8>, bytes: &[u8]) -> Result<(), RegisterError> {
    count(text, bytes.len())?;
    text.extend_from_slice(bytes);
    if text.len() > MAX_INFLATED { Err(RegisterError::TooLong) } else { Ok(()) }
}

/// `name readQueues writeQueues perm filterType attributes`, the attributes as JSON and only since
/// 5.0.0.
fn topic_from_line(line: &[u8]) -> Result<TopicConfig, RegisterError> {
    let text = String::from_utf8_lossy(line);
    let bad = || RegisterError::Topic { line: quote::value(&text) };
    let mut parts = text.splitn(6, ' ');
    let mut next = || parts.next().ok_or_else(bad);
    let number = |part: &str| part.parse::<i32>().map_err(|_| bad());
    Ok(TopicConfig {
        topic_name: next()?.to_owned(),
        read_queue_nums: number(next()?)?,
        write_queue_nums: number(next()?)?,
        perm: number(next()?)?,
        topic_filter_type: next()?.to_owned(),
        attributes: match parts.next() {
            Some(json) if !json.is_empty() => self::json(json.as_bytes(), "topic attributes")?,
            _ => BTreeMap::new(),
        },
        ..TopicConfig::default()
    })
}

pub(super) fn topic_to_line(config: &TopicConfig) -> String {
    let attributes = written(&config.attributes);
    format!(
        "{} {} {} {} {} {}",
        config.topic_name,
        config.read_queue_nums,
        config.write_queue_nums,
        config.perm,
        config.topic_filter_type,
        String::from_utf8_lossy(&attributes),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::assert_json;

    fn body() -> RegisterBrokerBody {
        let topic = |name: &str, queues, attributes: &[(&str, &str)]| TopicConfig {
            topic_name: name.to_owned(),
            read_queue_nums: queues,
            write_queue_nums: queues,
            attributes: attributes.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect(),
            ..TopicConfig::default()
        };
        let list = [topic("A", 8, &[]), topic("B", 4, &[("message.type", "FIFO x")])];
        let topics = TopicConfigs {
            data_version: DataVersion { counter: 2, state_version: 0, timestamp: 3 },
            topic_config_table: list.into_iter().map(|t| (t.topic_name.clone(), t)).collect(),
            topic_queue_mapping_info_map: BTreeMap::from([(
                "S".to_owned(),
                serde_json::json!({"topic":"S","totalQueues":2}),
            )]),
            ..TopicConfigs::default()
        };
        RegisterBrokerBody { filter_server_list: vec!["f:1".to_owned()], topics }
    }

    fn zlib(text: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn fails(text: &[u8]) -> RegisterError {
        RegisterBrokerBody::decode_compressed(&zlib(text), version::V5_5_0).unwrap_err()
    }

    #[test]
    fn plain() {
        let empty = RegisterBrokerBody {
            topics: TopicConfigs {
                mapping_data_version: Some(DataVersion::default()),
                ..TopicConfigs::default()
            },
            ..RegisterBrokerBody::default()
        };
        let text = r#"{"filterServerList":[],"topicConfigSerializeWrapper":{"dataVersion":{"counter":0,"stateVersion":0,"timestamp":0},"mappingDataVersion":{"counter":0,"stateVersion":0,"timestamp":0},"topicConfigTable":{},"topicQueueMappingDetailMap":{},"topicQueueMappingInfoMap":{}}}"#;
        assert_json(&empty, text);
        assert_eq!(RegisterBrokerBody::decode(&body().encode()).unwrap(), body());
    }

    #[test]
    fn compressed_byte_for_byte() {
        let text = b"\x00\x00\x00\x2b{\"counter\":2,\"stateVersion\":0,\"timestamp\":3}\
            \x00\x00\x00\x02\
            \x00\x00\x00\x15A 8 8 6 SINGLE_TAG {}\
            \x00\x00\x00\x2dB 4 4 6 SINGLE_TAG {\"message.type\":\"FIFO x\"}\
            \x00\x00\x00\x07[\"f:1\"]\
            \x00\x00\x00\x01\
            \x00\x00\x00\x1f{\"topic\":\"S\",\"totalQueues\":2}";
        let mut text = text.to_vec();
        // Lengths that are long to count by hand are set here.
        let fix = |text: &mut Vec<u8>, piece: &[u8]| {
            let at = text.windows(piece.len()).position(|window| window == piece).unwrap();
            let len = u32::try_from(piece.len()).unwrap().to_be_bytes();
            text[at - 4..at].copy_from_slice(&len);
        };
        fix(&mut text, br#"{"counter":2,"stateVersion":0,"timestamp":3}"#);
        fix(&mut text, br#"B 4 4 6 SINGLE_TAG {"message.type":"FIFO x"}"#);
        fix(&mut text, br#"{"topic":"S","totalQueues":2}"#);
        let read = RegisterBrokerBody::decode_compressed(&zlib(&text), version::V5_5_0).unwrap();
        assert_eq!(read, body());
        assert_eq!(inflate(&body().encode_compressed().unwrap()).unwrap(), text);
    }

    #[test]
    fn old_brokers_send_less() {
        let text = b"\0\0\0\x02{}\0\0\0\x01\0\0\0\x12T 8 8 6 SINGLE_TAG\0\0\0\x02[]";
        let read = RegisterBrokerBody::decode_compressed(&zlib(text), version::V4_9_8).unwrap();
        assert_eq!(read.topics.topic_config_table["T"].write_queue_nums, 8);
        assert!(matches!(fails(text), RegisterError::Truncated { part: "the mapping count", .. }));
    }

    #[test]
    fn damage_is_a_typed_error() {
        let error = RegisterBrokerBody::decode_compressed(b"plain", 513).unwrap_err();
        assert!(matches!(error, RegisterError::Zlib { .. }));
        assert!(matches!(fails(b""), RegisterError::Truncated { at: 0, .. }));
        assert!(matches!(fails(b"\xff\xff\xff\xff"), RegisterError::Truncated { at: 0, .. }));
        assert!(matches!(fails(b"\0\0\0\x09{}"), RegisterError::Truncated { at: 4, .. }));
        assert!(matches!(fails(b"\0\0\0\x02{]"), RegisterError::Json(_)));
        let lying_count = b"\0\0\0\x02{}\x7f\xff\xff\xff";
        assert!(matches!(fails(lying_count), RegisterError::Truncated { part: "a topic", .. }));
        for line in ["T 8 8 6", "T x 8 6 SINGLE_TAG"] {
            let mut text = b"\0\0\0\x02{}\0\0\0\x01".to_vec();
            piece(&mut text, line.as_bytes()).unwrap();
            assert!(matches!(fails(&text), RegisterError::Topic { line: got } if got == line));
        }
    }

    #[test]
    fn a_bomb_is_refused() {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
        let zeros = vec![0; 1 << 20];
        for _ in 0..=MAX_INFLATED / zeros.len() {
            encoder.write_all(&zeros).unwrap();
        }
        let bomb = encoder.finish().unwrap();
        assert!(bomb.len() < 1 << 20);
        let error = RegisterBrokerBody::decode_compressed(&bomb, version::V5_5_0).unwrap_err();
        assert!(matches!(error, RegisterError::TooLong));
    }

    #[test]
    fn the_checksum_has_31_bits() {
        assert_eq!(body_crc(b""), 0);
        // CRC-32 of "123456789" is 0xCBF43926.
        assert_eq!(body_crc(b"123456789"), 0x4bf4_3926);
    }
}
