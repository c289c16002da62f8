use std::time::Duration;

use clap::Parser;
use runtime::Instant;

use super::*;
use crate::args::CommandLine;
use crate::recorder::Recorder;
use crate::run::Layout;
use crate::schedule::Schedule;

fn mode(line: &str) -> Mode {
    CommandLine::try_parse_from(line.split(' ')).unwrap().mode().unwrap()
}

fn outcome(tally: Tally) -> Outcome {
    let layout = Layout {
        lanes: Vec::new(),
        brokers: vec!["b".to_owned()],
        queues: 8,
        origins: Vec::new(),
        notes: vec!["a note".to_owned()],
    };
    let (measured, cpu) = (Duration::from_secs(2), Duration::from_millis(3));
    Outcome {
        layout,
        executors: 1,
        tally,
        measured,
        until_last: measured,
        cpu,
        server: None,
        points: Vec::new(),
        audit: None,
        interrupted: false,
    }
}

/// A thousand messages of 100 bytes, acknowledged after 1 to 1000 microseconds.
fn thousand() -> Tally {
    let begin: Instant = runtime::now();
    let schedule = Schedule::new(begin, Duration::ZERO, None);
    let mut recorder = Recorder::default();
    for micros in 1..=1000 {
        recorder.acknowledged(&schedule, begin, begin + Duration::from_micros(micros), 100);
    }
    recorder.tally.sent = 1003;
    recorder.tally.failures.note(Some(2), "[REJECTREQUEST]busy", 3);
    recorder.into_tally()
}

#[test]
fn the_object_has_its_names_and_units() {
    let summary = Summary::new(&mode("mqbench produce -t T"), outcome(thousand()));
    assert_eq!(summary.verdict(), None);
    let json: Value = serde_json::from_str(&summary.json()).unwrap();
    assert_eq!((&json["mode"], &json["rate"]), (&"produce".into(), &500.0.into()));
    assert_eq!(json["bytes_per_s"], 50_000.0);
    for (name, want) in [
        ("p50_us", 500.0),
        ("p99_us", 990.0),
        ("p999_us", 999.0),
        ("max_us", 1000.0),
        ("min_us", 1.0),
        ("mean_us", 500.5),
    ] {
        let got = json[name].as_f64().unwrap();
        assert!((got - want).abs() <= want / 500.0, "{name}: {got}");
    }
    assert_eq!((&json["sent"], &json["acked"]), (&1003.into(), &1000.into()));
    assert_eq!((&json["errors"], &json["duration_s"]), (&3.into(), &2.0.into()));
    assert_eq!(json["own_cpu_us_per_msg"], 3.0);
    let kind = &json["errors_by_code"][0];
    assert_eq!((&kind["code"], &kind["name"]), (&2.into(), &"SYSTEM_BUSY".into()));
    assert_eq!((&kind["remark"], &kind["count"]), (&"[REJECTREQUEST]busy".into(), &3.into()));
    assert_eq!(json["parameters"]["topic"], "T");
    assert_eq!(json["parameters"]["in_flight"], 64);
    assert_eq!(json["broken"]["missing"], 0);
    assert!(!summary.json().contains('\n'), "one object, one line");
}

#[test]
fn a_run_without_a_message_has_no_percentiles_and_fails() {
    let line = "mqbench produce -t T";
    let summary = Summary::new(&mode(line), outcome(Tally::default()));
    let json: Value = serde_json::from_str(&summary.json()).unwrap();
    assert!(json["p50_us"].is_null() && json["own_cpu_us_per_msg"].is_null());
    assert_eq!((&json["rate"], &json["sent"]), (&0.0.into(), &0.into()));
    assert!(summary.verdict().unwrap().contains("not one message"));
    // A consumer of an empty topic has nothing to complain about.
    let summary = Summary::new(&mode("mqbench consume -t T"), outcome(Tally::default()));
    assert_eq!((summary.verdict(), summary.latency), (None, "born to receive"));
}

#[test]
fn a_broken_promise_fails_the_run() {
    let mut tally = thousand();
    tally.broken.duplicates = 1;
    let summary = Summary::new(&mode("mqbench consume -t T"), outcome(tally));
    assert!(summary.verdict().unwrap().contains("duplicates: 1"));
    assert_eq!((summary.received, summary.acked), (1000, 0));
    assert!(summary.to_string().contains("duplicates 1"), "{summary}");
}

#[test]
fn people_read_units_and_errors() {
    let summary = Summary::new(&mode("mqbench produce -t T"), outcome(thousand()));
    let text = summary.to_string();
    for part in
        ["500 msg/s", "48.8 KiB/s", "p50 500", "p99.9", "sent 1003", "SYSTEM_BUSY", "note: a note"]
    {
        assert!(text.contains(part), "{part} in:\n{text}");
    }
}

#[test]
fn a_generator_that_is_itself_the_limit_says_so() {
    let line = mode("mqbench produce -t T --rate 500 --pid 1");
    let mut slow = outcome(thousand());
    slow.cpu = Duration::from_millis(1900);
    slow.tally.unsent = 7;
    let summary = Summary::new(&line, slow);
    assert_eq!((summary.own_cpu_part, summary.latency), (0.95, "due to acknowledgement"));
    let notes = summary.notes.join("\n");
    for part in ["95 %", "7 messages were due", "--pid"] {
        assert!(notes.contains(part), "{part} in {notes}");
    }
}

#[test]
fn the_server_s_use_is_told_for_each_message() {
    let mut served = outcome(thousand());
    served.server = Some(crate::server::Use { cpu: Duration::from_millis(50), resident: 3 << 20 });
    let summary = Summary::new(&mode("mqbench produce -t T --pid 1"), served);
    let server = summary.server.unwrap();
    assert_eq!((server.cpu_us_per_msg, server.resident_bytes), (Some(50.0), 3 << 20));
    assert!(summary.to_string().contains("CPU 50.00 µs a message, resident 3.0 MiB"), "{summary}");
}

#[test]
fn a_window_in_which_nothing_happened_says_so() {
    let begin: Instant = runtime::now();
    let schedule = Schedule::new(begin, Duration::from_secs(5), None);
    let mut recorder = Recorder::default();
    recorder.acknowledged(&schedule, begin, begin + Duration::from_secs(1), 100);
    let summary = Summary::new(&mode("mqbench produce -t T -w 5s"), outcome(recorder.into_tally()));
    assert_eq!((summary.acked, summary.measured, summary.verdict()), (1, 0, None));
    assert!(summary.to_string().contains("stood still"), "{summary}");
}

#[test]
fn a_consumer_that_has_caught_up_is_rated_up_to_then() {
    let ends =
        |millis| Outcome { until_last: Duration::from_millis(millis), ..outcome(thousand()) };
    let consume = mode("mqbench consume -t T");
    let summary = Summary::new(&consume, ends(500));
    assert_eq!((summary.rate, summary.bytes_per_s), (2000.0, 200_000.0));
    assert_eq!((summary.caught_up_s, summary.duration_s), (Some(0.5), 2.0));
    assert!(summary.to_string().contains("caught up after 0.5 s of 2.0"), "{summary}");
    // A pause before the end is none, and a producer is rated over all of its time.
    let summary = Summary::new(&consume, ends(1900));
    assert_eq!((summary.rate, summary.caught_up_s), (500.0, None));
    let summary = Summary::new(&mode("mqbench produce -t T"), ends(500));
    assert_eq!((summary.rate, summary.caught_up_s), (500.0, None));
    assert_eq!(summary.longest_silence_s, 1.5);
    assert!(summary.to_string().contains("no message was acknowledged for 1.5 s"), "{summary}");
}

#[test]
fn a_consumer_that_is_refused_fails() {
    let consume = mode("mqbench consume -t T");
    let refused = |code, remark| {
        let mut outcome = outcome(thousand());
        outcome.tally.failures = crate::failures::Failures::default();
        outcome.tally.failures.note(code, remark, 2);
        Summary::new(&consume, outcome).verdict()
    };
    assert_eq!(refused(Some(2), "busy"), None, "it comes again");
    assert_eq!(refused(None, "the connection was lost"), None);
    assert!(refused(Some(1), "cannot be read").unwrap().contains("refused 2 reads"));
}
