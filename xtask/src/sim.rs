//! `cargo xtask sim`: random histories in the simulator, under as many seeds as asked.
//!
//! The histories are tests of the crates that they are about; this builds them optimized and tells them, by the
//! environment, which seeds to run (`runtime::sim::run_seeds` has the words). All suites run at once.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};

use crate::ci::cargo;

mod mutations;

/// Where histories are: package, test target, and the test in it that runs seeds.
const SUITES: [Suite; 8] = [
    Suite {
        package: "storage",
        target: "histories",
        test: "whatever_happens_nothing_acknowledged_is_lost_and_nothing_wrong_is_served",
    },
    Suite {
        package: "storage",
        target: "truncation",
        test: "what_is_cut_never_comes_back_and_nothing_else_is_lost",
    },
    Suite {
        package: "raft",
        target: "log",
        test: "what_is_told_to_be_flushed_stays_and_what_is_cut_does_not",
    },
    Suite {
        package: "raft",
        target: "net",
        test: "a_group_survives_cuts_and_kills_and_loses_nothing_that_was_acknowledged",
    },
    Suite {
        package: "raft",
        target: "cluster",
        test: "what_a_group_has_acknowledged_is_in_all_members_and_in_one_order",
    },
    Suite {
        package: "broker",
        target: "histories",
        test: "whatever_happens_what_was_answered_stays_true",
    },
    Suite {
        package: "broker",
        target: "group_histories",
        test: "whatever_happens_to_a_group_what_was_answered_stays_true",
    },
    Suite {
        package: "broker",
        target: "cluster_histories",
        test: "whatever_happens_to_a_cluster_its_clients_lose_nothing_and_it_goes_on",
    },
];

/// How suites are built: optimized, each crate by itself.
const PROFILE: &str = "sim";
/// Fresh seeds when nothing is said.
const SEEDS: u64 = 100;
/// Minutes of fresh seeds in the gate: on the build machine, and elsewhere.
const GATE_MINUTES: [u64; 2] = [5, 1];

#[derive(Clone, Copy)]
struct Suite {
    package: &'static str,
    target: &'static str,
    test: &'static str,
}

/// What is asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    seed: Option<u64>,
    seeds: Option<u64>,
    from: Option<u64>,
    minutes: Option<u64>,
    mutations: bool,
    /// Of the mutations, this one alone.
    mutation: Option<String>,
}

/// Reads the command's options.
pub fn parse(args: &[&str]) -> Result<Wanted, String> {
    let mut wanted = Wanted::default();
    let mut rest = args;
    while let [option, after @ ..] = rest {
        let slot = match *option {
            "--seed" => &mut wanted.seed,
            "--seeds" => &mut wanted.seeds,
            "--from" => &mut wanted.from,
            "--minutes" => &mut wanted.minutes,
            "--gate" => {
                let on_build_machine = env::var("CI").is_ok_and(|value| value == "true");
                wanted.minutes = Some(GATE_MINUTES[usize::from(!on_build_machine)]);
                rest = after;
                continue;
            }
            "--mutations" => {
                wanted.mutations = true;
                rest = after;
                continue;
            }
            "--mutation" => {
                let [name, after @ ..] = after else {
                    return Err("--mutation needs a name".to_owned());
                };
                (wanted.mutations, wanted.mutation) = (true, Some((*name).to_owned()));
                rest = after;
                continue;
            }
            option => {
                return Err(format!(
                    "unknown option {option}; cargo xtask sim --help has those there are"
                ));
            }
        };
        let [number, after @ ..] = after else {
            return Err(format!("{option} needs a number"));
        };
        *slot = Some(number.parse().map_err(|_| format!("{option}: {number} is no number"))?);
        rest = after;
    }
    if wanted.seed.is_some() && (wanted.seeds, wanted.from, wanted.minutes) != (None, None, None) {
        return Err("--seed runs that seed alone".to_owned());
    }
    Ok(wanted)
}

/// Runs the histories; what they print passes through.
pub fn run(root: &Path, wanted: &Wanted) -> ExitCode {
    if wanted.mutations {
        let (from, seeds) = (wanted.from.unwrap_or(0), wanted.seeds.unwrap_or(400));
        return mutations::run(root, wanted.mutation.as_deref(), from, seeds);
    }
    let target = root.join("target");
    let Some(programs) = build(root, &target, &SUITES) else { return ExitCode::FAILURE };
    let started: Vec<Option<Child>> = SUITES
        .iter()
        .zip(&programs)
        .map(|(suite, program)| command(root, suite, program, wanted).spawn().ok())
        .collect();
    let mut passed = true;
    for child in started {
        passed &= child.is_some_and(|mut child| child.wait().is_ok_and(|status| status.success()));
    }
    if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The program of a suite, told what to run.
fn command(root: &Path, suite: &Suite, program: &Path, wanted: &Wanted) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root.join(suite.package));
    command.args([suite.test, "--exact", "--nocapture"]);
    let minutes = wanted.minutes;
    let seeds = wanted.seeds.or(if minutes.is_some() { None } else { Some(SEEDS) });
    let words = [
        ("SEED", wanted.seed),
        ("SEEDS", seeds),
        ("SEEDS_FROM", wanted.from),
        ("SEEDS_MINUTES", minutes),
    ];
    for (word, number) in words {
        match number {
            Some(number) => command.env(word, number.to_string()),
            None => command.env_remove(word),
        };
    }
    command
}

/// Builds suites, optimized; their programs, in this order.
fn build(root: &Path, target: &Path, suites: &[Suite]) -> Option<Vec<PathBuf>> {
    let mut words: Vec<&str> = Vec::new();
    for (option, name) in
        suites.iter().flat_map(|suite| [("--package", suite.package), ("--test", suite.target)])
    {
        words.extend([option, name]);
    }
    let output = Command::new(cargo())
        .args(["test", "--locked", "--profile", PROFILE, "--no-run"])
        .args(["--message-format", "json-render-diagnostics"])
        .args(words)
        .env("CARGO_TARGET_DIR", target)
        .current_dir(root)
        .stderr(Stdio::inherit())
        .output();
    let output = output.ok().filter(|output| output.status.success())?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    suites.iter().map(|suite| text.lines().find_map(|line| test_program(line, suite))).collect()
}

/// The suite's program, if a line of cargo's messages names it. Other tests of that name, and what tests start, are built as well.
fn test_program(line: &str, suite: &Suite) -> Option<PathBuf> {
    let package = format!("/{}#", suite.package);
    let name = format!(r#""name":"{}""#, suite.target);
    let is_it = [r#""kind":["test"]"#, &package, &name].iter().all(|part| line.contains(part));
    let (_, rest) = line.split_once("\"executable\":\"").filter(|_| is_it)?;
    rest.split_once('"').map(|(path, _)| PathBuf::from(path))
}

#[cfg(test)]
mod tests {
    use super::{SUITES, Wanted, parse, test_program};

    #[test]
    fn options_are_read() {
        assert_eq!(parse(&[]), Ok(Wanted::default()));
        let some = Wanted { seeds: Some(5), from: Some(7), minutes: Some(1), ..Wanted::default() };
        assert_eq!(parse(&["--seeds", "5", "--from", "7", "--minutes", "1"]), Ok(some));
        assert_eq!(parse(&["--seed", "9"]), Ok(Wanted { seed: Some(9), ..Wanted::default() }));
        let one = parse(&["--mutation", "a"]).expect("it is read");
        assert_eq!((one.mutations, one.mutation.as_deref()), (true, Some("a")));
        for bad in [
            &["--seed"][..],
            &["--mutation"],
            &["--seeds", "x"],
            &["--seed", "1", "--seeds", "2"],
            &["x"],
        ] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_program_is_found_in_cargos_messages() {
        let line = |package: &str, kind: &str, name: &str, executable: &str| {
            format!(
                r#"{{"reason":"compiler-artifact","package_id":"path+file:///t/{package}#0.1.0","target":{{"kind":["{kind}"],"name":"{name}"}},"executable":{executable}}}"#
            )
        };
        let suite = SUITES[0];
        let found = |line: &str| test_program(line, &suite);
        let (path, here) = (r#""/t/sim/deps/x-1""#, suite.package);
        assert_eq!(found(&line(here, "test", suite.target, path)), Some("/t/sim/deps/x-1".into()));
        assert_eq!(found(&line(here, "test", suite.target, "null")), None);
        assert_eq!(found(&line(here, "test", "other", path)), None);
        assert_eq!(found(&line("other", "test", suite.target, path)), None);
        assert_eq!(found(&line(here, "bin", suite.target, path)), None);
    }
}
