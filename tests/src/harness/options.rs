//! The command line of the harness.

use std::path::PathBuf;

use super::servers::Maker;

/// What `--help` prints, and an error of the command line with it.
pub const USAGE: &str = "\
usage: interop [--filter TEXT]... [--against ours|apache] [--list] [--build] [--keep]

  --filter TEXT      only checks whose name contains TEXT (one of them, if given several times)
  --against MAKER    whose servers the suites run against; `apache` shows what a check is worth
  --list             print the names of the checks and end
  --build            build everything the checks need and end
  --keep             leave stores and logs of every check under target/interop/run

environment: INTEROP_BIN=DIR  take our servers from there instead of building them
             INTEROP_SEED=N   seed of the malformed frames
             CI=true          a missing tool is a failure, not a skip
";

/// The command line.
#[derive(Debug, PartialEq, Eq)]
pub struct Options {
    /// Parts of names; empty means every check.
    pub filters: Vec<String>,
    /// Whose servers the suites run against.
    pub against: Maker,
    /// Print names only.
    pub list: bool,
    /// Build only.
    pub build: bool,
    /// Leave every scratch directory.
    pub keep: bool,
    /// Where counts are kept; an option of `failovers`.
    pub out: Option<PathBuf>,
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
    /// Servers of nobody we know.
    #[error("--against takes ours or apache, not {0}")]
    Maker(String),
}

impl Options {
    /// Reads the words behind the program's name.
    ///
    /// # Errors
    /// The first word that cannot be understood.
    pub fn parse(words: impl IntoIterator<Item = String>) -> Result<Self, UsageError> {
        let mut options = Self {
            filters: Vec::new(),
            against: Maker::Ours,
            list: false,
            build: false,
            keep: false,
            out: None,
            help: false,
        };
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| UsageError::NoValue(word.clone()));
            match word.as_str() {
                "--filter" => options.filters.push(value()?),
                "--against" => options.against = maker(value()?)?,
                "--list" => options.list = true,
                "--build" => options.build = true,
                "--keep" => options.keep = true,
                "--out" => options.out = Some(value()?.into()),
                "--help" | "-h" => options.help = true,
                _ => return Err(UsageError::Unknown(word)),
            }
        }
        Ok(options)
    }

    /// Whether a check of this name is asked for.
    #[must_use]
    pub fn wants(&self, name: &str) -> bool {
        self.filters.is_empty() || self.filters.iter().any(|part| name.contains(part.as_str()))
    }
}

fn maker(word: String) -> Result<Maker, UsageError> {
    match word.as_str() {
        "ours" => Ok(Maker::Ours),
        "apache" => Ok(Maker::Apache),
        _ => Err(UsageError::Maker(word)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, UsageError> {
        Options::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn options_are_read() {
        let options = parse("--filter order --against apache --filter tags --out x.json").unwrap();
        assert_eq!(options.against, Maker::Apache);
        assert_eq!(options.out, Some("x.json".into()));
        assert!(options.wants("clients/java-5.5.0/order") && options.wants("clients/go/tags"));
        assert!(!options.wants("clients/java-5.5.0/batch"));
        assert!(parse("").unwrap().wants("anything"));
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert_eq!(parse("--filter").unwrap_err(), UsageError::NoValue("--filter".into()));
        assert_eq!(parse("--against us").unwrap_err(), UsageError::Maker("us".into()));
        assert_eq!(parse("order").unwrap_err(), UsageError::Unknown("order".into()));
    }
}
