//! Looking at what is on the disk of a member that does not run.

use std::path::PathBuf;

use model::PhysicalOffset;
use storage::inspect::{Content, EntryRow, Place, Seen, Severity, View};

use crate::invariants::replicas::Row;

/// The entries of its log. The store is intact.
pub async fn rows(dir: PathBuf) -> Vec<Row> {
    let view = View::open(&Place { dir, log_dir: None }).await.unwrap();
    let checked = view.check(&mut |_| {}).await.unwrap();
    let mut bad = checked.findings.iter().filter(|one| one.severity >= Severity::Error);
    assert_eq!(bad.next(), None, "a store is intact");
    let mut entries = view.entries(PhysicalOffset(0));
    let mut rows = Vec::new();
    loop {
        match entries.next().await.unwrap() {
            Seen::Entry(entry) => rows.push(row(&entry)),
            Seen::End { .. } => return rows,
            damage @ Seen::Damage { .. } => panic!("{damage:?}"),
        }
    }
}

fn row(entry: &EntryRow) -> Row {
    let crc = match &entry.content {
        Content::Messages { records, .. } => crc32c::crc32c(records),
        Content::Command { payload, .. } => crc32c::crc32c(payload),
        Content::Unknown { why } => panic!("entry {}: {why}", entry.index),
        other => crc32c::crc32c(format!("{other:?}").as_bytes()),
    };
    let EntryRow { offset, index, term, time, records, .. } = entry;
    let (offset, index, term, time) = (offset.0, index.0, term.0, time.0);
    Row { offset, index, term, time, records: *records, crc }
}
