//! Consumer offsets: committed, under way, and not yet proposed. Plain state, no I/O.

use std::collections::{BTreeMap, HashMap};

use model::{QueueId, QueueOffset};

use super::commands::{ConsumerOffsets, OffsetUpdate};
use super::state::GroupOffsets;
use crate::limits::{MAX_OFFSETS, MAX_OFFSETS_A_COMMAND, MAX_OFFSETS_COMMAND, MAX_PENDING_OFFSETS};

/// Bytes of a command that one group and topic take beside their names, at most.
const UPDATE_BYTES: usize = 64;
/// Bytes of a command that one queue takes.
const QUEUE_BYTES: usize = 16;

type Queues = BTreeMap<u32, u64>;
type ByTopic = BTreeMap<String, Queues>;
/// Sorted, so that the same offsets make the same log on every run.
type Pending = BTreeMap<String, ByTopic>;

/// The offsets of all groups.
///
/// A new offset is *pending* first: the last one of each queue, so that a consumer that commits often
/// costs one entry a second and not one a commit. [`OffsetTable::take`] makes log commands of them; what
/// comes back through the log is *applied*, and only that is ever told to a consumer.
#[derive(Debug, Default)]
pub struct OffsetTable {
    applied: HashMap<String, ByTopic>,
    applied_len: usize,
    pending: Pending,
    pending_len: usize,
    /// Commands that are in the log but not applied.
    under_way: usize,
}

/// Why an offset is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotNoted {
    /// More wait for the log than may.
    #[error(
        "[OVERLOAD]broker busy, {MAX_PENDING_OFFSETS} consumer offsets wait for the log; commit later"
    )]
    Pending,
    /// The shard keeps as many as it may, and this queue is new to the group.
    #[error(
        "{MAX_OFFSETS} consumer offsets are kept, which is the limit; delete groups that are not used any more, with their offsets"
    )]
    Kept,
}

impl OffsetTable {
    /// The committed offsets as they were at a checkpoint.
    #[must_use]
    pub fn restored(groups: impl Iterator<Item = GroupOffsets>) -> Self {
        let mut table = Self::default();
        for GroupOffsets { group, topics } in groups {
            let kept = table.applied.entry(group).or_default();
            for (topic, queues) in topics {
                kept.entry(topic).or_default().extend(queues);
            }
        }
        let queues = table.applied.values().flat_map(|topics| topics.values());
        table.applied_len = queues.map(Queues::len).sum();
        table
    }

    /// All committed offsets, sorted by group, topic and queue.
    #[must_use]
    pub fn all(&self) -> Vec<GroupOffsets> {
        let owned = |(topic, queues): (&String, &Queues)| {
            (topic.clone(), queues.iter().map(|(queue, offset)| (*queue, *offset)).collect())
        };
        let of_group = |(group, topics): (&String, &ByTopic)| GroupOffsets {
            group: group.clone(),
            topics: topics.iter().map(owned).collect(),
        };
        let mut all: Vec<_> = self.applied.iter().map(of_group).collect();
        all.sort_unstable_by(|a, b| a.group.cmp(&b.group));
        all
    }

    /// Notes a group's new offset, to be proposed later. A smaller one than before is taken as well:
    /// that is how consumers and tools go back.
    ///
    /// # Errors
    /// [`NotNoted`]: the log has not taken any for long, or there are too many.
    pub fn note(
        &mut self,
        group: &str,
        topic: &str,
        queue: QueueId,
        offset: QueueOffset,
    ) -> Result<(), NotNoted> {
        if let Some(waiting) = find_mut(&mut self.pending, group, topic, queue) {
            *waiting = offset.0;
            return Ok(());
        }
        if self.pending_len >= MAX_PENDING_OFFSETS {
            return Err(NotNoted::Pending);
        }
        let kept = self.applied_len + self.pending_len;
        if kept >= MAX_OFFSETS && self.find(group, topic, queue).is_none() {
            return Err(NotNoted::Kept);
        }
        pending_mut(&mut self.pending, group, topic).insert(queue.0, offset.0);
        self.pending_len += 1;
        Ok(())
    }

    /// The committed offset of a group in a queue.
    #[must_use]
    pub fn find(&self, group: &str, topic: &str, queue: QueueId) -> Option<QueueOffset> {
        let offset = self.applied.get(group)?.get(topic)?.get(&queue.0)?;
        Some(QueueOffset(*offset))
    }

    /// The committed offsets of a group: topic, queue, offset, sorted by topic and queue.
    pub fn of_group(&self, group: &str) -> impl Iterator<Item = (&str, QueueId, QueueOffset)> {
        self.applied.get(group).into_iter().flatten().flat_map(|(topic, queues)| {
            queues
                .iter()
                .map(move |(queue, offset)| (topic.as_str(), QueueId(*queue), QueueOffset(*offset)))
        })
    }

    /// The groups that have committed offsets in a topic, in no order.
    pub fn groups_of<'a>(&'a self, topic: &'a str) -> impl Iterator<Item = &'a str> {
        self.applied
            .iter()
            .filter(move |(_, topics)| topics.contains_key(topic))
            .map(|(group, _)| group.as_str())
    }

    /// Whether an offset of the group waits to be proposed.
    #[must_use]
    pub fn has_pending(&self, group: &str) -> bool {
        self.pending.contains_key(group)
    }

    /// Offsets that wait to be proposed.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.pending_len
    }

    /// Whether offsets are in the log but not applied.
    #[must_use]
    pub fn is_under_way(&self) -> bool {
        self.under_way > 0
    }

    /// Takes the pending offsets of one group, or of all, as commands for the log. Each command that is
    /// appended is told with [`OffsetTable::proposed`]; what is not appended goes back with
    /// [`OffsetTable::put_back`].
    pub fn take(&mut self, group: Option<&str>) -> Vec<ConsumerOffsets> {
        let taken: Vec<(String, ByTopic)> = match group {
            Some(group) => self.pending.remove_entry(group).into_iter().collect(),
            None => std::mem::take(&mut self.pending).into_iter().collect(),
        };
        let mut commands = Commands::default();
        for (group, topics) in taken {
            for (topic, queues) in topics {
                self.pending_len -= queues.len();
                commands.add(&group, &topic, queues);
            }
        }
        assert!(group.is_some() || self.pending_len == 0, "all were taken");
        commands.close();
        commands.done
    }

    /// A command was appended.
    pub fn proposed(&mut self) {
        self.under_way += 1;
    }

    /// A command was not appended: its offsets are pending again, unless newer ones are.
    pub fn put_back(&mut self, command: ConsumerOffsets) {
        for update in command.updates {
            let queues = pending_mut(&mut self.pending, &update.group, &update.topic);
            for (queue, offset) in update.queues {
                if let std::collections::btree_map::Entry::Vacant(slot) = queues.entry(queue) {
                    slot.insert(offset);
                    self.pending_len += 1;
                }
            }
        }
    }

    /// Forgets what waits to be proposed or is under way: nobody here proposes any more, or not yet. Consumers tell their
    /// offsets again, every few seconds.
    pub fn forget_pending(&mut self) {
        self.pending.clear();
        (self.pending_len, self.under_way) = (0, 0);
    }

    /// A command was committed; `foreign` if it was not proposed here since the start. Offsets of topics for which `exists` is false are dropped: the topic was
    /// deleted before.
    pub fn apply(
        &mut self,
        command: ConsumerOffsets,
        foreign: bool,
        exists: impl Fn(&str) -> bool,
    ) {
        if !foreign {
            assert!(self.under_way > 0, "the log commits only what was proposed");
            self.under_way -= 1;
        }
        for update in command.updates.into_iter().filter(|update| exists(&update.topic)) {
            let topics = self.applied.entry(update.group).or_default();
            let queues = topics.entry(update.topic).or_default();
            let before = queues.len();
            queues.extend(update.queues);
            self.applied_len += queues.len() - before;
        }
    }

    /// A topic was deleted: its offsets go, those not proposed too.
    pub fn topic_deleted(&mut self, topic: &str) {
        let drop_from = |topics: &mut ByTopic, dropped: &mut usize| {
            *dropped += topics.remove(topic).map_or(0, |queues| queues.len());
            !topics.is_empty()
        };
        let (mut applied, mut pending) = (0, 0);
        self.applied.retain(|_, topics| drop_from(topics, &mut applied));
        self.pending.retain(|_, topics| drop_from(topics, &mut pending));
        self.applied_len -= applied;
        self.pending_len -= pending;
    }

    /// A group was deleted with its offsets.
    pub fn group_deleted(&mut self, group: &str) {
        let len = |topics: ByTopic| topics.values().map(Queues::len).sum::<usize>();
        self.applied_len -= self.applied.remove(group).map_or(0, len);
        self.pending_len -= self.pending.remove(group).map_or(0, len);
    }
}

/// Offsets on their way into commands, none of which is larger than the limits say.
#[derive(Default)]
struct Commands {
    done: Vec<ConsumerOffsets>,
    open: ConsumerOffsets,
    offsets: usize,
    bytes: usize,
}

impl Commands {
    fn add(&mut self, group: &str, topic: &str, queues: Queues) {
        let names = group.len() + topic.len() + UPDATE_BYTES;
        let mut queues = queues.into_iter().peekable();
        while queues.peek().is_some() {
            let full = self.offsets >= MAX_OFFSETS_A_COMMAND;
            if full || self.bytes + names + QUEUE_BYTES > MAX_OFFSETS_COMMAND {
                self.close();
            }
            let room = MAX_OFFSETS_COMMAND.saturating_sub(self.bytes + names) / QUEUE_BYTES;
            // Names are short; whatever they are, each command has one offset at least.
            let room = room.min(MAX_OFFSETS_A_COMMAND - self.offsets).max(1);
            let part: Vec<(u32, u64)> = queues.by_ref().take(room).collect();
            self.offsets += part.len();
            self.bytes += names + part.len() * QUEUE_BYTES;
            let (group, topic) = (group.to_owned(), topic.to_owned());
            self.open.updates.push(OffsetUpdate { group, topic, queues: part });
        }
    }

    fn close(&mut self) {
        if self.offsets > 0 {
            self.done.push(std::mem::take(&mut self.open));
            (self.offsets, self.bytes) = (0, 0);
        }
    }
}

fn find_mut<'a>(
    table: &'a mut Pending,
    group: &str,
    topic: &str,
    queue: QueueId,
) -> Option<&'a mut u64> {
    table.get_mut(group)?.get_mut(topic)?.get_mut(&queue.0)
}

/// Allocates names only for what is new: this runs for every commit.
fn pending_mut<'a>(table: &'a mut Pending, group: &str, topic: &str) -> &'a mut Queues {
    if !table.contains_key(group) {
        table.insert(group.to_owned(), ByTopic::new());
    }
    let topics = table.get_mut(group).expect("it was just looked for");
    if !topics.contains_key(topic) {
        topics.insert(topic.to_owned(), Queues::new());
    }
    topics.get_mut(topic).expect("it was just looked for")
}

#[cfg(test)]
mod tests {
    use super::*;

    const Q: QueueId = QueueId(0);

    fn note(table: &mut OffsetTable, group: &str, queue: u32, offset: u64) {
        table.note(group, "T", QueueId(queue), QueueOffset(offset)).expect("there is room");
    }

    fn commit(table: &mut OffsetTable, group: Option<&str>) -> usize {
        let commands = table.take(group);
        let count = commands.len();
        commands.iter().for_each(|_| table.proposed());
        commands.into_iter().for_each(|command| table.apply(command, false, |_| true));
        count
    }

    #[test]
    fn only_what_is_committed_is_told() {
        let mut table = OffsetTable::default();
        note(&mut table, "G", 0, 7);
        assert_eq!(table.find("G", "T", Q), None);
        assert!(table.has_pending("G") && !table.has_pending("H"));
        let commands = table.take(Some("G"));
        table.proposed();
        assert!(!table.has_pending("G") && table.is_under_way());
        assert_eq!(table.find("G", "T", Q), None);
        for command in commands {
            table.apply(command, false, |_| true);
        }
        assert_eq!(table.find("G", "T", Q), Some(QueueOffset(7)));
        assert!(!table.is_under_way());
    }

    #[test]
    fn many_commits_are_one_command() {
        let mut table = OffsetTable::default();
        for offset in 0..1000 {
            note(&mut table, "G", 0, offset);
            note(&mut table, "G", 1, offset * 2);
        }
        let commands = table.take(None);
        let want = vec![OffsetUpdate {
            group: "G".into(),
            topic: "T".into(),
            queues: vec![(0, 999), (1, 1998)],
        }];
        assert_eq!(commands, [ConsumerOffsets { updates: want }]);
        assert!(table.take(None).is_empty());
    }

    #[test]
    fn a_command_has_a_limit() {
        let mut table = OffsetTable::default();
        let many = u32::try_from(2 * MAX_OFFSETS_A_COMMAND + 1).expect("a small number");
        (0..many).for_each(|queue| note(&mut table, "G", queue, 1));
        assert_eq!(commit(&mut table, None), 3);
        assert_eq!(table.of_group("G").count(), many as usize);
        assert_eq!(table.groups_of("T").collect::<Vec<_>>(), ["G"]);
    }

    #[test]
    fn a_command_with_long_names_has_a_limit_too() {
        let mut table = OffsetTable::default();
        for number in 0..MAX_OFFSETS_A_COMMAND {
            let group = format!("{number:0>120}");
            table.note(&group, &"T".repeat(127), Q, QueueOffset(1)).expect("there is room");
        }
        let commands = table.take(None);
        assert!(commands.len() > 1);
        for command in &commands {
            let bytes = command.to_bytes().len();
            assert!(bytes <= MAX_OFFSETS_COMMAND, "{bytes}");
        }
        let offsets = commands.iter().flat_map(|command| &command.updates);
        assert_eq!(offsets.map(|update| update.queues.len()).sum::<usize>(), MAX_OFFSETS_A_COMMAND);
    }

    #[test]
    fn kept_offsets_are_counted_and_bounded() {
        let mut table = OffsetTable::default();
        for (group, queue) in [("G", 0), ("G", 1), ("H", 0)] {
            note(&mut table, group, queue, 5);
        }
        commit(&mut table, None);
        note(&mut table, "G", 0, 6);
        commit(&mut table, None);
        assert_eq!(table.applied_len, 3);
        table.group_deleted("G");
        assert_eq!(table.applied_len, 1);
        table.applied_len = MAX_OFFSETS;
        note(&mut table, "H", 0, 7);
        assert_eq!(table.note("H", "T", QueueId(1), QueueOffset(1)), Err(NotNoted::Kept));
        table.applied_len = 1;
        table.topic_deleted("T");
        assert_eq!((table.applied_len, table.pending()), (0, 0));
    }

    #[test]
    fn what_was_not_appended_waits_on_behind_newer_ones() {
        let mut table = OffsetTable::default();
        note(&mut table, "G", 0, 5);
        note(&mut table, "G", 1, 6);
        let mut taken = table.take(None);
        note(&mut table, "G", 0, 9);
        table.put_back(taken.remove(0));
        assert_eq!(commit(&mut table, None), 1);
        assert_eq!(table.find("G", "T", QueueId(0)), Some(QueueOffset(9)));
        assert_eq!(table.find("G", "T", QueueId(1)), Some(QueueOffset(6)));
    }

    #[test]
    fn a_deleted_topics_offsets_do_not_come_back() {
        let mut table = OffsetTable::default();
        note(&mut table, "G", 0, 5);
        commit(&mut table, None);
        note(&mut table, "G", 0, 6);
        let late = ConsumerOffsets {
            updates: vec![OffsetUpdate {
                group: "G".into(),
                topic: "T".into(),
                queues: vec![(0, 8)],
            }],
        };
        table.topic_deleted("T");
        assert!(table.take(None).is_empty());
        table.apply(late, true, |topic| topic != "T");
        assert_eq!(table.find("G", "T", Q), None);
        assert_eq!(table.pending_len, 0);
    }

    #[test]
    fn a_deleted_group_leaves_nothing() {
        let mut table = OffsetTable::default();
        note(&mut table, "G", 0, 5);
        commit(&mut table, None);
        note(&mut table, "G", 0, 6);
        table.group_deleted("G");
        assert!(table.of_group("G").next().is_none() && table.take(None).is_empty());
        assert_eq!(table.pending_len, 0);
    }

    #[test]
    fn pending_offsets_are_bounded() {
        let mut table = OffsetTable::default();
        let many = u32::try_from(MAX_PENDING_OFFSETS).expect("a small number");
        (0..many).for_each(|queue| note(&mut table, "G", queue, 1));
        assert_eq!(table.note("G", "T", QueueId(many), QueueOffset(1)), Err(NotNoted::Pending));
        note(&mut table, "G", 0, 2);
    }
}
