//! Values of flags. Errors say what is allowed; clap adds the flag and the value.

use std::time::Duration;

/// The longest hold.
const HOLD_MAX: u64 = 24 * 3600;

/// One `host:port`.
pub fn address(text: &str) -> Result<String, String> {
    if is_address(text) { Ok(text.to_owned()) } else { Err("give host:port".to_owned()) }
}

/// One or more `host:port`, separated by `;`.
pub fn addresses(text: &str) -> Result<String, String> {
    let mut all = text.split(';').filter(|item| !item.trim().is_empty()).peekable();
    let are_some = all.peek().is_some();
    if are_some && all.all(|item| is_address(item.trim())) {
        return Ok(text.to_owned());
    }
    Err("give host:port, or several separated by `;`".to_owned())
}

fn is_address(text: &str) -> bool {
    let parts = text.rsplit_once(':');
    parts.is_some_and(|(host, port)| {
        let port = port.parse::<u16>().is_ok_and(|port| port > 0);
        !host.is_empty() && !host.contains(';') && port
    })
}

/// Bytes a second.
pub fn rate(text: &str) -> Result<u64, String> {
    let units = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
    let unit = units.iter().find_map(|(unit, size)| Some((text.strip_suffix(unit)?, *size)));
    let (digits, unit) = unit.unwrap_or((text, 1));
    let bytes = digits.trim().parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
    bytes
        .filter(|bytes| (1..=i64::MAX.unsigned_abs()).contains(bytes))
        .ok_or_else(|| "give bytes a second, such as 1048576, 64MiB or 1GiB".to_owned())
}

/// A time: a number and `s`, `m` or `h`.
pub fn time(text: &str) -> Result<Duration, String> {
    let units = [('s', 1), ('m', 60), ('h', 3600)];
    let seconds = units.iter().find_map(|(unit, seconds)| {
        let number = text.strip_suffix(*unit)?.parse::<u64>().ok()?;
        number.checked_mul(*seconds).filter(|seconds| *seconds <= HOLD_MAX)
    });
    let seconds = seconds.ok_or("give up to 24h, such as 90s, 15m or 2h")?;
    Ok(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_what_they_say() {
        assert_eq!(rate("64MiB"), Ok(64 << 20));
        assert_eq!(rate("1048576"), Ok(1 << 20));
        for wrong in ["", "0", "-1", "MiB", "64M", "99999999999999999999"] {
            assert!(rate(wrong).is_err(), "{wrong}");
        }
        assert_eq!(time("2h"), Ok(Duration::from_secs(7200)));
        assert_eq!(time("0s"), Ok(Duration::ZERO));
        for wrong in ["", "15", "m", "25h", "-1s"] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
        assert!(addresses("a:1;b:2;").is_ok() && addresses("[::1]:10911").is_ok());
        for wrong in ["", ";", "a", "a:0", "a:70000", ":1"] {
            assert!(addresses(wrong).is_err() && address(wrong).is_err(), "{wrong}");
        }
        assert!(address("a:1;b:2").is_err());
    }
}
