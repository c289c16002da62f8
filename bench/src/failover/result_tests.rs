use clap::Parser;

use super::super::probe::Probe;
use super::*;
use crate::args::{Command, CommandLine};

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn args() -> Failover {
    args_with(&[])
}

fn args_with(more: &[&str]) -> Failover {
    let line = ["mqbench", "failover", "-t", "T", "--fault", "x", "--heal", "y"];
    let line = line.iter().chain(more);
    let Command::Failover(args) = CommandLine::try_parse_from(line).unwrap().command else {
        panic!("failover")
    };
    args
}

/// A probe every 5 ms for 3 s; those due in one of `away` fail.
fn track(name: &str, away: &[(u64, u64)]) -> Track {
    let mut track = Track::new(name);
    for (offset, due) in (0..).zip((0..3000).step_by(5)) {
        let is_away = away.iter().any(|(from, to)| (*from..*to).contains(&due));
        let offset = (!is_away).then_some(offset);
        let probe = Probe { due: ms(due), sent: ms(due), done: ms(due + 1), queue: 0, offset };
        track.probes.push(probe);
    }
    track
}

fn leader(broker: &str, number: u32) -> Leader {
    Leader { broker: broker.to_owned(), addr: "h:1".to_owned(), pid: Some(7), number }
}

fn failures(count: u64) -> Failures {
    let mut failures = Failures::default();
    failures.note(Some(1), "away", count);
    failures
}

/// Group a is away for 200 ms of the first fault and 400 of the second, and for 30 ms when the first is healed; b never. Then
/// the one leads again that was struck first, and it is struck once more.
fn record() -> Record {
    let addr = |port| Some(format!("h:{port}"));
    let struck = |broker, number: u32, at, failed| Struck {
        led_by: addr(2),
        heal: Some(Healed { at: ms(at + 500), took: ms(20), led_by: addr(number) }),
        failures: vec![failures(failed), Failures::default()],
        ..Struck::new(leader(broker, number), ms(at), ms(3))
    };
    Record {
        tracks: vec![track("a", &[(505, 705), (1010, 1040), (1505, 1905)]), track("b", &[])],
        struck: vec![struck("a", 1, 502, 46), struck("a", 2, 1502, 80)],
        before: Failures::default(),
        quiet_from: ms(100),
        audit: Some(Findings::default()),
        wrong_queue: 0,
        latest: ms(1),
        route_unanswered: 0,
        trouble: None,
        interrupted: false,
    }
}

#[test]
fn each_group_has_a_window_of_each_fault() {
    let outages = Outages::new(&args(), record());
    assert_eq!(outages.verdict(), None);
    assert_eq!((outages.sent, outages.acked, outages.errors), (1200, 1074, 126));
    assert_eq!(outages.struck.all_ms, [205.0, 405.0]);
    assert_eq!((outages.struck.median_ms, outages.struck.worst_ms), (Some(305.0), Some(405.0)));
    assert_eq!(outages.after_fault.all_ms, [204.0, 404.0]);
    assert_eq!((outages.others.all_ms.as_slice(), outages.quiet_ms), (&[5.0, 5.0][..], Some(5.0)));
    let first = &outages.faults[0];
    assert_eq!((first.at_s, first.heal_at_s, first.command_ms), (0.502, Some(1.002), 3.0));
    let [a, b] = &first.groups[..] else { panic!("two groups") };
    assert_eq!((a.is_struck, a.failed, a.from_s, a.to_s), (true, 46, Some(0.501), Some(0.706)));
    assert_eq!((a.heal_window_ms, b.heal_window_ms, b.failed), (Some(35.0), Some(5.0), 0));
    assert_eq!((a.heal_from_s, a.heal_to_s), (Some(1.006), Some(1.041)));
    let kinds = &first.errors_by_code;
    assert_eq!((kinds.len(), kinds[0].code, kinds[0].count), (1, Some(1), 46));
}

#[test]
fn a_window_that_is_not_over_says_so() {
    let mut record = record();
    record.tracks[0] = track("a", &[(505, 3000)]);
    record.struck = vec![Struck {
        led_by: Some("h:2".to_owned()),
        failures: vec![failures(499)],
        ..Struck::new(leader("a", 1), ms(502), ms(3))
    }];
    record.trouble = Some("after fault 1: not every probe was acknowledged".to_owned());
    let outages = Outages::new(&args(), record);
    assert_eq!((outages.struck.open, outages.struck.all_ms.as_slice()), (1, &[2494.0][..]));
    assert_eq!(outages.faults[0].groups[0].to_s, None);
    assert!(outages.notes.iter().any(|note| note.contains("not over")), "{:?}", outages.notes);
    assert!(outages.verdict().is_some_and(|verdict| verdict.contains("after fault 1")));
    assert!(outages.to_string().contains("≥"), "{outages}");
}

#[test]
fn broken_promises_make_a_run_fail() {
    let mut lost = record();
    lost.audit = Some(Findings { lost: 2, twice: 1, ..Findings::default() });
    let outages = Outages::new(&args(), lost);
    assert_eq!((outages.broken.lost, outages.broken.twice), (2, 1));
    assert!(outages.verdict().is_some_and(|verdict| verdict.contains("promises")));
    let mut disordered = record();
    disordered.tracks[1].probes[300].offset = Some(3);
    let outages = Outages::new(&args(), disordered);
    assert_eq!(outages.broken.offsets_not_rising, 1);
    assert!(outages.verdict().is_some());
}

#[test]
fn what_is_said_as_text_and_as_json_is_the_same() {
    let mut late = record();
    late.latest = ms(45);
    let outages = Outages::new(&args(), late);
    let text = outages.to_string();
    for part in [
        "median 305.00 ms",
        "worst 405.00 ms",
        "205.00 ms",
        "then led by h:2, after the heal by h:1",
        "46 × code 1 SYSTEM_ERROR: away",
        "45ms",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let json: Value = serde_json::from_str(&outages.json()).unwrap();
    assert_eq!((&json["mode"], &json["struck"]["worst_ms"]), (&"failover".into(), &405.0.into()));
    assert_eq!(json["parameters"]["timeout"], 0.1);
    assert_eq!(json["timeline"]["groups"][0]["failed"][6], 20);
}

#[test]
fn a_fault_that_strikes_nobody_is_told() {
    let mut record = record();
    record.tracks[0] = track("a", &[(505, 705)]);
    record.struck[1].failures = vec![Failures::default(); 2];
    let outages = Outages::new(&args(), record);
    let note = "no trace of fault 2 in the probes: did --fault strike the leader?";
    assert_eq!(outages.notes, [note]);
}

#[test]
fn a_leader_that_comes_back_after_the_heal_has_a_silence_of_its_own_and_is_no_failure() {
    let outages = Outages::new(&args_with(&["--new-leader"]), record());
    assert_eq!((outages.verdict(), outages.unmoved.as_slice()), (None, &[][..]));
    let led: Vec<_> =
        outages.faults.iter().map(|fault| (&fault.addr_after, &fault.addr_after_heal)).collect();
    let [h1, h2] = ["h:1", "h:2"].map(|addr| Some(addr.to_owned()));
    assert_eq!(led, [(&h2, &h1), (&h2, &h2)]);
    assert_eq!(
        (outages.after_heal.all_ms.as_slice(), outages.after_heal.open),
        (&[35.0, 5.0][..], 0)
    );
    assert_eq!(outages.led_back.all_ms, [35.0], "only the first fault's leader came back");
}

#[test]
fn a_fault_after_which_nobody_else_leads_is_told_and_fails_where_another_is_demanded() {
    let unmoved = |struck: fn(&mut Struck)| {
        let mut record = record();
        struck(&mut record.struck[1]);
        record
    };
    let same = unmoved(|struck| struck.led_by = Some("h:1".to_owned()));
    let nobody = unmoved(|struck| struck.led_by = None);
    for record in [same, nobody] {
        let outages = Outages::new(&args_with(&["--new-leader"]), record);
        assert_eq!(outages.unmoved, [2]);
        assert!(outages.notes[0].contains("after fault 2:"), "{:?}", outages.notes);
        assert!(outages.verdict().is_some_and(|verdict| verdict.contains("after fault 2:")));
        assert!(outages.to_string().contains("NOT MET: the leader did not change"), "{outages}");
    }
    let same = || unmoved(|struck| struck.led_by = Some("h:1".to_owned()));
    assert_eq!(Outages::new(&args(), same()).verdict(), None, "nobody demanded it");
    let early = Outages::new(&args_with(&["--new-leader"]), Record { interrupted: true, ..same() });
    assert_eq!((early.verdict(), early.unmoved.len()), (None, 0), "it had no time for it");
}

#[test]
fn a_window_beyond_its_bar_fails() {
    let verdict = |bars: &[&str]| Outages::new(&args_with(bars), record()).verdict();
    assert_eq!(verdict(&["--median", "305ms", "--worst", "405ms"]), None);
    let median = verdict(&["--median", "304ms", "--worst", "405ms"]).expect("it is 305 ms");
    assert_eq!(median, "the median window is 305.00 ms, --median is 304ms");
    let worst = verdict(&["--worst", "404ms"]).expect("it is 405 ms");
    assert_eq!(worst, "the worst window is 405.00 ms, --worst is 404ms");
    let tracks = vec![track("a", &[(505, 545), (1010, 1340), (1505, 1545)]), track("b", &[])];
    let healed = Outages::new(&args_with(&["--worst", "100ms"]), Record { tracks, ..record() });
    let healed = healed.verdict().expect("330 ms and what is between two probes");
    assert!(healed.starts_with("the longest silence after a heal is 3"), "{healed}");
    let none = Record { struck: Vec::new(), ..record() };
    let verdict = Outages::new(&args_with(&["--worst", "1s"]), none).verdict();
    assert!(verdict.is_some_and(|verdict| verdict.contains("no window was measured")));
}
