//! Queues by name, alone and as keys of maps.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Error, MapAccess, Visitor, value::MapAccessDeserializer};
use serde::ser::SerializeStruct;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One queue of a topic at one broker. Sorted by topic, then broker name, then queue, as Java's
/// class MessageQueue is: consumers of one group must see one order.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageQueue {
    /// The topic.
    pub topic: String,
    /// The broker's name.
    pub broker_name: String,
    /// The queue's number in the topic at that broker.
    pub queue_id: i32,
}

/// A map with queues as keys: `{{"brokerName":"b","queueId":0,"topic":"T"}:…}` on the wire.
///
/// It is written in that form by [`super::to_vec`] only; read in that form or with the queues as
/// JSON in strings.
pub type MqMap<V> = BTreeMap<MessageQueue, V>;

impl Serialize for MessageQueue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("MessageQueue", 3)?;
        fields.serialize_field("brokerName", &self.broker_name)?;
        fields.serialize_field("queueId", &self.queue_id)?;
        fields.serialize_field("topic", &self.topic)?;
        fields.end()
    }
}

/// The fields as they are read.
#[derive(Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[derive(Default)]
struct Fields {
    broker_name: String,
    #[serde(deserialize_with = "super::lenient::number")]
    queue_id: i32,
    topic: String,
}

impl From<Fields> for MessageQueue {
    fn from(fields: Fields) -> Self {
        Self { topic: fields.topic, broker_name: fields.broker_name, queue_id: fields.queue_id }
    }
}

impl<'de> Deserialize<'de> for MessageQueue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ObjectOrKey)
    }
}

/// A queue as an object, or as the string that the normaliser makes of an object key.
struct ObjectOrKey;

impl<'de> Visitor<'de> for ObjectOrKey {
    type Value = MessageQueue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a message queue")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<MessageQueue, E> {
        serde_json::from_str::<Fields>(key).map(MessageQueue::from).map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<MessageQueue, A::Error> {
        Fields::deserialize(MapAccessDeserializer::new(map)).map(MessageQueue::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fastjson::{from_slice, to_vec};
    use crate::seeded::Seeded;

    fn queue(topic: &str, broker_name: &str, queue_id: i32) -> MessageQueue {
        MessageQueue { topic: topic.to_owned(), broker_name: broker_name.to_owned(), queue_id }
    }

    /// Up to `max` characters, many of which mean something to JSON.
    fn text(seeded: &mut Seeded, max: usize) -> String {
        let letters: Vec<char> = "aZ0\"\\{}[]:,\n\u{1}\u{7f}é\u{fffd}😀".chars().collect();
        (0..seeded.below(max + 1)).map(|_| letters[seeded.below(letters.len())]).collect()
    }

    fn number(seeded: &mut Seeded) -> i32 {
        let extremes = [0, 1, -1, i32::MIN, i32::MAX, 1_000_003];
        extremes[seeded.below(extremes.len())]
    }

    #[test]
    fn maps_are_written_with_objects_as_keys() {
        let map = MqMap::from([(queue("T", "b", 1), 10_i64), (queue("T", "b", 0), 9)]);
        let want = r#"{{"brokerName":"b","queueId":0,"topic":"T"}:9,{"brokerName":"b","queueId":1,"topic":"T"}:10}"#;
        assert_eq!(String::from_utf8(to_vec(&map).unwrap()).unwrap(), want);
    }

    #[test]
    fn maps_are_read_with_objects_or_strings_as_keys() {
        let want = MqMap::from([(queue("T", "b", 3), 10_i64)]);
        for text in [
            r#"{{"brokerName":"b","queueId":3,"topic":"T"}:10}"#,
            r#"{{topic:"T",queueId:3,brokerName:"b",x:{y:[]}} : 10}"#,
            r#"{"{\"brokerName\":\"b\",\"queueId\":3,\"topic\":\"T\"}":10}"#,
        ] {
            assert_eq!(from_slice::<MqMap<i64>>(text.as_bytes()).unwrap(), want, "{text}");
        }
        assert!(from_slice::<MqMap<i64>>(br#"{"T@b@3":10}"#).is_err());
    }

    #[test]
    fn any_queue_map_survives_both_directions() {
        let mut seeded = Seeded::new(7);
        for _ in 0..500 {
            let mut map = MqMap::new();
            for _ in 0..seeded.below(6) {
                let queue =
                    queue(&text(&mut seeded, 12), &text(&mut seeded, 12), number(&mut seeded));
                map.insert(queue, (number(&mut seeded), text(&mut seeded, 5)));
            }
            let json = to_vec(&map).unwrap();
            assert_eq!(from_slice::<MqMap<(i32, String)>>(&json).unwrap(), map);
            let set: Vec<_> = map.into_keys().collect();
            let json = to_vec(&set).unwrap();
            assert_eq!(from_slice::<Vec<MessageQueue>>(&json).unwrap(), set);
        }
    }
}
