//! Keeping the log within its time and its disk: a look at both every [`CLEAN_EVERY`], and what follows from it.
//!
//! While the disk is too full, messages are refused; reads, consumer offsets and trims go on, and messages are taken
//! again when there is room.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use model::UnixMillis;
use runtime::channel::oneshot;
use runtime::fs::Space;
use runtime::{Instant, IoError};
use storage::{Keep, SegmentTimes, Stats, TrimError, Trouble};

use super::completions::{Afterwards, Completion};
use super::identity::Identity;
use super::refusals::disk_full;
use super::reply::Refusal;
use super::retention_rules::{Sight, Trim, decide};
use super::{Phase, Shard};
use crate::limits::{CLEAN_EVERY, CLEAN_LOOK};

/// A leader whose disk has been too full for so long makes place: old messages that are to go are gone by then, if that is enough.
const FULL: Duration = Duration::from_secs(10);
const _: () = assert!(FULL.as_millis() >= CLEAN_EVERY.as_millis(), "the leader has tried");

/// Whether the disk has room for messages.
#[derive(Debug, Default)]
pub struct Disk {
    /// Percent of it in use, when that is too much.
    too_full: Cell<Option<u8>>,
    /// Since when it is.
    too_full_since: Cell<Option<Instant>>,
    /// The log has no room for what it needs next.
    log_full: Cell<bool>,
    /// Whether it was said that messages are refused.
    told: Cell<bool>,
    /// What did not work beside the log at the last look.
    troubles: RefCell<BTreeMap<Trouble, String>>,
}

impl Disk {
    /// Whether a message may be stored.
    ///
    /// # Errors
    /// Code 14 while too much of the disk is in use.
    pub fn check(&self, shard: &Shard) -> Result<(), Refusal> {
        let Some(used) = self.too_full.get() else { return Ok(()) };
        let share = f64::from(used) / 100.0;
        let most = shard.config.retention.full_percent;
        Err(disk_full(&format!(
            "CL: {share:5.2}, and diskSpaceWarningLevelRatio is {most}: free some space, or let messages expire earlier"
        )))
    }

    /// Notes how full the disk is, and says it once when that changes what is taken.
    fn note(&self, shard: &Shard, used: u8) {
        let most = shard.config.retention.full_percent;
        let is_too_full = used > most;
        let since = self.too_full_since.get().unwrap_or_else(runtime::now);
        self.too_full.set(is_too_full.then_some(used));
        self.too_full_since.set(is_too_full.then_some(since));
        self.tell(shard);
    }

    /// Whether messages are refused for want of room where this member leads.
    pub fn refuses(&self) -> bool {
        self.too_full.get().is_some() || self.log_full.get()
    }

    /// Why somebody else should lead: too much of the disk is in use, as it has been for a while. A log that has no room says so itself
    /// ([`raft::Group::burden`]).
    pub fn burden(&self) -> Option<&'static str> {
        let since = self.too_full_since.get()?;
        (since.elapsed() >= FULL)
            .then_some("more of the disk is in use than diskSpaceWarningLevelRatio allows")
    }

    /// Notes whether the log has room, and says it once when that changes what is taken. True if it changed.
    fn note_log(&self, shard: &Shard) -> bool {
        let full = shard.store.stats().full;
        let changed = self.log_full.replace(full) != full;
        self.tell(shard);
        changed
    }

    /// Says once that messages are refused for want of room, and once that they are taken again. A disk that is full is so in
    /// two ways, one soon after the other, and they end one after the other: that is one event, with a line for each end.
    fn tell(&self, shard: &Shard) {
        let (used_percent, log_full) = (self.too_full.get(), self.log_full.get());
        let refuses = self.refuses();
        if self.told.replace(refuses) == refuses {
            return;
        }
        let (name, log) = (&shard.identity.name, shard.identity.log_dir.display());
        if !refuses {
            let then =
                if shard.check_office().is_ok() { "messages are taken" } else { "the log goes on" };
            return tracing::info!(shard = %name, log = %log, "the disk has room again: {then}");
        }
        let why = self.too_full(shard).expect("it was just seen");
        let then = consequence(shard.check_office().is_ok(), log_full);
        tracing::warn!(shard = %name, log = %log, used_percent, "{why}: {then}");
    }

    /// Why the disk is too full, if it is.
    pub fn too_full(&self, shard: &Shard) -> Option<String> {
        let most = shard.config.retention.full_percent;
        match (self.log_full.get(), self.too_full.get()) {
            (true, _) => Some("the disk has no room for the log's next segment".to_owned()),
            (false, Some(_)) => Some(format!(
                "more of the disk is in use than diskSpaceWarningLevelRatio = {most} allows"
            )),
            (false, None) => None,
        }
    }

    /// Says once what does not work beside the log, again when the reason is another, and when it works again.
    fn note_troubles(&self, shard: &Shard) {
        let now = shard.store.troubles();
        let now: BTreeMap<_, _> =
            now.into_iter().map(|(trouble, error)| (trouble, error.to_string())).collect();
        let before = self.troubles.replace(now.clone());
        let (name, log) = (&shard.identity.name, shard.identity.log_dir.display());
        for (trouble, error) in &now {
            if before.get(trouble) != Some(error) {
                tracing::warn!(shard = %name, log = %log, %error, "{trouble}. It is tried again");
            }
        }
        for (trouble, error) in before {
            if !now.contains_key(&trouble) {
                tracing::info!(shard = %name, log = %log, was = %error, "it works again: {trouble:?}");
            }
        }
    }
}

/// What comes of a disk that is too full, and what to do. A member of a group that does not lead refuses nothing; it stops when the
/// log has no room, and what the log keeps is decided by its leader.
fn consequence(takes_messages: bool, log_full: bool) -> &'static str {
    match (takes_messages, log_full) {
        (true, _) => {
            "messages are refused with code 14 until there is room again; consumers go on. Free some space, or let messages \
             expire earlier (fileReservedTime, diskMaxUsedSpaceRatio, cleanFileForciblyEnable)"
        }
        (false, true) => {
            "this member of the group writes nothing more until there is room again. The group goes on without it, and can lose \
             one node less. Free some space on this machine, or have the leader, which decides what the log keeps, keep less"
        }
        (false, false) => {
            "this member of the group does not lead, so nothing is refused; it stops writing when the log has no room. Free some \
             space on this machine, or have the leader, which decides what the log keeps, keep less"
        }
    }
}

/// Looks every [`CLEAN_EVERY`], and at once when the log runs out of room or has it again, until the shard stops or
/// fails. While messages are refused it is looked for room in between, so that they do not wait for the next time.
pub async fn run(shard: Rc<Shard>) {
    while shard.phase.get() == Phase::Serving {
        round(&shard).await;
        let looked = runtime::now();
        while looked.elapsed() < CLEAN_EVERY {
            runtime::sleep(CLEAN_LOOK).await;
            shard.disk.note_troubles(&shard);
            if shard.disk.note_log(&shard) {
                break;
            }
            if shard.disk.too_full.get().is_some() {
                drop(look(&shard).await); // the next round tells what is wrong
            }
        }
    }
}

async fn round(shard: &Rc<Shard>) {
    let space = match look(shard).await {
        Ok(space) => space,
        Err(error) => {
            let shard = &shard.identity.name;
            return tracing::warn!(%shard, %error, "nothing is deleted: the size of the disk is not known");
        }
    };
    // The space comes last: what has come back by then counts twice at worst, and the next round sees it.
    let (segments, stats) = (shard.store.segment_times(), shard.store.stats());
    let space = runtime::fs::space(&shard.identity.log_dir).await.unwrap_or(space);
    let sharers = sharers(shard, space).await;
    // In a group the leader decides, and the others follow its log.
    if shard.check_office().is_ok()
        && let Some(wanted) = decided(shard, space, sharers, &segments, &stats)
    {
        trim(shard, wanted, &segments).await;
    }
}

/// Looks how full the disk is; what follows of that for sends, and for what the store keeps.
///
/// # Errors
/// The file system does not say.
pub async fn look(shard: &Shard) -> Result<Space, IoError> {
    let space = runtime::fs::space(&shard.identity.log_dir).await?;
    shard.disk.note(shard, space.used_percent());
    let (keep, leave) = kept(shard, space);
    shard.store.keep(keep, leave);
    Ok(space)
}

/// What is kept for segments to come, and how many bytes of the disk are not taken for that ahead of time.
fn kept(shard: &Shard, space: Space) -> (Keep, u64) {
    let (rules, used) = (&shard.config.retention, space.used_percent());
    let needed = rules.forced_percent.min(rules.full_percent);
    let keep = match () {
        () if shard.disk.log_full.get() || used > needed => Keep::Next,
        () if used > rules.early_percent.min(needed) => Keep::Recycled,
        () => Keep::Many,
    };
    (keep, space.entire().div_ceil(100) * u64::from(100_u8.saturating_sub(needed)))
}

/// Shards of the broker whose logs lie on this one's file system, itself included. It is looked at only when that
/// file system is so full that young segments have to go.
async fn sharers(shard: &Shard, space: Space) -> u32 {
    let (config, own) = (&shard.config, &shard.identity);
    if config.shards == 1 || space.used_percent() <= config.retention.forced_percent {
        return 1;
    }
    let Ok(device) = runtime::fs::device(&own.log_dir).await else { return 1 };
    let mut sharers = 1;
    for number in (0..config.shards).filter(|number| *number != own.number) {
        let log_dir = Identity::log_dir_of(config, number);
        // One that cannot be looked at makes no room here.
        sharers += u32::from(runtime::fs::device(log_dir).await.is_ok_and(|other| other == device));
    }
    sharers
}

fn decided(
    shard: &Shard,
    space: Space,
    sharers: u32,
    segments: &[SegmentTimes],
    stats: &Stats,
) -> Option<Trim> {
    let now = runtime::unix_millis();
    let sight = Sight {
        now: UnixMillis(now),
        hour: runtime::local_hour(now),
        space,
        full: shard.disk.log_full.get(),
        freeing: stats.freeing,
        missing: stats.missing,
        sharers,
        segments,
    };
    decide(&shard.config.retention, &sight)
}

/// Gives up the segments, or as many of them as can go already, and waits until that is committed.
async fn trim(shard: &Rc<Shard>, wanted: Trim, segments: &[SegmentTimes]) {
    for count in (1..=wanted.segments).rev() {
        let going = &segments[..count];
        let to = Trim { segments: count, ..wanted }.to(segments);
        let prepared = shard.store.prepare_trim(to).await;
        if shard.check_append().is_err() {
            return; // somebody else decides by now, or is about to
        }
        match prepared.and_then(|()| shard.store.append_prepared_trim(to)) {
            Ok(()) => {
                shard.completions.borrow_mut().push(Completion::Silent);
                let (done, committed) = oneshot();
                shard.afterwards(Afterwards::Wake(done));
                if committed.await.is_ok() {
                    tell(shard, &wanted, going);
                }
                return;
            }
            // The newest of them is not on the disk in full yet: a matter of moments.
            Err(TrimError::Where { .. }) => {}
            Err(error @ TrimError::Append(_)) => {
                return tracing::debug!(shard = %shard.identity.name, %error, "segments stay for now");
            }
        }
    }
}

fn tell(shard: &Shard, trim: &Trim, gone: &[SegmentTimes]) {
    let (Some(first), Some(last)) = (gone.first(), gone.last()) else { return };
    let newest = gone.iter().filter_map(|segment| segment.times).map(|(_, newest)| newest).max();
    let age = newest.map(|newest| runtime::unix_millis().saturating_sub(newest.0) / 3_600_000);
    let (name, segments, why) = (&shard.identity.name, gone.len(), trim.why);
    let (bytes, begins) = (last.to.since(first.from), last.to.0);
    // Some of what goes before its time may not have been read.
    if why.is_forced() {
        tracing::warn!(shard = %name, segments, bytes, log_begins = begins, newest_message_hours = age, "messages are deleted: they are {why}");
    } else {
        tracing::info!(shard = %name, segments, bytes, log_begins = begins, newest_message_hours = age, "old messages are deleted: they are {why}");
    }
}
