use clap::CommandFactory;

use super::*;

fn parse(args: &[&str]) -> Result<CommandLine, String> {
    let all = std::iter::once("mqbench").chain(args.iter().copied());
    CommandLine::try_parse_from(all).map_err(|error| error.to_string())
}

#[test]
fn the_flags_are_sound() {
    CommandLine::command().debug_assert();
}

#[test]
fn every_flag_of_a_produce_run_is_understood() {
    let line = "produce -n h1:1;h2:2 -t T --size 4k --connections 3 --in-flight 256 --duration 1500ms \
                --warmup 2m --count 9 --queues 16 --json -g G \
                --rate 5000 --audit --topics 2 --gives-way --pid 17,18";
    let parsed = parse(&line.split(' ').collect::<Vec<_>>()).unwrap();
    assert!(parsed.output.json);
    let Some(Mode::Produce(produce)) = parsed.mode() else {
        panic!("produce");
    };
    let run = produce.run.clone();
    let Run { namesrv, topic, group, connections, duration, warmup, count, .. } = run;
    let Run { cores, busy_poll, gives_way, pid, .. } = produce.run.clone();
    assert!(gives_way);
    assert_eq!((namesrv.as_str(), topic.as_str(), group.as_str()), ("h1:1;h2:2", "T", "G"));
    assert_eq!((produce.size, connections, produce.in_flight), (4096, Some(3), 256));
    assert_eq!((duration, warmup), (Some(Duration::from_millis(1500)), Duration::from_secs(120)));
    assert_eq!((count, cores, busy_poll, produce.queues), (Some(9), None, 0, 16));
    assert_eq!((produce.rate, produce.audit, pid), (Some(5000), true, Some(Pids(vec![17, 18]))));
    assert_eq!(produce.topic_names(), ["T-0", "T-1"]);
}

#[test]
fn a_count_alone_has_no_time_limit() {
    let limit = |args: &[&str]| parse(args).unwrap().mode().unwrap().run().time_limit();
    assert_eq!(limit(&["consume", "-t", "T"]), Some(Duration::from_secs(30)));
    assert_eq!(limit(&["consume", "-t", "T", "--count", "5"]), None);
    let both = limit(&["consume", "-t", "T", "--count", "5", "-d", "9s"]);
    assert_eq!(both, Some(Duration::from_secs(9)));
}

#[test]
fn bad_values_name_the_flag_and_the_range() {
    for (args, flag, hint) in [
        ("produce -t T --connections 0", "--connections", "1..=1024"),
        ("produce -t T --in-flight 65537", "--in-flight", "1..=65536"),
        ("produce -t T --size 5m", "--size", "1 to 4194304"),
        ("produce -t T --size 0", "--size", "1 to 4194304"),
        ("produce -t T --size many", "--size", "4k"),
        ("produce -t T --duration 10ms", "--duration", "100ms"),
        ("produce -t T --duration 1x", "--duration", "30s"),
        ("produce -t T --warmup=-1s", "--warmup", "30s"),
        ("produce -t T --queues 0", "--queues", "1..=16384"),
        ("produce -t bad.topic", "--topic", "illegal characters"),
        ("produce -t T -n nowhere", "--namesrv", "host:port"),
        ("produce -t T --cores 0,9999", "--cores", "9999"),
        ("consume -t T --from middle", "--from", "committed"),
        ("produce", "--topic", "required"),
        ("produce -t T --rate 0", "--rate", "1..=10000000"),
        ("compare -t T", "--b", "required"),
        ("compare -t T --b h:1 --consume --rate 5", "--consume", "--rate"),
        ("mixed -t T -k 0", "--windows", "1..=1000"),
        ("limit --write-size 100", "--write-size", "4096"),
        ("floor -t T --method none", "--method", "fdatasync"),
        ("report", "FILE", "required"),
        ("answer -t T --broker h:1;h:2", "--broker", "host:port"),
        ("answer -t T --broker h:1 --wait 0", "--wait", "100ms"),
        ("failover -t T", "--fault", "required"),
        ("failover -t T --fault x --heal-after 5s", "--heal", "required"),
        ("failover -t T --fault x --rate 10001", "--rate", "1..=10000"),
        ("failover -t T --fault x --timeout 11s", "--timeout", "100ms"),
        ("failover -t T --fault x --times 0", "--times", "1..=1000"),
        ("failover -t T --fault x --settle 1ms", "--settle", "100ms"),
        ("failover -t T --fault=", "--fault", "kill -9"),
        ("failover -t T --fault x --median 0ms", "--median", "1ms"),
        ("failover -t T --fault x --worst fast", "--worst", "500ms"),
    ] {
        let error = parse(&args.split(' ').collect::<Vec<_>>()).unwrap_err();
        assert!(error.contains(flag) && error.contains(hint), "{args}: {error}");
    }
}

#[test]
fn parameters_go_into_the_report_in_plain_units() {
    let line = ["produce", "-t", "T", "--duration", "2s", "--warmup", "0s"];
    let Some(Mode::Produce(produce)) = parse(&line).unwrap().mode() else { panic!("produce") };
    let json = serde_json::to_value(&produce).unwrap();
    assert_eq!((&json["duration"], &json["warmup"]), (&2.0.into(), &0.0.into()));
    assert_eq!((&json["size"], &json["in_flight"]), (&1024.into(), &64.into()));
    assert_eq!(json.get("json"), None);
}

#[test]
fn studies_have_their_own_flags_beside_those_of_the_sends() {
    let line = "compare -t T --a h:1 --b h:2 --pid-a 1 --pid-b 2,3 --depths 1,16 -k 3 --label-a ours --hdr x";
    let parsed = parse(&line.split(' ').collect::<Vec<_>>()).unwrap();
    assert!(parsed.mode().is_none() && parsed.output.hdr.is_some());
    let Command::Compare(compare) = parsed.command else { panic!("compare") };
    assert_eq!((compare.send.run.namesrv.as_str(), compare.b.as_str()), ("h:1", "h:2"));
    assert_eq!(
        (compare.send.run.pid, compare.pid_b),
        (Some(Pids(vec![1])), Some(Pids(vec![2, 3])))
    );
    assert_eq!((compare.depths.as_slice(), compare.turns.windows), (&[1, 16][..], 3));
    assert_eq!((compare.label_a.as_str(), compare.label_b.as_str()), ("ours", "B"));
}

#[test]
fn a_failover_sees_short_outages_unless_told_otherwise() {
    let parsed = parse(&["failover", "-t", "T", "--fault", "kill -9 $LEADER_PID"]).unwrap();
    let Command::Failover(args) = parsed.command else { panic!("failover") };
    // Ten probes in 50 ms.
    assert_eq!((args.rate, args.timeout), (200, Duration::from_millis(100)));
    assert_eq!((args.times, args.every), (10, Duration::from_secs(10)));
    assert_eq!((args.fault.as_str(), args.heal, args.pid_of), ("kill -9 $LEADER_PID", None, None));
}
