//! Three stores that are one group: what the leader takes comes to all of them, in the same places, and stays, whoever leads.
#![allow(clippy::unwrap_used, reason = "a test: it panics on errors")]

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use raft::{Member, MemberId, Role};
use runtime::sim::{Node as Machine, Simulation};
use runtime::{now, sleep};

mod life;
#[path = "../group/wire.rs"]
mod wire;
mod machine {
    pub use raft::Machine;
}

use life::{Life, Taken};
use wire::Wires;

const LIMIT: Duration = Duration::from_secs(60);
const LONG: Duration = Duration::from_secs(3600);

fn dir(number: usize) -> PathBuf {
    Path::new("/").join(format!("n{number}"))
}

/// Three members, each of which may be gone.
struct Group {
    wires: Wires,
    lives: Vec<Option<Life>>,
}

impl Group {
    async fn start() -> Self {
        let wires = Wires::default();
        let mut lives = Vec::new();
        for number in 0..3 {
            lives.push(Some(Life::start(&dir(number), &wires).await));
        }
        Self { wires, lives }
    }

    fn alive(&self) -> impl Iterator<Item = &Life> {
        self.lives.iter().flatten()
    }

    /// The group is what these three are.
    async fn found(&self) {
        let members: BTreeMap<MemberId, Member> = (0..)
            .zip(self.alive())
            .map(|(number, life)| {
                let addr = SocketAddr::from(([10, 0, 0, number], 40911));
                (life.id(), Member { label: format!("n{number}"), addr })
            })
            .collect();
        self.alive().next().unwrap().node.found(members).await.unwrap();
    }

    /// Who leads, but for one, once somebody does.
    async fn leader(&self, but: Option<MemberId>) -> &Life {
        until("a leader", || self.leads(but).is_some()).await;
        self.leads(but).expect("nothing ran in between")
    }

    fn leads(&self, but: Option<MemberId>) -> Option<&Life> {
        let leads = |life: &&Life| matches!(life.node.role(), Role::Leading(_));
        self.alive().filter(|life| Some(life.id()) != but).find(leads)
    }

    /// All have applied the same, which is what was taken and has been told to be.
    async fn agree(&self, taken: &[Taken]) {
        until("the same everywhere", || {
            let mut lives = self.alive().map(Life::count);
            let first = lives.next().unwrap();
            first >= taken.len() as u64 && lives.all(|count| count == first)
        })
        .await;
        let mut lives = self.alive();
        let first = lives.next().unwrap().applied().await;
        for life in lives {
            assert_eq!(life.applied().await, first, "records are in the same places");
        }
        for one in taken {
            assert!(first.contains(one), "{one:?} was acknowledged");
        }
        for life in self.alive() {
            life.check_bodies().await;
        }
    }

    async fn stop(self) {
        self.wires.forget();
        for life in self.lives.into_iter().flatten() {
            life.stop().await;
        }
    }
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = now() + LIMIT;
    while !holds() {
        assert!(now() < end, "not within {LIMIT:?}: {what}");
        sleep(Duration::from_millis(1)).await;
    }
}

fn run<Fut: Future<Output = ()> + 'static>(
    simulation: &Simulation,
    node: &Machine,
    life: impl FnOnce() -> Fut + Send + 'static,
) {
    simulation.join(node.start("group", life), LONG).expect("it ends");
}

fn each_seed(test: impl Fn(&Simulation, &Machine)) {
    for seed in 0..4 {
        println!("seed {seed}");
        let simulation = Simulation::new(seed);
        let node = simulation.node("node", Ipv4Addr::new(10, 0, 0, 1));
        test(&simulation, &node);
    }
}

#[test]
fn what_the_leader_takes_is_in_the_same_places_everywhere() {
    each_seed(|simulation, node| {
        run(simulation, node, || async {
            let group = Group::start().await;
            group.found().await;
            let leader = group.leader(None).await;
            leader.create_topic().await;
            let taken = leader.send(0..300).await;
            assert_eq!(taken.len(), 300);
            group.agree(&taken).await;
            group.stop().await;
        });
    });
}

#[test]
fn another_leads_when_the_leader_is_cut_off() {
    each_seed(|simulation, node| {
        run(simulation, node, || async {
            let group = Group::start().await;
            group.found().await;
            let old = group.leader(None).await;
            old.create_topic().await;
            let mut taken = old.send(0..100).await;
            group.wires.cut_off(Some(old.id()));
            let lost = old.try_send(1000..1010).await;
            assert!(lost.is_empty(), "alone it acknowledges nothing: {lost:?}");
            let new = group.leader(Some(old.id())).await;
            taken.extend(new.send(100..200).await);
            group.wires.cut_off(None);
            group.agree(&taken).await;
            let again = group.leader(None).await;
            taken.extend(again.send(200..210).await);
            group.agree(&taken).await;
            group.stop().await;
        });
    });
}

#[test]
fn a_group_that_was_stopped_or_killed_goes_on_with_what_it_had() {
    each_seed(|simulation, node| {
        let disk = node.clone();
        run(simulation, node, || async {
            let group = Group::start().await;
            group.found().await;
            let leader = group.leader(None).await;
            leader.create_topic().await;
            leader.send(0..100).await;
            group.stop().await;
        });
        let life = node.start("second", || async {
            let group = Group::start().await;
            let leader = group.leader(None).await;
            let taken = leader.send(100..200).await;
            group.agree(&taken).await;
            assert_eq!(leader.count(), 200);
            sleep(LONG).await;
        });
        simulation.run_for(Duration::from_secs(20));
        drop(life);
        disk.power_cut();
        run(simulation, node, || async {
            let group = Group::start().await;
            let leader = group.leader(None).await;
            let taken = leader.send(200..300).await;
            group.agree(&taken).await;
            assert_eq!(leader.count(), 300);
            group.stop().await;
        });
    });
}
