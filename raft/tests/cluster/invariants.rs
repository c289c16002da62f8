//! What must hold whatever happened.

use std::collections::BTreeSet;

use crate::board::Taken;

/// A trim that some have applied, and others not yet, makes no difference.
pub fn forget_what_some_have_trimmed(reports: &mut [Vec<Taken>]) {
    let first = |report: &Vec<Taken>| report.first().map_or(u64::MAX, |taken| taken.queue_offset);
    let begin = reports.iter().map(first).max().unwrap_or_default();
    for report in reports {
        report.retain(|taken| taken.queue_offset >= begin);
    }
}

/// All members hold the same messages in the same places.
pub fn all_are_the_same(reports: &[Vec<Taken>]) {
    for (member, report) in reports.iter().enumerate().skip(1) {
        let differs = report.iter().zip(&reports[0]).position(|(one, other)| one != other);
        assert_eq!(differs, None, "member {member} differs from member 0 there");
        assert_eq!(report.len(), reports[0].len(), "member {member} beside member 0");
    }
}

/// What was acknowledged is there, where its acknowledgement said.
pub fn nothing_acknowledged_is_lost(acknowledged: &[Taken], report: &[Taken]) {
    let begin = report.first().map_or(u64::MAX, |taken| taken.queue_offset);
    for taken in acknowledged.iter().filter(|taken| taken.queue_offset >= begin) {
        let found = report.get((taken.queue_offset - begin) as usize);
        assert_eq!(found, Some(taken), "it was acknowledged there");
    }
    assert!(!report.is_empty(), "the newest messages are never trimmed");
}

/// No message is there twice: each was sent once.
pub fn nothing_is_there_twice(report: &[Taken]) {
    let numbers: BTreeSet<_> = report.iter().map(|taken| taken.number).collect();
    assert_eq!(numbers.len(), report.len(), "a message is there twice");
}

/// Messages that one member took are in the order in which it took them.
pub fn order_is_kept(acknowledged: &[Taken]) {
    for pair in acknowledged.windows(2) {
        let in_order =
            pair[0].number > pair[1].number || pair[0].queue_offset < pair[1].queue_offset;
        assert!(in_order, "{pair:?} were sent in their order");
    }
}

/// In a term there is one leader.
pub fn one_leader_a_term(led: &BTreeSet<(u64, usize)>) {
    let terms: BTreeSet<_> = led.iter().map(|(term, _)| term).collect();
    assert_eq!(terms.len(), led.len(), "two members led in one term: {led:?}");
}
