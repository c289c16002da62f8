//! Commands about messages and their consumers.

use std::fs;

use tests::harness::cluster::Spec;
use tests::harness::failure::{Failure, Verdict, expect};
use tests::harness::lab::{Client, Lab};
use tests::harness::peer::Peer;
use tests::harness::servers::BROKER_NAME;
use tests::harness::table;

use super::tool::{mqadmin, same};

const PROGRESS_COLUMNS: [&str; 8] = [
    "Topic",
    "Broker Name",
    "QID",
    "Broker Offset",
    "Consumer Offset",
    "Diff",
    "Inflight",
    "LastTime",
];
const GROUP_COLUMNS: [&str; 7] =
    ["Group", "Count", "Version", "Type", "Model", "TPS", "Diff Total"];

/// A group that has consumed 25 messages of each of four queues, before 2 more came.
pub fn consumer_progress(lab: &mut Lab, spec: Spec) -> Verdict {
    let port = lab.cluster(spec)?.broker_port();
    lab.drive(Client::Java550, "swap", "adm", &[])?;
    let (topic, group) = ("it-swap-t-adm", "it-swap-g-adm");
    let mut peer = Peer::connect(port)?;
    for _ in 0..2 {
        peer.send(topic, 1, &[], b"not consumed")?;
    }
    let said = mqadmin(lab, "consumerProgress", &["-g", group])?.clean()?;
    let table = said.table(&PROGRESS_COLUMNS)?;
    let rows: Vec<_> = table.rows.iter().filter(|row| row[0] == topic).collect();
    expect(rows.len() == 4, || format!("four queues of {topic}; saw\n{}", said.out))?;
    for (queue, row) in rows.iter().enumerate() {
        let (end, behind) = if queue == 1 { ("27", "2") } else { ("25", "0") };
        let wanted = [BROKER_NAME, &*queue.to_string(), end, "25", behind];
        same("row", &row[1..6].to_vec(), &wanted)?;
    }
    said.says(&["Consume TPS: ", "Consume Diff Total: 2\n"])?;
    let said = mqadmin(lab, "consumerProgress", &[])?.clean()?;
    let table = said.table(&GROUP_COLUMNS)?;
    let row = table.rows.iter().find(|row| row[0] == group);
    let row = row.ok_or_else(|| Failure::Wrong(format!("no {group} in:\n{}", said.out)))?;
    // A group without clients shows neither type nor model, so that these columns are empty.
    same("members and version", &row[1..3].to_vec(), &["0", "OFFLINE"])?;
    same("diff total", row.last().expect("three words at least"), &"2")
}

pub fn query_by_id(lab: &mut Lab, spec: Spec) -> Verdict {
    let cluster = lab.cluster(spec)?;
    let address = cluster.broker_addresses().remove(0);
    let mut peer = Peer::connect(cluster.broker_port())?;
    peer.create_topic("adm-found", 4)?;
    peer.send("adm-found", 3, &[], b"before it")?;
    let unique = format!("INTEROP{:025X}", std::process::id());
    let properties = [("TAGS", "blue"), ("KEYS", "k1"), ("UNIQ_KEY", &*unique), ("note", "kept")];
    let accepted = peer.send("adm-found", 3, &properties, b"looked for")?;
    let said =
        mqadmin(lab, "queryMsgById", &["-t", "adm-found", "-i", &accepted.offset_id])?.clean()?;
    for (key, wanted) in [
        ("OffsetID", &*accepted.offset_id),
        ("Topic", "adm-found"),
        ("Tags", "[blue]"),
        ("Keys", "[k1]"),
        ("Queue ID", "3"),
        ("Queue Offset", "1"),
        ("Reconsume Times", "0"),
        ("Store Host", &*address),
        ("System Flag", "0"),
    ] {
        same(key, &table::value(&said.out, key), &Some(wanted))?;
    }
    said.says(&["note=kept", &format!("UNIQ_KEY={unique}")])?;
    // Where the tool puts bodies, whatever it is told.
    let body = table::value(&said.out, "Message Body Path").unwrap_or_default();
    let seen = fs::read(body).unwrap_or_default();
    drop(fs::remove_file(body));
    same("body", &String::from_utf8_lossy(&seen), &"looked for")
}

const FOUND_COLUMNS: [&str; 4] = ["Message ID", "QID", "Offset", "IndexKey"];

/// A unique key as clients make it: address, process, a number, milliseconds since the month began, a count. Tools look
/// only for messages that were stored after the time in it.
fn unique_key(number: u32) -> String {
    format!("7F0000010001{:08X}00000000{number:04X}", std::process::id())
}

pub fn query_by_key(lab: &mut Lab, spec: Spec) -> Verdict {
    let mut peer = Peer::connect(lab.cluster(spec)?.broker_port())?;
    peer.create_topic("adm-keys", 4)?;
    for (number, keys) in [(1, "other"), (2, "k1 k2"), (3, "k2"), (4, "k1")] {
        let unique = unique_key(number);
        let properties = [("KEYS", keys), ("UNIQ_KEY", &*unique)];
        peer.send("adm-keys", 3, &properties, b"looked for")?;
    }
    let said = mqadmin(lab, "queryMsgByKey", &["-t", "adm-keys", "-k", "k1"])?.clean()?;
    let rows = said.table(&FOUND_COLUMNS)?.rows;
    let mut found: Vec<_> = rows.iter().map(|row| row.get(..3).unwrap_or_default()).collect();
    found.sort_unstable();
    let (second, fourth) = (unique_key(2), unique_key(4));
    let wanted = [[second.as_str(), "3", "1"], [fourth.as_str(), "3", "3"]];
    same("messages with k1", &found, &wanted)
}

pub fn query_by_unique_key(lab: &mut Lab, spec: Spec) -> Verdict {
    let mut peer = Peer::connect(lab.cluster(spec)?.broker_port())?;
    peer.create_topic("adm-unique", 4)?;
    let unique = unique_key(9);
    peer.send("adm-unique", 2, &[], b"before it")?;
    let properties = [("TAGS", "blue"), ("KEYS", "k1"), ("UNIQ_KEY", &*unique)];
    let accepted = peer.send("adm-unique", 2, &properties, b"looked for")?;
    let words = ["-t", "adm-unique", "-i", &*unique];
    let said = mqadmin(lab, "queryMsgByUniqueKey", &words)?.clean()?;
    let offset = u64::from_str_radix(&accepted.offset_id[16..], 16).unwrap_or_default().to_string();
    for (key, wanted) in [
        ("CommitLog Offset", &*offset),
        ("Topic", "adm-unique"),
        ("Tags", "[blue]"),
        ("Keys", "[k1]"),
        ("Queue ID", "2"),
        ("Queue Offset", "1"),
    ] {
        same(key, &table::value(&said.out, key), &Some(wanted))?;
    }
    let body = table::value(&said.out, "Message Body Path").unwrap_or_default();
    let seen = fs::read(body).unwrap_or_default();
    drop(fs::remove_file(body));
    same("body", &String::from_utf8_lossy(&seen), &"looked for")
}

const SENT_COLUMNS: [&str; 4] = ["Broker Name", "QID", "Send Result", "MsgId"];

pub fn send_message(lab: &mut Lab, spec: Spec) -> Verdict {
    let mut peer = Peer::connect(lab.cluster(spec)?.broker_port())?;
    peer.create_topic("adm-sent", 4)?;
    let words = ["-t", "adm-sent", "-p", "said by the tool", "-b", BROKER_NAME, "-i", "2"];
    let said = mqadmin(lab, "sendMessage", &words)?.clean()?;
    let table = said.table(&SENT_COLUMNS)?;
    expect(table.rows.len() == 1, || format!("one row; saw\n{}", said.out))?;
    same("row", &table.rows[0][..3].to_vec(), &[BROKER_NAME, "2", "SEND_OK"])?;
    // Twice the bytes of an id: 16 from a host that it knows by an IPv4 address, else 28.
    let id = &table.rows[0][3];
    expect([32, 56].contains(&id.len()), || format!("an id, not {id}"))?;
    let body = peer.body_at("adm-sent", 2, 0)?;
    same("body", &String::from_utf8_lossy(&body), &"said by the tool")?;
    // To a queue of the tool's choice.
    let words = ["-t", "adm-sent", "-p", "anywhere", "-k", "k", "-c", "t"];
    let said = mqadmin(lab, "sendMessage", &words)?.clean()?;
    let table = said.table(&SENT_COLUMNS)?;
    same("result", &table.rows[0][2], &"SEND_OK")?;
    let queue: u32 = table.rows[0][1].parse().unwrap_or(u32::MAX);
    let offset = u64::from(queue == 2);
    let body = peer.body_at("adm-sent", queue, offset)?;
    same("body", &String::from_utf8_lossy(&body), &"anywhere")
}

pub fn consume_message(lab: &mut Lab, spec: Spec) -> Verdict {
    let mut peer = Peer::connect(lab.cluster(spec)?.broker_port())?;
    peer.create_topic("adm-read", 4)?;
    for body in ["first", "second", "third"] {
        peer.send("adm-read", 1, &[("TAGS", "t")], body.as_bytes())?;
    }
    let said = mqadmin(lab, "consumeMessage", &["-t", "adm-read"])?.clean()?;
    said.says(&["Consume ok\n", "BODY: first\n", "BODY: second\n", "BODY: third\n"])?;
    for (queue, end) in [(0, 0), (1, 3), (2, 0), (3, 0)] {
        let line =
            format!("queueId={queue}] print msg finished. status=NO_NEW_MSG, offset={end}\n");
        said.says(&[&line])?;
    }
    let words = ["-t", "adm-read", "-b", BROKER_NAME, "-i", "1", "-o", "1", "-c", "1"];
    let said = mqadmin(lab, "consumeMessage", &words)?.clean()?;
    said.says(&["Consume ok\n", "BODY: second\n"])?;
    let more = said.out.contains("BODY: first") || said.out.contains("BODY: third");
    expect(!more, || format!("only the second was asked for:\n{}", said.out))
}
