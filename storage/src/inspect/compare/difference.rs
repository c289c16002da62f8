//! In what two entries differ: pure.

use std::fmt;

use crate::entry::{ENTRY_HEADER_LEN, REPLICATED_FIELDS, REPLICATED_LEN};

/// Covers everything else, so that it differs whenever anything does.
const CHAIN: &str = "chain";

/// In what the bytes of two entries differ that every node agrees on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Differing {
    /// The fields that differ, with their values, but the chain.
    fields: Vec<String>,
    /// The first and the last byte of the payload that differ, and the length of the shorter one.
    payload: Option<(usize, usize, usize)>,
    /// The chain differs too.
    chain: Option<String>,
    /// The first byte that differs, from the beginning of the entry; the chain's only if nothing else does.
    pub at: usize,
}

/// In what two entries differ, each with its header and without padding; `None` if in nothing that every node agrees on.
pub(super) fn between(one: &[u8], other: &[u8]) -> Option<Differing> {
    let shorter = one.len().min(other.len());
    let replicated = REPLICATED_LEN.min(shorter);
    let same_payload = || one.get(ENTRY_HEADER_LEN..) == other.get(ENTRY_HEADER_LEN..);
    if one[..replicated] == other[..replicated] && same_payload() {
        return None;
    }
    let ends = REPLICATED_FIELDS.iter().skip(1).map(|(_, at)| *at).chain([REPLICATED_LEN]);
    let (mut fields, mut chain, mut at) = (Vec::new(), None, None);
    for ((name, begin), end) in REPLICATED_FIELDS.into_iter().zip(ends) {
        let field = |bytes: &[u8]| bytes.get(begin..end).map(<[u8]>::to_vec).unwrap_or_default();
        let (ours, theirs) = (field(one), field(other));
        if ours == theirs {
            continue;
        }
        let told = format!("{name} {} and {}", number(name, &ours), number(name, &theirs));
        if name == CHAIN {
            chain = Some(told);
        } else {
            at = at.or((begin..end).find(|byte| one.get(*byte) != other.get(*byte)));
            fields.push(told);
        }
    }
    let payload = payload(one, other);
    let in_payload = payload.map(|(first, ..)| ENTRY_HEADER_LEN + first);
    let chain_at = REPLICATED_FIELDS.iter().find(|(name, _)| *name == CHAIN);
    let at = at.or(in_payload).or(chain_at.map(|(_, at)| *at)).unwrap_or(shorter);
    Some(Differing { fields, payload, chain, at })
}

fn payload(one: &[u8], other: &[u8]) -> Option<(usize, usize, usize)> {
    let (ours, theirs) = (one.get(ENTRY_HEADER_LEN..)?, other.get(ENTRY_HEADER_LEN..)?);
    let mut differ = (0..ours.len().min(theirs.len())).filter(|at| ours[*at] != theirs[*at]);
    let first = differ.next()?;
    let last = differ.next_back().unwrap_or(first);
    Some((first, last, ours.len().min(theirs.len())))
}

/// A field as people read it: little-endian numbers, checksums and magic in hexadecimal.
fn number(name: &str, bytes: &[u8]) -> String {
    let value = bytes.iter().rev().fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
    match name {
        CHAIN | "magic and version" => format!("{value:#010x}"),
        _ => value.to_string(),
    }
}

impl fmt::Display for Differing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = self.fields.clone();
        if let Some((first, last, len)) = self.payload {
            parts.push(match first == last {
                true => format!("byte {first} of the payload's {len}"),
                false => format!("bytes {first} to {last} of the payload's {len}"),
            });
        }
        match (&self.chain, parts.is_empty()) {
            (Some(chain), true) => {
                parts.push(format!("{chain}, and nothing else: something before it differs"));
            }
            (Some(chain), false) => parts.push(chain.clone()),
            (None, _) => {}
        }
        f.write_str(&parts.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use model::{LogIndex, PhysicalOffset, Term, UnixMillis};

    use super::*;
    use crate::entry::{Kind, Local, Replicated};

    fn entry(change: impl FnOnce(&mut Replicated), generation: u64, payload: &[u8]) -> Vec<u8> {
        let mut part = Replicated {
            chain: 0,
            payload_len: u32::try_from(payload.len()).expect("small"),
            kind: Kind::Messages,
            index: LogIndex(7),
            term: Term(2),
            offset: PhysicalOffset(4096),
            timestamp: UnixMillis(99),
            records: 3,
        };
        change(&mut part);
        let mut bytes = vec![0; ENTRY_HEADER_LEN];
        part.encode(17, &mut bytes, crc32c::crc32c(payload));
        let (durable_through, committed) = (PhysicalOffset(generation), LogIndex(generation));
        Local { generation, durable_through, committed }.encode(&mut bytes);
        bytes.extend_from_slice(payload);
        bytes
    }

    #[test]
    fn what_is_each_nodes_own_is_no_difference() {
        let (one, other) = (entry(|_| {}, 1, b"payload"), entry(|_| {}, 2, b"payload"));
        assert_ne!(one, other);
        assert_eq!(between(&one, &other), None);
    }

    #[test]
    fn the_field_that_differs_is_named_with_both_values() {
        let one = entry(|_| {}, 1, b"payload");
        type Change = (&'static str, usize, fn(&mut Replicated));
        let changes: [Change; 5] = [
            ("index 7 and 8", 16, |part| part.index = LogIndex(8)),
            ("term 2 and 3", 24, |part| part.term = Term(3)),
            ("offset 4096 and 4104", 32, |part| part.offset = PhysicalOffset(4104)),
            ("timestamp 99 and 100", 40, |part| part.timestamp = UnixMillis(100)),
            ("number of records 3 and 4", 48, |part| part.records = 4),
        ];
        for (told, at, change) in changes {
            let differing = between(&one, &entry(change, 1, b"payload")).expect("different");
            let text = differing.to_string();
            assert!(text.starts_with(&format!("{told}; chain 0x")), "{text}");
            assert_eq!(differing.at, at, "{text}");
        }
    }

    #[test]
    fn the_bytes_of_the_payload_that_differ_are_named() {
        let one = entry(|_| {}, 1, b"payload");
        let text = |other: &[u8]| between(&one, &entry(|_| {}, 1, other)).map(|d| d.to_string());
        assert!(
            text(b"pAyloAd").is_some_and(|t| t.starts_with("bytes 1 to 5 of the payload's 7;"))
        );
        assert!(text(b"paYload").is_some_and(|t| t.starts_with("byte 2 of the payload's 7;")));
        assert!(text(b"payloads").is_some_and(|t| t.starts_with("length of the payload 7 and 8;")));
        let at = between(&one, &entry(|_| {}, 1, b"paYload")).map(|differing| differing.at);
        assert_eq!(at, Some(ENTRY_HEADER_LEN + 2));
    }

    #[test]
    fn every_byte_that_all_nodes_agree_on_counts() {
        let one = entry(|_| {}, 1, b"payload");
        for at in (0..REPLICATED_LEN).chain(ENTRY_HEADER_LEN..one.len()) {
            let mut other = one.clone();
            other[at] ^= 0x10;
            let differing = between(&one, &other).expect("different");
            assert_eq!(differing.at == at, !(4..8).contains(&at) || at == 4, "byte {at}");
        }
        let chain = between(&one, &{
            let mut other = one.clone();
            other[5] ^= 1;
            other
        });
        let text = chain.expect("different").to_string();
        assert!(text.contains("nothing else"), "{text}");
    }

    #[test]
    fn what_is_cut_off_is_different_and_no_panic() {
        let one = entry(|_| {}, 1, b"payload");
        for len in 0..one.len() {
            let differing = between(&one, &one[..len]);
            assert!(
                differing.is_some() || (REPLICATED_LEN..ENTRY_HEADER_LEN).contains(&len),
                "{len}"
            );
        }
    }
}
