//! The command line: what is wished for, and what is said to whom asks.

use crate::{ci, sim};

const USAGE: &str = "\
usage: cargo xtask <command>

  ci [--only <step>]...   run the gate, or only the named steps of it; changes nothing
  fix                     format, and apply what clippy can apply
  sim                     run random histories in the simulator, or one again by its seed
  tidy                    check what lints cannot: edges, names, lengths, links
  help [<command>]        this text, or that of a command

Each command takes --help.
";

const FIX: &str = "\
usage: cargo xtask fix

Applies what clippy can apply by itself to the working tree, then formats it. The one command that
writes. It takes no options.
";

const SIM: &str = "\
usage: cargo xtask sim [--seeds N] [--from S] [--minutes M]
       cargo xtask sim --seed S
       cargo xtask sim --mutations [--seeds N] [--from S]
       cargo xtask sim --mutation NAME [--seeds N] [--from S]

Runs random histories of the storage engine and of a broker in the simulator, each checked against
what its clients were told. A failure names its seed and its commit. Reads only, but for the folder
`target`.

  --seeds N     so many fresh seeds, after the fixed ones; 100 if nothing is said
  --from S      no fixed seeds, and the fresh ones from here; else from wherever the process id leads
  --minutes M   fresh seeds for so long, at least as many as --seeds says
  --seed S      this seed alone: what to do when a failure has named it
  --gate        as the gate has it: for five minutes where CI is `true`, else for one
  --mutations   put known bugs back, one at a time, in a copy of the tree, and count the seeds that it
                takes to find each; at most as many as --seeds says, 400 if it says nothing
  --mutation NAME
                the one of storage/tests/mutations/NAME.txt alone
  --help        this text
";

const TIDY: &str = "\
usage: cargo xtask tidy

Checks what lints cannot: edges between crates, names, lengths, links. Reads only. It takes no
options.
";

const COMMANDS: &str = "ci, fix, sim, tidy, help";

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Wish<'a> {
    /// The gate: these steps, or all if there are none.
    Ci {
        only: Vec<&'a str>,
    },
    Fix,
    /// Histories in the simulator.
    Sim(sim::Wanted),
    Tidy,
    /// A text.
    Help(String),
}

/// Reads the arguments; an error is one line that names what is possible.
pub fn parse<'a>(args: &[&'a str]) -> Result<Wish<'a>, String> {
    let Some((command, rest)) = args.split_first() else {
        return Ok(Wish::Help(USAGE.to_owned()));
    };
    let asks = |arg: &&str| ["--help", "-h"].contains(arg);
    match *command {
        "ci" | "fix" | "sim" | "tidy" if rest.iter().any(asks) => help(command).map(Wish::Help),
        "ci" => ci::parse(rest).map(|only| Wish::Ci { only }),
        "fix" => no_options("fix", rest).map(|()| Wish::Fix),
        "sim" => sim::parse(rest).map(Wish::Sim),
        "tidy" => no_options("tidy", rest).map(|()| Wish::Tidy),
        "help" | "--help" | "-h" => match rest {
            [] => Ok(Wish::Help(USAGE.to_owned())),
            [command, ..] => help(command).map(Wish::Help),
        },
        other => Err(unknown(other)),
    }
}

fn help(command: &str) -> Result<String, String> {
    match command {
        "ci" => Ok(ci_help()),
        "fix" => Ok(FIX.to_owned()),
        "sim" => Ok(SIM.to_owned()),
        "tidy" => Ok(TIDY.to_owned()),
        "help" | "--help" | "-h" => Ok(USAGE.to_owned()),
        other => Err(unknown(other)),
    }
}

fn ci_help() -> String {
    let steps = ci::steps().fold(String::new(), |text, (name, command)| {
        text + &format!("  {name:<12} cargo {command}\n")
    });
    format!(
        "\
usage: cargo xtask ci [--only <step>]...

Runs the gate and prints a table of what came of it. Changes nothing in the source tree.

  --only <step>   run this step only; may be given several times
  --help          this text

Steps, in their order:

{steps}"
    )
}

fn no_options(command: &str, rest: &[&str]) -> Result<(), String> {
    match rest {
        [] => Ok(()),
        [option, ..] => {
            Err(format!("{command} takes no option but --help; {option} is none of its own"))
        }
    }
}

fn unknown(command: &str) -> String {
    format!("there is no command {command}; there are {COMMANDS}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(args: &[&str]) -> String {
        match parse(args) {
            Ok(Wish::Help(text)) => text,
            other => panic!("{args:?}: {other:?}"),
        }
    }

    #[test]
    fn who_asks_is_told() {
        for args in [&[][..], &["help"], &["--help"], &["-h"], &["help", "help"]] {
            assert_eq!(text(args), USAGE, "{args:?}");
        }
        for command in ["ci", "fix", "sim", "tidy"] {
            let usage = text(&["help", command]);
            assert!(usage.starts_with(&format!("usage: cargo xtask {command}")), "{usage}");
            assert_eq!(text(&[command, "--help"]), usage);
            assert_eq!(text(&[command, "-h"]), usage);
            assert!(USAGE.contains(&format!("\n  {command} ")));
        }
        let usage = text(&["ci", "--only", "fmt", "--help"]);
        for (name, _) in ci::steps() {
            assert!(usage.contains(&format!("\n  {name} ")), "{name} is not in:\n{usage}");
        }
    }

    #[test]
    fn commands_are_read() {
        assert_eq!(parse(&["ci"]), Ok(Wish::Ci { only: vec![] }));
        assert_eq!(parse(&["ci", "--only", "tidy"]), Ok(Wish::Ci { only: vec!["tidy"] }));
        assert_eq!(parse(&["fix"]), Ok(Wish::Fix));
        assert_eq!(parse(&["tidy"]), Ok(Wish::Tidy));
    }

    #[test]
    fn what_is_unknown_is_told_with_what_is_known() {
        for (args, words) in [
            (&["build"][..], &["build", "ci, fix, sim, tidy"][..]),
            (&["help", "build"], &["build", "ci, fix, sim, tidy"]),
            (&["fix", "--all"], &["--all", "--help"]),
            (&["ci", "--all"], &["--all", "--only <step>", "--help"]),
            (&["ci", "--only", "no-such"], &["no-such", "fmt, tidy, clippy"]),
            (&["ci", "--only"], &["--only", "fmt, tidy, clippy"]),
        ] {
            let message = parse(args).unwrap_err();
            assert!(words.iter().all(|word| message.contains(word)), "{args:?}: {message}");
        }
    }
}
