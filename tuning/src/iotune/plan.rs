//! What is measured, where and for how long.

use std::path::PathBuf;
use std::time::Duration;

use super::error::IotuneError;
use crate::sys;

/// Bytes of the smallest and of the largest file to measure on.
const SIZES: std::ops::RangeInclusive<u64> = 16 << 20..=4 << 30;
/// Bounds of the time for a point.
const SECONDS: std::ops::RangeInclusive<f64> = 0.01..=60.0;
/// Files of the full size that lie on the disk at a time.
const FILES: u64 = 2;
/// Bytes that stay free.
const STAYS_FREE: u64 = 256 << 20;

/// What is measured, where and for how long.
#[derive(Clone, Debug)]
pub struct Plan {
    /// A directory on the disk.
    pub dir: PathBuf,
    /// Time for one method at one point.
    pub point: Duration,
    /// Bytes of the file to measure on.
    pub size: u64,
}

impl Plan {
    /// Refuses a place where there is no directory, or too little room.
    ///
    /// # Errors
    /// `NoDirectory` or `Space`.
    pub fn check_room(&self) -> Result<(), IotuneError> {
        let dir = self.dir.clone();
        let space = match std::fs::read_dir(&dir).and_then(|_| sys::space(&dir)) {
            Ok(space) => space,
            Err(source) => return Err(IotuneError::NoDirectory { dir, source }),
        };
        let needed = FILES * self.size + STAYS_FREE;
        if space.available < needed {
            let (available, needed) = (space.available >> 20, needed >> 20);
            return Err(IotuneError::Space { dir, available, needed });
        }
        Ok(())
    }
}

/// Seconds for a point, from an option.
///
/// # Errors
/// What is allowed.
pub fn parse_seconds(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(seconds) if SECONDS.contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err(format!("seconds from {} to {}", SECONDS.start(), SECONDS.end())),
    }
}

/// Size of the file, from an option: a multiple of 1 MiB.
///
/// # Errors
/// What is allowed.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let shift = match &text[digits.len()..] {
        "MiB" => 20,
        "GiB" => 30,
        _ => return Err("a size such as 256MiB or 1GiB".to_owned()),
    };
    let bytes = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(1 << shift));
    match bytes {
        Some(bytes) if SIZES.contains(&bytes) => Ok(bytes),
        _ => Err("16MiB to 4GiB".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read() {
        assert_eq!(parse_size("16MiB"), Ok(16 << 20));
        assert_eq!(parse_size("4GiB"), Ok(4 << 30));
        for bad in ["", "MiB", "15MiB", "5GiB", "64", "64MB", "99999999999999999999GiB"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
        assert_eq!(parse_seconds("0.5"), Ok(Duration::from_millis(500)));
        for bad in ["0", "-1", "NaN", "61", "x", "inf"] {
            assert!(parse_seconds(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_place_without_room_or_directory_is_refused() {
        let plan = |dir: PathBuf, size| Plan { dir, point: Duration::from_millis(10), size };
        let dir = std::env::temp_dir();
        // No disk has that much room.
        let error = plan(dir, 1 << 60).check_room().unwrap_err();
        assert!(matches!(error, IotuneError::Space { .. }), "{error}");
        let error = plan("/no/such/place".into(), 1 << 20).check_room().unwrap_err();
        assert!(matches!(error, IotuneError::NoDirectory { .. }), "{error}");
    }
}
