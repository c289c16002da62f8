//! What entries other than messages hold.

use rkyv::rancor;
use rkyv::util::AlignedVec;

use crate::versions::ARCHIVE;

/// The owner's own number for a kind of command; storage only keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CommandKind(pub u8);

/// A topic changes. The payload is the owner's.
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub(crate) enum TopicCommand {
    /// Creates the topic, or changes what is there; queues are only ever added.
    Put { name: String, queues: u32, payload: Vec<u8> },
    /// Deletes the topic; its messages cannot be reached any more.
    Delete { name: String },
}

/// The group of a store that is one of its own.
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub(crate) struct Alone {
    pub voters: Vec<u128>,
}

/// A topic as a checkpoint keeps it.
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub(crate) struct TopicState {
    pub name: String,
    /// Index of the entry that made it.
    pub incarnation: u64,
    /// Of each queue: the oldest offset, the next offset, and where in the log it began.
    pub queues: Vec<(u64, u64, u64)>,
}

/// Some topics of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub(crate) struct TopicStates {
    pub topics: Vec<TopicState>,
}

/// The log before an offset is given up.
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub(crate) struct Trim {
    pub to: u64,
}

// Each is one version byte, and an archive behind it.
macro_rules! archived {
    ($type:ty) => {
        impl $type {
            pub(crate) fn to_bytes(&self) -> Vec<u8> {
                let bytes = rkyv::to_bytes::<rancor::Error>(self)
                    .expect("a value that fits into memory can be archived into memory");
                let mut out = Vec::with_capacity(1 + bytes.len());
                out.push(ARCHIVE);
                out.extend_from_slice(&bytes);
                out
            }

            pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
                let Some((&ARCHIVE, archived)) = bytes.split_first() else {
                    let found = bytes.first().map_or("none".to_owned(), u8::to_string);
                    return Err(format!(
                        concat!(stringify!($type), " of format version {}, this broker reads {}"),
                        found, ARCHIVE
                    ));
                };
                let mut aligned: AlignedVec = AlignedVec::with_capacity(archived.len());
                aligned.extend_from_slice(archived);
                rkyv::from_bytes::<Self, rancor::Error>(&aligned)
                    .map_err(|error| format!(concat!(stringify!($type), ": {}"), error))
            }
        }
    };
}

archived!(TopicCommand);
archived!(Alone);
archived!(TopicStates);
archived!(Trim);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_read_back_and_bad_bytes_are_refused() {
        let put = TopicCommand::Put { name: "T".into(), queues: 4, payload: vec![1, 2, 3] };
        let bytes = put.to_bytes();
        assert_eq!(TopicCommand::from_bytes(&bytes), Ok(put));
        assert!(TopicCommand::from_bytes(&[]).is_err());
        assert!(TopicCommand::from_bytes(&[9, 9]).is_err());
        // Length and checksum are the entry's; here bad bytes must only never be taken for memory.
        for at in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 0xFF;
            drop(TopicCommand::from_bytes(&bad));
            drop(TopicCommand::from_bytes(&bytes[..at]));
        }
    }
}
