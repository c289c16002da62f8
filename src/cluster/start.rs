//! `cluster start`.

use std::time::Duration;

use admin::{Screen, Terminal};
use config::{Settings, Source};
use runtime::process::StopSignals;

use super::home::Home;
use super::layout::{KEYS, Layout, OPTIONS, Process};
use super::shell::quoted;
use super::state::{self, Standing};
use super::{ClusterError, ports, processes};

/// How long a cluster may take until it is complete.
const LIMIT: Duration = Duration::from_secs(60);
/// How long those that were started for nothing may take to stop.
const STOP_LIMIT: Duration = Duration::from_secs(30);
/// How often its state is asked meanwhile.
const ASK: Duration = Duration::from_millis(200);

/// Starts what does not run, and returns when every group has a leader and all its members.
///
/// Whoever ends this command before that, or a process that does not start or ends at once, has stopped again what it has started.
pub(super) async fn run(home: Home, given: &[(&'static str, &str)]) -> Result<(), ClusterError> {
    let asked = settings(given)?;
    // What is started is in groups of processes of its own: from here on no signal ends this one alone.
    let mut signals = runtime::process::stop_signals_and_hang_up()?;
    runtime::fs::create_dir_all(home.dir()).await?;
    let home = &home.resolved()?;
    let lock = runtime::fs::lock_exclusive(home.lock()).await?;
    let options: Vec<&'static str> = given.iter().map(|(option, _)| *option).collect();
    let layout = home.settle(&asked, &options)?;
    let screen = Terminal::default();
    let mut started = Vec::new();
    let done = match start_missing(home, &layout, &mut signals, &mut started).await {
        Ok(()) => wait(home, &layout, &mut signals).await,
        Err(error) => Err(error),
    };
    let standing = match done {
        Ok(standing) => standing,
        Err(late @ ClusterError::Late { .. }) => return Err(late),
        Err(why) => return Err(taken_back(home, &started, why).await),
    };
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

/// Stops those that were started for nothing; why, and what came of it.
async fn taken_back(home: &Home, started: &[Process], why: ClusterError) -> ClusterError {
    if started.is_empty() {
        return why;
    }
    // One that begins may not have told the kernel its arguments yet, by which it is known.
    runtime::sleep(processes::LOOK).await;
    let why = Box::new(why);
    match processes::stop(home, started, STOP_LIMIT).await {
        Ok(()) => ClusterError::TakenBack { why },
        Err(left) => ClusterError::NotTakenBack { why, left: Box::new(left) },
    }
}

/// Starts those that do not run, NameServers first. Those that it has started are in `started`, also if one cannot be, or a signal
/// comes.
async fn start_missing(
    home: &Home,
    layout: &Layout,
    signals: &mut StopSignals,
    started: &mut Vec<Process>,
) -> Result<(), ClusterError> {
    let screen = Terminal::default();
    let all = layout.processes();
    let running = processes::running(home, &all);
    let missing = all.iter().zip(&running).filter(|(_, pid)| pid.is_none());
    let missing: Vec<&Process> = missing.map(|(one, _)| one).collect();
    ports::check(&missing).await?;
    // Whoever is told that a port is taken may still choose another.
    home.keep(layout)?;
    for one in missing {
        no_signal(signals, Duration::ZERO).await?;
        home.configure(layout, one)?;
        // It may run though this fails: its id is written down afterwards.
        started.push(one.clone());
        let pid = processes::start(home, one)?;
        screen.line(&format!("{} is started: process {pid}", one.name));
    }
    if started.is_empty() {
        screen.line("all processes run already");
    }
    Ok(())
}

/// Waits so long for a signal; an error if one has come.
async fn no_signal(signals: &mut StopSignals, within: Duration) -> Result<(), ClusterError> {
    match runtime::timeout(within, signals.next()).await {
        Ok(Some(_)) => Err(ClusterError::Interrupted),
        Ok(None) | Err(_) => Ok(()),
    }
}

/// Waits until the cluster is complete; what it is like then.
async fn wait(
    home: &Home,
    layout: &Layout,
    signals: &mut StopSignals,
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
        no_signal(signals, ASK).await?;
    }
}

/// What to try. Every line is one for a shell, whatever characters the paths have.
fn hints(home: &Home, layout: &Layout, standing: &Standing) -> Result<String, ClusterError> {
    let program = runtime::process::own_program()?;
    let program = quoted(&program.display().to_string());
    let (namesrv, dir) = (quoted(&layout.namesrv_addr()), home.dir().display().to_string());
    let pids = quoted(&format!("{dir}/pids/"));
    let dir = quoted(&dir);
    let leader = standing.a_leader().map_or_else(|| "PID".to_owned(), |pid| pid.to_string());
    let fault = quoted(&format!("kill -9 \"$(cat {pids}\"${{LEADER_ADDR##*:}}\")\""));
    let heal = quoted(&format!("{program} cluster start --data {dir}"));
    Ok(format!(
        "Any RocketMQ client works with the NameServer address {namesrv}, and so does Apache's mqadmin:\n\
         \x20 mqadmin clusterList -n {namesrv}\n\
         Kill a leader, and see who leads now; start brings back what was killed:\n\
         \x20 kill -9 {leader}\n\
         \x20 {program} cluster status --data {dir}\n\
         \x20 {program} cluster start --data {dir}\n\
         Or have leaders killed while messages are sent, and hear how long none was acknowledged, and that none is lost:\n\
         \x20 cargo run --release -p bench -- failover -n {namesrv} -t try --members 3 --times 3 --new-leader \\\n\
         \x20   --fault {fault} \\\n\
         \x20   --heal {heal}\n\
         It is stopped by\n\
         \x20 {program} cluster stop --data {dir}"
    ))
}
