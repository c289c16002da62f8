//! Who makes the faults: the operator's commands.

use std::future::Future;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use runtime::{Placement, Spec};

use crate::limits::{COMMAND_TIME, LOOK_EVERY};

/// The leader that is struck, and has been.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leader {
    /// Broker name.
    pub broker: String,
    /// Its address in the route.
    pub addr: String,
    /// Its process, if somebody told.
    pub pid: Option<u32>,
    /// The number of the fault, from 1.
    pub number: u32,
}

/// What is done to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// The fault.
    Fault,
    /// Its end.
    Heal,
}

/// Does what is to be done, and comes back when it is done. Errors are one line for the operator.
pub trait Operator {
    /// The process id of the leader, if it is wanted.
    fn pid_of(&self, leader: &Leader) -> impl Future<Output = Result<Option<u32>, String>>;

    /// Makes a fault, or ends it.
    fn act(&self, deed: Deed, leader: &Leader) -> impl Future<Output = Result<(), String>>;
}

/// Runs commands by `sh -c`, on this host.
#[derive(Clone, Debug)]
pub struct Shell {
    /// Makes the fault.
    pub fault: String,
    /// Ends it.
    pub heal: Option<String>,
    /// Prints a process id.
    pub pid_of: Option<String>,
}

impl Operator for Shell {
    async fn pid_of(&self, leader: &Leader) -> Result<Option<u32>, String> {
        let Some(line) = &self.pid_of else { return Ok(None) };
        let mut command = command(line, leader);
        // On a thread of its own: reading what it prints blocks.
        let spec = Spec { name: "pid-of".into(), placement: Placement::Any, busy_poll: None };
        let thread = runtime::start(spec, move || async move { command.output() });
        let thread = thread.map_err(|error| error.to_string())?;
        let failed = |what: String| format!("--pid-of for {}: {what}", leader.broker);
        let done = runtime::timeout(COMMAND_TIME, thread.finished()).await;
        let output = match done {
            Ok(Ok(Ok(output))) => output,
            Ok(Ok(Err(error))) => return Err(failed(error.to_string())),
            Ok(Err(error)) => return Err(failed(error.to_string())),
            Err(_) => return Err(failed(format!("not done after {COMMAND_TIME:?}"))),
        };
        judged(output.status).map_err(failed)?;
        let text = String::from_utf8_lossy(&output.stdout);
        let pid = text.trim().parse().ok().filter(|pid| *pid > 0);
        pid.map(Some).ok_or_else(|| failed(format!("printed {:?}, not a process id", text.trim())))
    }

    async fn act(&self, deed: Deed, leader: &Leader) -> Result<(), String> {
        let (flag, line) = match deed {
            Deed::Fault => ("--fault", &self.fault),
            Deed::Heal => match &self.heal {
                Some(heal) => ("--heal", heal),
                None => return Ok(()),
            },
        };
        let failed =
            |what: String| format!("{flag} number {} ({}): {what}", leader.number, leader.broker);
        let mut command = command(line, leader);
        // The standard output is the result's. What a heal leaves running keeps what it inherits.
        let child = command.stdout(std::io::stderr()).spawn();
        let child = child.map_err(|error| failed(error.to_string()))?;
        let status = ended(child, COMMAND_TIME).await.map_err(&failed)?;
        judged(status).map_err(failed)
    }
}

/// In a group of processes of its own, so that the terminal's Ctrl-C ends the run and not what a heal has started.
fn command(line: &str, leader: &Leader) -> Command {
    let mut command = Command::new("sh");
    command.arg("-c").arg(line).stdin(Stdio::null()).process_group(0);
    command.env("LEADER_BROKER", &leader.broker).env("LEADER_ADDR", &leader.addr);
    command.env("FAULT_NUMBER", leader.number.to_string()).env_remove("LEADER_PID");
    if let Some(pid) = leader.pid {
        command.env("LEADER_PID", pid.to_string());
    }
    command
}

/// How it ended; killed when it took longer than `limit`.
async fn ended(mut child: Child, limit: Duration) -> Result<ExitStatus, String> {
    let deadline = runtime::now() + limit;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status),
            Ok(None) if runtime::now() >= deadline => {
                // It is gone then, or goes: nobody waits for it.
                drop(child.kill());
                return Err(format!("not done after {limit:?}, killed"));
            }
            Ok(None) => runtime::sleep(LOOK_EVERY).await,
            Err(error) => return Err(error.to_string()),
        }
    }
}

fn judged(status: ExitStatus) -> Result<(), String> {
    if status.success() { Ok(()) } else { Err(format!("the command failed ({status})")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leader() -> Leader {
        Leader { broker: "b".into(), addr: "h:1".into(), pid: Some(17), number: 3 }
    }

    fn shell(fault: &str, heal: Option<&str>, pid_of: Option<&str>) -> Shell {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Shell { fault: fault.to_owned(), heal: owned(heal), pid_of: owned(pid_of) }
    }

    fn run<T>(future: impl Future<Output = T>) -> T {
        runtime::block_on("operator", future).expect("an executor")
    }

    #[test]
    fn a_command_is_told_whom_it_strikes() {
        let right = "test \"$LEADER_BROKER $LEADER_ADDR $LEADER_PID $FAULT_NUMBER\" = 'b h:1 17 3'";
        assert_eq!(run(shell(right, None, None).act(Deed::Fault, &leader())), Ok(()));
        let nobody = Leader { pid: None, ..leader() };
        let unset = "test -z \"${LEADER_PID+x}\"";
        assert_eq!(run(shell("false", Some(unset), None).act(Deed::Heal, &nobody)), Ok(()));
    }

    #[test]
    fn a_command_that_fails_is_named() {
        let error = run(shell("exit 7", None, None).act(Deed::Fault, &leader())).unwrap_err();
        assert!(error.contains("--fault number 3 (b)") && error.contains('7'), "{error}");
        assert_eq!(run(shell("exit 7", None, None).act(Deed::Heal, &leader())), Ok(()));
    }

    #[test]
    fn a_process_id_is_what_the_command_prints() {
        let pid = |line: &str| run(shell("", None, Some(line)).pid_of(&leader()));
        assert_eq!(pid("echo 4711"), Ok(Some(4711)));
        for (line, part) in [("echo none", "\"none\""), ("true", "\"\""), ("exit 3", "3")] {
            let error = pid(line).unwrap_err();
            assert!(error.contains("--pid-of for b") && error.contains(part), "{error}");
        }
        assert_eq!(run(shell("", None, None).pid_of(&leader())), Ok(None));
    }

    #[test]
    fn a_command_that_does_not_end_is_killed() {
        let slept = run(async {
            let child = command("exec sleep 600", &leader()).spawn().expect("sh");
            ended(child, Duration::from_millis(20)).await
        });
        assert!(slept.unwrap_err().contains("killed"));
    }
}
