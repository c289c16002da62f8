//! The beginning of the log goes by time and by space, and a disk that is too full refuses messages and nothing else.

mod support;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use remoting::body::{Body, KvTable};
use remoting::header::DecodeExt;
use remoting::header::offset::{OffsetReply, QueueHeader, StoreTimeReply};
use remoting::{RequestCode, ResponseCode};
use runtime::channel::{MailboxSender, mailbox};
use runtime::sim::Simulation;
use support::log::Lines;
use support::{
    Client, IP, Running, Sent, config, create_header, offset_question, send_header, simulated,
};
use transport::RequestError;

const MIB: u64 = 1 << 20;
const LARGE_DISK: u64 = 4096 * MIB;
/// Longest virtual time of a run.
const LONG: Duration = Duration::from_secs(6 * 3600);
const EVERY_HOUR: &str = "00;01;02;03;04;05;06;07;08;09;10;11;12;13;14;15;16;17;18;19;20;21;22;23";

fn body(number: u64) -> Vec<u8> {
    let mut body = number.to_be_bytes().to_vec();
    body.resize(900_000, u8::try_from(number % 251).expect("small"));
    body
}

/// Runs the test on a disk of this size. Once the test asks for it the disk is enlarged.
fn in_simulation<Fut: Future<Output = ()> + 'static>(
    seed: u64,
    disk: u64,
    test: impl FnOnce(MailboxSender<()>) -> Fut + Send + 'static,
) {
    let simulation = Simulation::new(seed);
    let node = simulation.node("node", IP);
    node.disk().resize(disk);
    let (larger, mut asked) = mailbox(1);
    let run = node.start("broker", move || test(larger));
    if simulation.run_until(LONG, || run.is_finished() || asked.try_recv().is_some()) {
        node.disk().resize(LARGE_DISK);
    }
    simulation.join(run, LONG).expect("the run ends in time");
}

async fn start(keys: &[(&str, &str)]) -> (Running, Client) {
    let place = simulated();
    let shard = Running::start(&config(&place, keys), &place).await;
    (shard, Client::connect(place.addr()).await)
}

async fn offset(client: &Client, code: RequestCode) -> i64 {
    let answer = client.request(code, &QueueHeader { topic: "T", queue_id: 0 }).await;
    OffsetReply::decode(code, &answer.ext).expect("an offset").offset
}

async fn earliest(client: &Client) -> i64 {
    let code = RequestCode::GetEarliestMsgStoretime;
    let answer = client.request(code, &QueueHeader { topic: "T", queue_id: 0 }).await;
    StoreTimeReply::decode(code, &answer.ext).expect("a time").timestamp
}

async fn info(client: &Client) -> std::collections::BTreeMap<String, String> {
    let answer = client.request(RequestCode::GetBrokerRuntimeInfo, &()).await;
    KvTable::decode(&answer.body).expect("a table").table
}

/// Between two attempts to send.
const AGAIN: Duration = Duration::from_millis(20);

/// Sends message `number`, whose offset is its number.
async fn send(client: &Client, number: u64) -> Result<Sent, (ResponseCode, String)> {
    client.send_with(&send_header("T", 0), &body(number)).await
}

/// Sends on and on, and says how it was refused; a busy broker is asked again.
async fn send_until_refused(client: &Client, sent: &mut u64) -> (ResponseCode, String) {
    loop {
        match send(client, *sent).await {
            Ok(_) => *sent += 1,
            Err((ResponseCode::SystemBusy, _)) => runtime::sleep(AGAIN).await,
            Err(refused) => return refused,
        }
    }
}

/// Sends `count` more, each as often as it is refused.
async fn send_more(client: &Client, sent: &mut u64, count: u64) {
    for _ in 0..count {
        while send(client, *sent).await.is_err() {
            runtime::sleep(AGAIN).await;
        }
        *sent += 1;
    }
}

/// Checks that the messages from the oldest one to the end are there; the offset of the oldest.
async fn check(client: &Client, end: u64) -> u64 {
    let min = offset(client, RequestCode::GetMinOffset).await;
    let mut at = min;
    while at < end.cast_signed() {
        let pulled = client.pull("T", 0, at).await;
        assert_eq!((pulled.code, pulled.min), (ResponseCode::Success, min), "{}", pulled.remark);
        for (number, found) in pulled.offsets.iter().zip(&pulled.bodies) {
            assert!(*found == body(*number), "message {number}");
        }
        at = pulled.next;
    }
    assert_eq!(client.max_offset("T", 0).await, end.cast_signed());
    min.cast_unsigned()
}

/// Pulls message `at` over and over, until it is gone: never may another one come in its place. Says how many pulls were
/// overtaken.
async fn pull_until_it_goes(at: i64) -> u64 {
    let client = Client::connect(simulated().addr()).await;
    let mut overtaken = 0;
    loop {
        let pulled = client.pull("T", 0, at).await;
        match pulled.code {
            ResponseCode::Success => {
                assert_eq!(pulled.offsets[0], at.cast_unsigned(), "messages are passed over")
            }
            ResponseCode::PullRetryImmediately => {
                assert_eq!(pulled.next, at, "{}", pulled.remark);
                overtaken += 1;
            }
            ResponseCode::PullOffsetMoved => {
                assert!(pulled.next > at && pulled.next == pulled.min, "{}", pulled.next);
                return overtaken;
            }
            code => panic!("{code:?} {}", pulled.remark),
        }
    }
}

#[test]
fn a_pull_that_a_trim_overtakes_passes_nothing_over() {
    let simulation = Simulation::new(57);
    let node = simulation.node("node", IP);
    let disk = node.disk();
    let run = node.start("broker", || async {
        let small_cache = ("blockCacheSize", "4MiB");
        let keys = [("fileReservedTime", "1"), ("deleteWhen", EVERY_HOUR), small_cache];
        let (shard, client) = start(&keys).await;
        client.create_topic("T", 1).await;
        for number in 0..60 {
            send(&client, number).await.expect("there is room");
        }
        runtime::sleep(Duration::from_secs(59 * 60)).await;
        // More than there are reads at a time, so that some wait while the messages go, and of more messages than the cache
        // holds, so that each waits for the disk.
        let pulls: Vec<_> = (0..20).map(|n| runtime::spawn(pull_until_it_goes(n % 10))).collect();
        let mut overtaken = 0;
        for pulling in pulls {
            overtaken += pulling.await;
        }
        assert!(overtaken > 0, "the trim overtook nobody");
        shard.stop().await;
    });
    simulation.run_for(Duration::from_secs(59 * 60));
    disk.slow(20_000);
    assert!(simulation.run_until(LONG, || run.is_finished()), "the messages go");
    disk.heal();
    simulation.join(run, LONG).expect("the run ends in time");
}

#[test]
fn what_is_old_enough_goes_in_its_hour() {
    const SENT: u64 = 60;
    let lines = Lines::keep();
    in_simulation(51, LARGE_DISK, |_| async {
        let keys = [("fileReservedTime", "1"), ("deleteWhen", EVERY_HOUR)];
        let (shard, client) = start(&keys).await;
        client.create_topic("T", 1).await;
        for number in 0..SENT / 2 {
            send(&client, number).await.expect("there is room");
        }
        runtime::sleep(Duration::from_secs(30 * 60)).await;
        let later = runtime::unix_millis().cast_signed();
        let client = Client::connect(simulated().addr()).await;
        for number in SENT / 2..SENT {
            send(&client, number).await.expect("there is room");
        }
        assert_eq!(check(&client, SENT).await, 0, "nothing is an hour old");
        assert!(earliest(&client).await < later);

        runtime::sleep(Duration::from_secs(31 * 60)).await;
        let client = Client::connect(simulated().addr()).await;
        let min = check(&client, SENT).await;
        // The segment in which the second half begins stays, with some messages of the first.
        assert!(min > 5 && min < SENT / 2, "{min}");
        let gone = client.pull("T", 0, min.cast_signed() - 1).await;
        assert_eq!((gone.code, gone.next), (ResponseCode::PullOffsetMoved, min.cast_signed()));
        assert_eq!(gone.remark, "OFFSET_TOO_SMALL");
        let table = info(&client).await;
        assert_ne!(table["commitLogMinOffset"], "0");
        assert_eq!(table["earliestMessageTimeStamp"], earliest(&client).await.to_string());

        shard.stop().await;
        let (shard, client) = start(&keys).await;
        assert_eq!(check(&client, SENT).await, min, "a start keeps to it");
        runtime::sleep(Duration::from_secs(40 * 60)).await;
        let client = Client::connect(simulated().addr()).await;
        let min = check(&client, SENT).await;
        assert!(min > SENT / 2 && min < SENT, "the newest segment stays: {min}");
        shard.stop().await;
    });
    let deleted = lines.with("messages are deleted");
    assert!(deleted.len() >= 2, "{deleted:#?}");
    assert!(deleted[0].contains("INFO") && deleted[0].contains("deleteWhen"), "{deleted:#?}");
}

#[test]
fn a_disk_that_is_too_full_refuses_messages_and_nothing_else() {
    let lines = Lines::keep();
    in_simulation(52, 96 * MIB, |larger| async move {
        let (shard, client) = start(&[("cleanFileForciblyEnable", "false")]).await;
        client.create_topic("T", 1).await;
        client.pull("T", 0, 0).await; // makes the group
        let mut sent = 0;
        let (code, remark) = loop {
            match send(&client, sent).await {
                Ok(stored) => assert_eq!(stored.offset, sent.cast_signed()),
                Err((ResponseCode::SystemBusy, _)) => {
                    runtime::sleep(Duration::from_millis(20)).await;
                    continue;
                }
                Err(refused) => break refused,
            }
            sent += 1;
            runtime::sleep(Duration::from_millis(300)).await;
        };
        assert_eq!(code, ResponseCode::ServiceNotAvailable);
        assert!(remark.contains("the broker's disk is full ["), "{remark}");
        assert!(sent > 30, "{sent}");
        runtime::sleep(Duration::from_secs(11)).await;
        send(&client, sent).await.expect_err("it stays full");
        let ratio: f64 = info(&client).await["commitLogDiskRatio"].parse().expect("a number");
        assert!(ratio > 0.8, "{ratio}");
        assert_eq!(check(&client, sent).await, 0, "reads go on, nothing is lost");
        assert_eq!(client.commit("G", "T", 0, 7).await.code, 0, "offsets go on");
        client.create_topic("Another", 4).await;

        larger.try_send(()).expect("it is asked for once");
        runtime::sleep(Duration::from_secs(2)).await; // far less than the time between two rounds
        for _ in 0..40 {
            send(&client, sent).await.expect("there is room again");
            sent += 1;
        }
        assert_eq!(check(&client, sent).await, 0);
        assert_eq!(client.committed("G", "T", 0).await, Some(7));
        shard.stop().await;
    });
    let warned = lines.with("messages are refused with code 14");
    assert_eq!(warned.len(), 1, "once, whatever has no room: {warned:#?}");
    assert!(warned[0].contains("WARN") && warned[0].contains("Free some space"), "{warned:#?}");
    let again = lines.with("has room again");
    assert_eq!(again.iter().filter(|line| line.contains("INFO")).count(), 1, "{again:#?}");
}

#[test]
fn what_is_kept_for_offsets_on_a_full_disk_ends_with_a_line() {
    let lines = Lines::keep();
    in_simulation(54, 96 * MIB, |larger| async move {
        let (shard, client) = start(&[("cleanFileForciblyEnable", "false")]).await;
        client.create_topic("T", 1).await;
        client.pull("T", 0, 0).await; // makes the group
        let mut sent = 0;
        while !matches!(send(&client, sent).await, Err((ResponseCode::ServiceNotAvailable, _))) {
            sent += 1;
            runtime::sleep(Duration::from_millis(300)).await;
        }
        let mut changes = 0;
        loop {
            let header = create_header("Another", 4 + changes % 2);
            let answer = client.request(RequestCode::UpdateAndCreateTopic, &header).await;
            if answer.code == ResponseCode::ServiceNotAvailable.code() {
                break;
            }
            assert_eq!(answer.code, 0, "{:?}", answer.remark);
            changes += 1;
            assert!(changes < 100_000, "it ends");
        }
        assert!(changes > 100, "topics go on for a while: {changes}");
        for offset in [7, 8, 9] {
            let answer = client.commit("G", "T", 0, offset).await;
            assert_eq!(
                answer.code,
                ResponseCode::ServiceNotAvailable.code(),
                "it is not in the log"
            );
            runtime::sleep(Duration::from_secs(3)).await;
        }
        // What the group has told would not be in an answer, and consumers of 4.9.8 begin elsewhere after a refusal.
        let limit = Duration::from_secs(4);
        let silence = client.connection.request(offset_question("G", "T", 0), limit).await;
        assert!(matches!(silence, Err(RequestError::Timeout { .. })), "{silence:?}");
        larger.try_send(()).expect("it is asked for once");
        runtime::sleep(Duration::from_secs(11)).await;
        client.create_topic("Another", 8).await;
        assert_eq!(client.committed("G", "T", 0).await, Some(9));
        shard.stop().await;
    });
    let told = lines.with("on a full disk is used up");
    assert_eq!(told.len(), 1, "{told:#?}");
}

#[test]
fn a_stop_with_a_full_log_tells_no_offset_that_was_overtaken() {
    in_simulation(55, 96 * MIB, |_| async move {
        let (shard, client) = start(&[("cleanFileForciblyEnable", "false")]).await;
        client.create_topic("T", 1).await;
        client.pull("T", 0, 0).await; // makes the group
        assert_eq!(client.commit("G", "T", 0, 7).await.code, 0);
        let mut sent = 0;
        while !matches!(send(&client, sent).await, Err((ResponseCode::ServiceNotAvailable, _))) {
            sent += 1;
            runtime::sleep(Duration::from_millis(300)).await;
        }
        let mut last = 8;
        while client.commit("G", "T", 0, last).await.code == 0 {
            last += 1;
        }
        let other = Client::connect(client.connection.peer()).await;
        let question = runtime::spawn(async move {
            other.connection.request(offset_question("G", "T", 0), Duration::from_secs(10)).await
        });
        runtime::sleep(Duration::from_secs(1)).await;
        shard.stop().await;
        let answer = question.await;
        assert!(answer.is_err(), "{last} was told, and is not in the log: {answer:?}");
    });
}

#[test]
fn a_full_disk_makes_room_by_itself() {
    let lines = Lines::keep();
    in_simulation(53, 128 * MIB, |_| async {
        let (shard, client) = start(&[]).await;
        client.create_topic("T", 1).await;
        let client = Rc::new(client);
        let refusals = Rc::new(RefCell::new(0));
        let mut sent = 0;
        while sent < 400 {
            match send(&client, sent).await {
                Ok(stored) => {
                    assert_eq!(stored.offset, sent.cast_signed());
                    sent += 1;
                }
                Err((ResponseCode::ServiceNotAvailable | ResponseCode::SystemBusy, _)) => {
                    *refusals.borrow_mut() += 1;
                    runtime::sleep(Duration::from_millis(500)).await;
                }
                Err(other) => panic!("{other:?}"),
            }
        }
        runtime::sleep(Duration::from_secs(60)).await; // until no more has to go
        let min = check(&client, sent).await;
        assert!(min > 250, "more was sent than the disk holds: {min}");
        assert!(*refusals.borrow() < 1000, "{}", refusals.borrow());
        shard.stop().await;
        let (shard, client) = start(&[]).await;
        assert!(check(&client, sent).await >= min);
        shard.stop().await;
    });
    let forced = lines.with("messages are deleted: they are younger than fileReservedTime");
    assert!(!forced.is_empty());
}

#[test]
fn a_file_that_cannot_be_made_lets_no_message_go() {
    const EACCES: i32 = 13;
    let lines = Lines::keep();
    let simulation = Simulation::new(54);
    let node = simulation.node("node", IP);
    let (refuse, mut asked) = mailbox(1);
    let (heal, mut healed) = mailbox(1);
    let run = node.start("broker", move || async move {
        let (shard, client) = start(&[]).await;
        client.create_topic("T", 1).await;
        let mut sent = 0;
        while sent < 40 {
            match send(&client, sent).await {
                Ok(_) => sent += 1,
                Err(_) => runtime::sleep(Duration::from_millis(20)).await,
            }
        }
        refuse.try_send(()).expect("asked once");
        let (code, remark) = send_until_refused(&client, &mut sent).await;
        assert_eq!(code, ResponseCode::ServiceNotAvailable);
        assert!(!remark.contains("disk is full"), "{remark}");
        assert!(remark.contains("spare.tmp") && remark.contains("(os error 13)"), "{remark}");
        for _ in 0..8 {
            runtime::sleep(Duration::from_secs(10)).await;
            send(&client, sent).await.expect_err("it cannot be made");
        }
        assert_eq!(check(&client, sent).await, 0, "nothing is deleted");
        heal.try_send(()).expect("asked once");
        runtime::sleep(Duration::from_secs(2)).await;
        send_more(&client, &mut sent, 30).await;
        assert_eq!(check(&client, sent).await, 0);
        shard.stop().await;
    });
    assert!(simulation.run_until(LONG, || asked.try_recv().is_some()));
    node.disk().refuse_new_files("/store/log", EACCES);
    assert!(simulation.run_until(LONG, || healed.try_recv().is_some()));
    node.disk().heal();
    simulation.join(run, LONG).expect("the run ends in time");
    assert!(lines.with("messages are deleted").is_empty());
    let told = lines.with("cannot be made; without it");
    assert_eq!(told.len(), 1, "once: {told:#?}");
    assert!(told[0].contains("WARN") && told[0].contains("/store/log/spare.tmp"), "{told:#?}");
    let early = lines.with("no file can be made ready for the log's next segment");
    assert_eq!(early.len(), 1, "and before it is due: {early:#?}");
    assert_eq!(lines.with("it works again").len(), 2, "both");
}

/// A quota of the file system's is as good as its end: the answer is that of a full disk, and not that of a broken one.
#[test]
fn a_quota_that_is_used_up_counts_as_a_full_disk() {
    const EDQUOT: i32 = 122;
    let lines = Lines::keep();
    let simulation = Simulation::new(55);
    let node = simulation.node("node", IP);
    let (refuse, mut asked) = mailbox(1);
    let (heal, mut healed) = mailbox(1);
    let run = node.start("broker", move || async move {
        let (shard, client) = start(&[("cleanFileForciblyEnable", "false")]).await;
        client.create_topic("T", 1).await;
        refuse.try_send(()).expect("asked once");
        let mut sent = 0;
        let (code, remark) = send_until_refused(&client, &mut sent).await;
        assert_eq!(code, ResponseCode::ServiceNotAvailable);
        assert!(remark.contains("disk is full"), "{remark}");
        for _ in 0..8 {
            runtime::sleep(Duration::from_secs(10)).await;
            send(&client, sent).await.expect_err("there is no more room than before");
        }
        assert!(sent > 0);
        assert_eq!(check(&client, sent).await, 0, "what was taken is read meanwhile");
        heal.try_send(()).expect("asked once");
        runtime::sleep(Duration::from_secs(2)).await;
        send_more(&client, &mut sent, 30).await;
        assert_eq!(check(&client, sent).await, 0);
        shard.stop().await;
    });
    assert!(simulation.run_until(LONG, || asked.try_recv().is_some()));
    node.disk().refuse_new_files("/store/log", EDQUOT);
    assert!(simulation.run_until(LONG, || healed.try_recv().is_some()));
    node.disk().heal();
    simulation.join(run, LONG).expect("the run ends in time");
    assert_eq!(lines.with("the disk has no room for the log's next segment").len(), 1);
    assert_eq!(lines.with("the disk has room again: messages are taken").len(), 1);
    assert!(lines.with("cannot be made; without it").is_empty());
}
