//! How long messages are kept, as configured.

use std::time::Duration;

use ::config::Settings;

use super::LoadError;

/// Hours of a day.
const HOURS: u8 = 24;

/// When old segments go, and when sends are refused for want of space. The three ratios may stand in any order: each
/// does what it says when it is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retention {
    /// How long messages are kept at least, unless space runs out (`fileReservedTime`).
    pub reserved: Duration,
    /// Hours of the day (0 to 23, local time) in which what is older goes, ascending, each once (`deleteWhen`).
    pub hours: Vec<u8>,
    /// Percent of the disk above which what is older goes at any hour (`diskMaxUsedSpaceRatio`).
    pub early_percent: u8,
    /// Percent of the disk above which the oldest goes even if it is not old enough (`diskSpaceCleanForciblyRatio`);
    /// only with [`Retention::forcibly`].
    pub forced_percent: u8,
    /// Percent of the disk above which sends are refused (`diskSpaceWarningLevelRatio`).
    pub full_percent: u8,
    /// Whether anything goes before its time (`cleanFileForciblyEnable`).
    pub forcibly: bool,
}

impl Retention {
    /// What the settings say.
    pub(super) fn of(settings: &Settings) -> Result<Self, LoadError> {
        let hours: u64 = settings.int("fileReservedTime");
        Ok(Self {
            reserved: Duration::from_secs(hours * 3600),
            hours: hours_of_day(settings)?,
            early_percent: settings.int("diskMaxUsedSpaceRatio"),
            forced_percent: settings.int("diskSpaceCleanForciblyRatio"),
            full_percent: settings.int("diskSpaceWarningLevelRatio"),
            forcibly: settings.bool("cleanFileForciblyEnable"),
        })
    }
}

fn hours_of_day(settings: &Settings) -> Result<Vec<u8>, LoadError> {
    let parsed = settings.list("deleteWhen").into_iter().map(str::parse::<u8>);
    let mut hours: Vec<u8> = parsed.collect::<Result<_, _>>().unwrap_or_default();
    if hours.is_empty() || hours.iter().any(|hour| *hour >= HOURS) {
        let allowed = "hours of the day from 00 to 23, several separated by `;`";
        return Err(settings.bad_value("deleteWhen", allowed).into());
    }
    hours.sort_unstable();
    hours.dedup();
    Ok(hours)
}
