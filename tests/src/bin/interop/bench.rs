//! Suite `bench`: mqbench counts right. What it says was acknowledged is what it receives, once each.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tests::harness::check::Check;
use tests::harness::cluster::Spec;
use tests::harness::failure::{Failure, Verdict, expect};
use tests::harness::lab::Lab;
use tests::harness::process;
use tests::harness::servers::Maker;

const LIMIT: u64 = 240;
const RUN_LIMIT: Duration = Duration::from_secs(90);
const MESSAGES: u64 = 5000;
const TOPIC: &str = "benchcheck";
const SIZE: &str = "512";

/// The suite.
pub fn checks() -> Vec<Check> {
    vec![
        Check::new("bench/both-ways", Maker::Ours, &[], LIMIT, both_ways),
        Check::new("bench/studies", Maker::Ours, &[], LIMIT, studies),
    ]
}

fn both_ways(lab: &mut Lab) -> Verdict {
    let bin = lab.shop.bin.clone();
    let cluster = lab.cluster(Spec::of(Maker::Ours))?;
    let (dir, namesrv) = (cluster.dir.clone(), cluster.namesrv_address());
    let mqbench = |mode: &str, options: &[&str]| {
        let mut command = Command::new(bin.join("mqbench"));
        command.args([mode, "--json", "-n", &namesrv, "-t", TOPIC, "--size", SIZE]).args(options);
        run(mode, &mut command, &dir)
    };
    let count = MESSAGES.to_string();
    let produced = mqbench("produce", &["--count", &count, "--queues", "4", "--connections", "2"])?;
    let (sent, acked) = (number(&produced, "sent")?, number(&produced, "acked")?);
    expect(sent == MESSAGES && acked == sent, || format!("{MESSAGES} sent and acked: {produced}"))?;
    // One more than there are: it ends when nothing comes any more, and would count a second delivery.
    let beyond = (acked + 1).to_string();
    let consumed = mqbench("consume", &["--count", &beyond, "--duration", "10s"])?;
    let received = number(&consumed, "received")?;
    expect(received == acked, || format!("{acked} acked, {received} received: {consumed}"))
}

/// Every other subcommand does its work against our servers and says something about it; how fast is not asked.
fn studies(lab: &mut Lab) -> Verdict {
    let bin = lab.shop.bin.clone();
    let cluster = lab.cluster(Spec::of(Maker::Ours))?;
    let (dir, namesrv) = (cluster.dir.clone(), cluster.namesrv_address());
    let here = dir.display().to_string();
    let mqbench = |line: &str| {
        let mut command = Command::new(bin.join("mqbench"));
        command.arg("--json").args(line.split(' ')).current_dir(&dir);
        run(line.split(' ').next().unwrap_or_default(), &mut command, &dir)
    };
    let sent = mqbench(&format!(
        "produce -n {namesrv} -t open --rate 300 --count 300 --hdr open.hlog --report open.html"
    ))?;
    expect(number(&sent, "acked")? == 300, || format!("300 acked: {sent}"))?;
    for (file, begins) in [("open.hlog", "#[Histogram log"), ("open.html", "<!doctype html>")] {
        let text = std::fs::read_to_string(dir.join(file)).unwrap_or_default();
        expect(text.starts_with(begins), || format!("{file} begins with {begins}: {text}"))?;
    }
    let audited = audited(&bin, &dir, &namesrv)?;
    expect(audited == 2000, || format!("2000 audited, not {audited}"))?;
    for (line, sides) in [
        (format!("mixed -n {namesrv} -t mix --backlog 2m --count 100 -i 2 -k 2"), 3),
        (format!("topics -n {namesrv} -t many --topics 4 --queues 25 --count 200 -k 2"), 2),
        (format!("limit --dir {here} --count 20 -k 2 --span 8m --method dsync"), 2),
        (format!("floor -n {namesrv} -t floor --dir {here} --count 20 -k 2 --span 8m"), 3),
        (format!("compare --a {namesrv} --b {namesrv} -t pair --depths 1,4 --count 100 -k 2"), 4),
        (format!("compare --a {namesrv} --b {namesrv} -t pair --consume --count 100 -k 2"), 2),
    ] {
        let mut command = Command::new(bin.join("mqbench"));
        command.arg("--json").args(line.split(' '));
        let seen = process::run("mqbench", &mut command, &dir, RUN_LIMIT)?.clean(&line)?;
        let study: Value = serde_json::from_str(&seen.out)
            .map_err(|error| Failure::Wrong(format!("{line}: {error}:\n{}", seen.out)))?;
        let told: Vec<usize> = (study["sides"].as_array().into_iter().flatten())
            .map(|side| side["windows"].as_array().map_or(0, Vec::len))
            .collect();
        expect(told == vec![2; sides], || format!("{line}: windows {told:?}"))?;
        expect(study["spreads"][0]["median"].is_number(), || format!("{line}: {study}"))?;
    }
    Ok(())
}

/// Sends and reads back; how many messages were looked for, none of them missing.
fn audited(bin: &Path, dir: &Path, namesrv: &str) -> Verdict<u64> {
    let mut command = Command::new(bin.join("mqbench"));
    command.args(["produce", "--json", "-n", namesrv, "-t", "audited", "--audit"]);
    command.args(["--count", "2000", "--connections", "2"]);
    // The exit code says that nothing was lost, doubled or misplaced.
    let seen =
        process::run("mqbench audit", &mut command, dir, RUN_LIMIT)?.clean("mqbench audit")?;
    let object: Value = serde_json::from_str(&seen.out)
        .map_err(|error| Failure::Wrong(format!("no JSON ({error}): {}", seen.out)))?;
    number(&object["audit"], "looked_for")
}

/// Runs mqbench to its end; the object that it prints, in which nothing failed and no promise was broken.
fn run(mode: &str, command: &mut Command, dir: &Path) -> Verdict<Value> {
    let name = format!("mqbench {mode}");
    let seen = process::run(&name, command, dir, RUN_LIMIT)?;
    let printed = seen.out.clone();
    seen.clean(&name)?;
    let object: Value = serde_json::from_str(&printed).map_err(|error| {
        Failure::Wrong(format!("{name} prints no JSON object ({error}):\n{printed}"))
    })?;
    for what in ["errors", "unanswered"] {
        expect(number(&object, what)? == 0, || format!("no {what}: {object}"))?;
    }
    expect(object["broken"].is_object(), || format!("what was broken: {object}"))?;
    for what in ["broken", "audit"] {
        let not_zero = first_not_zero(&object[what]);
        expect(not_zero.is_none(), || format!("{what} has {not_zero:?}: {object}"))?;
    }
    Ok(object)
}

fn number(object: &Value, name: &str) -> Verdict<u64> {
    let number = object[name].as_u64();
    number.ok_or_else(|| Failure::Wrong(format!("`{name}` is no number of messages: {object}")))
}

/// A number below `value` that is not 0; other values count nothing.
fn first_not_zero(value: &Value) -> Option<&Value> {
    match value {
        Value::Number(number) => (number.as_f64() != Some(0.0)).then_some(value),
        Value::Array(values) => values.iter().find_map(first_not_zero),
        Value::Object(fields) => fields.values().find_map(first_not_zero),
        Value::Null | Value::Bool(_) | Value::String(_) => None,
    }
}

#[cfg(test)]
mod zero_tests {
    use super::*;

    #[test]
    fn a_counter_that_is_not_zero_is_found_wherever_it_is() {
        let object = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
        assert_eq!(first_not_zero(&object(r#"{"a":0,"b":[0,0.0],"c":null,"d":"9"}"#)), None);
        assert_eq!(
            first_not_zero(&Value::Null),
            None,
            "an object that is not there counts nothing"
        );
        for text in [r#"{"a":1}"#, r#"{"a":0,"b":[0,3]}"#, r#"{"a":{"b":-1}}"#, r#"{"a":0.5}"#] {
            assert!(first_not_zero(&object(text)).is_some(), "{text}");
        }
    }
}
