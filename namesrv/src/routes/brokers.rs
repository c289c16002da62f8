//! A broker is heard of, and leaves.

use super::{Left, Link, Moment, Process, Routes, Version};

impl Routes {
    /// The broker is alive. False if it is not registered.
    pub fn heard(&mut self, now: Moment, process: &Process) -> bool {
        match self.live.get_mut(process) {
            Some(live) => {
                live.heard = now;
                true
            }
            None => false,
        }
    }

    /// Whether the broker shall register in full, because another state of it is known or none; and the known one. A broker that
    /// need not has thereby been heard of.
    pub fn compare(
        &mut self,
        now: Moment,
        process: &Process,
        version: Version,
    ) -> (bool, Option<Version>) {
        let known = self.live.get(process).map(|live| live.version);
        let changed = known != Some(version);
        if !changed {
            self.heard(now, process);
        }
        (changed, known)
    }

    /// The broker says that it leaves.
    pub fn unregister(&mut self, process: &Process) -> Option<Left> {
        let left = self.remove(process);
        self.assert_sound();
        left
    }

    /// Nobody may write to the broker of this name any more, or everybody may again. It holds until the broker registers
    /// a change: one that registers what is known changes nothing. How many topics it has here; none if it is unknown.
    pub fn permit_writing(&mut self, name: &str, allowed: bool) -> usize {
        match allowed {
            true => self.topics.allow_writing(name),
            false => self.topics.forbid_writing(name),
        }
    }

    /// A connection is gone, and with it whoever registered over it last.
    pub fn disconnected(&mut self, link: Link) -> Vec<Left> {
        self.remove_all(|live| live.link == link)
    }

    /// Removes who has been silent for too long.
    pub fn expire(&mut self, now: Moment) -> Vec<Left> {
        self.remove_all(|live| now.0.saturating_sub(live.heard.0) > live.timeout)
    }

    fn remove_all(&mut self, which: impl Fn(&super::Live) -> bool) -> Vec<Left> {
        let gone: Vec<Process> =
            self.live.iter().filter(|(_, live)| which(live)).map(|(at, _)| at.clone()).collect();
        let left = gone.iter().filter_map(|process| self.remove(process)).collect();
        self.assert_sound();
        left
    }

    pub(super) fn remove(&mut self, process: &Process) -> Option<Left> {
        let live = self.live.remove(process)?;
        if let Some(replicas) = self.brokers.get_mut(&live.name) {
            // Another process may have taken over the id meanwhile.
            replicas.addrs.retain(|_, addr| *addr != process.addr);
            if replicas.addrs.is_empty() {
                self.remove_name(&live.name);
            } else if replicas.acting_master && !replicas.addrs.contains_key(&0) {
                self.topics.forbid_writing(&live.name);
            }
        }
        Some(Left { process: process.clone(), name: live.name, id: live.id, link: live.link })
    }

    fn remove_name(&mut self, name: &str) {
        let replicas = self.brokers.remove(name).expect("the caller has found it");
        if let Some(names) = self.clusters.get_mut(&replicas.cluster) {
            names.remove(name);
            if names.is_empty() {
                self.clusters.remove(&replicas.cluster);
            }
        }
        self.topics.remove_broker(name, |_| true);
    }

    /// What must hold between two events.
    pub(super) fn assert_sound(&self) {
        for (name, replicas) in &self.brokers {
            assert!(!replicas.addrs.is_empty(), "broker {name} has no address");
            let names = self.clusters.get(&replicas.cluster);
            assert!(
                names.is_some_and(|names| names.contains(name)),
                "broker {name} is in its cluster"
            );
        }
        let named: usize = self.clusters.values().map(std::collections::BTreeSet::len).sum();
        assert_eq!(named, self.brokers.len(), "a cluster names brokers that are there");
    }
}
