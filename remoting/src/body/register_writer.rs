//! A registration that is written topic by topic and compressed piece by piece, so that a broker with very many topics
//! need not do it in one go. The forms are those of [`super::register`].

use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;

use crate::body::register::{RegisterError, count, piece, topic_to_line, written};
use crate::body::{Body, DataVersion, TopicConfig};
use crate::limits::MAX_INFLATED;

/// Bytes that one step of [`Squeeze`] compresses: a fraction of a millisecond.
pub const SQUEEZE_STEP: usize = 32 * 1024;

/// Writes what [`super::RegisterBrokerBody`] encodes to, for a broker without filter servers and static topics. The
/// topics must come in the order of their names, each once.
#[derive(Debug)]
pub struct RegisterWriter {
    text: Vec<u8>,
    /// Where the number of topics goes; `None` in JSON, which has none.
    count_at: Option<usize>,
    topics: usize,
}

impl RegisterWriter {
    /// The plain form, JSON.
    #[must_use]
    pub fn plain(version: DataVersion) -> Self {
        let version = written(&version);
        let mut text =
            br#"{"filterServerList":[],"topicConfigSerializeWrapper":{"dataVersion":"#.to_vec();
        text.extend_from_slice(&version);
        text.extend_from_slice(br#","mappingDataVersion":"#);
        text.extend_from_slice(&version);
        text.extend_from_slice(br#","topicConfigTable":{"#);
        Self { text, count_at: None, topics: 0 }
    }

    /// The text of the compressed form. System flags and order marks of topics have no place in it.
    ///
    /// # Panics
    /// Never: a version is short.
    #[must_use]
    pub fn lines(version: DataVersion) -> Self {
        let mut text = Vec::new();
        piece(&mut text, &version.encode()).expect("a version is short");
        let count_at = Some(text.len());
        count(&mut text, 0).expect("no topics yet");
        Self { text, count_at, topics: 0 }
    }

    /// Adds a topic.
    ///
    /// # Errors
    /// [`RegisterError::TooLong`] if nobody could read it back.
    pub fn topic(&mut self, topic: &TopicConfig) -> Result<(), RegisterError> {
        if self.count_at.is_some() {
            piece(&mut self.text, topic_to_line(topic).as_bytes())?;
        } else {
            if self.topics > 0 {
                self.text.push(b',');
            }
            self.text.extend_from_slice(&written(&topic.topic_name));
            self.text.push(b':');
            self.text.extend_from_slice(&topic.encode());
        }
        self.topics += 1;
        if self.text.len() > MAX_INFLATED { Err(RegisterError::TooLong) } else { Ok(()) }
    }

    /// Bytes so far.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.text.len()
    }

    /// The text to its end.
    ///
    /// # Panics
    /// Never: there are fewer than 2^31 topics in 64 MiB.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        let mut text = self.text;
        let Some(count_at) = self.count_at else {
            text.extend_from_slice(
                br#"},"topicQueueMappingDetailMap":{},"topicQueueMappingInfoMap":{}}}"#,
            );
            return text;
        };
        let topics = i32::try_from(self.topics).expect("the text is limited");
        text[count_at..count_at + 4].copy_from_slice(&topics.to_be_bytes());
        piece(&mut text, b"[]").expect("the limit leaves room for an empty list");
        count(&mut text, 0).expect("no mappings");
        text
    }
}

/// A zlib stream that is made in steps of [`SQUEEZE_STEP`] bytes, at the fastest level: topics compress well at any.
#[derive(Debug)]
pub struct Squeeze {
    text: Vec<u8>,
    at: usize,
    encoder: ZlibEncoder<Vec<u8>>,
}

impl Squeeze {
    /// Nothing is compressed yet.
    #[must_use]
    pub fn new(text: Vec<u8>) -> Self {
        Self { text, at: 0, encoder: ZlibEncoder::new(Vec::new(), Compression::fast()) }
    }

    /// Compresses the next bytes. False when there are none left.
    ///
    /// # Errors
    /// [`RegisterError::Zlib`].
    pub fn step(&mut self) -> Result<bool, RegisterError> {
        let end = self.text.len().min(self.at + SQUEEZE_STEP);
        let wrote = self.encoder.write_all(&self.text[self.at..end]);
        wrote.map_err(|source| RegisterError::Zlib { source })?;
        self.at = end;
        Ok(self.at < self.text.len())
    }

    /// The stream.
    ///
    /// # Errors
    /// [`RegisterError::Zlib`].
    ///
    /// # Panics
    /// If a step is still to be taken.
    pub fn finish(self) -> Result<Vec<u8>, RegisterError> {
        assert_eq!(self.at, self.text.len(), "all steps have been taken");
        self.encoder.finish().map_err(|source| RegisterError::Zlib { source })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::body::{RegisterBrokerBody, TopicConfigs};
    use crate::command::version;

    fn body(topics: usize) -> RegisterBrokerBody {
        let topic = |n: usize| TopicConfig {
            topic_name: format!("topic-{n:05}"),
            read_queue_nums: 4,
            attributes: BTreeMap::from([("message.type".to_owned(), format!("x \"{n}\""))]),
            ..TopicConfig::default()
        };
        let version = DataVersion { counter: 7, state_version: 0, timestamp: 9 };
        RegisterBrokerBody {
            topics: TopicConfigs {
                data_version: version,
                mapping_data_version: Some(version),
                topic_config_table: (0..topics).map(|n| (topic(n).topic_name, topic(n))).collect(),
                ..TopicConfigs::default()
            },
            ..RegisterBrokerBody::default()
        }
    }

    fn filled(mut writer: RegisterWriter, body: &RegisterBrokerBody) -> Vec<u8> {
        for topic in body.topics.topic_config_table.values() {
            let before = writer.bytes();
            writer.topic(topic).unwrap();
            assert!(writer.bytes() > before);
        }
        writer.finish()
    }

    #[test]
    fn topic_by_topic_is_the_same_as_in_one_go() {
        for topics in [0, 1, 3] {
            let body = body(topics);
            let text = filled(RegisterWriter::plain(body.topics.data_version), &body);
            assert_eq!(String::from_utf8(text), String::from_utf8(body.encode()));
        }
    }

    #[test]
    fn a_stream_made_in_steps_is_read_back() {
        for topics in [0, 1, 3000] {
            let body = body(topics);
            let text = filled(RegisterWriter::lines(body.topics.data_version), &body);
            let expected_steps = text.len().div_ceil(SQUEEZE_STEP);
            let mut squeeze = Squeeze::new(text);
            let mut steps = 1;
            while squeeze.step().unwrap() {
                steps += 1;
            }
            assert_eq!(steps, expected_steps);
            let stream = squeeze.finish().unwrap();
            let read = RegisterBrokerBody::decode_compressed(&stream, version::V5_5_0).unwrap();
            assert_eq!(read.topics.data_version, body.topics.data_version);
            assert_eq!(read.topics.topic_config_table, body.topics.topic_config_table);
        }
    }
}
