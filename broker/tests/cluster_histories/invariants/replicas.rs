//! The logs of all members of a group are the same, byte by byte, as far as both of two have an entry, but for what each notes for itself;
//! and every store is intact. That nobody lacks messages at the end is `has_all`'s part (`liveness.rs`).

use std::collections::BTreeMap;
use std::path::PathBuf;

use model::PhysicalOffset;
use model::record::body_crc;
use storage::inspect::{Content, EntryRow, Place, Seen, Severity, View};

/// An entry as a member has it on its disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    offset: u64,
    term: u64,
    time: u64,
    records: u32,
    /// Checksum of its payload.
    crc: u32,
}

/// The entries of the log of a member that does not run, by index.
pub async fn rows(dir: PathBuf) -> BTreeMap<u64, Row> {
    let view = View::open(&Place { dir, log_dir: None }).await.unwrap();
    let checked = view.check(&mut |_| {}).await.unwrap();
    let mut bad = checked.findings.iter().filter(|one| one.severity >= Severity::Error);
    assert_eq!(bad.next(), None, "a store is intact");
    let mut entries = view.entries(PhysicalOffset(0));
    let mut rows = BTreeMap::new();
    loop {
        match entries.next().await.unwrap() {
            Seen::Entry(entry) => drop(rows.insert(entry.index.0, row(&entry))),
            Seen::End { .. } => return rows,
            damage @ Seen::Damage { .. } => panic!("{damage:?}"),
        }
    }
}

fn row(entry: &EntryRow) -> Row {
    let crc = match &entry.content {
        Content::Messages { records, .. } => body_crc(records),
        Content::Command { payload, .. } => body_crc(payload),
        Content::Unknown { why } => panic!("entry {}: {why}", entry.index),
        other => body_crc(format!("{other:?}").as_bytes()),
    };
    let EntryRow { offset, term, time, records, .. } = entry;
    Row { offset: offset.0, term: term.0, time: time.0, records: *records, crc }
}

/// As far as both have them. Nobody may write any more, and all must have heard of everything.
pub fn are_the_same(logs: &BTreeMap<usize, BTreeMap<u64, Row>>) {
    let Some((first, expected)) = logs.first_key_value() else { return };
    for (node, log) in logs {
        let mut both = 0;
        for (index, row) in log {
            let Some(other) = expected.get(index) else { continue };
            assert_eq!(row, other, "entry {index} of n{node} beside that of n{first}");
            both += 1;
        }
        assert!(both > 0, "n{node} and n{first} have entries in common");
    }
}
