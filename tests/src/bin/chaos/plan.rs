//! What is done to the group, and to whom: drawn from the seed, pure.

use std::fmt;
use std::time::Duration;

use ::tests::malformed::rng::Rng;

/// Whom a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whom {
    Leader,
    Follower,
    /// The leader and a follower.
    Two,
    All,
}

/// A fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// SIGKILL, and a start after that time.
    Kill(Whom, Duration),
    /// SIGTERM, and a start after that time.
    Terminate(Whom, Duration),
    /// Each member stops in good order and is started again, one after the other.
    Roll,
    /// SIGSTOP, and SIGCONT after that time.
    Pause(Whom, Duration),
    /// The members do not reach it, nor it them; clients and NameServers do.
    Part(Whom, Duration),
    /// Nobody reaches it, nor it anybody.
    Isolate(Whom, Duration),
    /// It is not heard by the other members.
    Mute(Whom, Duration),
    /// It does not hear the other members.
    Deafen(Whom, Duration),
    /// Part of the packets that it sends are lost.
    Lose(Whom, Duration),
    /// What it sends is late.
    Delay(Whom, Duration),
    /// Its disk writes little.
    SlowDisk(Whom, Duration),
    /// A NameServer is killed, and started after that time.
    KillNamesrv(Duration),
    /// Leadership goes to a follower.
    Transfer,
    /// A member is replaced by a new node.
    Replace(Whom),
    /// A member is removed, comes back with an empty store, and is promoted.
    Rejoin(Whom),
}

/// All kinds, each so often as it stands here; the times are drawn.
const KINDS: [Fault; 30] = {
    use Fault::*;
    use Whom::*;
    const T: Duration = Duration::ZERO;
    [
        Kill(Leader, T),
        Kill(Leader, T),
        Kill(Leader, T),
        Kill(Follower, T),
        Kill(Two, T),
        Kill(All, T),
        Kill(All, T),
        Terminate(Leader, T),
        Terminate(Follower, T),
        Roll,
        Pause(Leader, T),
        Pause(Leader, T),
        Pause(Follower, T),
        Pause(Two, T),
        Part(Leader, T),
        Part(Leader, T),
        Part(Follower, T),
        Isolate(Leader, T),
        Isolate(Follower, T),
        Mute(Leader, T),
        Mute(Follower, T),
        Deafen(Leader, T),
        Deafen(Follower, T),
        Lose(All, T),
        Delay(All, T),
        SlowDisk(Leader, T),
        KillNamesrv(T),
        Transfer,
        Replace(Leader),
        Rejoin(Follower),
    ]
};

/// What the short form makes, in this order.
pub const SHORT: [Fault; 6] = [
    Fault::Kill(Whom::Leader, Duration::from_millis(1500)),
    Fault::Part(Whom::Leader, Duration::from_secs(2)),
    Fault::Pause(Whom::Leader, Duration::from_secs(2)),
    Fault::Transfer,
    Fault::Kill(Whom::All, Duration::from_millis(300)),
    Fault::Mute(Whom::Leader, Duration::from_secs(2)),
];

/// What faults are called, each once.
pub fn names() -> Vec<&'static str> {
    let mut names: Vec<&str> = Vec::new();
    for kind in KINDS {
        if !names.contains(&kind.name()) {
            names.push(kind.name());
        }
    }
    names
}

impl Fault {
    /// The next one of those that `may` be made; `None` if none may.
    pub fn draw(rng: &mut Rng, may: impl Fn(&Fault) -> bool) -> Option<Fault> {
        let kinds: Vec<Fault> = KINDS.into_iter().filter(|kind| may(kind)).collect();
        if kinds.is_empty() {
            return None;
        }
        let kind = rng.pick(&kinds);
        Some(kind.lasting(time(rng, 1_000, 10_000), time(rng, 0, 5_000)))
    }

    /// The same with a time, or with the other one if it ends a process.
    fn lasting(self, long: Duration, away: Duration) -> Fault {
        use Fault::*;
        match self {
            Kill(whom, _) => Kill(whom, away),
            Terminate(whom, _) => Terminate(whom, away),
            KillNamesrv(_) => KillNamesrv(away),
            Pause(whom, _) => Pause(whom, long),
            Part(whom, _) => Part(whom, long),
            Isolate(whom, _) => Isolate(whom, long),
            Mute(whom, _) => Mute(whom, long),
            Deafen(whom, _) => Deafen(whom, long),
            Lose(whom, _) => Lose(whom, long),
            Delay(whom, _) => Delay(whom, long),
            SlowDisk(whom, _) => SlowDisk(whom, long),
            Roll | Transfer | Replace(_) | Rejoin(_) => self,
        }
    }

    /// The first words of its line.
    pub fn name(&self) -> &'static str {
        use Fault::*;
        match self {
            Kill(..) => "kill",
            Terminate(..) => "terminate",
            Roll => "roll",
            Pause(..) => "pause",
            Part(..) => "part",
            Isolate(..) => "isolate",
            Mute(..) => "mute",
            Deafen(..) => "deafen",
            Lose(..) => "lose",
            Delay(..) => "delay",
            SlowDisk(..) => "slow disk",
            KillNamesrv(..) => "kill a NameServer",
            Transfer => "transfer",
            Replace(_) => "replace",
            Rejoin(_) => "rejoin",
        }
    }

    /// Whether it needs a group that is well.
    pub fn needs_rest(&self) -> bool {
        matches!(self, Self::Roll | Self::Transfer | Self::Replace(_) | Self::Rejoin(_))
    }
}

impl fmt::Display for Whom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Leader => "leader",
            Self::Follower => "follower",
            Self::Two => "leader and follower",
            Self::All => "all",
        })
    }
}

fn time(rng: &mut Rng, from: usize, to: usize) -> Duration {
    Duration::from_millis(u64::try_from(rng.between(from, to)).expect("small"))
}

/// The members that are struck. `leader` is where the leader is, if somebody knows.
pub fn chosen(whom: Whom, members: &[usize], leader: Option<usize>, rng: &mut Rng) -> Vec<usize> {
    assert!(!members.is_empty(), "a group has members");
    let leader = leader.filter(|leader| members.contains(leader));
    let leader = leader.unwrap_or_else(|| rng.pick(members));
    let others: Vec<usize> = members.iter().copied().filter(|member| *member != leader).collect();
    let follower = |rng: &mut Rng| if others.is_empty() { leader } else { rng.pick(&others) };
    match whom {
        Whom::Leader => vec![leader],
        Whom::Follower => vec![follower(rng)],
        Whom::Two => {
            let follower = follower(rng);
            if follower == leader { vec![leader] } else { vec![leader, follower] }
        }
        Whom::All => members.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_seed_repeats_its_faults_and_another_has_others() {
        let faults = |seed| {
            let mut rng = Rng::new(seed);
            (0..50).map(|_| Fault::draw(&mut rng, |_| true)).collect::<Vec<_>>()
        };
        assert_eq!(faults(3), faults(3));
        assert_ne!(faults(3), faults(4));
    }

    #[test]
    fn every_kind_comes_and_those_that_may_not_never() {
        let mut rng = Rng::new(1);
        let names: BTreeSet<&str> = (0..1000)
            .filter_map(|_| Fault::draw(&mut rng, |_| true))
            .map(|fault| fault.name())
            .collect();
        assert_eq!(names.len(), 15, "{names:?}");
        assert_eq!(names, super::names().into_iter().collect());
        let only = |fault: &Fault| fault.name() == "pause";
        for _ in 0..100 {
            let fault = Fault::draw(&mut rng, only).expect("it may be made");
            let Fault::Pause(_, time) = fault else { panic!("{fault:?}") };
            assert!((1..=10).contains(&time.as_secs()), "{time:?}");
        }
        assert_eq!(Fault::draw(&mut rng, |_| false), None);
    }

    #[test]
    fn the_right_members_are_struck() {
        let (mut rng, members) = (Rng::new(1), [0, 2, 3]);
        for _ in 0..50 {
            assert_eq!(chosen(Whom::Leader, &members, Some(2), &mut rng), [2]);
            let follower = chosen(Whom::Follower, &members, Some(2), &mut rng);
            assert!(follower == [0] || follower == [3]);
            let two = chosen(Whom::Two, &members, Some(2), &mut rng);
            assert!(two[0] == 2 && two.len() == 2 && two[1] != 2);
            assert_eq!(chosen(Whom::All, &members, Some(2), &mut rng), members);
            // Nobody knows, or it is none of them any more.
            for leader in [None, Some(1)] {
                assert!(members.contains(&chosen(Whom::Leader, &members, leader, &mut rng)[0]));
            }
        }
        assert_eq!(chosen(Whom::Two, &[1], Some(1), &mut rng), [1]);
    }
}
