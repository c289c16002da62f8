//! I/O profiles: a few keys that fit a device, as a file of their own below all other settings.

use std::path::PathBuf;

use ::config::properties::{self, PropertiesError};
use ::config::{Place, Settings, Source, Warning};
use runtime::IoError;
use thiserror::Error;

use super::LoadError;

/// The keys that a profile may set. Nothing in here changes what a broker promises: a profile can make it slower or
/// faster, never less durable.
pub const PROFILE_KEYS: [&str; 7] = [
    "flushMethod",
    "maxBatchBytes",
    "writesInFlight",
    "busyPollMicros",
    "blockCacheSize",
    "tailBudget",
    "maxQueuedBytes",
];

/// The profiles that every broker has with it, by name.
const SHIPPED: [(&str, &str); 3] = [
    ("latency", include_str!("../../../profiles/latency.properties")),
    ("throughput", include_str!("../../../profiles/throughput.properties")),
    ("dev", include_str!("../../../profiles/dev.properties")),
];

/// Which profile `ioProfile` means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// One that comes with the broker.
    Shipped(Profile),
    /// A file that has yet to be read.
    File(PathBuf),
}

impl Choice {
    /// What the settings choose; `None` when they choose none.
    #[must_use]
    pub fn of(settings: &Settings) -> Option<Self> {
        let value = settings.text("ioProfile");
        let shipped = SHIPPED.iter().find(|(name, _)| *name == value);
        match (value, shipped) {
            ("", _) => None,
            (_, Some((name, text))) => {
                Some(Self::Shipped(Profile::new(&format!("profile {name}"), text)))
            }
            (path, None) => Some(Self::File(PathBuf::from(path))),
        }
    }
}

/// The text of a profile, and what to call it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    name: String,
    text: String,
}

impl Profile {
    /// A profile that messages call `name`: a path, or `profile latency`.
    #[must_use]
    pub fn new(name: &str, text: &str) -> Self {
        Self { name: name.to_owned(), text: text.to_owned() }
    }

    /// What messages call it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Lays its keys over what is in `settings`. Later layers win over them.
    ///
    /// # Errors
    /// A key that is none of [`PROFILE_KEYS`], or a value that does not fit; `settings` are then unchanged.
    pub fn lay_over(&self, settings: &mut Settings) -> Result<Vec<Warning>, LoadError> {
        let unreadable = |error| ProfileError::Unreadable { name: self.name.clone(), error };
        for property in properties::parse(self.text.as_bytes()).map_err(unreadable)? {
            if !PROFILE_KEYS.contains(&property.key.as_str()) {
                let (name, line, key) = (self.name.clone(), property.line, property.key);
                return Err(ProfileError::NotInProfiles { name, line, key }.into());
            }
        }
        Ok(settings.load(&Source::file(&self.name), self.text.as_bytes())?)
    }

    /// The keys it sets, in its order, each once.
    ///
    /// # Panics
    /// If the text is no properties text; [`lay_over`](Self::lay_over) has refused it then.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        let found = properties::parse(self.text.as_bytes()).expect("it was laid over settings");
        let mut keys: Vec<String> = Vec::new();
        for property in found {
            if !keys.contains(&property.key) {
                keys.push(property.key);
            }
        }
        keys
    }
}

/// A profile that cannot be used.
#[derive(Debug, Error)]
pub enum ProfileError {
    /// There is no such file.
    #[error(
        "{place}: ioProfile: {source}; give the path of a file that `mqtune iotune` wrote, or one of the names {}",
        SHIPPED.map(|(name, _)| name).join(", ")
    )]
    File {
        /// Where `ioProfile` was set.
        place: Place,
        /// What happened, with the path.
        source: IoError,
    },
    /// It is no properties text.
    #[error("{name}: {error}")]
    Unreadable {
        /// The profile.
        name: String,
        /// What and where.
        error: PropertiesError,
    },
    /// A key that has no business in a profile.
    #[error(
        "{name}:{line}: `{key}` cannot be set in an I/O profile; write it in the configuration file. A profile may \
         set {}", PROFILE_KEYS.join(", ")
    )]
    NotInProfiles {
        /// The profile.
        name: String,
        /// Line, from 1.
        line: u32,
        /// The key as written.
        key: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, KEYS, Surroundings};

    fn settings(io_profile: &str) -> Settings {
        let mut settings = Settings::defaults(&KEYS);
        settings.set(&Source::option("test"), "ioProfile", io_profile).unwrap();
        settings
    }

    #[test]
    fn every_key_of_a_profile_does_something() {
        for name in PROFILE_KEYS {
            let key = KEYS.find(name).expect("it is in the table");
            assert_eq!(key.effect, ::config::Effect::Full, "{name}");
        }
    }

    #[test]
    fn every_shipped_profile_starts_a_broker() {
        for (name, _) in SHIPPED {
            let Some(Choice::Shipped(profile)) = Choice::of(&settings(name)) else {
                panic!("{name} is shipped")
            };
            let mut settings = Settings::defaults(&KEYS);
            let warnings = profile.lay_over(&mut settings).unwrap();
            assert_eq!(warnings, []);
            assert!(profile.keys().len() >= 5, "{name}: {:?}", profile.keys());
            let around = Surroundings { home: Some("/".into()), host_name: "h".into(), cores: 2 };
            Config::from_settings(&settings, &around).expect(name);
        }
    }

    #[test]
    fn names_are_names_and_all_else_is_a_path() {
        assert_eq!(Choice::of(&settings("")), None);
        let path = Choice::File(PathBuf::from("conf/disk.properties"));
        assert_eq!(Choice::of(&settings("conf/disk.properties")), Some(path));
        assert_eq!(Choice::of(&settings("lateny")), Some(Choice::File(PathBuf::from("lateny"))));
    }

    #[test]
    fn another_key_is_refused_by_name_and_nothing_is_changed() {
        let profile =
            Profile::new("a.properties", "maxBatchBytes=2MiB\n\nflushDiskType=ASYNC_FLUSH\n");
        let mut settings = Settings::defaults(&KEYS);
        let error = profile.lay_over(&mut settings).unwrap_err().to_string();
        assert!(
            error.starts_with("a.properties:3: `flushDiskType` cannot be set in an I/O profile"),
            "{error}"
        );
        assert!(error.contains("flushMethod, maxBatchBytes, writesInFlight"), "{error}");
        assert!(!settings.is_set("maxBatchBytes"));
    }

    #[test]
    fn values_are_checked_and_unreadable_text_is_named() {
        let mut settings = Settings::defaults(&KEYS);
        for (text, message) in [
            (
                "flushMethod=FSYNC",
                "p:1: `flushMethod = FSYNC` is not possible; allowed: FDATASYNC or O_DSYNC",
            ),
            ("writesInFlight=3", "p:1: `writesInFlight = 3` is not possible; allowed: 1"),
            (
                "=1",
                "p: line 1: a value without a key; write `key = value`, or `#` in front of a comment",
            ),
        ] {
            let error = Profile::new("p", text).lay_over(&mut settings).unwrap_err();
            assert_eq!(error.to_string(), message);
        }
        assert_eq!(settings.one_of("flushMethod"), "FDATASYNC");
    }
}
