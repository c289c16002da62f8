//! Packets of a machine that are lost in part, or late.

use super::{Net, output, tc};
use crate::harness::failure::{Failure, Verdict};

/// Of 2^32 packets those that are lost: 30 %.
const LOST: u32 = 1_288_490_188;
/// Where a packet filter finds a random number: `SKF_AD_OFF + SKF_AD_RANDOM`.
const RANDOM: u32 = 0xffff_f038;

/// How packets are delayed and lost here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Means {
    /// By netem: 30 % of the packets, 100 ms.
    Netem,
    /// By a filter that sends 30 % of the packets where nobody is, and by a narrow link: 1 Mbit/s, with up to 100 ms of
    /// packets waiting.
    Filter,
}

impl Net {
    /// How packets can be lost and delayed here.
    ///
    /// # Errors
    /// Neither way works.
    pub fn means(&self) -> Verdict<Means> {
        for means in [Means::Netem, Means::Filter] {
            let works = self.lose(0, means).and_then(|()| self.straighten(0, means));
            let works = works.and_then(|()| self.delay(0, means));
            if works.and_then(|()| self.straighten(0, means)).is_ok() {
                return Ok(means);
            }
        }
        let text = "`tc` can make neither netem, nor clsact, a bpf filter with mirred, and tbf";
        Err(Failure::Wrong(text.to_owned()))
    }

    /// 30 % of what it sends is lost from now on.
    ///
    /// # Errors
    /// `tc` refuses.
    pub fn lose(&self, machine: usize, means: Means) -> Verdict {
        let space = self.namespace_of(machine);
        if means == Means::Netem {
            return tc(&[
                "-n", &space, "qdisc", "add", "dev", "eth0", "root", "netem", "loss", "30%",
            ]);
        }
        // A random number above LOST lets the packet go.
        let program = format!("4,32 0 0 {RANDOM},37 1 0 {LOST},6 0 0 4294967295,6 0 0 0");
        let filter = ["filter", "add", "dev", "eth0", "egress", "bpf", "bytecode", &program];
        let action = ["action", "mirred", "egress", "redirect", "dev", "hole"];
        tc(&["-n", &space, "qdisc", "add", "dev", "eth0", "clsact"])?;
        tc(&[&["-n", &space][..], &filter, &action].concat())
    }

    /// What it sends is late from now on.
    ///
    /// # Errors
    /// `tc` refuses.
    pub fn delay(&self, machine: usize, means: Means) -> Verdict {
        let space = self.namespace_of(machine);
        let root = ["-n", &space, "qdisc", "add", "dev", "eth0", "root"];
        match means {
            Means::Netem => tc(&[&root[..], &["netem", "delay", "100ms"]].concat()),
            Means::Filter => {
                let narrow = ["tbf", "rate", "1mbit", "burst", "4kb", "latency", "100ms"];
                tc(&[&root[..], &narrow].concat())
            }
        }
    }

    /// Undoes [`Net::lose`] and [`Net::delay`].
    ///
    /// # Errors
    /// `tc` has left something.
    pub fn straighten(&self, machine: usize, means: Means) -> Verdict {
        let space = self.namespace_of(machine);
        let kinds = match means {
            Means::Netem => &["root"][..],
            Means::Filter => &["root", "clsact"],
        };
        for kind in kinds {
            // One of the two is not there.
            drop(tc(&["-n", &space, "qdisc", "del", "dev", "eth0", kind]));
        }
        let left = output("tc", &["-n", &space, "qdisc", "show", "dev", "eth0"])?;
        let text = String::from_utf8_lossy(&left.stdout).into_owned();
        let clean = !["netem", "tbf", "clsact"].iter().any(|kind| text.contains(kind));
        if clean { Ok(()) } else { Err(Failure::Wrong(format!("tc has left {text}"))) }
    }
}
