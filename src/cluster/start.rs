//! `cluster start`.

use std::time::Duration;

use admin::{Screen, Terminal};
use config::{Settings, Source};
use runtime::process::StopSignals;

use super::home::Home;
use super::layout::{KEYS, Layout, OPTIONS, Process};
use super::state::{self, Standing};
use super::{ClusterError, ports, processes};

/// How long a cluster may take until it is complete.
const LIMIT: Duration = Duration::from_secs(60);
/// How long those that were started for nothing may take to stop.
const STOP_LIMIT: Duration = Duration::from_secs(30);
/// How often its state is asked meanwhile.
const ASK: Duration = Duration::from_millis(200);

/// Starts what does not run, and returns when every group has a leader and all its members.
pub(super) async fn run(home: &Home, given: &[(&'static str, &str)]) -> Result<(), ClusterError> {
    let asked = settings(given)?;
    runtime::fs::create_dir_all(home.dir()).await?;
    let lock = runtime::fs::lock_exclusive(home.lock()).await?;
    let options: Vec<&'static str> = given.iter().map(|(option, _)| *option).collect();
    let layout = home.settle(&asked, &options)?;
    let screen = Terminal::default();
    let started = start_missing(home, &layout, &screen).await?;
    let signals = runtime::process::stop_signals()?;
    let waited = wait(home, &layout, signals).await;
    if let Err(ClusterError::Ended { .. } | ClusterError::Interrupted) = waited {
        processes::stop(home, &started, STOP_LIMIT).await?;
        processes::forget(home, &started).await?;
    }
    let standing = waited?;
    drop(lock);
    screen.line(&standing.text(home, &layout));
    screen.line(&format!("\n{}", hints(home, &layout, &standing)?));
    Ok(())
}

/// The options over the defaults.
fn settings(given: &[(&'static str, &str)]) -> Result<Settings, ClusterError> {
    let mut settings = Settings::defaults(&KEYS);
    for (option, value) in given {
        let (_, key) = OPTIONS.iter().find(|(name, _)| name == option).expect("one of these");
        settings.set(&Source::option(option), key, value)?;
    }
    Ok(settings)
}

/// Starts those that do not run, NameServers first. If one cannot be started, those before it are stopped again.
async fn start_missing(
    home: &Home,
    layout: &Layout,
    screen: &Terminal,
) -> Result<Vec<Process>, ClusterError> {
    let all = layout.processes();
    let running = processes::running(home, &all);
    let missing = all.iter().zip(&running).filter(|(_, pid)| pid.is_none());
    let missing: Vec<&Process> = missing.map(|(one, _)| one).collect();
    ports::check(&missing).await?;
    // Whoever is told that a port is taken may still choose another.
    home.keep(layout)?;
    let mut started = Vec::new();
    for one in missing {
        let done = home.configure(layout, one).and_then(|()| processes::start(home, one));
        match done {
            Ok(pid) => screen.line(&format!("{} is started: process {pid}", one.name)),
            Err(error) => {
                processes::stop(home, &started, STOP_LIMIT).await?;
                processes::forget(home, &started).await?;
                return Err(error);
            }
        }
        started.push(one.clone());
    }
    if started.is_empty() {
        screen.line("all processes run already");
    }
    Ok(started)
}

/// Waits until the cluster is complete; what it is like then.
async fn wait(
    home: &Home,
    layout: &Layout,
    mut signals: StopSignals,
) -> Result<Standing, ClusterError> {
    let until = runtime::now() + LIMIT;
    let mut missed = None;
    loop {
        let standing = state::ask(home, layout).await;
        // One that begins has not told the kernel its arguments yet: missing is who is not there twice.
        let missing = standing.missing().cloned();
        if let Some(one) = missing.as_ref().filter(|_| missed == missing) {
            let (name, words) = (one.name.clone(), home.last_words(one));
            return Err(ClusterError::Ended { name, words, log: home.log(one) });
        }
        missed = missing;
        if standing.is_complete() {
            return Ok(standing);
        }
        if runtime::now() >= until {
            let (seconds, dir) = (LIMIT.as_secs(), home.dir().to_owned());
            return Err(ClusterError::Late { seconds, dir });
        }
        if let Ok(Some(_)) = runtime::timeout(ASK, signals.next()).await {
            return Err(ClusterError::Interrupted);
        }
    }
}

/// What to try.
fn hints(home: &Home, layout: &Layout, standing: &Standing) -> Result<String, ClusterError> {
    let (namesrv, dir) = (layout.namesrv_addr(), home.dir().display());
    let program = runtime::process::own_program()?;
    let program = program.display();
    let leader = standing.a_leader().map_or_else(|| "PID".to_owned(), |pid| pid.to_string());
    Ok(format!(
        "Any RocketMQ client works with the NameServer address {namesrv}, and so does Apache's mqadmin:\n\
         \x20 mqadmin clusterList -n '{namesrv}'\n\
         Kill a leader, and see who leads now; start brings back what was killed:\n\
         \x20 kill -9 {leader}\n\
         \x20 {program} cluster status --data '{dir}'\n\
         \x20 {program} cluster start --data '{dir}'\n\
         Or have leaders killed while messages are sent, and hear how long none was acknowledged, and that none is lost:\n\
         \x20 cargo run --release -p bench -- failover -n '{namesrv}' -t try --members 3 --times 3 \\\n\
         \x20   --fault 'kill -9 $(cat \"{dir}/pids/${{LEADER_ADDR##*:}}\")' \\\n\
         \x20   --heal '{program} cluster start --data \"{dir}\"'\n\
         It is stopped by\n\
         \x20 {program} cluster stop --data '{dir}'"
    ))
}
