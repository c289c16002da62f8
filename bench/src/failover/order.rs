//! Whether acknowledged offsets are what they must be: given once, and in the order of the sends.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use super::probe::Probe;

/// How many acknowledged probes of a group have the offset of another one in their queue, or one that is not above that of a
/// probe which was acknowledged before they were sent, on whatever connection and by whatever leader.
#[must_use]
pub fn out_of_order(probes: &[Probe]) -> u64 {
    let mut queues: BTreeMap<i32, Vec<(i64, Probe)>> = BTreeMap::new();
    for probe in probes {
        if let Some(offset) = probe.offset {
            queues.entry(probe.queue).or_default().push((offset, *probe));
        }
    }
    queues.values_mut().map(|queue| of_queue(queue)).sum()
}

fn of_queue(queue: &mut [(i64, Probe)]) -> u64 {
    queue.sort_by_key(|(_, probe)| probe.sent);
    let mut answers: Vec<(Duration, i64)> =
        queue.iter().map(|(offset, probe)| (probe.done, *offset)).collect();
    answers.sort_unstable();
    let mut answers = answers.into_iter().peekable();
    let (mut wrong, mut highest) = (0, None);
    let mut given = HashSet::new();
    for (offset, probe) in queue.iter() {
        while let Some((_, acknowledged)) = answers.next_if(|(done, _)| *done < probe.sent) {
            highest = highest.max(Some(acknowledged));
        }
        let is_new = given.insert(*offset);
        wrong += u64::from(!is_new || highest >= Some(*offset));
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acked(queue: i32, offset: i64, sent: u64, done: u64) -> Probe {
        let ms = Duration::from_millis;
        Probe { due: ms(sent), sent: ms(sent), done: ms(done), queue, offset: Some(offset) }
    }

    #[test]
    fn sends_that_overlap_may_come_in_any_order() {
        let probes = [
            acked(0, 6, 0, 50),
            acked(0, 5, 10, 20),
            acked(0, 7, 55, 60),
            acked(1, 0, 70, 75),
            Probe { offset: None, ..acked(0, 0, 100, 120) },
        ];
        assert_eq!(out_of_order(&probes), 0);
    }

    #[test]
    fn an_offset_that_goes_back_after_its_acknowledgement_is_found() {
        assert_eq!(out_of_order(&[acked(0, 5, 0, 10), acked(0, 4, 11, 20)]), 1);
        assert_eq!(out_of_order(&[acked(0, 5, 0, 10), acked(1, 4, 11, 20)]), 0);
    }

    #[test]
    fn an_offset_that_is_given_twice_is_found() {
        assert_eq!(out_of_order(&[acked(0, 5, 0, 10), acked(0, 5, 2, 8), acked(0, 5, 3, 8)]), 2);
    }
}
