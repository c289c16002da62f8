//! `cluster stop`.

use std::time::Duration;

use admin::{Screen, Terminal};

use super::home::Home;
use super::layout::Process;
use super::{ClusterError, processes};
use crate::member::Role;

/// How long brokers, and then NameServers, may take.
const LIMIT: Duration = Duration::from_secs(60);

/// Stops all processes that run: brokers before NameServers, which they tell that they go.
pub(super) async fn run(home: &Home) -> Result<(), ClusterError> {
    let all = home.layout()?.processes();
    let lock = runtime::fs::lock_exclusive(home.lock()).await?;
    let screen = Terminal::default();
    let (brokers, names): (Vec<Process>, Vec<Process>) =
        all.into_iter().partition(|one| one.role == Role::Broker);
    let mut stopped = 0;
    for some in [brokers, names] {
        stopped += processes::running(home, &some).iter().flatten().count();
        processes::stop(home, &some, LIMIT).await?;
    }
    drop(lock);
    let dir = home.dir().display();
    screen.line(&match stopped {
        0 => format!("nothing of the cluster in {dir} runs"),
        _ => format!("{stopped} processes have stopped; what is stored stays in {dir}"),
    });
    Ok(())
}
