//! The command line.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use crate::plan;

/// What `--help` prints, and an error of the command line with it.
pub const USAGE: &str = "\
usage: chaos [--minutes N | --short] [--seed S] [--rate N] [--only FAULT,...] [--java] [--dir DIR] [--bin DIR] [--keep]

  --minutes N    how long faults are made, 1 to 1440 (30)
  --short        one fault of each dangerous kind, all told within a minute where the machine is quick enough
  --seed S       which faults, whom they strike and how long they last (drawn, and printed)
  --rate N       messages a second, 1 to 5000 (300)
  --only FAULTS  these faults and no others, by the first words of their lines, such as `kill,pause`
  --java         a stock Java client sends and consumes through all faults, too; needs a JDK (17 or newer) and Maven
  --dir DIR      where stores and logs go (target/chaos); a directory of its own for each run
  --bin DIR      where mqbroker, mqnamesrv, mqbench, mqadmin and mqstore are (beside this program)
  --keep         leave stores and logs of a good run as well; those of a bad one always stay

needs root, with network namespaces and what `ip` and `tc` can make in them; and `ip`, `tc` and `taskset`
exit code: 0 all is well; 1 it is not, or with CI=true a program is missing; 2 a wrong call; 77 skipped: it cannot be run here
";

/// Messages a second, unless the command line says otherwise.
const RATE: u32 = 300;
const MINUTE: Duration = Duration::from_secs(60);
/// Messages that a run remembers, at most.
const MESSAGES: u64 = 3_500_000;
/// What `--short` takes for faults on a machine that has time for it; it makes all of them, however long that takes.
const SHORT: Duration = Duration::from_secs(25);

/// The command line.
#[derive(Debug, PartialEq, Eq)]
pub struct Options {
    /// How long faults are made.
    pub time: Duration,
    /// The short form.
    pub short: bool,
    /// Of everything that is drawn.
    pub seed: u64,
    /// Messages a second.
    pub rate: u32,
    /// First words of the faults that may be made; empty: all.
    pub only: Vec<String>,
    /// With a Java client.
    pub java: bool,
    /// Where runs have their directories.
    pub dir: Option<PathBuf>,
    /// Where our programs are.
    pub bin: Option<PathBuf>,
    /// Leave everything.
    pub keep: bool,
    /// Print how to call it.
    pub help: bool,
}

/// What is wrong with a command line.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum UsageError {
    /// No option of ours.
    #[error("unknown option {0}")]
    Unknown(String),
    /// An option without its value.
    #[error("{0} needs a value")]
    NoValue(String),
    /// A value that is no number in the range.
    #[error("{option} takes a number from {from} to {to}, not {value}")]
    Number {
        /// The option.
        option: &'static str,
        /// The smallest number.
        from: u64,
        /// The largest.
        to: u64,
        /// What was given.
        value: String,
    },
    /// A fault that there is not.
    #[error("--only has no fault called `{name}`; there are {known}")]
    Fault {
        /// What was given.
        name: String,
        /// What may be.
        known: String,
    },
    /// Two lengths at once.
    #[error("give --minutes or --short, not both")]
    TwoTimes,
    /// More messages than can be looked for.
    #[error(
        "{0} messages are too many to be looked for in the end, the most are {MESSAGES}; take a lower --rate or fewer --minutes"
    )]
    TooMany(u64),
}

impl Options {
    /// Reads the words behind the program's name.
    ///
    /// # Errors
    /// The first word that cannot be understood.
    pub fn parse(words: impl IntoIterator<Item = String>) -> Result<Self, UsageError> {
        let mut options = Self {
            time: 30 * MINUTE,
            short: false,
            seed: a_seed(),
            rate: RATE,
            only: Vec::new(),
            java: false,
            dir: None,
            bin: None,
            keep: false,
            help: false,
        };
        let mut minutes = None;
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| UsageError::NoValue(word.clone()));
            match word.as_str() {
                "--minutes" => minutes = Some(number("--minutes", &value()?, 1, 1440)?),
                "--short" => options.short = true,
                "--seed" => options.seed = number("--seed", &value()?, 0, u64::MAX)?,
                "--rate" => {
                    let rate = number("--rate", &value()?, 1, 5000)?;
                    options.rate = u32::try_from(rate).expect("it is in the range");
                }
                "--only" => options.only.extend(faults(&value()?)?),
                "--java" => options.java = true,
                "--dir" => options.dir = Some(value()?.into()),
                "--bin" => options.bin = Some(value()?.into()),
                "--keep" => options.keep = true,
                "--help" | "-h" => options.help = true,
                _ => return Err(UsageError::Unknown(word)),
            }
        }
        match (minutes, options.short) {
            (Some(_), true) => return Err(UsageError::TwoTimes),
            (Some(minutes), false) => {
                options.time = MINUTE * u32::try_from(minutes).expect("it is in the range");
            }
            (None, true) => options.time = SHORT,
            (None, false) => {}
        }
        let messages = options.time.as_secs() * u64::from(options.rate);
        if messages > MESSAGES {
            return Err(UsageError::TooMany(messages));
        }
        Ok(options)
    }
}

fn faults(list: &str) -> Result<Vec<String>, UsageError> {
    let known = plan::names();
    let fault = |name: &str| match known.contains(&name) {
        true => Ok(name.to_owned()),
        false => Err(UsageError::Fault { name: name.to_owned(), known: known.join(", ") }),
    };
    list.split(',').map(|name| fault(name.trim())).collect()
}

fn number(option: &'static str, value: &str, from: u64, to: u64) -> Result<u64, UsageError> {
    let wrong = || UsageError::Number { option, from, to, value: value.to_owned() };
    let number: u64 = value.parse().map_err(|_| wrong())?;
    if (from..=to).contains(&number) { Ok(number) } else { Err(wrong()) }
}

/// Another one each time; what matters is that it is printed.
fn a_seed() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::from(since.subsec_nanos()) << 16 ^ u64::from(std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, UsageError> {
        Options::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn options_are_read() {
        let options = parse("--minutes 5 --seed 7 --only kill,pause --keep").expect("right");
        assert_eq!((options.time, options.seed), (5 * MINUTE, 7));
        assert_eq!((options.only, options.keep), (vec!["kill".to_owned(), "pause".into()], true));
        assert!(!options.java && parse("--short --java").expect("right").java);
        assert_eq!(parse("--short").expect("right").time, SHORT);
        assert_eq!(parse("").expect("right").time, 30 * MINUTE);
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert_eq!(parse("--seed"), Err(UsageError::NoValue("--seed".into())));
        assert_eq!(parse("--hours 3"), Err(UsageError::Unknown("--hours".into())));
        assert_eq!(parse("--short --minutes 3"), Err(UsageError::TwoTimes));
        assert_eq!(parse("--minutes 1440 --rate 300"), Err(UsageError::TooMany(25_920_000)));
        for line in ["--only kil", "--only kill,", "--only slow"] {
            let wrong = parse(line).expect_err("no such fault");
            assert!(matches!(wrong, UsageError::Fault { .. }), "{line}: {wrong}");
            assert!(wrong.to_string().contains("slow disk"), "{wrong}");
        }
        for line in ["--minutes 0", "--minutes x", "--rate 9999999", "--seed -1"] {
            let wrong = parse(line).expect_err("no such number");
            assert!(matches!(wrong, UsageError::Number { .. }), "{line}: {wrong}");
        }
    }
}
