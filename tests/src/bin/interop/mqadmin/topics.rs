//! Commands about topics.

use std::thread;
use std::time::{Duration, Instant};

use tests::harness::cluster::Spec;
use tests::harness::failure::{Verdict, expect};
use tests::harness::lab::Lab;
use tests::harness::peer::{Peer, SUCCESS, TOPIC_NOT_EXIST};
use tests::harness::servers::{BROKER_NAME, CLUSTER_NAME};

use super::tool::{mqadmin, same};

/// Request codes (RocketMQ 5.5.0, `RequestCode`).
const GET_ROUTEINFO_BY_TOPIC: i32 = 105;
const GET_TOPIC_STATS_INFO: i32 = 202;
/// How long a change may take to the NameServer.
const IN_A_MOMENT: Duration = Duration::from_secs(10);

pub fn topic_list(lab: &mut Lab, spec: Spec) -> Verdict {
    Peer::connect(lab.cluster(spec)?.broker_port())?.create_topic("adm-listed", 2)?;
    let said = mqadmin(lab, "topicList", &[])?.clean()?;
    for topic in ["adm-listed", "TBW102", "SELF_TEST_TOPIC", BROKER_NAME, CLUSTER_NAME] {
        let times = said.out.lines().filter(|line| line.trim() == topic).count();
        expect(times == 1, || format!("{topic} is listed {times} times in:\n{}", said.out))?;
    }
    let said = mqadmin(lab, "topicList", &["-c"])?.clean()?;
    let table = said.table(&["Cluster Name", "Topic", "Consumer Group"])?;
    let listed = table.rows.iter().any(|row| *row == [CLUSTER_NAME, "adm-listed"]);
    expect(listed, || format!("adm-listed without a group is not in:\n{}", said.out))
}

const STATUS_COLUMNS: [&str; 5] =
    ["Broker Name", "QID", "Min Offset", "Max Offset", "Last Updated"];

pub fn topic_status(lab: &mut Lab, spec: Spec) -> Verdict {
    let mut peer = Peer::connect(lab.cluster(spec)?.broker_port())?;
    peer.create_topic("adm-counted", 4)?;
    for _ in 0..3 {
        peer.send("adm-counted", 2, &[], b"one of three")?;
    }
    let said = mqadmin(lab, "topicStatus", &["-t", "adm-counted"])?.clean()?;
    let table = said.table(&STATUS_COLUMNS)?;
    expect(table.rows.len() == 4, || format!("four queues; saw\n{}", said.out))?;
    for (queue, row) in table.rows.iter().enumerate() {
        let end = if queue == 2 { "3" } else { "0" };
        same("row", &row[..4].to_vec(), &[BROKER_NAME, &*queue.to_string(), "0", end])?;
        expect(row.len() == if queue == 2 { 6 } else { 4 }, || {
            format!("a time only where a message is: {row:?}")
        })?;
    }
    said.says(&["Topic Put TPS: "])
}

pub fn topic_route(lab: &mut Lab, spec: Spec) -> Verdict {
    let cluster = lab.cluster(spec)?;
    let address = cluster.broker_addresses().remove(0);
    Peer::connect(cluster.broker_port())?.create_topic("adm-routed", 3)?;
    let said = mqadmin(lab, "topicRoute", &["-t", "adm-routed"])?.clean()?;
    said.says(&[
        &format!("0:\"{address}\""),
        &format!("\"brokerName\":\"{BROKER_NAME}\""),
        &format!("\"cluster\":\"{CLUSTER_NAME}\""),
        "\"perm\":6",
        "\"readQueueNums\":3",
        "\"writeQueueNums\":3",
    ])?;
    mqadmin(lab, "topicRoute", &["-t", "adm-nowhere"])?.refused(TOPIC_NOT_EXIST)
}

pub fn update_topic(lab: &mut Lab, spec: Spec) -> Verdict {
    let cluster = lab.cluster(spec)?;
    let (address, namesrv) = (cluster.broker_addresses().remove(0), cluster.namesrv_port());
    let success = format!("create topic to {address} success.");
    for (read, write) in [("4", "4"), ("6", "5")] {
        let words = ["-c", CLUSTER_NAME, "-t", "adm-made", "-r", read, "-w", write];
        let said = mqadmin(lab, "updateTopic", &words)?.clean()?;
        said.says(&[
            &success,
            "topicName=adm-made",
            &format!("readQueueNums={read}, writeQueueNums={write}, perm=RW-"),
        ])?;
        until_routed(namesrv, "adm-made", Some((parse(read), parse(write))))?;
    }
    let said =
        mqadmin(lab, "updateTopic", &["-b", &address, "-t", "adm made", "-r", "4", "-w", "4"])?;
    expect(!said.out.contains("success"), || {
        format!("a name with a blank was taken:\n{}", said.out)
    })
}

fn parse(number: &str) -> u64 {
    number.parse().expect("a constant of this file")
}

/// Queues to read and to write in the NameServer's route; `None` without a route.
fn queues(namesrv: u16, topic: &str) -> Verdict<Option<(u64, u64)>> {
    let ext = [("topic", topic), ("acceptStandardJsonOnly", "true")];
    let answer = Peer::connect(namesrv)?.ask(GET_ROUTEINFO_BY_TOPIC, &ext, b"")?;
    if answer.code != SUCCESS {
        same("code for a topic without a route", &answer.code, &TOPIC_NOT_EXIST)?;
        return Ok(None);
    }
    let route: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let queue = &route["queueDatas"][0];
    Ok(queue["readQueueNums"].as_u64().zip(queue["writeQueueNums"].as_u64()))
}

/// The route has these queues, at once or in a moment: whoever changes a topic is not kept waiting for the NameServers.
fn until_routed(namesrv: u16, topic: &str, expected: Option<(u64, u64)>) -> Verdict {
    let deadline = Instant::now() + IN_A_MOMENT;
    loop {
        let found = queues(namesrv, topic)?;
        if found == expected || Instant::now() > deadline {
            return same("queues in the route", &found, &expected);
        }
        thread::sleep(Duration::from_millis(10));
    }
}

pub fn delete_topic(lab: &mut Lab, spec: Spec) -> Verdict {
    let cluster = lab.cluster(spec)?;
    let (broker, namesrv) = (cluster.broker_port(), cluster.namesrv_port());
    Peer::connect(broker)?.create_topic("adm-gone", 4)?;
    until_routed(namesrv, "adm-gone", Some((4, 4)))?;
    let said = mqadmin(lab, "deleteTopic", &["-c", CLUSTER_NAME, "-t", "adm-gone"])?.clean()?;
    said.says(&[
        &format!("delete topic [adm-gone] from cluster [{CLUSTER_NAME}] success."),
        "delete topic [adm-gone] from NameServer success.",
    ])?;
    until_routed(namesrv, "adm-gone", None)?;
    let stats = Peer::connect(broker)?.ask(GET_TOPIC_STATS_INFO, &[("topic", "adm-gone")], b"")?;
    same("the broker's code for it", &stats.code, &TOPIC_NOT_EXIST)
}
