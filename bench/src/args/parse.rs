//! Values of flags. Errors say what is allowed; clap adds the flag and the value.

use std::time::Duration;

use crate::args::Cores;
use crate::limits::{BODY_MAX, DURATION_MAX, DURATION_MIN};

/// One or more `host:port`, separated by `;`.
pub fn namesrv(text: &str) -> Result<String, String> {
    let is_address = |part: &str| {
        part.rsplit_once(':')
            .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
    };
    if text.split(';').all(is_address) {
        Ok(text.to_owned())
    } else {
        Err("give host:port, or several separated by `;`".into())
    }
}

/// A topic name as RocketMQ allows it.
pub fn topic(text: &str) -> Result<String, String> {
    model::topic::check_topic(text).map_err(|error| error.to_string())?;
    Ok(text.to_owned())
}

/// A group name as RocketMQ allows it.
pub fn group(text: &str) -> Result<String, String> {
    model::topic::check_group(text).map_err(|error| error.to_string())?;
    Ok(text.to_owned())
}

/// Bytes of a body.
pub fn size(text: &str) -> Result<usize, String> {
    let wrong = || format!("give 1 to {BODY_MAX} bytes, such as 1024, 4k or 1m");
    let lower = text.to_ascii_lowercase();
    let (digits, unit) = match lower.as_bytes().last() {
        Some(b'k') => (&lower[..lower.len() - 1], 1024),
        Some(b'm') => (&lower[..lower.len() - 1], 1024 * 1024),
        _ => (lower.as_str(), 1),
    };
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    let bytes = number.checked_mul(unit).filter(|bytes| (1..=BODY_MAX).contains(bytes));
    bytes.and_then(|bytes| usize::try_from(bytes).ok()).ok_or_else(wrong)
}

/// The time to measure.
pub fn run_time(text: &str) -> Result<Duration, String> {
    time(text, DURATION_MIN)
}

/// The time before.
pub fn warmup(text: &str) -> Result<Duration, String> {
    time(text, Duration::ZERO)
}

fn time(text: &str, min: Duration) -> Result<Duration, String> {
    let wrong = || {
        format!("give {min:?} to {} days, such as 30s, 500ms, 2m", DURATION_MAX.as_secs() / 86_400)
    };
    let units = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("", 1000)];
    let (digits, millis) = units
        .iter()
        .find_map(|(unit, millis)| text.strip_suffix(unit).map(|digits| (digits, *millis)))
        .ok_or_else(wrong)?;
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    let time = number.checked_mul(millis).map(Duration::from_millis);
    time.filter(|time| (min..=DURATION_MAX).contains(time)).ok_or_else(wrong)
}

/// A list of CPUs that this process may use.
pub fn cores(text: &str) -> Result<Cores, String> {
    let allowed: Vec<usize> =
        core_affinity::get_core_ids().unwrap_or_default().iter().map(|core| core.id).collect();
    let mut cores = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (core(first)?, core(last)?);
        if let Some(bad) = (first..=last).find(|core| !allowed.contains(core)) {
            return Err(format!("CPU {bad} is not among those this process may use, {allowed:?}"));
        }
        cores.extend(first..=last);
    }
    cores.sort_unstable();
    cores.dedup();
    if cores.is_empty() { Err("give CPUs, such as 1 or 0,2-3".into()) } else { Ok(Cores(cores)) }
}

fn core(text: &str) -> Result<usize, String> {
    text.trim().parse().map_err(|_| "give CPUs, such as 1 or 0,2-3".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_have_units() {
        assert_eq!((size("1"), size("4K"), size("4m")), (Ok(1), Ok(4096), Ok(4 << 20)));
        assert!(size("99999999999999999999").is_err() && size("k").is_err() && size("").is_err());
        let seconds = |n| Ok(Duration::from_secs(n));
        assert_eq!(
            (run_time("3"), run_time("3s"), run_time("2m")),
            (seconds(3), seconds(3), seconds(120))
        );
        assert_eq!((run_time("1h"), warmup("0")), (seconds(3600), seconds(0)));
        assert_eq!(run_time("250ms"), Ok(Duration::from_millis(250)));
        assert!(run_time("0s").is_err() && run_time("9999999h").is_err() && run_time("").is_err());
    }

    #[test]
    fn cores_are_sorted_and_unique() {
        let first = core_affinity::get_core_ids().unwrap()[0].id;
        let twice = format!("{first},{first}-{first}");
        assert_eq!(cores(&twice), Ok(Cores(vec![first])));
        assert!(cores("").is_err() && cores("x").is_err());
        assert!(cores("5-1").is_err(), "an empty range names no CPU");
    }
}
