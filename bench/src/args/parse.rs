//! Values of flags. Errors say what is allowed; clap adds the flag and the value.

use std::time::Duration;

use crate::args::{Cores, Pids};
use crate::limits::{
    BAR_MIN, BLOCK, BODY_MAX, DURATION_MAX, DURATION_MIN, PROBE_TIMEOUT_MAX, PROBE_TIMEOUT_MIN,
    SPAN_MAX, WRITE_MAX,
};

/// One or more `host:port`, separated by `;`.
pub fn namesrv(text: &str) -> Result<String, String> {
    if text.split(';').all(is_address) {
        Ok(text.to_owned())
    } else {
        Err("give host:port, or several separated by `;`".into())
    }
}

/// One `host:port`.
pub fn address(text: &str) -> Result<String, String> {
    if is_address(text) && !text.contains(';') {
        Ok(text.to_owned())
    } else {
        Err("give host:port".into())
    }
}

fn is_address(text: &str) -> bool {
    text.rsplit_once(':')
        .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
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

/// A number with a unit: nothing, `k`, `m` or `g`.
fn amount(text: &str) -> Option<u64> {
    let lower = text.to_ascii_lowercase();
    let (digits, unit) = match lower.as_bytes().last()? {
        b'k' => (&lower[..lower.len() - 1], 1 << 10),
        b'm' => (&lower[..lower.len() - 1], 1 << 20),
        b'g' => (&lower[..lower.len() - 1], 1 << 30),
        _ => (lower.as_str(), 1),
    };
    digits.parse::<u64>().ok()?.checked_mul(unit)
}

/// Bytes of a body.
pub fn size(text: &str) -> Result<usize, String> {
    let bytes = amount(text).filter(|bytes| (1..=BODY_MAX).contains(bytes));
    bytes
        .and_then(|bytes| usize::try_from(bytes).ok())
        .ok_or_else(|| format!("give 1 to {BODY_MAX} bytes, such as 1024, 4k or 1m"))
}

/// Any number of bytes.
pub fn bytes(text: &str) -> Result<u64, String> {
    amount(text).ok_or_else(|| "give bytes, such as 4096, 64m or 5g".to_owned())
}

/// Bytes of a direct write.
pub fn blocks(text: &str) -> Result<usize, String> {
    let bytes = amount(text).and_then(|bytes| usize::try_from(bytes).ok());
    bytes
        .filter(|bytes| (BLOCK..=WRITE_MAX).contains(bytes) && bytes.is_multiple_of(BLOCK))
        .ok_or_else(|| format!("give a multiple of {BLOCK} up to {WRITE_MAX} bytes, such as 4k"))
}

/// Bytes of the file that is written to.
pub fn span(text: &str) -> Result<u64, String> {
    let least = u64::try_from(WRITE_MAX).expect("a small number");
    let bytes = amount(text).filter(|bytes| (least..=SPAN_MAX).contains(bytes));
    bytes.ok_or_else(|| format!("give {least} to {SPAN_MAX} bytes, such as 64m"))
}

/// A list of process ids.
pub fn pids(text: &str) -> Result<Pids, String> {
    let wrong = || "give process ids, such as 17 or 17,18".to_owned();
    let pids: Result<Vec<u32>, _> = text.split(',').map(|pid| pid.trim().parse()).collect();
    let pids = pids.map_err(|_| wrong())?;
    if pids.contains(&0) { Err(wrong()) } else { Ok(Pids(pids)) }
}

/// A command for the shell.
pub fn command(text: &str) -> Result<String, String> {
    if text.trim().is_empty() || text.contains('\0') {
        return Err("give a command for sh, such as 'kill -9 $LEADER_PID'".into());
    }
    Ok(text.to_owned())
}

/// The time to measure.
pub fn run_time(text: &str) -> Result<Duration, String> {
    long_time(text, DURATION_MIN)
}

/// The time before.
pub fn warmup(text: &str) -> Result<Duration, String> {
    long_time(text, Duration::ZERO)
}

/// The time that a probe has.
pub fn probe_timeout(text: &str) -> Result<Duration, String> {
    let wrong =
        || format!("give {PROBE_TIMEOUT_MIN:?} to {PROBE_TIMEOUT_MAX:?}, such as 100ms or 1s");
    time(text, PROBE_TIMEOUT_MIN, PROBE_TIMEOUT_MAX).ok_or_else(wrong)
}

/// The longest that something measured may be.
pub fn bar(text: &str) -> Result<Duration, String> {
    long_time(text, BAR_MIN)
}

fn long_time(text: &str, min: Duration) -> Result<Duration, String> {
    let wrong = || {
        format!("give {min:?} to {} days, such as 30s, 500ms, 2m", DURATION_MAX.as_secs() / 86_400)
    };
    time(text, min, DURATION_MAX).ok_or_else(wrong)
}

fn time(text: &str, min: Duration, max: Duration) -> Option<Duration> {
    let units = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("", 1000)];
    let (digits, millis) = units
        .iter()
        .find_map(|(unit, millis)| text.strip_suffix(unit).map(|digits| (digits, *millis)))?;
    let number: u64 = digits.parse().ok()?;
    let time = number.checked_mul(millis).map(Duration::from_millis);
    time.filter(|time| (min..=max).contains(time))
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
    fn a_probe_has_less_time_than_a_run() {
        assert_eq!(probe_timeout("100ms"), Ok(Duration::from_millis(100)));
        assert_eq!(probe_timeout("10s"), Ok(Duration::from_secs(10)));
        assert!(probe_timeout("0ms").is_err() && probe_timeout("11s").is_err());
        assert_eq!(command("kill -9 $LEADER_PID").as_deref(), Ok("kill -9 $LEADER_PID"));
        assert!(command(" ").is_err() && command("a\0b").is_err());
    }

    #[test]
    fn files_and_writes_have_bounds() {
        assert_eq!((bytes("5g"), bytes("0")), (Ok(5 << 30), Ok(0)));
        assert_eq!((blocks("4k"), blocks("64k")), (Ok(4096), Ok(65_536)));
        assert!(blocks("4097").is_err() && blocks("0").is_err() && blocks("1g").is_err());
        assert_eq!(span("64m"), Ok(64 << 20));
        assert!(span("4k").is_err() && span("9999g").is_err() && bytes("g").is_err());
        assert_eq!(pids("17, 18"), Ok(Pids(vec![17, 18])));
        assert!(pids("0").is_err() && pids("a").is_err() && pids("").is_err());
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
