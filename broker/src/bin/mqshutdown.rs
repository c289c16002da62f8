//! `mqshutdown broker|namesrv`: stops the processes of this host in good order.

#![forbid(unsafe_code)]

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use runtime::process::{Process, find_processes, terminate};
use runtime::{Placement, Spec};

/// How long a process may take to stop.
const LIMIT: Duration = Duration::from_secs(60);
/// How often it is looked for meanwhile.
const LOOK: Duration = Duration::from_millis(100);

/// Stops brokers or NameServers of this host, in good order
#[derive(Parser)]
#[command(name = "mqshutdown", version)]
struct Args {
    /// What to stop
    what: What,

    /// Only the process of this id
    #[arg(long, value_name = "PID")]
    pid: Option<u32>,
}

#[derive(Clone, Copy, ValueEnum)]
enum What {
    /// Every mqbroker; also every standalone turbopump, which is broker and NameServer in one
    Broker,
    /// Every mqnamesrv
    Namesrv,
}

impl What {
    fn programs(self) -> &'static [&'static str] {
        match self {
            Self::Broker => &["mqbroker", "turbopump"],
            Self::Namesrv => &["mqnamesrv"],
        }
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    let programs = args.what.programs();
    let mut found = find_processes(programs);
    found.retain(|process| args.pid.is_none_or(|pid| process.pid == pid));
    if found.is_empty() {
        let which = args.pid.map(|pid| format!(" of process id {pid}")).unwrap_or_default();
        println!("no {}{which} is running on this host as this user", programs.join(" or "));
        return ExitCode::FAILURE;
    }
    let told: Vec<bool> = found.iter().map(tell).collect();
    let left = wait(programs, &found);
    for process in &found {
        if !left.contains(&process.pid) {
            println!("{} (process {}) has stopped", process.name, process.pid);
        }
    }
    for pid in &left {
        println!("process {pid} still runs after {LIMIT:?}; look into its log");
    }
    if left.is_empty() && told.iter().all(|told| *told) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Sends the wish to stop; false when that was not possible.
fn tell(process: &Process) -> bool {
    match terminate(process.pid) {
        Ok(()) => {
            println!("{} (process {}) is told to stop", process.name, process.pid);
            true
        }
        Err(error) => {
            println!("{error}");
            false
        }
    }
}

/// Waits until the processes are gone; those that are not after [`LIMIT`].
fn wait(programs: &'static [&'static str], found: &[Process]) -> Vec<u32> {
    let pids: Vec<u32> = found.iter().map(|process| process.pid).collect();
    let running = move || -> Vec<u32> {
        let alive = find_processes(programs).into_iter().map(|process| process.pid);
        alive.filter(|pid| pids.contains(pid)).collect()
    };
    let look_again = running.clone();
    let spec = Spec { name: "mqshutdown".to_owned(), placement: Placement::Any, busy_poll: None };
    let waited = runtime::start(spec, move || async move {
        let until = runtime::now() + LIMIT;
        let mut left = running();
        while !left.is_empty() && runtime::now() < until {
            runtime::sleep(LOOK).await;
            left = running();
        }
        left
    });
    match waited.map(runtime::Executor::join) {
        Ok(Ok(left)) => left,
        // Without an executor there is no clock: tell what is there now.
        Ok(Err(_)) | Err(_) => look_again(),
    }
}
