//! Who belongs to the group of a log.

use std::collections::BTreeSet;

use model::{LogIndex, Term};

use crate::command::Alone;
use crate::identity::StoreId;
use crate::versions::ARCHIVE;

/// First byte of what a group writes of itself; [`ARCHIVE`] is that of a store that is a group of its own.
const GROUP: u8 = 2;
/// The same of a group that was recovered by force: a number of eight bytes follows the head. What a checkpoint keeps has this byte
/// as well, and neither is ever read as the other.
const RECOVERED: u8 = 3;
/// First byte of what a checkpoint keeps of that.
const KEPT: u8 = 3;
/// A [`KEPT`] byte, an index and a term.
const KEPT_HEAD: usize = 1 + 8 + 8;
const _: () = assert!(ARCHIVE < GROUP && GROUP < RECOVERED && GROUP < KEPT);

/// The term of a store that is a group of its own.
pub(crate) const ALONE: Term = Term(1);

/// The payload of the entry with which a store begins that is a group of its own.
#[must_use]
pub fn founding_entry(founder: StoreId) -> Vec<u8> {
    Membership::founding(founder)
}

/// The store that began with such an entry.
///
/// # Errors
/// It is another entry; the text says what is wrong.
pub fn founder_of(payload: &[u8]) -> Result<StoreId, String> {
    let founder = alone(payload)?;
    // There is one form of it: who sends it on makes it anew.
    match payload == founding_entry(founder) {
        true => Ok(founder),
        false => Err("it has another form than this version gives it".to_owned()),
    }
}

fn alone(payload: &[u8]) -> Result<StoreId, String> {
    match Alone::from_bytes(payload)?.voters[..] {
        [one] => Ok(StoreId(one)),
        _ => Err("a store that is a group of its own has one member".to_owned()),
    }
}

/// Who belongs to the group, as the log says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Membership {
    /// The store is a group of its own.
    Alone(StoreId),
    /// What the members wrote in the entry of this index and term. Only they understand it.
    Group { index: LogIndex, term: Term, payload: Vec<u8> },
}

impl Membership {
    /// What the entry of this index and term says.
    pub(crate) fn of_entry(index: LogIndex, term: Term, payload: &[u8]) -> Result<Self, String> {
        if is_of_group(payload) {
            return Ok(Self::Group { index, term, payload: payload.to_vec() });
        }
        alone(payload).map(Self::Alone)
    }

    /// The entry that says so: its index, its term and its payload.
    pub(crate) fn into_entry(self) -> (LogIndex, Term, Vec<u8>) {
        match self {
            Self::Alone(founder) => (LogIndex(0), ALONE, Self::founding(founder)),
            Self::Group { index, term, payload } => (index, term, payload),
        }
    }

    /// Store ids of the voters, each once; of both groups while one becomes another.
    pub(crate) fn voters(&self) -> Result<Vec<u128>, String> {
        match self {
            Self::Alone(store) => Ok(vec![store.0]),
            Self::Group { payload, .. } => {
                voters_of(payload).ok_or_else(|| "its voters are cut off".to_owned())
            }
        }
    }

    /// The entry that a store begins with which is a group of its own.
    pub(crate) fn founding(store: StoreId) -> Vec<u8> {
        Alone { voters: vec![store.0] }.to_bytes()
    }

    /// What a checkpoint keeps.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Alone(store) => Self::founding(*store),
            Self::Group { index, term, payload } => {
                let mut bytes = vec![KEPT];
                bytes.extend(index.0.to_le_bytes());
                bytes.extend(term.0.to_le_bytes());
                bytes.extend(payload);
                bytes
            }
        }
    }

    /// Reads that back.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        if bytes.first() != Some(&KEPT) {
            return alone(bytes).map(Self::Alone);
        }
        let (head, payload) = bytes.split_at_checked(KEPT_HEAD).ok_or("a membership is cut off")?;
        if !is_of_group(payload) {
            return Err("a membership holds none of a group".to_owned());
        }
        let number = |at: usize| u64::from_le_bytes(head[at..at + 8].try_into().expect("eight"));
        let (index, term) = (LogIndex(number(1)), Term(number(9)));
        Ok(Self::Group { index, term, payload: payload.to_vec() })
    }
}

/// Whether a group wrote this, and not a store that is a group of its own.
fn is_of_group(payload: &[u8]) -> bool {
    payload.first().is_some_and(|version| [GROUP, RECOVERED].contains(version))
}

/// The voters in what a group wrote; `docs/format/membership.md` has the table.
fn voters_of(payload: &[u8]) -> Option<Vec<u128>> {
    let (head, mut rest) = payload.split_first_chunk::<8>()?;
    if head[0] == RECOVERED {
        rest = rest.get(8..)?;
    }
    let mut voters = BTreeSet::new();
    for _ in 0..head[1] {
        let (count, behind) = rest.split_first_chunk::<4>()?;
        rest = behind;
        for _ in 0..u32::from_le_bytes(*count) {
            let (id, behind) = rest.split_first_chunk::<16>()?;
            rest = behind;
            voters.insert(u128::from_le_bytes(*id));
        }
    }
    Some(voters.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_keeps_what_entries_said() {
        let alone = Membership::founding(StoreId(7));
        let (group, recovered) = ([GROUP, 1, 2, 3], [RECOVERED, 1, 2, 3]);
        for payload in [alone.as_slice(), &group, &recovered] {
            let said = Membership::of_entry(LogIndex(4), Term(3), payload).expect("valid");
            let kept = said.to_bytes();
            assert_eq!(Membership::from_bytes(&kept), Ok(said));
            for len in 0..kept.len() {
                assert_ne!(Membership::from_bytes(&kept[..len]), Membership::from_bytes(&kept));
            }
        }
        let said = Membership::of_entry(LogIndex(0), Term(1), &alone);
        assert_eq!(said, Ok(Membership::Alone(StoreId(7))));
    }

    #[test]
    fn the_entry_of_a_store_alone_has_one_form() {
        let entry = founding_entry(StoreId(7));
        assert_eq!(founder_of(&entry), Ok(StoreId(7)));
        let said = Membership::of_entry(LogIndex(0), ALONE, &entry).expect("valid");
        assert_eq!(said.into_entry(), (LogIndex(0), ALONE, entry.clone()));
        for at in 0..entry.len() {
            let mut other = entry.clone();
            other[at] ^= 1;
            if let Ok(founder) = founder_of(&other) {
                assert_eq!(founding_entry(founder), other, "byte {at}: two forms of one");
            }
        }
    }

    #[test]
    fn voters_are_found_behind_the_number_of_a_recovery() {
        let sets =
            [&2_u32.to_le_bytes()[..], &7_u128.to_le_bytes(), &9_u128.to_le_bytes()].concat();
        let group = [&[GROUP, 1, 2, 0, 0, 0, 0, 0][..], &sets].concat();
        let recovered =
            [&[RECOVERED, 1, 2, 0, 1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8][..], &sets].concat();
        for payload in [group, recovered] {
            let said = Membership::of_entry(LogIndex(4), Term(3), &payload).expect("valid");
            assert_eq!(said.voters(), Ok(vec![7, 9]));
        }
    }

    #[test]
    fn other_bytes_are_refused() {
        let two = Alone { voters: vec![1, 2] }.to_bytes();
        for payload in [&[][..], &[0], &[RECOVERED + 1], &two] {
            assert!(Membership::of_entry(LogIndex(0), Term(1), payload).is_err());
            assert!(Membership::from_bytes(payload).is_err());
        }
        assert!(Membership::from_bytes(&[KEPT]).is_err());
    }
}
