use std::time::Duration;

use bytes::Bytes;
use clap::Parser;
use remoting::header::send::{SendHeader, SendReply};
use remoting::{Command as Frame, MAX_FRAME, frame};

use super::*;
use crate::args::{Command, CommandLine};
use crate::recorder::Tally;
use crate::schedule::Schedule;

fn args(line: &str) -> Produce {
    let line = format!("mqbench produce -t T {line}");
    match CommandLine::try_parse_from(line.split_whitespace()).unwrap().command {
        Command::Produce(args) => args,
        _ => panic!("produce"),
    }
}

fn stage() -> Rc<Stage> {
    Rc::new(Stage::new(Schedule::new(runtime::now(), Duration::ZERO, None), None))
}

fn load(stage: &Rc<Stage>, line: &str, count: u64) -> Producing {
    let queue = |queue| TopicQueue { topic: 0, queue };
    let queues = [queue(0), queue(1), queue(2)].into();
    let route = Route { broker: "b".to_owned(), queues, lane: 1, lanes: 2, count };
    Producing::new(stage.clone(), &args(line), &route)
}

/// What the load asks now.
fn asked(load: &mut Producing) -> Vec<Frame> {
    let mut out = Vec::new();
    load.fill(&mut out);
    let mut rest = Bytes::from(out);
    let mut commands = Vec::new();
    while let Some(range) = frame::split(&rest, MAX_FRAME).unwrap() {
        commands.push(Frame::from_frame(&rest, &range).unwrap());
        rest = rest.slice(range.end()..);
    }
    assert!(rest.is_empty(), "whole frames only");
    commands
}

fn reply(load: &mut Producing, command: Frame) {
    let mut out = Vec::new();
    command.encode(&mut out).unwrap();
    let range = frame::split(&out, MAX_FRAME).unwrap().unwrap();
    let head = CommandRef::decode(range.serialize, &out[range.header.clone()]).unwrap();
    load.answer(runtime::now(), &head, &[]);
}

fn acknowledge(load: &mut Producing, request: &Frame, offset: i64) {
    let header = SendHeader::decode(RequestCode::SendMessageV2, &request.ext).unwrap();
    acknowledge_as(load, request, header.queue_id, offset);
}

fn acknowledge_as(load: &mut Producing, request: &Frame, queue_id: i32, queue_offset: i64) {
    let header = SendReply {
        msg_id: "00",
        queue_id,
        queue_offset,
        transaction_id: None,
        batch_uniq_id: None,
        recall_handle: None,
        region: None,
        trace_on: None,
    };
    reply(load, Frame::reply_to(request.opaque, 0).with_ext(&header));
}

fn tally(stage: &Stage) -> Tally {
    stage.take_recorder().into_tally()
}

#[test]
fn it_keeps_as_many_in_flight_as_asked_for_and_takes_the_queues_in_turn() {
    let stage = stage();
    let mut load = load(&stage, "--in-flight 4 --size 10", u64::MAX);
    let first = asked(&mut load);
    let header = |command: &Frame| {
        SendHeader::decode(RequestCode::SendMessageV2, &command.ext).unwrap().queue_id
    };
    assert_eq!(first.iter().map(header).collect::<Vec<_>>(), [1, 2, 0, 1]);
    assert!(first.iter().all(|command| command.body.len() == 10));
    assert!(asked(&mut load).is_empty(), "no room before an acknowledgement");
    acknowledge(&mut load, &first[2], 0);
    acknowledge(&mut load, &first[0], 0);
    let second = asked(&mut load);
    assert_eq!(second.iter().map(header).collect::<Vec<_>>(), [2, 0]);
    stage.stop_at(runtime::now());
    assert!(asked(&mut load).is_empty() && !load.is_done(), "what is in flight is waited for");
    for request in [&first[1], &first[3], &second[0], &second[1]] {
        acknowledge(&mut load, request, 5);
    }
    assert!(asked(&mut load).is_empty() && load.is_done());
    let tally = tally(&stage);
    // Four of them came after the end: they count as sent and done, and not for the rate.
    assert_eq!((tally.sent, tally.done, tally.measured_bytes), (6, 6, 20));
    assert_eq!((tally.latencies.len(), tally.broken.total(), tally.failures.total()), (6, 0, 0));
}

#[test]
fn unique_keys_are_unique() {
    let mut load = load(&stage(), "--in-flight 100", u64::MAX);
    let mut keys: Vec<String> =
        asked(&mut load).iter().map(|command| command.ext.get("i").unwrap().to_owned()).collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), 100);
}

#[test]
fn a_count_is_exact() {
    let stage = stage();
    let mut load = load(&stage, "--in-flight 8", 10);
    let mut requests = asked(&mut load);
    let mut offset = 0;
    while let Some(request) = requests.pop() {
        acknowledge(&mut load, &request, offset);
        offset += 1;
        assert_eq!(load.is_done(), offset == 10);
        requests.extend(asked(&mut load));
    }
    assert_eq!((tally(&stage).sent, offset), (10, 10));
}

#[test]
fn an_offset_that_was_given_before_is_noticed() {
    let stage = stage();
    let mut load = load(&stage, "--in-flight 3", u64::MAX);
    let first = asked(&mut load);
    acknowledge(&mut load, &first[0], 7);
    // Sent after 7 was acknowledged in queue 1; those of queues 2 and 0 were not.
    let second = asked(&mut load);
    assert_eq!(second.len(), 1);
    acknowledge(&mut load, &second[0], 8);
    acknowledge(&mut load, &first[1], 2);
    acknowledge(&mut load, &first[2], 1);
    assert_eq!(stage.recorder().tally.broken.offsets_not_rising, 0, "another queue");
    let third = asked(&mut load);
    let queue =
        |c: &Frame| SendHeader::decode(RequestCode::SendMessageV2, &c.ext).unwrap().queue_id;
    let again = third.iter().find(|command| queue(command) == 1).unwrap();
    acknowledge(&mut load, again, 8);
    let broken = stage.recorder().tally.broken;
    assert_eq!((broken.offsets_not_rising, broken.total()), (1, 1));
}

#[test]
fn wrong_answers_are_noticed() {
    let stage = stage();
    let mut load = load(&stage, "--in-flight 3", u64::MAX);
    let requests = asked(&mut load);
    acknowledge_as(&mut load, &requests[0], 9, 0);
    reply(&mut load, Frame::reply_to(requests[1].opaque, 0));
    reply(&mut load, Frame::reply_to(requests[1].opaque, 0));
    reply(&mut load, Frame::reply_to(requests[2].opaque, 2).with_remark("busy\nstack"));
    let tally = tally(&stage);
    assert_eq!((tally.broken.wrong_queue, tally.broken.unreadable), (1, 2));
    assert_eq!(tally.done, 1);
    let kinds = tally.failures.into_kinds();
    assert_eq!((kinds[0].code, kinds[0].remark.as_str(), kinds[0].count), (Some(2), "busy", 1));
}

#[test]
fn a_lost_connection_costs_what_was_in_flight_and_no_more() {
    let stage = stage();
    let mut load = load(&stage, "--in-flight 5", u64::MAX);
    let before = asked(&mut load);
    load.lost("gone");
    acknowledge(&mut load, &before[0], 0);
    assert_eq!(asked(&mut load).len(), 5, "the next connection starts with an empty flight");
    assert!(!load.is_overdue(runtime::now() + ANSWER / 2));
    assert!(load.is_overdue(runtime::now() + 2 * ANSWER));
    let tally = tally(&stage);
    assert_eq!((tally.unanswered, tally.failures.total(), tally.broken.unreadable), (5, 5, 1));
}

#[test]
fn large_bodies_do_not_pile_up_in_memory() {
    let mut load = load(&stage(), "--in-flight 1000 --size 4m", u64::MAX);
    let mut out = Vec::new();
    load.fill(&mut out);
    assert!(out.len() < OUTBOX_BYTES + 5 * 1024 * 1024, "{}", out.len());
    let before = out.len();
    load.fill(&mut out);
    assert_eq!(out.len(), before, "full until bytes have left");
}

/// A moment so long ago. The clock begins with the process, so it has to be lived through.
fn ago(time: Duration) -> Instant {
    let begin = runtime::now();
    while runtime::now() - begin < time {
        std::hint::spin_loop();
    }
    begin
}

/// An open loop, and where it counts.
struct Open {
    stage: Rc<Stage>,
    load: Producing,
}

impl Open {
    /// A run of so long that ends now.
    fn ended_after(time: Duration, line: &str) -> Open {
        let begin = ago(time);
        let stage = Rc::new(Stage::new(Schedule::new(begin, Duration::ZERO, Some(time)), None));
        let queues = [TopicQueue { topic: 0, queue: 0 }].into();
        let route = Route { broker: "b".to_owned(), queues, lane: 0, lanes: 1, count: u64::MAX };
        let load = Producing::new(stage.clone(), &args(line), &route);
        Open { stage, load }
    }
}

#[test]
fn an_open_loop_sends_what_is_due_and_counts_from_then() {
    let begin = ago(Duration::from_millis(100));
    let stage = Rc::new(Stage::new(Schedule::new(begin, Duration::ZERO, None), None));
    let queues = [TopicQueue { topic: 0, queue: 0 }].into();
    let route = Route { broker: "b".to_owned(), queues, lane: 0, lanes: 1, count: u64::MAX };
    let mut load = Producing::new(stage.clone(), &args("--rate 100 --in-flight 5"), &route);
    let due = asked(&mut load);
    assert_eq!(due.len(), 5, "ten and more are due, and there is room for five");
    assert_eq!(load.next_due(), None, "it waits for room and not for time");
    for (request, offset) in due.iter().zip(0..) {
        acknowledge(&mut load, request, offset);
    }
    let next = load.next_due().expect("it waits for time");
    assert_eq!(next, begin + Duration::from_millis(50));
    let latencies = tally(&stage).latencies;
    // The first was due at the beginning, the fifth 40 ms later; all are answered 100 ms after it or later.
    assert!(latencies.max() >= 99_000_000 && latencies.min() >= 59_000_000, "{latencies:?}");
}

#[test]
fn what_could_not_be_sent_by_the_end_counts_as_having_waited() {
    let line = "--rate 1000 --in-flight 4";
    let Open { stage, mut load } = Open::ended_after(Duration::from_millis(100), line);
    let sent = asked(&mut load);
    assert_eq!(sent.len(), 4, "what was due before the end goes out as far as there is room");
    assert!(!load.is_done());
    for (request, offset) in sent.iter().zip(0..) {
        acknowledge(&mut load, request, offset);
    }
    assert!(
        asked(&mut load).is_empty() && load.is_done(),
        "room after the end is no reason to send"
    );
    let tally = tally(&stage);
    assert_eq!((tally.unsent, tally.latencies.len()), (96, 100));
    let median = tally.latencies.value_at_quantile(0.5);
    assert!((45_000_000..56_000_000).contains(&median), "{median}");
    assert_eq!(tally.lateness.map_or(0, |lateness| lateness.len()), 4);
}

#[test]
fn an_open_loop_that_keeps_up_leaves_nothing_unsent() {
    let line = "--rate 1000 --in-flight 200";
    let Open { stage, mut load } = Open::ended_after(Duration::from_millis(100), line);
    assert_eq!(asked(&mut load).len(), 100, "the one that is due at the end is not of this run");
    assert_eq!(tally(&stage).unsent, 0);
}

#[test]
fn many_queues_share_templates_and_each_gets_its_own_number() {
    let stage = stage();
    let queues: Arc<[TopicQueue]> = [(0, 7), (0, 12_345), (1, 9), (1, 10)]
        .map(|(topic, queue)| TopicQueue { topic, queue })
        .into();
    let route = Route { broker: "b".to_owned(), queues, lane: 0, lanes: 1, count: 4 };
    let mut load = Producing::new(stage, &args("--topics 2"), &route);
    let told: Vec<_> = asked(&mut load)
        .iter()
        .map(|request| {
            let header = SendHeader::decode(RequestCode::SendMessageV2, &request.ext).unwrap();
            (header.topic.to_owned(), header.queue_id)
        })
        .collect();
    let want = [("T-0", 7), ("T-0", 12_345), ("T-1", 9), ("T-1", 10)];
    assert_eq!(told, want.map(|(topic, queue)| (topic.to_owned(), queue)));
}
