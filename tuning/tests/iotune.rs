//! `mqtune iotune` as an operator runs it, on a temporary directory and for a moment only.

// Programs, files and time are what is tested here.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use broker::boot::{ConfigFile, load};
use broker::config::{FlushMethod, PROFILE_KEYS};

/// A directory that is removed when it is dropped.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Place {
        let dir = std::env::temp_dir().join(format!("mqtune-{name}-{}", std::process::id()));
        fs::create_dir_all(dir.join("disk")).unwrap();
        Place(dir)
    }

    fn disk(&self) -> PathBuf {
        self.0.join("disk")
    }

    fn profile(&self) -> PathBuf {
        self.0.join("p.properties")
    }

    /// The files on the disk that is measured.
    fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.disk()).unwrap();
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

fn iotune(place: &Place, seconds: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mqtune"));
    command.arg("iotune").arg(place.disk()).args(["--seconds-per-point", seconds]);
    command.args(["--size", "16MiB", "--out"]).arg(place.profile());
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

fn broker_config(profile: &Path) -> broker::boot::Loaded {
    let text = format!("ioProfile = {}\n", profile.display());
    let file = ConfigFile { path: PathBuf::from("broker.conf"), text };
    load(&[], Some(&file), &[]).expect("the broker loads what iotune wrote")
}

#[test]
fn a_short_run_measures_everything_and_writes_a_profile_that_the_broker_loads() {
    let place = Place::new("iotune");
    let output = iotune(&place, "0.01").output().expect("mqtune starts");
    let (report, complaints) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{complaints}");
    assert_eq!(place.files(), Vec::<String>::new(), "it cleans up");
    for part in ["idle", "busy", "4 KiB, reserved", "deleting", "Recommended", "flushMethod ="] {
        assert!(report.contains(part), "no `{part}` in:\n{report}");
    }

    let profile = fs::read_to_string(place.profile()).unwrap();
    assert!(profile.contains("# machine ") && profile.contains("p99.9"), "{profile}");
    let loaded = broker_config(&place.profile());
    assert_eq!(loaded.warnings, []);
    let keys = loaded.profile.as_ref().expect("it was named").keys();
    assert!(keys.len() >= 2 && keys.iter().all(|key| PROFILE_KEYS.contains(&key.as_str())));
    let config = loaded.config().expect("a broker starts with it");
    let dsync = profile.contains("\nflushMethod = O_DSYNC\n");
    let expected = if dsync { FlushMethod::Dsync } else { FlushMethod::Fdatasync };
    assert_eq!(config.io.flush_method, expected);

    // It is not written over.
    let again: Output = iotune(&place, "0.01").output().expect("mqtune starts");
    assert_eq!(again.status.code(), Some(1));
    assert!(text(&again.stderr).contains("--force"), "{}", text(&again.stderr));
    assert_eq!(fs::read_to_string(place.profile()).unwrap(), profile);
}

#[test]
fn ctrl_c_ends_it_soon_and_leaves_nothing() {
    let place = Place::new("stop");
    let mut running = iotune(&place, "30").stderr(Stdio::piped()).spawn().expect("mqtune starts");
    let deadline = Instant::now() + Duration::from_secs(20);
    while place.files().is_empty() {
        assert!(Instant::now() < deadline, "it makes a file");
        sleep(Duration::from_millis(10));
    }
    let kill = Command::new("kill").args(["-INT", &running.id().to_string()]).status();
    assert!(kill.expect("kill starts").success());
    let status = loop {
        if let Some(status) = running.try_wait().unwrap() {
            break status;
        }
        if Instant::now() > deadline {
            running.kill().unwrap();
            panic!("it does not end");
        }
        sleep(Duration::from_millis(10));
    };
    assert_eq!(status.code(), Some(130));
    assert_eq!(place.files(), Vec::<String>::new());
    assert!(!place.profile().exists(), "half a measurement is none");
}

#[test]
fn mistakes_are_named_before_anything_is_measured() {
    let place = Place::new("mistakes");
    let missing = place.0.join("missing");
    let mut command = Command::new(env!("CARGO_BIN_EXE_mqtune"));
    let output = command.arg("iotune").arg(&missing).args(["--out"]).arg(place.profile());
    let output = output.output().expect("mqtune starts");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("missing"), "{}", text(&output.stderr));
    for bad in [["--size", "1MiB"], ["--seconds-per-point", "0"]] {
        let mut command = iotune(&place, "0.01");
        let output = command.args(bad).output().expect("mqtune starts");
        assert_eq!(output.status.code(), Some(2), "{bad:?}");
    }
}
