//! Suite `standalone`: one program, no configuration file.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use tests::harness::check::Check;
use tests::harness::failure::{Failure, Verdict, expect};
use tests::harness::lab::{Client, Home, Lab};
use tests::harness::peer::Peer;
use tests::harness::ports;
use tests::harness::process::{self, Running, Signal};
use tests::harness::resident::resident_kib;
use tests::harness::servers::Maker;

const LIMIT: u64 = 240;
const RESIDENT_MAX_KIB: u64 = 256 * 1024;
const START_LIMIT: Duration = Duration::from_secs(30);
const STOP_LIMIT: Duration = Duration::from_secs(30);
/// What start-up needs and rest does not may be given back within this time.
const TO_REST: Duration = Duration::from_secs(3);
/// The line that ends what the program prints when it serves.
const READY: &str = "Ctrl-C stops it.";

/// The suite.
pub fn checks() -> Vec<Check> {
    let java = Client::Java550.part();
    vec![
        Check::new("standalone/serves", Maker::Ours, &[java], LIMIT, serves),
        Check::new("standalone/keeps", Maker::Ours, &[], LIMIT, keeps),
        Check::new("standalone/port-in-use", Maker::Ours, &[], LIMIT, port_in_use),
        Check::new("standalone/store-in-use", Maker::Ours, &[], LIMIT, store_in_use),
        Check::new("standalone/unknown-option", Maker::Ours, &[], LIMIT, unknown_option),
    ]
}

/// A directory and two ports.
struct Place {
    program: PathBuf,
    dir: PathBuf,
    broker: u16,
    namesrv: u16,
}

impl Place {
    fn new(lab: &mut Lab, name: &str) -> Verdict<Self> {
        let dir = lab.new_dir(name)?;
        let program = lab.shop.bin.join("turbopump");
        Ok(Self { program, dir, broker: ports::free(&[0]), namesrv: ports::free(&[0]) })
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--data").arg(self.dir.join("data"));
        command.args(["--listen-port", &self.broker.to_string()]);
        command.args(["--namesrv-port", &self.namesrv.to_string()]);
        // What the environment says about other clusters does not count.
        command.env("NAMESRV_ADDR", "192.0.2.1:9876").current_dir(&self.dir);
        command
    }

    fn start(&self, life: u32) -> Verdict<Running> {
        let log = self.dir.join(format!("turbopump-{life}.log"));
        let mut running = Running::start("turbopump", &mut self.command(), &log)?;
        let said = || Ok(fs::read_to_string(&log).unwrap_or_default().contains(READY));
        running.wait_until(READY, START_LIMIT, said)?;
        Ok(running)
    }

    /// Starts it where it cannot run: it ends by itself, with another code than 0 and one line about why.
    fn refused(&self, parts: &[&str]) -> Verdict {
        let seen = process::run("turbopump", &mut self.command(), &self.dir, START_LIMIT)?;
        let errors: Vec<&str> = seen.err.lines().filter(|line| !line.is_empty()).collect();
        expect(!seen.status.success(), || "it should not have started".to_owned())?;
        let clear = matches!(errors[..], [line] if parts.iter().all(|part| line.contains(part)));
        expect(clear, || format!("one line with {parts:?}; it said\n{}", seen.err))
    }

    fn clean(self, lab: &Lab) {
        if !lab.keep {
            drop(fs::remove_dir_all(&self.dir));
        }
    }
}

/// As Ctrl-C does; it must end with code 0.
fn interrupt(mut running: Running) -> Verdict {
    running.signal(Signal::Interrupt);
    let status = running.wait(STOP_LIMIT)?;
    let (program, output) = ("turbopump".to_owned(), running.tail());
    if status.success() { Ok(()) } else { Err(Failure::Exit { program, status, output }) }
}

/// A stock client sends and receives; what it takes at rest is bounded.
fn serves(lab: &mut Lab) -> Verdict {
    let place = Place::new(lab, "standalone-serves")?;
    let running = place.start(1)?;
    let log = running.log();
    for part in [place.broker.to_string(), place.namesrv.to_string(), data(&place.dir)] {
        expect(log.contains(&part), || format!("`{part}` is not in what it prints:\n{log}"))?;
    }
    thread::sleep(TO_REST);
    let resident = resident_kib(running.pid())?;
    println!("{resident} KiB resident at rest");
    expect(resident <= RESIDENT_MAX_KIB, || format!("{resident} KiB are resident at rest"))?;
    let home = Home {
        dir: place.dir.clone(),
        namesrv: format!("127.0.0.1:{}", place.namesrv),
        brokers: vec![format!("127.0.0.1:{}", place.broker)],
        inside: None,
    };
    let driven = lab.drive_at(&home, Client::Java550, "swap", "standalone", &[]);
    if driven.is_err() {
        println!("{}", running.tail());
    }
    driven?;
    interrupt(running)?;
    place.clean(lab);
    Ok(())
}

fn data(dir: &Path) -> String {
    dir.join("data").display().to_string()
}

/// The second start finds a clean store and every message.
fn keeps(lab: &mut Lab) -> Verdict {
    let place = Place::new(lab, "standalone-keeps")?;
    let running = place.start(1)?;
    let mut peer = Peer::connect(place.broker)?;
    peer.create_topic("kept", 2)?;
    for number in 0..10 {
        let accepted = peer.send("kept", 1, &[], format!("body {number}").as_bytes())?;
        expect(accepted.queue_offset == number, || format!("{accepted:?} for number {number}"))?;
    }
    interrupt(running)?;
    let running = place.start(2)?;
    let log = running.log();
    expect(log.contains("clean start"), || format!("`clean start` is not in:\n{log}"))?;
    let mut peer = Peer::connect(place.broker)?;
    for number in 0..10 {
        let body = peer.body_at("kept", 1, number)?;
        expect(body == format!("body {number}").as_bytes(), || format!("body {number}: {body:?}"))?;
    }
    let accepted = peer.send("kept", 1, &[], b"one more")?;
    expect(accepted.queue_offset == 10, || format!("{accepted:?} after ten"))?;
    interrupt(running)?;
    place.clean(lab);
    Ok(())
}

fn port_in_use(lab: &mut Lab) -> Verdict {
    let place = Place::new(lab, "standalone-port")?;
    let running = place.start(1)?;
    let mut other = Place::new(lab, "standalone-port-other")?;
    other.broker = place.broker;
    other.refused(&[&place.broker.to_string(), "in use"])?;
    other.broker = ports::free(&[0]);
    other.namesrv = place.namesrv;
    other.refused(&[&place.namesrv.to_string(), "in use"])?;
    interrupt(running)?;
    other.clean(lab);
    place.clean(lab);
    Ok(())
}

fn store_in_use(lab: &mut Lab) -> Verdict {
    let place = Place::new(lab, "standalone-store")?;
    let running = place.start(1)?;
    let mut other = Place::new(lab, "standalone-store-other")?;
    let own = std::mem::replace(&mut other.dir, place.dir.clone());
    other.refused(&[&data(&place.dir), &running.pid().to_string(), "in use"])?;
    other.dir = own;
    // The first one does not notice.
    Peer::connect(place.broker)?.create_topic("still-here", 1)?;
    interrupt(running)?;
    other.clean(lab);
    place.clean(lab);
    Ok(())
}

fn unknown_option(lab: &mut Lab) -> Verdict {
    let place = Place::new(lab, "standalone-option")?;
    let mut command = place.command();
    command.arg("--no-such-option");
    let seen = process::run("turbopump", &mut command, &place.dir, START_LIMIT)?;
    expect(!seen.status.success(), || "it should not have started".to_owned())?;
    let first = seen.err.lines().next().unwrap_or_default();
    expect(first.contains("--no-such-option"), || format!("the option by name:\n{}", seen.err))?;
    expect(!place.dir.join("data").exists(), || "it has made a store all the same".to_owned())?;
    place.clean(lab);
    Ok(())
}
