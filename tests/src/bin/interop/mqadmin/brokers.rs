//! Commands about brokers.

use tests::harness::cluster::Spec;
use tests::harness::failure::{Verdict, expect};
use tests::harness::lab::Lab;
use tests::harness::peer::Peer;
use tests::harness::servers::{BROKER_NAME, CLUSTER_NAME};
use tests::harness::table::{self, Table};

use super::tool::{mqadmin, same};

const CLUSTER_COLUMNS: [&str; 12] = [
    "Cluster Name",
    "Broker Name",
    "BID",
    "Addr",
    "Version",
    "InTPS(LOAD)",
    "OutTPS(LOAD)",
    "Timer(Progress)",
    "PCWait(ms)",
    "Hour",
    "SPACE",
    "ACTIVATED",
];

pub fn cluster_list(lab: &mut Lab, spec: Spec) -> Verdict {
    let address = lab.cluster(spec)?.broker_addresses().remove(0);
    let table = cluster_table(lab)?;
    expect(table.rows.len() == 1, || format!("one broker; saw {:?}", table.rows))?;
    let row = &table.rows[0];
    same("row", &row[..5].to_vec(), &[CLUSTER_NAME, BROKER_NAME, "0", &*address, "V5_5_0"])?;
    for word in &row[5..7] {
        let number = word.split('(').next().and_then(|number| number.parse::<f64>().ok());
        expect(number.is_some_and(|tps| tps >= 0.0), || format!("a rate, not {word}"))?;
    }
    let space = row.iter().rev().nth(1).and_then(|word| word.parse::<f64>().ok());
    expect(space.is_some_and(|space| (0.0..=1.0).contains(&space)), || {
        format!("SPACE in {row:?}")
    })?;
    same("ACTIVATED", row.last().expect("five words at least"), &"true")
}

/// What `clusterList` says about the cluster at hand.
pub fn cluster_table(lab: &Lab) -> Verdict<Table> {
    mqadmin(lab, "clusterList", &[])?.clean()?.table(&CLUSTER_COLUMNS)
}

/// Keys of the runtime table whose value is a whole number.
const NUMBERS: [&str; 26] = [
    "EndTransactionQueueSize",
    "EndTransactionThreadPoolQueueCapacity",
    "bootTimestamp",
    "commitLogMaxOffset",
    "commitLogMinOffset",
    "dispatchBehindBytes",
    "dispatchMaxBuffer",
    "earliestMessageTimeStamp",
    "getMessageEntireTimeMax",
    "msgGetTotalTodayMorning",
    "msgGetTotalTodayNow",
    "msgGetTotalYesterdayMorning",
    "msgPutTotalTodayMorning",
    "msgPutTotalTodayNow",
    "msgPutTotalYesterdayMorning",
    "pageCacheLockTimeMills",
    "pullThreadPoolQueueCapacity",
    "pullThreadPoolQueueHeadWaitTimeMills",
    "pullThreadPoolQueueSize",
    "putMessageEntireTimeMax",
    "putMessageFailedTimes",
    "putMessageSizeTotal",
    "putMessageTimesTotal",
    "sendThreadPoolQueueCapacity",
    "sendThreadPoolQueueHeadWaitTimeMills",
    "sendThreadPoolQueueSize",
];

/// The other keys.
const TEXTS: [&str; 18] = [
    "brokerActive",
    "brokerVersionDesc",
    "commitLogDirCapacity",
    "commitLogDiskRatio",
    "consumeQueueDiskRatio",
    "getFoundTps",
    "getMissTps",
    "getTotalTps",
    "getTransferredTps",
    "putLatency99",
    "putLatency999",
    "putMessageAverageSize",
    "putMessageDistributeTime",
    "putTps",
    "queryThreadPoolQueueCapacity",
    "queryThreadPoolQueueSize",
    "remainHowManyDataToFlush",
    "runtime",
];

pub fn broker_status(lab: &mut Lab, spec: Spec) -> Verdict {
    let address = lab.cluster(spec)?.broker_addresses().remove(0);
    let mut peer = Peer::connect(lab.cluster(spec)?.broker_port())?;
    peer.create_topic("adm-status", 1)?;
    // Apache's broker counts one put before the first.
    peer.send("adm-status", 0, &[], b"the first")?;
    let before = counters(lab, &address)?;
    for _ in 0..5 {
        peer.send("adm-status", 0, &[], b"counted")?;
    }
    let after = counters(lab, &address)?;
    expect(after.0 >= before.0 + 5, || format!("puts counted: {before:?}, then {after:?}"))?;
    expect(after.1 > before.1, || format!("the end of the log: {before:?}, then {after:?}"))
}

/// All keys are there; how many messages were put, and where the log ends.
fn counters(lab: &Lab, address: &str) -> Verdict<(u64, u64)> {
    let said = mqadmin(lab, "brokerStatus", &["-b", address])?.clean()?;
    let number = |key: &str| table::value(&said.out, key).and_then(|text| text.parse::<i64>().ok());
    for key in NUMBERS {
        expect(number(key).is_some(), || format!("no number {key} in:\n{}", said.out))?;
    }
    for key in TEXTS {
        expect(table::value(&said.out, key).is_some(), || format!("no {key} in:\n{}", said.out))?;
    }
    same("version", &table::value(&said.out, "brokerVersionDesc"), &Some("V5_5_0"))?;
    same("active", &table::value(&said.out, "brokerActive"), &Some("true"))?;
    let whole = |key| number(key).and_then(|value| u64::try_from(value).ok()).unwrap_or(0);
    Ok((whole("putMessageTimesTotal"), whole("commitLogMaxOffset")))
}
