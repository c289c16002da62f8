//! Once all is well the logs of all members are the same, byte by byte, but for what each notes for itself.

/// An entry as a member has it on its disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Where it is.
    pub offset: u64,
    pub index: u64,
    pub term: u64,
    pub time: u64,
    pub records: u32,
    /// Checksum of its payload.
    pub crc: u32,
}

/// Of each log, what lies before `end` and behind the last trim.
pub fn are_the_same(logs: &[Vec<Row>], end: u64) {
    let first = |log: &Vec<Row>| log.first().map_or(u64::MAX, |row| row.offset);
    let begin = logs.iter().map(first).max().unwrap_or_default();
    assert!(begin < end, "all logs hold something that is committed");
    let common = |log: &Vec<Row>| -> Vec<Row> {
        log.iter().filter(|row| (begin..end).contains(&row.offset)).cloned().collect()
    };
    let expected = common(&logs[0]);
    for (member, log) in logs.iter().enumerate().skip(1) {
        let log = common(log);
        let differs = log.iter().zip(&expected).find(|(one, other)| one != other);
        assert_eq!(differs, None, "member {member} beside member 0");
        assert_eq!(log.len(), expected.len(), "member {member} beside member 0");
    }
}
