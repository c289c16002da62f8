//! Consumer groups and their settings: what the log says there is, creation by request 200 and by heartbeats,
//! deletion by 207.
//!
//! Two views, as for topics: *applied* is what is committed, *appended* is ahead of it by what is under way.

mod settings;

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use bytes::Bytes;
use model::UnixMillis;
use model::topic::{SYSTEM_GROUP_PREFIX, check_group};
use remoting::body::{Body, SubscriptionGroupConfig};
use remoting::{CommandRef, ResponseCode};
use transport::Connection;

pub use settings::{SettingsError, from_body, to_body};

use super::Shard;
use super::apply::Source;
use super::commands::{CommandError, GroupCommand, SUBSCRIPTION_GROUP, SubscriptionGroup};
use super::completions::{Afterwards, Completion};
use super::offsets;
use super::refusals::check_phase;
use super::reply::{Caller, Refusal};
use super::topics::Version;
use crate::limits::MAX_GROUPS;

/// Groups that are there without being created (RocketMQ 5.5.0, SubscriptionGroupManager.init).
const SYSTEM_GROUPS: [&str; 8] = [
    "TOOLS_CONSUMER",
    "FILTERSRV_CONSUMER",
    "SELF_TEST_C_GROUP",
    "CID_ONS-HTTP-PROXY",
    "CID_ONSAPI_PULL",
    "CID_ONSAPI_PERMISSION",
    "CID_ONSAPI_OWNER",
    "CID_RMQ_SYS_TRANS",
];

/// The groups of a shard, in both views.
#[derive(Debug)]
pub struct Groups {
    appended: HashMap<Rc<str>, Rc<SubscriptionGroup>>,
    /// In the order of their names, for tools that ask for pages.
    applied: BTreeMap<Rc<str>, Rc<SubscriptionGroup>>,
    version: Version,
}

impl Default for Groups {
    fn default() -> Self {
        let system = SYSTEM_GROUPS.map(|name| {
            let mut group = SubscriptionGroup::new(name);
            // Some of the tools' own consumers broadcast.
            group.consume_broadcast_enable = true;
            (Rc::from(name), Rc::new(group))
        });
        let groups = BTreeMap::from(system);
        Self { appended: copied(&groups), applied: groups, version: Version::default() }
    }
}

/// The other view, when both are the same.
fn copied(
    applied: &BTreeMap<Rc<str>, Rc<SubscriptionGroup>>,
) -> HashMap<Rc<str>, Rc<SubscriptionGroup>> {
    applied.iter().map(|(name, group)| (Rc::clone(name), Rc::clone(group))).collect()
}

impl Groups {
    /// Both views as they were at a checkpoint. The system groups are always there.
    #[must_use]
    pub fn restored(groups: impl Iterator<Item = SubscriptionGroup>, version: Version) -> Self {
        let Self { mut applied, .. } = Self::default();
        applied.extend(groups.map(|group| (Rc::from(group.name.as_str()), Rc::new(group))));
        Self { appended: copied(&applied), applied, version }
    }

    /// The group as consumers see it: with what is under way.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Rc<SubscriptionGroup>> {
        self.appended.get(name)
    }

    /// The group as tools see it.
    #[must_use]
    pub fn find_applied(&self, name: &str) -> Option<&Rc<SubscriptionGroup>> {
        self.applied.get(name)
    }

    /// All groups as tools see them, in the order of their names.
    pub fn applied(&self) -> impl ExactSizeIterator<Item = &Rc<SubscriptionGroup>> {
        self.applied.values()
    }

    /// Which state of the applied table this is.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    fn append(&mut self, group: SubscriptionGroup) -> Rc<SubscriptionGroup> {
        let group = Rc::new(group);
        self.appended.insert(Rc::from(group.name.as_str()), Rc::clone(&group));
        group
    }

    /// Forgets what is under way: nobody here appends any more, or not yet.
    pub fn forget_appended(&mut self) {
        self.appended = copied(&self.applied);
    }

    /// A committed change; `now` in milliseconds since 1970. One that was not appended here since the start was never in the
    /// appended view: it is `foreign`.
    pub fn apply(&mut self, command: GroupCommand, foreign: bool, now: u64) {
        match command {
            GroupCommand::Put(group) => {
                let (name, group) = (Rc::<str>::from(group.name.as_str()), Rc::new(group));
                if foreign {
                    self.appended.insert(Rc::clone(&name), Rc::clone(&group));
                }
                self.applied.insert(name, group);
            }
            GroupCommand::Delete { name, .. } => {
                if foreign {
                    self.appended.remove(name.as_str());
                }
                self.applied.remove(name.as_str());
            }
        }
        self.version.timestamp = now;
        self.version.counter += 1;
    }
}

/// The settings of a group that consumes; created with RocketMQ's defaults if it is unknown and may be.
/// While the log takes nothing it is not created, and consumes with those defaults all the same: what is stored can be
/// read. `None` when it may not be created.
pub fn find_or_create(shard: &Shard, name: &str) -> Option<Rc<SubscriptionGroup>> {
    if let Some(group) = shard.groups.borrow().find(name) {
        return Some(Rc::clone(group));
    }
    if !may_create(shard, name) {
        return None;
    }
    let created = put(shard, SubscriptionGroup::new(name), Completion::Silent);
    Some(created.unwrap_or_else(|refusal| {
        tracing::debug!(group = name, reason = %refusal.remark, "group not created");
        Rc::new(SubscriptionGroup::new(name))
    }))
}

/// Whether a group of this name is created when somebody consumes in it.
#[must_use]
pub fn may_create(shard: &Shard, name: &str) -> bool {
    let may = shard.config.auto_create_groups || name.starts_with(SYSTEM_GROUP_PREFIX);
    may && check_group(name).is_ok()
}

/// Appends the creation or change of a group.
///
/// # Errors
/// The log takes nothing at the moment, or there are too many groups.
pub fn put(
    shard: &Shard,
    group: SubscriptionGroup,
    then: Completion,
) -> Result<Rc<SubscriptionGroup>, Refusal> {
    check_phase(shard)?;
    let mut groups = shard.groups.borrow_mut();
    if groups.find(&group.name).is_none() && groups.appended.len() >= MAX_GROUPS {
        let remark = format!("there are {MAX_GROUPS} groups already, more are not possible");
        return Err(Refusal::new(ResponseCode::SystemError, remark));
    }
    let command = GroupCommand::Put(group.clone()).to_bytes();
    shard.store.append_command(SUBSCRIPTION_GROUP, &command)?;
    shard.completions.borrow_mut().push(then);
    tracing::info!(shard = %shard.identity.name, group = %group.name, "consumer group created or changed");
    Ok(groups.append(group))
}

/// UPDATE_AND_CREATE_SUBSCRIPTIONGROUP (200). Answered when the change is committed.
pub fn update(shard: &Rc<Shard>, connection: &Connection, request: &CommandRef<'_>, body: Bytes) {
    let caller = Caller::of(connection, request);
    if let Err(refusal) = try_update(shard, &caller, &body) {
        refusal.send(&caller);
    }
}

fn try_update(shard: &Rc<Shard>, caller: &Caller, body: &[u8]) -> Result<(), Refusal> {
    let wanted = SubscriptionGroupConfig::decode(body)
        .map_err(|error| Refusal::new(ResponseCode::SystemError, error.to_string()))?;
    let before = shard.groups.borrow().find(&wanted.group_name).cloned();
    let group = from_body(wanted, before.as_deref())
        .map_err(|error| Refusal::parameter(error.to_string()))?;
    if before.as_deref() == Some(&group) {
        check_phase(shard)?;
        shard.afterwards(Afterwards::Answer(caller.clone()));
        return Ok(());
    }
    put(shard, group, Completion::Answer(caller.clone())).map(drop)
}

/// DELETE_SUBSCRIPTIONGROUP (207). Answered when the deletion is committed; deleting what is not there succeeds.
pub fn delete(shard: &Rc<Shard>, connection: &Connection, request: &CommandRef<'_>, _: Bytes) {
    let caller = Caller::of(connection, request);
    if let Err(refusal) = try_delete(shard, &caller, request) {
        refusal.send(&caller);
    }
}

fn try_delete(shard: &Rc<Shard>, caller: &Caller, request: &CommandRef<'_>) -> Result<(), Refusal> {
    let Some(name) = request.ext.get("groupName") else {
        return Err(Refusal::parameter("the request has no groupName"));
    };
    let with_offsets =
        request.ext.get("cleanOffset").is_some_and(|clean| clean.eq_ignore_ascii_case("true"));
    check_phase(shard)?;
    if SYSTEM_GROUPS.contains(&name) {
        return Err(Refusal::parameter(format!("the group {name} is the broker's own")));
    }
    if shard.groups.borrow().find(name).is_none() {
        shard.afterwards(Afterwards::Answer(caller.clone()));
        return Ok(());
    }
    if with_offsets {
        // What was noted before goes before the deletion, or it would be there again behind it.
        offsets::propose_group(shard, name)?;
    }
    let command = GroupCommand::Delete { name: name.to_owned(), offsets: with_offsets };
    shard.store.append_command(SUBSCRIPTION_GROUP, &command.to_bytes())?;
    shard.completions.borrow_mut().push(Completion::Answer(caller.clone()));
    shard.groups.borrow_mut().appended.remove(name);
    tracing::info!(shard = %shard.identity.name, group = name, "consumer group deleted");
    Ok(())
}

/// A committed change of the groups.
///
/// # Errors
/// The payload was written by another version.
pub fn applied(
    shard: &Shard,
    payload: &[u8],
    (source, when): (Source, UnixMillis),
) -> Result<(), CommandError> {
    let command = GroupCommand::from_bytes(payload)?;
    if let GroupCommand::Delete { name, offsets: true } = &command {
        shard.offsets.borrow_mut().group_deleted(name);
    }
    shard.groups.borrow_mut().apply(command, source.is_foreign(), when.0);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_groups_are_there_from_the_start() {
        let groups = Groups::default();
        for name in SYSTEM_GROUPS {
            assert!(groups.find(name).is_some() && groups.find_applied(name).is_some());
        }
        assert!(groups.find("G").is_none());
    }

    #[test]
    fn both_views_follow_the_log() {
        let mut groups = Groups::default();
        groups.append(SubscriptionGroup::new("G"));
        assert!(groups.find("G").is_some() && groups.find_applied("G").is_none());
        groups.apply(GroupCommand::Put(SubscriptionGroup::new("G")), false, 5);
        assert!(groups.find_applied("G").is_some());
        assert_eq!(groups.version(), Version { timestamp: 5, counter: 1 });

        groups.apply(GroupCommand::Put(SubscriptionGroup::new("H")), true, 6);
        assert!(groups.find("H").is_some(), "what was replayed is in both");
        let delete = GroupCommand::Delete { name: "H".to_owned(), offsets: false };
        groups.apply(delete, true, 7);
        assert!(groups.find("H").is_none() && groups.find_applied("H").is_none());
        assert_eq!(groups.version().counter, 3);
    }
}
