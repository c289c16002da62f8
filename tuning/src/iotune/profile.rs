//! The profile: a properties file that a broker loads.

use std::fmt::Write as _;

use super::advice::Advice;
use super::plan::Plan;
use super::report::{Setting, report, settings};
use super::run::Measurements;
use crate::check::Facts;

const NEVER_FAILS: &str = "writing to a string cannot fail";
const DAY: u64 = 86_400;

/// What was measured on, in words.
#[derive(Clone, Debug)]
pub struct Machine {
    /// The host, its cores and its kernel.
    pub host: String,
    /// The file system and the disk.
    pub disk: String,
    /// Seconds since 1970.
    pub time: u64,
}

impl Machine {
    /// From what was seen of a machine, with the directory as its store.
    #[must_use]
    pub fn of(facts: &Facts, host_name: &str, unix_seconds: u64) -> Self {
        let unknown = "unknown";
        let release = facts.kernel.release.as_deref().unwrap_or(unknown);
        let host = format!("{host_name}, {} cores, Linux {release}", facts.cpu.allowed);
        let disk = facts.store.as_ref().map(|store| {
            let mount = store.mount.as_ref();
            let kind = mount.map_or(unknown, |mount| mount.kind.as_str());
            let device = store.device.as_ref().map(|device| match &device.model {
                Some(model) => format!("{} ({model})", device.name),
                None => device.name.clone(),
            });
            let device = device.unwrap_or_else(|_| format!("{unknown} device"));
            format!("{kind} on {device}, {}", store.dir.display())
        });
        Self { host, disk: disk.unwrap_or_else(|| unknown.to_owned()), time: unix_seconds }
    }
}

/// The text of the profile: the recommended keys, with everything that they rest on as comments.
#[must_use]
pub fn profile(machine: &Machine, plan: &Plan, measured: &Measurements, advice: &Advice) -> String {
    let mut out = String::from(
        "# I/O profile of Turbopump, written by `mqtune iotune`. Load it with `ioProfile = <this file>`.\n#\n",
    );
    let (date, seconds) = (date(machine.time), plan.point.as_secs_f64());
    for line in [
        format!("machine   {}", machine.host),
        format!("disk      {}", machine.disk),
        format!(
            "measured  {date} UTC, file of {} MiB, {seconds} s for each method and point",
            plan.size >> 20
        ),
    ] {
        comment(&mut out, &line);
    }
    out.push_str("#\n");
    for line in report(measured, advice).lines().take_while(|line| *line != "Recommended") {
        comment(&mut out, line);
    }
    for note in &advice.notes {
        comment(&mut out, note);
    }
    if let Some(why) = &advice.withheld {
        out.push('\n');
        comment(&mut out, why);
    }
    for Setting { line, why } in settings(advice) {
        if let Some(why) = why {
            out.push('\n');
            comment(&mut out, why);
        }
        if let Some((key, value)) = line {
            writeln!(out, "{key} = {value}").expect(NEVER_FAILS);
        }
    }
    out
}

/// One line of comment, whatever is in it.
fn comment(out: &mut String, line: &str) {
    let line: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    out.push_str(format!("# {line}").trim_end());
    out.push('\n');
}

/// `2026-11-21 05:33`, in UTC.
fn date(unix_seconds: u64) -> String {
    let (mut days, second) = (unix_seconds / DAY, unix_seconds % DAY);
    let leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let mut year = 1970;
    while days >= 365 + u64::from(leap(year)) {
        days -= 365 + u64::from(leap(year));
        year += 1;
    }
    let february = 28 + u64::from(leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    format!("{year}-{month:02}-{:02} {:02}:{:02}", days + 1, second / 3600, second / 60 % 60)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::advice::advise;
    use super::super::samples::Disk;
    use super::*;

    #[test]
    fn dates() {
        assert_eq!(date(0), "1970-01-01 00:00");
        assert_eq!(date(951_782_399), "2000-02-28 23:59");
        assert_eq!(date(951_782_400), "2000-02-29 00:00");
        assert_eq!(date(1_798_761_599), "2026-12-31 23:59");
        assert_eq!(date(4_107_542_400), "2100-03-01 00:00");
    }

    fn text(measured: &Measurements) -> String {
        let machine = Machine {
            host: "a\nlistenPort = 1".to_owned(),
            disk: "ext4 on vda".to_owned(),
            time: 1_800_000_000,
        };
        let plan = Plan { dir: "/d".into(), point: Duration::from_secs(1), size: 256 << 20 };
        profile(&machine, &plan, measured, &advise(measured))
    }

    #[test]
    fn a_busy_machine_and_few_writes_are_told_in_it() {
        let measured = Measurements { load: Some(1.5), ..Disk::default().of_writes(20) };
        let text = text(&measured);
        assert_eq!(text.matches("not idle").count(), 1, "{text}");
        assert!(text.contains("1.00?") && text.contains("of as few as 20 writes"), "{text}");
        assert!(text.contains("\nflushMethod = FDATASYNC\nwritesInFlight = 1\n"), "{text}");
    }

    #[test]
    fn all_but_the_keys_is_comment() {
        let measured = Disk::default().measurements();
        let text = text(&measured);
        let keys: Vec<&str> =
            text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
        assert_eq!(
            keys,
            ["flushMethod = FDATASYNC", "maxBatchBytes = 256KiB", "writesInFlight = 1"]
        );
        for part in ["2027-01-15", "ext4 on vda", "file of 256 MiB", "p99.9", "knee is at"] {
            assert!(text.contains(part), "no `{part}` in:\n{text}");
        }
    }
}
