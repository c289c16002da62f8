//! Suite `kill9`: the broker is killed again and again while clients send; nothing it acknowledged is lost.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use tests::harness::check::Check;
use tests::harness::cluster::Spec;
use tests::harness::failure::{Failure, Trying, Verdict};
use tests::harness::lab::{Client, Home, Lab};
use tests::harness::process::Running;
use tests::harness::servers::Maker;

const KILLS: u32 = 20;
const LIMIT: u64 = 480;
/// Messages that must have been acknowledged since the last kill before the next one.
const ACKNOWLEDGED_AT_LEAST: usize = 20;
const PROGRESS_LIMIT: Duration = Duration::from_secs(45);
const END_LIMIT: Duration = Duration::from_secs(30);

/// The suite.
pub fn checks(against: Maker) -> Vec<Check> {
    let part = Client::Java550.part();
    let name = format!("kill9/{KILLS}-times");
    vec![Check::new(name, against, &[part], LIMIT, move |lab| kills(lab, against))]
}

fn kills(lab: &mut Lab, against: Maker) -> Verdict {
    let spec = Spec::of(against);
    // A store of its own: what it holds afterwards comes from this check alone.
    lab.end_cluster()?;
    let dir = lab.cluster(spec)?.dir.clone();
    let (receipts, log) = (dir.join("receipts"), dir.join("sendloop.log"));
    let home = Home::of(lab.cluster(spec)?);
    let mut command = lab.driver(&home, Client::Java550, "sendloop", "kill9");
    command.arg("deadline=600");
    let (mut sender, input) = Running::start_talking("sendloop", &mut command, &receipts, &log)?;
    let count =
        || fs::read(&receipts).map_or(0, |text| text.iter().filter(|b| **b == b'\n').count());
    let mut before = 0;
    for kill in 0..KILLS {
        sender.wait_until("acknowledged messages after a restart", PROGRESS_LIMIT, || {
            Ok(count() >= before + ACKNOWLEDGED_AT_LEAST)
        })?;
        // Not always at the same point of what the broker does.
        thread::sleep(Duration::from_millis(u64::from(kill * 37 % 150)));
        let cluster = lab.cluster(spec)?;
        cluster.kill_broker(0);
        before = count();
        cluster.start_brokers()?;
    }
    sender.wait_until("acknowledged messages at the end", PROGRESS_LIMIT, || {
        Ok(count() >= before + ACKNOWLEDGED_AT_LEAST)
    })?;
    drop(input);
    let status = sender.wait(END_LIMIT)?;
    if !status.success() {
        let output = sender.tail();
        return Err(Failure::Exit { program: "sendloop".to_owned(), status, output });
    }
    let began = Instant::now();
    let file = format!("file={}", receipts.display());
    lab.drive(Client::Java550, "verify", "kill9", &[&file])?;
    let note =
        format!("{} acknowledged, verified in {:.1} s\n", count(), began.elapsed().as_secs_f64());
    print!("{note}");
    fs::write(dir.join("kill9.txt"), note).trying("a note")
}
