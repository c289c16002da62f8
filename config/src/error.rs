//! What can be wrong with a configuration, and what is only worth a word.

use std::fmt;

use crate::key::ValueError;
use crate::properties::PropertiesError;
use crate::settings::{Place, Source};

/// A reason not to start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The text is no properties text.
    #[error("{source_name}: {error}")]
    Unreadable {
        /// File or option the text came from.
        source_name: Source,
        /// What and where.
        error: PropertiesError,
    },
    /// A value does not fit its key.
    #[error("{place}: `{key} = {value}` is not possible; {error}")]
    BadValue {
        /// Where it was set.
        place: Place,
        /// The key as written.
        key: String,
        /// The value as written.
        value: String,
        /// What is allowed.
        error: ValueError,
    },
    /// A key that must be known (set at run time or on the command line) is not.
    #[error("{place}: no key `{key}`{}", hint(.nearest))]
    NoSuchKey {
        /// Where it was set.
        place: Place,
        /// The key as written.
        key: String,
        /// A known key that looks like it.
        nearest: Option<&'static str>,
    },
    /// Two settings exclude each other; found by the program that owns the table.
    #[error(transparent)]
    Contradiction(Box<Contradiction>),
}

/// Two settings that exclude each other.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{first} is not possible together with {second}; {remedy}")]
pub struct Contradiction {
    /// The first setting.
    pub first: Setting,
    /// The second setting.
    pub second: Setting,
    /// What to do.
    pub remedy: String,
}

/// A key with its value and where it was set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The key.
    pub key: &'static str,
    /// Its value.
    pub value: String,
    /// Where it was set.
    pub place: Place,
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{} = {}` ({})", self.key, self.value, self.place)
    }
}

/// All reasons not to start, one a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, error) in self.0.iter().enumerate() {
            if at > 0 {
                writeln!(f)?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

impl From<ConfigError> for ConfigErrors {
    fn from(error: ConfigError) -> ConfigErrors {
        ConfigErrors(vec![error])
    }
}

/// Something an operator should hear about that does not stop the start. One log line each.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Warning {
    /// Nobody knows the key.
    #[error("{place}: unknown key `{key}` is ignored{}", hint(.nearest))]
    UnknownKey {
        /// Where it was set.
        place: Place,
        /// The key as written.
        key: String,
        /// A known key that looks like it.
        nearest: Option<&'static str>,
    },
    /// Apache's program knows the key, here it does nothing.
    #[error("{place}: `{key} = {value}` has no effect: {why}")]
    NoEffect {
        /// Where it was set.
        place: Place,
        /// The key.
        key: &'static str,
        /// The value as written.
        value: String,
        /// Why.
        why: &'static str,
    },
    /// The same key twice in one file.
    #[error("{place}: `{key}` is set again; the value of line {first_line} does not count")]
    SetTwice {
        /// Where it was set the second time.
        place: Place,
        /// The key as written.
        key: String,
        /// Line of the value that is lost.
        first_line: u32,
    },
}

fn hint(nearest: &Option<&'static str>) -> String {
    nearest.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
}
