//! A shard whose log is longer than what a start reads: what is older is in checkpoints and index files.

mod support;

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use remoting::body::{Body, SubscriptionGroupConfig};
use remoting::header::pull::PullHeader;
use remoting::{Command, RequestCode, ResponseCode};
use runtime::channel::mailbox;
use runtime::sim::Simulation;
use support::log::Lines;
use support::{
    Client, IP, LIMIT, Place, Pulled, Running, config, pull_header, send_header, simulated, text,
};

/// Messages in queue 0, nearly 1 MiB each: more than three segments of 16 MiB.
const LARGE: u64 = 60;
/// Messages in queue 1, before all of those.
const SMALL: u64 = 1200;
const TAGS: [&str; 3] = ["A", "B", "C"];

fn tag(number: u64) -> &'static str {
    TAGS[usize::try_from(number % 3).expect("small")]
}

fn body(queue: i32, number: u64) -> Vec<u8> {
    let mut body = number.to_be_bytes().to_vec();
    body.resize(if queue == 0 { 900_000 } else { 24 }, u8::try_from(number % 251).expect("small"));
    body
}

/// Groups must be made by hand, so that one that is lost shows.
const KEYS: [(&str, &str); 2] = [("autoCreateSubscriptionGroup", "false"), ("tailBudget", "4MiB")];

async fn start(place: &Place) -> (Running, Rc<Client>) {
    let shard = Running::start(&config(place, &KEYS), place).await;
    (shard, Rc::new(Client::connect(place.addr()).await))
}

async fn send(client: &Client, queue: i32, number: u64) {
    let properties = text(&[("TAGS", tag(number))]);
    let mut header = send_header("T", queue);
    header.properties = Some(&properties);
    let sent = client.send_with(&header, &body(queue, number)).await.expect("it is stored");
    assert_eq!(sent.offset, number.cast_signed());
}

async fn fill(client: &Rc<Client>) {
    client.create_topic("T", 2).await;
    client.create_topic("Other", 3).await;
    let group = SubscriptionGroupConfig {
        group_name: "G".to_owned(),
        retry_max_times: 3,
        ..SubscriptionGroupConfig::default()
    };
    let create = Command::request(RequestCode::UpdateAndCreateSubscriptiongroup);
    assert_eq!(client.ask(create.with_body(Bytes::from(group.encode()))).await.code, 0);
    for number in 0..SMALL {
        send(client, 1, number).await;
    }
    assert_eq!(client.commit("G", "T", 1, 77).await.code, 0);
    for number in 0..LARGE {
        send(client, 0, number).await;
    }
    assert_eq!(client.commit("G", "T", 0, 5).await.code, 0);
}

async fn pull_from(client: &Client, queue: i32, expression: &str, offset: i64) -> Pulled {
    let header = PullHeader { subscription: Some(expression), ..pull_header("T", queue, offset) };
    client.pull_with(&header).await
}

/// Pulls the queue from its beginning to its end; the numbers of the messages.
async fn drain(client: &Client, queue: i32, expression: &str) -> Vec<u64> {
    let (mut numbers, mut offset) = (Vec::new(), 0);
    loop {
        let pulled = pull_from(client, queue, expression, offset).await;
        match pulled.code {
            ResponseCode::Success => {}
            ResponseCode::PullRetryImmediately => assert!(pulled.next > offset, "it goes on"),
            ResponseCode::PullNotFound => return numbers,
            _ => panic!("{pulled:?}"),
        }
        for (number, found) in pulled.offsets.iter().zip(&pulled.bodies) {
            assert!(*found == body(queue, *number), "message {number} of queue {queue}");
            numbers.push(*number);
        }
        offset = pulled.next;
    }
}

async fn check(client: &Client) {
    assert_eq!(client.max_offset("T", 0).await, LARGE.cast_signed());
    assert_eq!(client.max_offset("T", 1).await, SMALL.cast_signed());
    assert_eq!(client.max_offset("Other", 2).await, 0);
    assert_eq!(client.committed("G", "T", 0).await, Some(5));
    assert_eq!(client.committed("G", "T", 1).await, Some(77));
    assert_eq!(client.committed("G", "Other", 1).await, None);
    assert_eq!(drain(client, 0, "*").await, (0..LARGE).collect::<Vec<_>>());
    assert_eq!(drain(client, 1, "*").await, (0..SMALL).collect::<Vec<_>>());
    let tagged: Vec<_> = (0..SMALL).filter(|number| tag(*number) == "B").collect();
    assert_eq!(drain(client, 1, "B").await, tagged);
    // One pull looks through the whole queue, and says that there is nothing.
    let none = pull_from(client, 1, "Nothing", 0).await;
    assert_eq!((none.code, none.next), (ResponseCode::PullRetryImmediately, SMALL.cast_signed()));
    let few = PullHeader { max_msg_nums: 3, ..pull_header("T", 1, 100) };
    let few = client.pull_with(&few).await;
    assert_eq!((few.offsets, few.next), (vec![100, 101, 102], 103));
}

#[test]
fn topics_groups_offsets_and_old_messages_outlive_kills_and_stops() {
    let lines = Lines::keep();
    let simulation = Simulation::new(41);
    let node = simulation.node("node", IP);
    let (told, mut filled) = mailbox(1);
    let first = node.start("broker", move || async move {
        let (shard, client) = start(&simulated()).await;
        fill(&client).await;
        check(&client).await;
        told.try_send(()).expect("there is room");
        runtime::sleep(LIMIT).await;
        shard.stop().await;
    });
    assert!(simulation.run_until(LIMIT, || filled.try_recv().is_some()), "it is filled in time");
    simulation.run_for(Duration::from_millis(1));
    node.crash();
    assert!(simulation.join(first, LIMIT).is_err(), "it was killed");
    for _ in 0..2 {
        let next = node.start("broker", || async {
            let (shard, client) = start(&simulated()).await;
            check(&client).await;
            shard.stop().await;
        });
        simulation.join(next, LIMIT).expect("the run ends");
    }
    let starts = lines.with("messages=");
    let read = |line: &String| {
        let (_, rest) = line.split_once("messages=").expect("a number");
        rest.split_whitespace().next().and_then(|number| number.parse::<u64>().ok())
    };
    let read: Vec<_> = starts.iter().map(|line| read(line).expect("a number")).collect();
    assert_eq!(read.len(), 3, "{starts:#?}");
    assert!(read.iter().all(|messages| *messages <= 40), "a start reads the newest only: {read:?}");
}
