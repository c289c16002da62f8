//! A network of its own for each run: a namespace for each machine, and one with a bridge between them.
//!
//! Nothing of it is seen outside the namespaces, whose names hold the number of this process. All of it goes with them.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use ::tests::harness::failure::{Failure, Trying, Verdict};

/// What the names of all our namespaces begin with.
const OURS: &str = "tpchaos";
/// A hardware address that nobody has: what is sent there is lost without a word.
const NOBODY: &str = "02:00:00:00:00:fe";
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

/// The namespaces of a run.
#[derive(Debug)]
pub struct Net {
    run: String,
    machines: Vec<String>,
}

impl Net {
    /// A network of these machines; what runs before it have left is removed.
    ///
    /// # Errors
    /// `ip` refuses; nothing is left then.
    pub fn new(machines: &[&str]) -> Verdict<Self> {
        remove_left_behind();
        let run = format!("{OURS}-{}", std::process::id());
        let machines = machines.iter().map(|name| (*name).to_owned()).collect();
        let net = Self { run, machines };
        net.build()?;
        Ok(net)
    }

    fn build(&self) -> Verdict {
        let switch = self.namespace("switch");
        ip(&["netns", "add", &switch])?;
        ip(&["-n", &switch, "link", "add", "bridge", "type", "bridge"])?;
        ip(&["-n", &switch, "link", "set", "bridge", "up"])?;
        for (number, machine) in self.machines.iter().enumerate() {
            let space = self.namespace(machine);
            let address = format!("{}/24", self.address(number));
            ip(&["netns", "add", &space])?;
            ip(&["-n", &space, "link", "set", "lo", "up"])?;
            let port = format!("to-{machine}");
            let pair = ["type", "veth", "peer", "name", &port, "netns", &switch];
            ip(&[&["-n", &space, "link", "add", "eth0"][..], &pair].concat())?;
            ip(&["-n", &space, "address", "add", &address, "dev", "eth0"])?;
            ip(&["-n", &space, "link", "set", "eth0", "up"])?;
            ip(&["-n", &switch, "link", "set", &port, "master", "bridge", "up"])?;
            // Where packets go that are to be lost.
            let hole = ["link", "add", "hole", "type", "veth", "peer", "name", "bottom"];
            ip(&[&["-n", &space][..], &hole].concat())?;
            ip(&["-n", &space, "link", "set", "hole", "up"])?;
            ip(&["-n", &space, "link", "set", "bottom", "up"])?;
        }
        Ok(())
    }

    fn namespace(&self, machine: &str) -> String {
        format!("{}-{machine}", self.run)
    }

    fn of(&self, machine: usize) -> String {
        self.namespace(&self.machines[machine])
    }

    /// Its address.
    pub fn address(&self, machine: usize) -> String {
        format!("10.99.0.{}", machine + 1)
    }

    /// A command that runs a program on a machine; its process is the program's.
    pub fn command(&self, machine: usize, program: &Path) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.of(machine)]).arg(program);
        // What the environment says about other clusters does not count.
        command.env_remove("NAMESRV_ADDR").env_remove("ROCKETMQ_HOME").env_remove("RUST_LOG");
        command
    }

    /// What `from` sends to `to` is lost from now on.
    pub fn cut(&self, from: usize, to: usize) -> Verdict {
        let to = self.address(to);
        let neighbour =
            ["neigh", "replace", &to, "lladdr", NOBODY, "dev", "eth0", "nud", "permanent"];
        ip(&[&["-n", &self.of(from)][..], &neighbour].concat())
    }

    /// It comes again.
    pub fn mend(&self, from: usize, to: usize) -> Verdict {
        ip(&["-n", &self.of(from), "neigh", "del", &self.address(to), "dev", "eth0"])
    }

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
    pub fn lose(&self, machine: usize, means: Means) -> Verdict {
        let space = self.of(machine);
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
    pub fn delay(&self, machine: usize, means: Means) -> Verdict {
        let space = self.of(machine);
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
    pub fn straighten(&self, machine: usize, means: Means) -> Verdict {
        let space = self.of(machine);
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

impl Drop for Net {
    fn drop(&mut self) {
        remove_all(|number| number == std::process::id());
    }
}

/// Removes what this process has made; for the end of the program, whatever the reason.
pub fn remove_own() {
    remove_all(|number| number == std::process::id());
}

/// Removes what processes have left that are gone.
fn remove_left_behind() {
    remove_all(|number| !Path::new(&format!("/proc/{number}")).exists());
}

fn remove_all(whose: impl Fn(u32) -> bool) {
    let Ok(entries) = fs::read_dir("/run/netns") else { return };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    for name in names.filter(|name| number_in(name).is_some_and(&whose)) {
        drop(ip(&["netns", "del", &name]));
    }
}

/// The number of the process that made a namespace of ours.
fn number_in(name: &str) -> Option<u32> {
    let rest = name.strip_prefix(OURS)?.strip_prefix('-')?;
    rest.split_once('-')?.0.parse().ok()
}

fn ip(args: &[&str]) -> Verdict {
    run("ip", args)
}

fn tc(args: &[&str]) -> Verdict {
    run("tc", args)
}

fn run(program: &str, args: &[&str]) -> Verdict {
    let Output { status, stderr, .. } = output(program, args)?;
    if status.success() {
        return Ok(());
    }
    let (program, output) = (args.join(" "), String::from_utf8_lossy(&stderr).into_owned());
    Err(Failure::Exit { program, status, output })
}

fn output(program: &str, args: &[&str]) -> Verdict<Output> {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).output().trying(format!("{program} {}", args.join(" ")))
}

/// Why this machine has no such networks; `None` if it has.
pub fn missing() -> Option<String> {
    let name = format!("{OURS}-{}-probe", std::process::id());
    let made = ip(&["netns", "add", &name]);
    drop(ip(&["netns", "del", &name]));
    made.err().map(|why| format!("network namespaces cannot be made: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_namespaces_are_ours() {
        assert_eq!(number_in("tpchaos-17-n0"), Some(17));
        for name in ["tpchaos", "tpchaos-17", "tpchaos-x-n0", "other-17-n0", "xtpchaos-17-n0"] {
            assert_eq!(number_in(name), None, "{name}");
        }
    }
}
