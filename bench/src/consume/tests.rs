use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use clap::Parser;
use model::{Draft, PhysicalOffset, QueueId, QueueOffset, UnixMillis, record};
use remoting::{Command, MAX_FRAME, frame};

use super::*;
use crate::args::{CommandLine, Mode};
use crate::recorder::{Tally, nanos};
use crate::schedule::Schedule;

fn args(line: &str) -> Consume {
    let line = format!("mqbench consume -t T {line}");
    match CommandLine::try_parse_from(line.split_whitespace()).unwrap().mode() {
        Some(Mode::Consume(args)) => args,
        _ => panic!("consume"),
    }
}

fn stage() -> Rc<Stage> {
    Rc::new(Stage::new(Schedule::new(runtime::now(), Duration::ZERO, None), None))
}

fn asked(load: &mut Consuming) -> Vec<Command> {
    let mut out = Vec::new();
    load.fill(&mut out);
    let mut rest = Bytes::from(out);
    let mut commands = Vec::new();
    while let Some(range) = frame::split(&rest, MAX_FRAME).unwrap() {
        commands.push(Command::from_frame(&rest, &range).unwrap());
        rest = rest.slice(range.end()..);
    }
    commands
}

fn pull_of(command: &Command) -> (i32, i64) {
    assert_eq!(command.code, 11);
    let header = PullHeader::decode(RequestCode::PullMessage, &command.ext).unwrap();
    assert_eq!(header.sys_flag, 6, "held, and with its own subscription");
    (header.queue_id, header.queue_offset)
}

fn reply(load: &mut Consuming, request: &Command, code: i32, next: i64, body: &[u8]) {
    let header = PullReply {
        suggest_which_broker_id: 0,
        next_begin_offset: next,
        min_offset: 0,
        max_offset: next,
        offset_delta: None,
        topic_sys_flag: None,
        group_sys_flag: None,
        forbidden_type: None,
    };
    answer(load, Command::reply_to(request.opaque, code).with_ext(&header), body);
}

fn answer(load: &mut Consuming, command: Command, body: &[u8]) {
    let mut out = Vec::new();
    command.encode(&mut out).unwrap();
    let range = frame::split(&out, MAX_FRAME).unwrap().unwrap();
    let head = CommandRef::decode(range.serialize, &out[range.header.clone()]).unwrap();
    load.answer(runtime::now(), &head, body);
}

/// A stored record of queue 0 that is a minute old.
fn stored(offset: u64) -> Vec<u8> {
    let host = SocketAddr::from(([127, 0, 0, 1], 1));
    let draft = Draft {
        topic: "T",
        queue_id: QueueId(0),
        flag: 0,
        sys_flag: 0,
        born_time: UnixMillis(runtime::unix_millis() - 60_000),
        born_host: host,
        store_host: host,
        reconsume_times: 0,
        prepared_offset: 0,
        body: b"0123456789",
        properties: b"",
        more_properties: b"",
    };
    let mut out = vec![0; draft.encoded_len()];
    draft.encode(&mut out);
    let (offset, place) = (QueueOffset(offset), PhysicalOffset(offset * 1000));
    record::stamp(&mut out, offset, place, UnixMillis(1));
    out
}

fn records(offsets: impl IntoIterator<Item = u64>) -> Vec<u8> {
    offsets.into_iter().flat_map(stored).collect()
}

fn tally(stage: &Stage) -> Tally {
    stage.take_recorder().into_tally()
}

#[test]
fn each_queue_is_pulled_on_where_the_last_pull_ended() {
    let stage = stage();
    let mut load = Consuming::new(stage.clone(), &args("--size 10"), &[(0, 5), (3, 0)]);
    let requests = asked(&mut load);
    assert_eq!(requests.iter().map(pull_of).collect::<Vec<_>>(), [(0, 5), (3, 0)]);
    assert!(asked(&mut load).is_empty(), "one pull in flight for each queue");
    reply(&mut load, &requests[0], SUCCESS, 8, &records(5..8));
    let requests = asked(&mut load);
    assert_eq!(requests.iter().map(pull_of).collect::<Vec<_>>(), [(0, 8)]);
    reply(&mut load, &requests[0], NOT_FOUND, 8, &[]);
    assert_eq!(pull_of(&asked(&mut load)[0]), (0, 8));
    let tally = tally(&stage);
    assert_eq!((tally.done, tally.measured_bytes, tally.broken.total()), (3, 30, 0));
    assert_eq!((tally.moved, tally.latencies.len()), (0, 3));
    let minute = nanos(Duration::from_secs(60));
    assert!(tally.latencies.min() >= minute - minute / 500, "{}", tally.latencies.min());
    assert!(tally.latencies.max() < 2 * minute);
}

#[test]
fn a_queue_that_is_read_again_begins_again_at_its_end() {
    let stage = stage();
    let mut load = Consuming::new(stage.clone(), &args("--again"), &[(0, 5)]);
    let mut pull = |next: i64, max: i64, body: &[u8]| {
        let request = asked(&mut load).pop().unwrap();
        let header = PullReply {
            suggest_which_broker_id: 0,
            next_begin_offset: next,
            min_offset: 2,
            max_offset: max,
            offset_delta: None,
            topic_sys_flag: None,
            group_sys_flag: None,
            forbidden_type: None,
        };
        let command = Command::reply_to(request.opaque, SUCCESS).with_ext(&header);
        answer(&mut load, command, body);
        pull_of(&request).1
    };
    let asked = [
        pull(8, 10, &records(5..8)),
        pull(10, 10, &records(8..10)),
        pull(5, 10, &records(2..5)),
        pull(8, 10, &records(5..8)),
    ];
    assert_eq!(asked, [5, 8, 2, 5]);
    let tally = tally(&stage);
    assert_eq!((tally.done, tally.broken.total(), tally.moved), (11, 0, 0));
}

#[test]
fn gaps_duplicates_and_damage_are_noticed() {
    let stage = stage();
    let mut load = Consuming::new(stage.clone(), &args("--size 9"), &[(0, 0)]);
    let mut pull = |code: i32, next: i64, body: &[u8]| {
        let request = asked(&mut load).pop().unwrap();
        reply(&mut load, &request, code, next, body);
        let broken = stage.recorder().tally.broken;
        stage.recorder().tally.broken = crate::recorder::Broken::default();
        broken
    };
    let broken = pull(SUCCESS, 6, &records([0, 1, 4, 5]));
    assert_eq!((broken.missing, broken.duplicates, broken.wrong_size), (2, 0, 4));
    let broken = pull(SUCCESS, 8, &records([4, 5, 6, 7]));
    assert_eq!((broken.missing, broken.duplicates), (0, 2));
    // It says that it goes on at 12, but sent only 8 and 9.
    assert_eq!(pull(SUCCESS, 12, &records([8, 9])).missing, 2);
    let mut damaged = records([12]);
    let last = damaged.len() - 5;
    damaged[last] ^= 1;
    let broken = pull(SUCCESS, 13, &damaged);
    assert_eq!((broken.bad_checksum, broken.missing, broken.unreadable), (1, 0, 0));
    let broken = pull(SUCCESS, 14, &records([13])[1..]);
    assert_eq!((broken.unreadable, broken.missing), (1, 1));
}

#[test]
fn a_pull_that_fails_rests_its_queue() {
    let stage = stage();
    let mut load = Consuming::new(stage.clone(), &args(""), &[(0, 0)]);
    let request = asked(&mut load).pop().unwrap();
    let refused = Command::reply_to(request.opaque, 24).with_remark("no subscription");
    answer(&mut load, refused, &[]);
    assert!(asked(&mut load).is_empty(), "it rests");
    load.resting[0].0 = runtime::now();
    let request = asked(&mut load).pop().unwrap();
    reply(&mut load, &request, MOVED, 70, &[]);
    assert_eq!(pull_of(&asked(&mut load)[0]), (0, 70));
    let tally = tally(&stage);
    assert_eq!((tally.moved, tally.failures.total(), tally.broken.total()), (1, 1, 0));
}

#[test]
fn progress_is_stored_from_time_to_time_and_at_the_end() {
    let stage = stage();
    let mut load = Consuming::new(stage.clone(), &args("-g G"), &[(0, 0), (1, 40)]);
    let requests = asked(&mut load);
    reply(&mut load, &requests[0], SUCCESS, 2, &records(0..2));
    load.commit_at = runtime::now();
    let commits: Vec<Command> = asked(&mut load).into_iter().filter(|c| c.code == 15).collect();
    let offsets = |commits: &[Command]| -> Vec<(i32, i64)> {
        let of = |c: &Command| {
            let code = RequestCode::UpdateConsumerOffset;
            let header = UpdateOffsetHeader::decode(code, &c.ext).unwrap();
            assert_eq!((header.consumer_group, header.topic), ("G", "T"));
            (header.queue_id, header.commit_offset)
        };
        commits.iter().map(of).collect()
    };
    assert_eq!(offsets(&commits), [(0, 2), (1, 40)]);
    answer(&mut load, Command::reply_to(commits[0].opaque, 0), &[]);
    answer(&mut load, Command::reply_to(commits[1].opaque, 1).with_remark("no"), &[]);

    stage.stop_at(runtime::now());
    let last = asked(&mut load);
    assert_eq!(offsets(&last), [(1, 40)], "what is stored already is not stored again");
    assert!(!load.is_done() && asked(&mut load).is_empty());
    answer(&mut load, Command::reply_to(last[0].opaque, 0), &[]);
    assert!(load.is_done(), "a held pull is not waited for");
    assert_eq!(tally(&stage).failures.total(), 1);
}

#[test]
fn with_more_queues_than_pulls_they_take_turns() {
    let queues: Vec<_> = (0..5).map(|id| (id, 0)).collect();
    let mut load = Consuming::new(stage(), &args("--in-flight 2"), &queues);
    let mut seen = Vec::new();
    for _ in 0..5 {
        for request in asked(&mut load) {
            let header = PullHeader::decode(RequestCode::PullMessage, &request.ext).unwrap();
            assert_eq!(header.suspend_timeout_millis, 200, "nobody waits long for his turn");
            seen.push(header.queue_id);
            reply(&mut load, &request, NOT_FOUND, 0, &[]);
        }
    }
    assert_eq!(seen, [0, 1, 2, 3, 4, 0, 1, 2, 3, 4]);
}

#[test]
fn after_a_lost_connection_pulls_and_commits_are_asked_again() {
    let stage = stage();
    let mut load = Consuming::new(stage.clone(), &args(""), &[(0, 3)]);
    load.commit_at = runtime::now();
    let before = asked(&mut load);
    assert_eq!(before.iter().map(|c| c.code).collect::<Vec<_>>(), [15, 11]);
    load.lost("gone");
    load.commit_at = runtime::now();
    let after = asked(&mut load);
    assert_eq!(after.iter().map(|c| c.code).collect::<Vec<_>>(), [15, 11]);
    assert_eq!(pull_of(&after[1]), (0, 3));
    assert_eq!(tally(&stage).failures.total(), 1);
}

#[test]
fn the_last_wanted_message_raises_enough() {
    let wanted = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(5));
    let schedule = Schedule::new(runtime::now(), Duration::ZERO, None);
    let stage = Rc::new(Stage::new(schedule, Some(wanted)));
    let mut load = Consuming::new(stage.clone(), &args(""), &[(0, 0)]);
    let request = asked(&mut load).pop().unwrap();
    reply(&mut load, &request, SUCCESS, 4, &records(0..4));
    assert!(!stage.enough.is_raised());
    let request = asked(&mut load).pop().unwrap();
    reply(&mut load, &request, SUCCESS, 5, &records(4..5));
    assert!(stage.enough.is_raised());
}
