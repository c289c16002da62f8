//! The settings of a process: environment, file, options, in this order; the later ones win.

use std::path::{Path, PathBuf};

use ::config::{Settings, Source, Warning};
use runtime::IoError;
use thiserror::Error;

use crate::config::{Config, KEYS, LoadError, Surroundings, quiet_keys};
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
}

/// Puts the settings together: `defaults` of the program (name and value), then NAMESRV_ADDR of the environment, then the
/// file, then `options` (option, key and value).
///
/// # Errors
/// Values that cannot be.
pub fn load(
    defaults: &[(&'static str, String)],
    file: Option<&ConfigFile>,
    options: &[(&'static str, &'static str, String)],
) -> Result<Loaded, LoadError> {
    let mut settings = Settings::defaults(&KEYS);
    for (key, value) in defaults {
        settings.set(&Source::option("default of this program"), key, value)?;
    }
    if let Ok(addr) = std::env::var("NAMESRV_ADDR") {
        settings.set(&Source::environment("NAMESRV_ADDR"), "namesrvAddr", &addr)?;
    }
    let warnings = match file {
        Some(file) => {
            let source = Source::file(&file.path.display().to_string());
            settings.load(&source, file.text.as_bytes())?
        }
        None => Vec::new(),
    };
    for (option, key, value) in options {
        settings.set(&Source::option(option), key, value)?;
    }
    Ok(Loaded { settings, warnings })
}

impl Loaded {
    /// The warnings, and one line for all keys that do nothing and are set to Apache's default.
    pub fn log_warnings(&self) {
        for warning in &self.warnings {
            tracing::warn!("{warning}");
        }
        let quiet = quiet_keys(&self.settings);
        if !quiet.is_empty() {
            tracing::info!(
                "without effect here, and set to Apache's default: {}",
                quiet.join(", ")
            );
        }
        if !self.settings.is_set("flushDiskType") {
            tracing::info!(
                "flushDiskType is not set: ASYNC_FLUSH, as with Apache; SYNC_FLUSH answers when a message is durable"
            );
        }
    }

    /// The configuration that the settings describe on this machine.
    ///
    /// # Errors
    /// [`LoadError`] has a line for each reason.
    pub fn config(&self) -> Result<Config, LoadError> {
        let around = Surroundings {
            home: std::env::var_os("HOME").filter(|home| !home.is_empty()).map(PathBuf::from),
            host_name: runtime::process::host_name(),
        };
        Config::from_settings(&self.settings, &around)
    }
}
