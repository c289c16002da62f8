//! The settings of a process: I/O profile, environment, file, options, in this order; the later ones win.

use std::path::{Path, PathBuf};

use ::config::{Place, Settings, Source, Warning};
use runtime::IoError;
use thiserror::Error;

use crate::config::{
    Choice, Config, KEYS, LoadError, Profile, ProfileError, SHARDS_AUTO, Surroundings, advice,
    quiet_keys,
};
use crate::limits::MAX_CONFIG_FILE;

/// A configuration file that was read.
#[derive(Clone, Debug)]
pub struct ConfigFile {
    /// The path as the operator gave it.
    pub path: PathBuf,
    /// The text.
    pub text: String,
}

impl ConfigFile {
    /// Reads it.
    ///
    /// # Errors
    /// It is not there, cannot be read, or is too long.
    pub fn read(path: &Path) -> Result<Self, FileError> {
        let text = runtime::process::read_config_file(path, MAX_CONFIG_FILE)?;
        Ok(Self { path: path.to_owned(), text })
    }
}

/// The configuration file cannot be read.
#[derive(Debug, Error)]
#[error("the configuration file: {0}")]
pub struct FileError(#[from] IoError);

/// Settings, and what an operator should hear of them.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The settings.
    pub settings: Settings,
    /// One log line each.
    pub warnings: Vec<Warning>,
    /// The I/O profile among them.
    pub profile: Option<Profile>,
}

/// Puts the settings together: `defaults` of the program (name and value), then the I/O profile, then NAMESRV_ADDR of
/// the environment, then the file, then `options` (option, key and value). Which profile, the others say. Reads the
/// profile's file: before executors are started only.
///
/// # Errors
/// Values that cannot be; a profile that cannot be used.
pub fn load(
    defaults: &[(&'static str, String)],
    file: Option<&ConfigFile>,
    options: &[(&'static str, &'static str, String)],
) -> Result<Loaded, LoadError> {
    let loaded = layers(defaults, None, file, options)?;
    let profile = match Choice::of(&loaded.settings) {
        None => return Ok(loaded),
        Some(Choice::Shipped(profile)) => profile,
        Some(Choice::File(path)) => {
            let path = beside_the_file(&loaded.settings, file, path);
            let place = loaded.settings.place("ioProfile").clone();
            let no_file = |source| ProfileError::File { place, source };
            let text = runtime::process::read_config_file(&path, MAX_CONFIG_FILE);
            Profile::new(&path.display().to_string(), &text.map_err(no_file)?)
        }
    };
    layers(defaults, Some(profile), file, options)
}

/// A relative path in the configuration file is relative to its folder: the file means the same wherever the broker is
/// started. Anywhere else it is relative to the working directory.
fn beside_the_file(settings: &Settings, file: Option<&ConfigFile>, path: PathBuf) -> PathBuf {
    match (settings.place("ioProfile"), file.and_then(|file| file.path.parent())) {
        (Place::Line(..), Some(folder)) => folder.join(path),
        _ => path,
    }
}

fn layers(
    defaults: &[(&'static str, String)],
    profile: Option<Profile>,
    file: Option<&ConfigFile>,
    options: &[(&'static str, &'static str, String)],
) -> Result<Loaded, LoadError> {
    let mut settings = Settings::defaults(&KEYS);
    for (key, value) in defaults {
        settings.set(&Source::option("default of this program"), key, value)?;
    }
    let mut warnings = Vec::new();
    if let Some(profile) = &profile {
        warnings.extend(profile.lay_over(&mut settings)?);
    }
    if let Ok(addr) = std::env::var("NAMESRV_ADDR") {
        settings.set(&Source::environment("NAMESRV_ADDR"), "namesrvAddr", &addr)?;
    }
    if let Some(file) = file {
        let source = Source::file(&file.path.display().to_string());
        warnings.extend(settings.load(&source, file.text.as_bytes())?);
    }
    for (option, key, value) in options {
        settings.set(&Source::option(option), key, value)?;
    }
    Ok(Loaded { settings, warnings, profile })
}

impl Loaded {
    /// The profile, the warnings, and one line for all keys that do nothing and are set to Apache's default.
    pub fn log_warnings(&self) {
        for line in self.profile_lines() {
            tracing::info!("{line}");
        }
        for warning in &self.warnings {
            tracing::warn!("{warning}");
        }
        for line in advice(&self.settings) {
            tracing::warn!("{line}");
        }
        let quiet = quiet_keys(&self.settings);
        if !quiet.is_empty() {
            tracing::info!(
                "without effect here, and set to Apache's default: {}",
                quiet.join(", ")
            );
        }
        if !self.settings.is_set("flushDiskType") {
            tracing::info!("flushDiskType is not set: {}", self.flush_by_default());
        }
    }

    /// What `flushDiskType` is where nobody sets it.
    fn flush_by_default(&self) -> &'static str {
        match self.settings.bool("enableDLegerCommitLog") {
            false => "ASYNC_FLUSH, as with Apache; SYNC_FLUSH answers when a message is durable",
            true => {
                "SYNC_FLUSH, as always in a Raft group: a send is answered when a majority has the message on its disks"
            }
        }
    }

    /// Which profile was loaded, which keys came from it, and which of its keys another layer has won.
    fn profile_lines(&self) -> Vec<String> {
        let Some(profile) = &self.profile else { return Vec::new() };
        let (mut taken, mut lost) = (Vec::new(), Vec::new());
        for key in profile.keys() {
            match self.settings.place(&key) {
                Place::Line(source, _) if source.to_string() == profile.name() => {
                    taken.push(format!("{key} = {}", self.settings.text(&key)));
                }
                place => lost.push(format!("{key} ({place})")),
            }
        }
        let none = |keys: Vec<String>| {
            if keys.is_empty() { "nothing".to_owned() } else { keys.join(", ") }
        };
        let mut lines = vec![format!("I/O {}: sets {}", profile.name(), none(taken))];
        if !lost.is_empty() {
            lines.push(format!("I/O {}: set elsewhere: {}", profile.name(), lost.join(", ")));
        }
        lines
    }

    /// The configuration that the settings describe on this machine. Logs what `shards = auto` came to.
    ///
    /// # Errors
    /// [`LoadError`] has a line for each reason.
    pub fn config(&self) -> Result<Config, LoadError> {
        let allowed = runtime::allowed_cores();
        let cores = u32::try_from(allowed.len()).expect("a machine has fewer cores");
        let around = Surroundings {
            home: std::env::var_os("HOME").filter(|home| !home.is_empty()).map(PathBuf::from),
            host_name: runtime::process::host_name(),
            cores,
        };
        let config = Config::from_settings(&self.settings, &around)?;
        if self.settings.text("shards").eq_ignore_ascii_case(SHARDS_AUTO) {
            tracing::info!(
                shards = config.shards, cores = ?allowed,
                "shards = auto: one shard on each core that this process may use"
            );
        }
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> ConfigFile {
        ConfigFile { path: PathBuf::from("broker.conf"), text: text.to_owned() }
    }

    #[test]
    fn a_profile_lies_below_the_file_and_above_the_defaults() {
        let defaults = [("tailBudget", "32MiB".to_owned()), ("maxMessageSize", "1MiB".to_owned())];
        let file = file("ioProfile=latency\nblockCacheSize=16MiB\n");
        let options = [("-x", "busyPollMicros", "2".to_owned())];
        let loaded = load(&defaults, Some(&file), &options).unwrap();
        let text = |key| loaded.settings.text(key);
        assert_eq!(loaded.warnings, []);
        assert_eq!((text("tailBudget"), text("maxMessageSize")), ("64MiB", "1MiB"));
        assert_eq!((text("maxBatchBytes"), text("blockCacheSize")), ("256KiB", "16MiB"));
        assert_eq!(text("busyPollMicros"), "2");
        assert_eq!(
            loaded.profile_lines(),
            [
                "I/O profile latency: sets flushMethod = FDATASYNC, maxBatchBytes = 256KiB, tailBudget = 64MiB",
                "I/O profile latency: set elsewhere: busyPollMicros (option -x), blockCacheSize (broker.conf:2)",
            ]
        );
        let config = loaded.config().unwrap();
        assert_eq!(config.io.max_batch, 256 << 10);
        assert_eq!(config.io.busy_poll, std::time::Duration::from_micros(2));
    }

    #[test]
    fn without_a_profile_there_is_none() {
        let loaded = load(&[], Some(&file("maxBatchBytes=64KiB\n")), &[]).unwrap();
        assert_eq!(loaded.profile, None);
        assert_eq!(loaded.profile_lines(), Vec::<String>::new());
    }

    #[test]
    fn a_profile_that_is_not_there_names_those_that_are() {
        let error = load(&[], Some(&file("ioProfile=lateny\n")), &[]).unwrap_err().to_string();
        assert!(error.starts_with("broker.conf:1: ioProfile: "), "{error}");
        assert!(error.contains("lateny"), "{error}");
        assert!(error.ends_with("one of the names latency, throughput, dev"), "{error}");
    }

    #[test]
    fn a_profile_is_looked_for_beside_the_file_that_names_it() {
        let at = |path: &str| ConfigFile {
            path: PathBuf::from(path),
            text: "ioProfile = disk.properties\n".to_owned(),
        };
        let missing = |file: &ConfigFile| load(&[], Some(file), &[]).unwrap_err().to_string();
        let error = missing(&at("/no/such/broker.conf"));
        assert!(error.starts_with("/no/such/broker.conf:1: ioProfile: "), "{error}");
        assert!(error.contains("/no/such/disk.properties"), "{error}");
        assert!(!missing(&at("broker.conf")).contains("/disk.properties"), "there is no folder");
        let options = [("--io-profile", "ioProfile", "disk.properties".to_owned())];
        let error = load(&[], Some(&at("/no/such/broker.conf")), &options).unwrap_err();
        assert!(!error.to_string().contains("/no/such"), "{error}");
        assert!(error.to_string().starts_with("option --io-profile: ioProfile: "), "{error}");
    }

    #[test]
    fn auto_is_a_shard_for_each_core() {
        let loaded = load(&[], Some(&file("shards = AUTO\n")), &[]).unwrap();
        let shards = loaded.config().unwrap().shards as usize;
        assert_eq!(shards, runtime::allowed_cores().len());
    }
}
