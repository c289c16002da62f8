//! Carries out a fault, and undoes it.

use std::time::Duration;

use ::tests::harness::failure::Verdict;
use ::tests::malformed::rng::Rng;

use crate::cluster::{Cluster, VOTERS, WELL_LIMIT};
use crate::plan::{Fault, Whom, chosen};
use ::tests::net::Net;
use ::tests::net::node::{Node, PORT};

/// Between two members that stop in good order, at least.
const BETWEEN: Duration = Duration::from_millis(500);

/// A fault that was drawn, and whom it strikes.
#[derive(Debug)]
pub struct Strike {
    fault: Fault,
    /// Where they are.
    whom: Vec<usize>,
    /// Where the leader is, as far as it is known.
    leader: Option<usize>,
}

impl Strike {
    /// Finds out whom it strikes now.
    pub fn new(fault: Fault, cluster: &Cluster, rng: &mut Rng) -> Verdict<Self> {
        use Fault::{
            Deafen, Delay, Isolate, Kill, KillNamesrv, Lose, Mute, Part, Pause, Rejoin, Replace,
            Roll, SlowDisk, Terminate, Transfer,
        };
        let leader = cluster.leader()?;
        let whom = match fault {
            Kill(whom, _) | Terminate(whom, _) | Pause(whom, _) | Part(whom, _) => whom,
            Isolate(whom, _) | Mute(whom, _) | Deafen(whom, _) | Lose(whom, _) => whom,
            Delay(whom, _) | SlowDisk(whom, _) | Replace(whom) | Rejoin(whom) => whom,
            Roll => Whom::All,
            Transfer => Whom::Follower,
            KillNamesrv(_) => {
                let whom = vec![rng.below(cluster.namesrvs.len())];
                return Ok(Self { fault, whom, leader });
            }
        };
        Ok(Self { fault, whom: chosen(whom, &cluster.members, leader, rng), leader })
    }

    /// Its line.
    pub fn line(&self, cluster: &Cluster) -> String {
        use Fault::{
            Deafen, Delay, Isolate, Kill, KillNamesrv, Lose, Mute, Part, Pause, Rejoin, Replace,
            Roll, SlowDisk, Terminate, Transfer,
        };
        let nodes = match self.fault {
            KillNamesrv(_) => &cluster.namesrvs,
            _ => &cluster.brokers,
        };
        let name =
            |at: &usize| match self.leader == Some(*at) && !matches!(self.fault, KillNamesrv(_)) {
                true => format!("{} (leads)", nodes[*at].name),
                false => nodes[*at].name.clone(),
            };
        let names: Vec<String> = self.whom.iter().map(name).collect();
        let (kind, names) = (self.fault.name(), names.join(", "));
        match self.fault {
            Kill(_, time) | Terminate(_, time) | KillNamesrv(time) => {
                format!("{kind}: {names}, away for {:.1} s", time.as_secs_f64())
            }
            Pause(_, time)
            | Part(_, time)
            | Isolate(_, time)
            | Mute(_, time)
            | Deafen(_, time)
            | Lose(_, time)
            | Delay(_, time)
            | SlowDisk(_, time) => {
                format!("{kind}: {names}, for {:.1} s", time.as_secs_f64())
            }
            Roll | Replace(_) | Rejoin(_) => format!("{kind}: {names}"),
            Transfer => format!("{kind}: to {names}"),
        }
    }

    /// Does it, lets its time pass, and undoes it.
    ///
    /// # Errors
    /// What should not end has ended, or an operator's command is refused.
    pub fn carry_out(&self, cluster: &mut Cluster) -> Verdict {
        match self.fault {
            Fault::Kill(_, time) => {
                self.whom.iter().for_each(|at| cluster.brokers[*at].kill());
                cluster.pass(time)?;
                self.whom.iter().try_for_each(|at| cluster.start_broker(*at))
            }
            Fault::Terminate(_, time) => {
                self.whom.iter().try_for_each(|at| cluster.brokers[*at].stop())?;
                cluster.pass(time)?;
                self.whom.iter().try_for_each(|at| cluster.start_broker(*at))
            }
            Fault::Roll => self.roll(cluster),
            Fault::KillNamesrv(time) => {
                self.whom.iter().for_each(|at| cluster.namesrvs[*at].kill());
                cluster.pass(time)?;
                self.whom.iter().try_for_each(|at| cluster.start_namesrv(*at))
            }
            Fault::Pause(_, time) => {
                self.whom.iter().for_each(|at| cluster.brokers[*at].pause());
                cluster.pass(time)?;
                self.whom.iter().for_each(|at| cluster.brokers[*at].go_on());
                Ok(())
            }
            Fault::Part(_, time) => self.cut(cluster, time, true, true, false),
            Fault::Isolate(_, time) => self.cut(cluster, time, true, true, true),
            Fault::Mute(_, time) => self.cut(cluster, time, true, false, false),
            Fault::Deafen(_, time) => self.cut(cluster, time, false, true, false),
            Fault::Lose(_, time) => self.bend(cluster, time, Net::lose),
            Fault::Delay(_, time) => self.bend(cluster, time, Net::delay),
            Fault::SlowDisk(_, time) => {
                self.whom.iter().try_for_each(|at| cluster.slow_disk(*at))?;
                cluster.pass(time)?;
                cluster.heal()
            }
            Fault::Transfer => self.transfer(cluster),
            Fault::Replace(_) => self.whom.iter().try_for_each(|at| replace(cluster, *at)),
            Fault::Rejoin(_) => self.whom.iter().try_for_each(|at| rejoin(cluster, *at)),
        }
    }

    fn cut(
        &self,
        cluster: &mut Cluster,
        time: Duration,
        sends: bool,
        hears: bool,
        all: bool,
    ) -> Verdict {
        for at in &self.whom {
            let others = if all { cluster.others(*at) } else { cluster.members.clone() };
            for other in others {
                if sends {
                    cluster.cut(*at, other)?;
                }
                if hears {
                    cluster.cut(other, *at)?;
                }
            }
        }
        cluster.pass(time)?;
        cluster.heal()
    }

    fn bend(
        &self,
        cluster: &mut Cluster,
        time: Duration,
        bend: impl Fn(&Net, usize, ::tests::net::Means) -> Verdict,
    ) -> Verdict {
        self.whom.iter().try_for_each(|at| cluster.bend(*at, &bend))?;
        cluster.pass(time)?;
        cluster.heal()
    }

    fn roll(&self, cluster: &mut Cluster) -> Verdict {
        for at in &self.whom {
            cluster.brokers[*at].stop()?;
            cluster.pass(BETWEEN)?;
            cluster.start_broker(*at)?;
            cluster.until_well(WELL_LIMIT, "a member that was started again follows")?;
        }
        Ok(())
    }

    fn transfer(&self, cluster: &mut Cluster) -> Verdict {
        let to = cluster.brokers[self.whom[0]].name.clone();
        let words = ["transferLeader", "--to", &to, "--hold", "0s"];
        cluster.group.change(&cluster.net, &words)
    }
}

/// The broker that is no member takes the place of the one at `old`.
fn replace(cluster: &mut Cluster, old: usize) -> Verdict {
    let new = (0..cluster.brokers.len()).find(|at| !cluster.members.contains(at));
    let new = new.expect("there is one more broker than voters");
    cluster.brokers[new].wipe()?;
    cluster.start_broker(new)?;
    let address = format!("{}:{PORT}", cluster.net.address(new));
    let name = cluster.brokers[old].name.clone();
    let words = ["replaceMember", "--old", &name, "--new", &address];
    cluster.group.change(&cluster.net, &words)?;
    cluster.members.retain(|at| *at != old);
    cluster.members.push(new);
    cluster.brokers[old].stop()
}

/// The member at `at` is removed, loses its store, and joins again.
fn rejoin(cluster: &mut Cluster, at: usize) -> Verdict {
    let name = cluster.brokers[at].name.clone();
    cluster.group.change(&cluster.net, &["removeMember", "--member", &name])?;
    cluster.members.retain(|member| *member != at);
    let node: &mut Node = &mut cluster.brokers[at];
    node.stop()?;
    node.wipe()?;
    cluster.start_broker(at)?;
    let address = format!("{}:{PORT}", cluster.net.address(at));
    cluster.group.change(&cluster.net, &["addLearner", "--new", &address])?;
    cluster.group.change(&cluster.net, &["promote", "--member", &name])?;
    cluster.members.push(at);
    assert_eq!(cluster.members.len(), VOTERS, "as many as before");
    Ok(())
}
