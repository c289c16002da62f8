//! What was sent, and what was found again, in a few bits for each message.

use std::collections::HashMap;

use crate::limits::AUDIT_MAX;
use crate::recorder::Broken;
use crate::wire::body;

/// A growing set of numbers, one bit each.
#[derive(Clone, Debug, Default)]
struct Bits {
    words: Vec<u64>,
    count: u64,
}

impl Bits {
    /// Whether it was not there before.
    fn insert(&mut self, number: u64) -> bool {
        assert!(number < AUDIT_MAX, "the map is bounded");
        let word = usize::try_from(number / 64).expect("the map is bounded");
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        let bit = 1 << (number % 64);
        let is_new = self.words[word] & bit == 0;
        self.words[word] |= bit;
        self.count += u64::from(is_new);
        is_new
    }

    fn contains(&self, number: u64) -> bool {
        let word = usize::try_from(number / 64).ok().and_then(|word| self.words.get(word));
        word.is_some_and(|word| word & (1 << (number % 64)) != 0)
    }
}

/// Where a message is: which topic of the run, queue, and offset in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Index of the topic.
    pub topic: u32,
    /// Queue number.
    pub queue: i32,
    /// Offset in the queue.
    pub offset: i64,
}

/// The messages of one lane: which were acknowledged, which were found, and a sum over the places of each. If as many
/// were found as acknowledged and the sums differ, some are not where their acknowledgement said.
#[derive(Clone, Debug)]
pub struct Ledger {
    key: u64,
    /// Bytes of each body.
    body_len: usize,
    acknowledged: Bits,
    found: Bits,
    said: u64,
    seen: u64,
    twice: u64,
    unexpected: u64,
    altered: u64,
    beyond: u64,
}

impl Ledger {
    /// For the lane whose unique keys begin with `key`, and whose bodies have so many bytes.
    #[must_use]
    pub fn new(key: u64, body_len: usize) -> Ledger {
        Ledger {
            key,
            body_len,
            acknowledged: Bits::default(),
            found: Bits::default(),
            said: 0,
            seen: 0,
            twice: 0,
            unexpected: 0,
            altered: 0,
            beyond: 0,
        }
    }

    /// Message `number` was acknowledged as stored at `place`. Each number comes once.
    pub fn acknowledged(&mut self, number: u64, place: Place) {
        if number >= AUDIT_MAX {
            self.beyond += 1;
            return;
        }
        assert!(self.acknowledged.insert(number), "a message is acknowledged once");
        self.said = self.said.wrapping_add(mark(number, place));
    }

    /// Message `number` was read at `place`, with that body.
    fn found(&mut self, number: u64, place: Place, body: Option<&[u8]>) {
        let as_sent = body.is_some_and(|body| body::is_of(body, number, self.body_len));
        self.altered += u64::from(!as_sent);
        if number >= AUDIT_MAX {
            return;
        }
        if !self.found.insert(number) {
            self.twice += 1;
        } else if self.acknowledged.contains(number) {
            self.seen = self.seen.wrapping_add(mark(number, place));
        } else {
            self.unexpected += 1;
        }
    }

    /// Acknowledged messages that were not found.
    fn lost(&self) -> u64 {
        let found = self.found.count - self.unexpected;
        assert!(found <= self.acknowledged.count, "what was found and acknowledged is a part");
        self.acknowledged.count - found
    }
}

/// A number that stands for a message at a place; sums of them differ if one place differs, but for a chance of 2^-64.
fn mark(number: u64, place: Place) -> u64 {
    let mut mixed = 0x9E37_79B9_7F4A_7C15;
    let parts = [
        number,
        place.topic.into(),
        u64::from(place.queue.cast_unsigned()),
        place.offset.cast_unsigned(),
    ];
    for part in parts {
        // The finaliser of MurmurHash3, over a running value.
        mixed ^= part;
        mixed = (mixed ^ (mixed >> 33)).wrapping_mul(0xFF51_AFD7_ED55_8CCD);
        mixed = (mixed ^ (mixed >> 33)).wrapping_mul(0xC4CE_B9FE_1A85_EC53);
        mixed ^= mixed >> 33;
    }
    mixed
}

/// What reading back has shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Findings {
    /// Acknowledged messages that were looked for.
    pub looked_for: u64,
    /// Of them, those that are not there.
    pub lost: u64,
    /// Messages that were found again although each was sent once.
    pub twice: u64,
    /// Lanes whose messages are not all at the place that their acknowledgement said.
    pub misplaced: u64,
    /// Messages that were found with another body than the one sent.
    pub altered: u64,
    /// Records that cannot be read: what is behind them in an answer was not looked at.
    pub unreadable: u64,
    /// Messages that were not acknowledged and are there all the same; no failure.
    pub unacknowledged: u64,
    /// Messages of others in the part of the queues that was read.
    pub foreign: u64,
    /// Acknowledged messages that were too many to look for.
    pub beyond: u64,
}

impl Findings {
    /// Adds what must not be.
    pub fn blame(&self, broken: &mut Broken) {
        broken.lost += self.lost;
        broken.twice += self.twice;
        broken.misplaced += self.misplaced;
        broken.altered += self.altered;
        broken.unreadable += self.unreadable;
    }
}

/// The ledgers of all lanes.
#[derive(Debug, Default)]
pub struct Books {
    ledgers: HashMap<u64, Ledger>,
    foreign: u64,
    unreadable: u64,
}

impl Books {
    /// Books of these lanes.
    #[must_use]
    pub fn new(ledgers: Vec<Ledger>) -> Books {
        Books {
            ledgers: ledgers.into_iter().map(|ledger| (ledger.key, ledger)).collect(),
            foreign: 0,
            unreadable: 0,
        }
    }

    /// A record cannot be read.
    pub fn unreadable(&mut self) {
        self.unreadable += 1;
    }

    /// A message with this unique key was read at `place`; its body, unless that does not have its checksum.
    pub fn found(&mut self, unique_key: Option<&str>, place: Place, body: Option<&[u8]>) {
        let parts = unique_key.and_then(read_key);
        match parts.and_then(|(key, number)| Some((self.ledgers.get_mut(&key)?, number))) {
            Some((ledger, number)) => ledger.found(number, place, body),
            None => self.foreign += 1,
        }
    }

    /// Whether nothing that was acknowledged is missing.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.ledgers.values().all(|ledger| ledger.lost() == 0)
    }

    /// The result.
    #[must_use]
    pub fn findings(&self) -> Findings {
        let Books { foreign, unreadable, .. } = *self;
        let mut all = Findings { foreign, unreadable, ..Findings::default() };
        for ledger in self.ledgers.values() {
            let lost = ledger.lost();
            all.looked_for += ledger.acknowledged.count;
            all.lost += lost;
            all.twice += ledger.twice;
            all.misplaced += u64::from(lost == 0 && ledger.said != ledger.seen);
            all.altered += ledger.altered;
            all.unacknowledged += ledger.unexpected;
            all.beyond += ledger.beyond;
        }
        all
    }
}

/// The two halves of a unique key as [`SendTemplate`](crate::wire::SendTemplate) writes it.
fn read_key(unique_key: &str) -> Option<(u64, u64)> {
    let (key, number) = unique_key.split_at_checked(16)?;
    let half = |text: &str| u64::from_str_radix(text, 16).ok().filter(|_| text.len() == 16);
    Some((half(key)?, half(number)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEN: usize = 24;

    fn place(queue: i32, offset: i64) -> Place {
        Place { topic: 0, queue, offset }
    }

    fn key(lane: u64, number: u64) -> String {
        format!("{lane:016X}{number:016X}")
    }

    /// Two lanes with a thousand acknowledged messages each, and number 1000 without an answer.
    fn books() -> Books {
        let ledgers = [0xAB, u64::MAX].map(|lane| {
            let mut ledger = Ledger::new(lane, LEN);
            for number in 0..1000 {
                ledger.acknowledged(
                    number,
                    place(i32::try_from(number % 3).unwrap(), number as i64 / 3),
                );
            }
            ledger
        });
        Books::new(ledgers.into())
    }

    fn read(books: &mut Books, lane: u64, number: u64) {
        let place = place(i32::try_from(number % 3).unwrap(), number as i64 / 3);
        books.found(Some(&key(lane, number)), place, Some(&body_of(number)));
    }

    fn body_of(number: u64) -> [u8; LEN] {
        let mut body = [b'.'; LEN];
        body::number(&mut body, number);
        body
    }

    #[test]
    fn what_is_there_once_and_in_its_place_is_well() {
        let mut books = books();
        for number in (0..1000).rev() {
            read(&mut books, 0xAB, number);
            read(&mut books, u64::MAX, number);
        }
        read(&mut books, 0xAB, 1000);
        books.found(Some("someone else's"), place(0, 7), Some(b"theirs"));
        books.found(None, place(0, 8), None);
        books.found(Some("ααααααααααααααααααααααααααααααααα"), place(0, 8), Some(b""));
        assert!(books.is_complete());
        let want =
            Findings { looked_for: 2000, unacknowledged: 1, foreign: 3, ..Findings::default() };
        assert_eq!(books.findings(), want);
    }

    #[test]
    fn what_is_lost_doubled_or_elsewhere_is_found() {
        let mut books = books();
        for number in 0..1000 {
            if number != 500 {
                read(&mut books, 0xAB, number);
            }
            // Two that have changed places.
            let stored = match number {
                17 => 20,
                20 => 17,
                number => number,
            };
            books.found(
                Some(&key(u64::MAX, number)),
                place(i32::try_from(stored % 3).unwrap(), stored as i64 / 3),
                Some(&body_of(number)),
            );
        }
        read(&mut books, 0xAB, 3);
        assert!(!books.is_complete());
        let findings = books.findings();
        assert_eq!((findings.lost, findings.twice, findings.misplaced), (1, 1, 1));
        let mut broken = Broken::default();
        findings.blame(&mut broken);
        assert_eq!(broken.total(), 3);
    }

    #[test]
    fn what_is_not_as_it_was_sent_is_found() {
        let mut books = books();
        let found = |books: &mut Books, number, body: Option<&[u8]>| {
            books.found(Some(&key(0xAB, number)), place(0, 0), body);
        };
        found(&mut books, 0, Some(&body_of(0)));
        found(&mut books, 1, Some(&body_of(2)));
        found(&mut books, 2, Some(&body_of(2)[1..]));
        found(&mut books, 3, None);
        books.unreadable();
        let findings = books.findings();
        assert_eq!((findings.altered, findings.unreadable), (3, 1));
        let mut broken = Broken::default();
        findings.blame(&mut broken);
        assert_eq!((broken.altered, broken.unreadable), (3, 1));
    }

    #[test]
    fn memory_is_bounded_and_what_is_beyond_is_told() {
        let mut ledger = Ledger::new(1, LEN);
        ledger.acknowledged(AUDIT_MAX, place(0, 0));
        ledger.acknowledged(5, place(0, 1));
        let mut books = Books::new(vec![ledger]);
        books.found(Some(&key(1, 5)), place(0, 1), Some(&body_of(5)));
        books.found(Some(&key(1, AUDIT_MAX)), place(0, 0), Some(&body_of(AUDIT_MAX)));
        let findings = books.findings();
        assert_eq!((findings.beyond, findings.looked_for, findings.lost), (1, 1, 0));
    }
}
