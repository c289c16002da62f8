//! GET_BROKER_RUNTIME_INFO (28): what `mqadmin clusterList` and `brokerStatus`, the dashboard and the exporter show.
//!
//! Every key of RocketMQ 5.5.0 is there. Those of parts that this broker does not have (thread pool queues,
//! page cache, transient buffers, timers) carry the value of an idle one: zero, and the usual capacity.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use raft::net::Peers;
use raft::{Ballot, MemberId, Role};
use remoting::body::{Body, KvTable};
use remoting::command::version;
use remoting::{CommandRef, ResponseCode};
use runtime::fs::Space;
use transport::Connection;

use super::super::replica::{Replica, state};
use super::super::reply::{Caller, Refusal};
use super::super::{Phase, Shard};
use super::answer;

/// The release whose behaviour this broker shows, as the tools print it.
const VERSION_NAME: &str = "V5_5_0";
const _: () = assert!(version::OURS == version::V5_5_0);

/// Thread pools of RocketMQ, as the keys name them, with the capacities of their queues there. Requests do not wait in
/// queues here; but dashboards divide by the capacity.
const POOLS: [(&str, &str); 5] = [
    ("pull", "100000"),
    ("litePull", "100000"),
    ("query", "20000"),
    ("ack", "100000"),
    ("send", "10000"),
];

/// Keys of parts that are not here, with the value of an idle one.
const IDLE: [(&str, &str); 12] = [
    ("EndTransactionQueueSize", "0"),
    ("EndTransactionThreadPoolQueueCapacity", "100000"),
    ("dispatchBehindBytes", "0"),
    ("dispatchMaxBuffer", "0"),
    ("pageCacheLockTimeMills", "0"),
    ("remainTransientStoreBufferNumbs", "0"),
    ("startAcceptSendRequestTimeStamp", "0"),
    ("timerCongestNum", "0"),
    ("timerDequeueTps", "0.0"),
    ("timerEnqueueTps", "0.0"),
    ("timerOffsetBehind", "0"),
    ("timerReadBehind", "0"),
];

type Table = BTreeMap<String, String>;

/// Answers when the file system has said how much room there is.
pub fn runtime_info(
    shard: &Rc<Shard>,
    connection: &Connection,
    request: &CommandRef<'_>,
    _: Bytes,
) {
    let caller = Caller::of(connection, request);
    let shard = Rc::clone(shard);
    runtime::spawn(async move {
        let info = match runtime::fs::space(&shard.identity.log_dir).await {
            Ok(space) => Ok(KvTable { table: table(&shard, space) }.encode()),
            Err(error) => Err(Refusal::new(ResponseCode::SystemError, error.to_string())),
        };
        answer(&caller, info);
    })
    .detach();
}

fn table(shard: &Shard, space: Space) -> Table {
    let mut table = Table::new();
    for (key, value) in IDLE {
        table.insert(key.to_owned(), value.to_owned());
    }
    for (pool, capacity) in POOLS {
        for (what, value) in [("Size", "0"), ("Capacity", capacity), ("HeadWaitTimeMills", "0")] {
            table.insert(format!("{pool}ThreadPoolQueue{what}"), value.to_owned());
        }
    }
    put_identity(shard, &mut table);
    put_disk(shard, space, &mut table);
    put_sends(shard, &mut table);
    put_pulls(shard, &mut table);
    put_days(shard, &mut table);
    if let Some(replica) = &shard.replica {
        put_group(shard, replica, &mut table);
    }
    table
}

fn put_identity(shard: &Shard, table: &mut Table) {
    let started = shard.stats.started_at;
    let running = Duration::from_millis(runtime::unix_millis().saturating_sub(started));
    put(table, "bootTimestamp", started);
    put(table, "runtime", running_text(running));
    put(table, "brokerActive", shard.phase.get() == Phase::Serving);
    put(table, "brokerVersion", version::OURS);
    put(table, "brokerVersionDesc", VERSION_NAME);
    put(table, "turbopumpVersion", env!("CARGO_PKG_VERSION"));
    put(table, "brokerName", &shard.identity.name);
}

fn put_disk(shard: &Shard, space: Space, table: &mut Table) {
    let log = shard.store.stats();
    let ratio = f64::from(space.used_percent()) / 100.0;
    put(table, "commitLogMinOffset", log.min);
    put(table, "commitLogMaxOffset", log.max);
    put(table, "remainHowManyDataToFlush", format!("{} B", log.unflushed));
    put(table, "commitLogUnwrittenBytes", log.unwritten);
    put(table, "commitLogDiskRatio", ratio);
    put(table, &format!("commitLogDiskRatio_{}", shard.identity.log_dir.display()), ratio);
    put(table, "consumeQueueDiskRatio", ratio);
    let (total, free) = (size_text(space.total), size_text(space.available));
    put(table, "commitLogDirCapacity", format!("Total : {total}, Free : {free}."));
    // Tools show the age of this in hours. Where there is no message, nothing is older than now.
    let segments = shard.store.segment_times().into_iter();
    let earliest = segments.filter_map(|segment| segment.times).map(|(oldest, _)| oldest.0).next();
    let earliest = earliest.unwrap_or_else(runtime::unix_millis);
    put(table, "earliestMessageTimeStamp", earliest);
}

fn put_sends(shard: &Shard, table: &mut Table) {
    let stats = &shard.stats;
    let (times, bytes) = (stats.stored.total(), stats.stored_bytes.total());
    put(table, "sendThreadPoolQueueSize", shard.completions.borrow().len());
    put(table, "putTps", stats.stored.rates());
    put(table, "putMessageTimesTotal", times);
    put(table, "putMessageFailedTimes", stats.refusals.total());
    put(table, "putMessageSizeTotal", bytes);
    #[allow(clippy::cast_precision_loss, reason = "an average for people to look at")]
    let average = if times == 0 { 0.0 } else { bytes as f64 / times as f64 };
    put(table, "putMessageAverageSize", average);
    put(table, "putMessageEntireTimeMax", stats.put_time.max().as_millis());
    put(table, "putMessageDistributeTime", stats.put_time.spread());
    put(table, "putLatency99", millis_text(stats.put_time.percentile(0.99)));
    put(table, "putLatency999", millis_text(stats.put_time.percentile(0.999)));
}

fn put_pulls(shard: &Shard, table: &mut Table) {
    let stats = &shard.stats;
    put(table, "getFoundTps", stats.hits.rates());
    put(table, "getMissTps", stats.misses.rates());
    let total = super::window::sum_of_rates(&stats.hits, &stats.misses);
    put(table, "getTotalTps", total);
    // Older tools read the second spelling.
    put(table, "getTransferredTps", stats.pulled.rates());
    put(table, "getTransferedTps", stats.pulled.rates());
    put(table, "getMessageEntireTimeMax", stats.pull_time.max().as_millis());
}

fn put_days(shard: &Shard, table: &mut Table) {
    let days = shard.stats.days();
    let now = (shard.stats.stored.total(), shard.stats.pulled.total());
    for (when, (stored, pulled)) in
        [("YesterdayMorning", days.yesterday), ("TodayMorning", days.today), ("TodayNow", now)]
    {
        put(table, &format!("msgPutTotal{when}"), stored);
        put(table, &format!("msgGetTotal{when}"), pulled);
    }
}

/// What nobody else has a key for: the Raft group, as this member sees it.
fn put_group(shard: &Shard, replica: &Replica, table: &mut Table) {
    let own = &replica.layout.own().label;
    put(table, "raftGroup", &replica.layout.name);
    put(table, "raftSelf", own);
    let gone: Vec<String> = shard.siblings.gone().iter().map(u32::to_string).collect();
    if !gone.is_empty() {
        put(table, "raftShardsGone", gone.join(", "));
    }
    let Some(group) = replica.group() else { return };
    put(table, "raftTerm", group.term());
    let leader = match group.role() {
        Role::Leading(_) => own.clone(),
        Role::Following(Some(leader)) => replica.name_of(leader),
        Role::Following(None) => "nobody that this member knows of".to_owned(),
    };
    put(table, "raftLeader", leader);
    let tally = &replica.tally;
    put(table, "raftLeaderChanges", tally.leaders.get());
    put(table, "raftSendsUnknown", tally.unknown.get());
    put(table, "raftSendsRefused", tally.sends_refused.get());
    put(table, "raftOffsetCommitsDropped", tally.commits_dropped.get());
    let followers = group.followers();
    let behind = followers.iter().map(|one| format!("{}: {}", replica.name_of(one.id), one.behind));
    if !followers.is_empty() {
        put(table, "raftFollowersEntriesBehind", behind.collect::<Vec<_>>().join(", "));
    }
    let view = group.view();
    let named = |id: &MemberId| {
        let learns = view.seats.get(id).is_some_and(|seat| seat.ballot == Ballot::Learner);
        format!("{}{}", replica.name_of(*id), if learns { " learner" } else { "" })
    };
    put(table, "raftMembers", view.seats.keys().map(named).collect::<Vec<_>>().join(", "));
    put(table, "raftMembersChange", view.is_changing());
    put(table, "raftCommittedEntries", view.committed);
    let status = replica.peers().map(Peers::status).unwrap_or_default();
    if let Some(spare) = state::spare(&view, state::patience(shard), &status) {
        put(table, "raftNodesItCanLose", spare);
    }
    if let Some(heard) = group.majority_heard() {
        put(table, "raftMajorityHeardMillisAgo", heard.as_millis());
    }
}

fn put(table: &mut Table, key: &str, value: impl ToString) {
    table.insert(key.to_owned(), value.to_string());
}

/// As RocketMQ prints it: `[ 0 days, 0 hours, 5 minutes, 47 seconds ]`.
fn running_text(time: Duration) -> String {
    let seconds = time.as_secs();
    let (days, hours) = (seconds / 86_400, seconds / 3_600 % 24);
    let (minutes, seconds) = (seconds / 60 % 60, seconds % 60);
    format!("[ {days} days, {hours} hours, {minutes} minutes, {seconds} seconds ]")
}

fn millis_text(time: Duration) -> String {
    format!("{:.3}", time.as_secs_f64() * 1000.0)
}

/// Bytes for people: `252.0 GiB`.
fn size_text(bytes: u64) -> String {
    #[allow(clippy::cast_precision_loss, reason = "a size for people to look at")]
    let mut size = bytes as f64;
    let mut unit = "B";
    for larger in ["KiB", "MiB", "GiB", "TiB", "PiB"] {
        if size < 1024.0 {
            break;
        }
        (size, unit) = (size / 1024.0, larger);
    }
    format!("{size:.1} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capacities_are_apaches_defaults() {
        let default = |key: &str| crate::config::KEYS.find(key).map(|key| key.default);
        for (pool, capacity) in POOLS {
            assert_eq!(
                default(&format!("{pool}ThreadPoolQueueCapacity")),
                Some(capacity),
                "{pool}"
            );
        }
        let (_, capacity) = IDLE[1];
        assert_eq!(default("endTransactionPoolQueueCapacity"), Some(capacity));
    }

    #[test]
    fn texts_are_those_that_tools_know() {
        let time = Duration::from_secs(86_400 + 3 * 3_600 + 5 * 60 + 47);
        assert_eq!(running_text(time), "[ 1 days, 3 hours, 5 minutes, 47 seconds ]");
        assert_eq!(size_text(0), "0.0 B");
        assert_eq!(size_text(252 << 30), "252.0 GiB");
        assert_eq!(size_text(1536), "1.5 KiB");
        assert_eq!(millis_text(Duration::from_micros(1234)), "1.234");
    }
}
