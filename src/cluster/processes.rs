//! The processes of a cluster: who runs, and how one is started and told to stop.

use std::ffi::OsString;
use std::time::Duration;

use runtime::process::{self, Detached};

use super::ClusterError;
use super::home::Home;
use super::layout::Process;
use crate::member::Role;

/// How often it is looked whether somebody still runs.
pub const LOOK: Duration = Duration::from_millis(50);

/// The process ids of these processes of the cluster, in their order; `None` for one that does not run.
///
/// Asked is the kernel, and not the files: an id may have been given to another program since. Ours is a process that runs this
/// program, as a member, with the very configuration.
pub fn running(home: &Home, processes: &[Process]) -> Vec<Option<u32>> {
    let name = process::own_program().ok();
    let name = name.as_ref().and_then(|path| path.file_name()?.to_str()).unwrap_or("turbopump");
    let alive = process::find_processes(&[name]);
    let pid_of = |one: &Process| {
        let wanted = arguments(home, one);
        let is_it = |alive: &&process::Process| {
            alive.args.iter().skip(1).map(OsString::from).eq(wanted.iter().cloned())
        };
        alive.iter().find(is_it).map(|alive| alive.pid)
    };
    processes.iter().map(pid_of).collect()
}

/// What a process is started with.
fn arguments(home: &Home, one: &Process) -> Vec<OsString> {
    vec!["member".into(), one.role.word().into(), "-c".into(), home.conf(one).into()]
}

/// Starts one; its process id. Brokers of a group get different cores, as far as there are some: each has one core that it
/// works on.
///
/// # Errors
/// What the system says.
pub fn start(home: &Home, one: &Process) -> Result<u32, ClusterError> {
    let cores = runtime::allowed_cores();
    let core =
        (one.role == Role::Broker).then(|| cores[usize::from(one.group + one.node) % cores.len()]);
    let started = Detached {
        program: process::own_program()?,
        args: arguments(home, one),
        log: home.log(one),
        core,
    };
    let pid = started.start()?;
    process::write_config_file(home.pid(one), &format!("{pid}\n"))?;
    Ok(pid)
}

/// Tells those of the cluster that run to stop, one that is paused too, and waits until they have, for `limit` at most. The files
/// with the ids of those that have stopped are removed.
///
/// # Errors
/// Those that have not; a process that may not be signalled.
pub async fn stop(home: &Home, processes: &[Process], limit: Duration) -> Result<(), ClusterError> {
    for pid in running(home, processes).into_iter().flatten() {
        for signalled in [process::terminate(pid), process::resume(pid)] {
            match signalled {
                // It has ended meanwhile.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                signalled => signalled?,
            }
        }
    }
    let until = runtime::now() + limit;
    let mut pids = running(home, processes);
    while pids.iter().any(Option::is_some) && runtime::now() < until {
        runtime::sleep(LOOK).await;
        pids = running(home, processes);
    }
    let mut left = Vec::new();
    for (one, pid) in processes.iter().zip(pids) {
        match pid {
            Some(pid) => left.push(format!("{} ({pid})", one.name)),
            None => forget(home, one).await?,
        }
    }
    if left.is_empty() {
        return Ok(());
    }
    let (names, dir) = (left.join(", "), home.dir().to_owned());
    Err(ClusterError::RunOn { names, after: limit, dir })
}

/// Removes the file with the id of one that has stopped.
async fn forget(home: &Home, one: &Process) -> Result<(), ClusterError> {
    match runtime::fs::remove_file(home.pid(one)).await {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        removed => Ok(removed?),
    }
}

#[cfg(test)]
#[path = "processes_tests.rs"]
mod tests;
