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
