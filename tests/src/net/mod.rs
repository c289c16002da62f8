//! A network of its own for each run: a namespace for each machine, and one with a bridge for each site.
//!
//! Nothing of it is seen outside the namespaces, whose names hold the name of the program and its process. All of it goes
//! with them.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use crate::harness::failure::{Failure, Trying, Verdict};
use crate::harness::process::Running;

mod bend;
pub mod group;
mod leftovers;
mod missing;
pub mod node;
pub mod wire;

pub use bend::Means;
pub use leftovers::{is_running, own_run, prefix};
pub use missing::{Missing, missing};

/// What goes between two sites, on the bridge of each.
const TRUNK: &str = "trunk";
/// A hardware address that nobody has: what is sent there is lost without a word.
const NOBODY: &str = "02:00:00:00:00:fe";

/// The namespaces of a run.
#[derive(Debug)]
pub struct Net {
    program: &'static str,
    machines: Vec<Machine>,
    /// What carries packets between the sites, if it is a program.
    wire: Option<Running>,
}

#[derive(Debug)]
struct Machine {
    name: String,
    site: usize,
}

impl Net {
    /// A network of these machines at one site; what runs of this program before it have left is ended and removed.
    ///
    /// # Errors
    /// `ip` refuses; nothing is left then.
    pub fn new(program: &'static str, machines: &[&str]) -> Verdict<Self> {
        Self::of_sites(program, &[machines])
    }

    /// The same at several sites, each with a bridge of its own. Nothing gets from one to another until they are joined.
    /// Machines are numbered site by site.
    ///
    /// # Errors
    /// As [`Net::new`].
    pub fn of_sites(program: &'static str, sites: &[&[&str]]) -> Verdict<Self> {
        remove_left_behind(program);
        let named = |site: usize, names: &[&str]| -> Vec<Machine> {
            names.iter().map(|name| Machine { name: (*name).to_owned(), site }).collect()
        };
        let machines = sites.iter().enumerate().flat_map(|(site, names)| named(site, names));
        let net = Self { program, machines: machines.collect(), wire: None };
        assert!(net.machines.len() < 254, "each has an address in one /24");
        (0..sites.len()).try_for_each(|site| net.build_switch(site))?;
        net.build()?;
        Ok(net)
    }

    fn build_switch(&self, site: usize) -> Verdict {
        let switch = self.switch(site);
        ip(&["netns", "add", &switch])?;
        ip(&["-n", &switch, "link", "add", "bridge", "type", "bridge"])?;
        ip(&["-n", &switch, "link", "set", "bridge", "up"])
    }

    fn build(&self) -> Verdict {
        for (number, Machine { name: machine, site }) in self.machines.iter().enumerate() {
            let (space, switch) = (self.namespace(machine), self.switch(*site));
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

    /// Joins sites 0 and 1, with as much time in each direction as it is given. `relay` is what makes it pass: a program that
    /// calls [`wire::run`] with the words behind its own.
    ///
    /// # Errors
    /// `ip` refuses, or the program does not start.
    pub fn join(&mut self, late: Option<(Duration, &mut Command)>, log: &Path) -> Verdict {
        let [here, there] = [self.switch(0), self.switch(1)];
        let Some((late, relay)) = late else {
            let pair = ["type", "veth", "peer", "name", TRUNK, "netns", &there];
            ip(&[&["-n", &here, "link", "add", TRUNK][..], &pair].concat())?;
            return [here, there].iter().try_for_each(|switch| attach(switch, TRUNK));
        };
        let between = self.namespace("between");
        ip(&["netns", "add", &between])?;
        [&here, &there].into_iter().zip(wire::ENDS).try_for_each(|(switch, end)| {
            wire::build_end(switch, &between, &end)?;
            attach(switch, TRUNK)
        })?;
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &between]).arg(relay.get_program()).args(relay.get_args());
        command.arg(late.as_micros().to_string());
        self.wire = Some(Running::start("the link between the sites", &mut command, log)?);
        Ok(())
    }

    /// Looks whether what carries packets between the sites runs.
    ///
    /// # Errors
    /// It has ended.
    pub fn look(&mut self) -> Verdict {
        let Some(wire) = &mut self.wire else { return Ok(()) };
        let Some(status) = wire.ended() else { return Ok(()) };
        let (program, output) = ("the link between the sites".to_owned(), wire.tail());
        Err(Failure::Exit { program, status, output })
    }

    /// Nothing gets from one site to the other from now on, and nobody is told.
    ///
    /// # Errors
    /// `ip` refuses.
    pub fn cut_sites(&self) -> Verdict {
        detach(&self.switch(0), TRUNK)
    }

    /// It does again.
    ///
    /// # Errors
    /// `ip` refuses.
    pub fn mend_sites(&self) -> Verdict {
        attach(&self.switch(0), TRUNK)
    }

    /// Nothing gets from or to this machine from now on, and nobody is told.
    ///
    /// # Errors
    /// `ip` refuses.
    pub fn drop_link(&self, machine: usize) -> Verdict {
        let Machine { name, site } = &self.machines[machine];
        detach(&self.switch(*site), &format!("to-{name}"))
    }

    /// It does again.
    ///
    /// # Errors
    /// `ip` refuses.
    pub fn restore_link(&self, machine: usize) -> Verdict {
        let Machine { name, site } = &self.machines[machine];
        attach(&self.switch(*site), &format!("to-{name}"))
    }

    /// The namespace of a machine.
    #[must_use]
    pub fn namespace_of(&self, machine: usize) -> String {
        self.namespace(&self.machines[machine].name)
    }

    /// The number of a machine.
    ///
    /// # Panics
    /// If there is none of this name.
    #[must_use]
    pub fn number(&self, name: &str) -> usize {
        let at = self.machines.iter().position(|machine| machine.name == name);
        at.unwrap_or_else(|| panic!("no machine is called {name}"))
    }

    fn namespace(&self, machine: &str) -> String {
        format!("{}{}-{machine}", prefix(self.program), own_run())
    }

    fn switch(&self, site: usize) -> String {
        self.namespace(&format!("switch{site}"))
    }

    /// Its address.
    #[must_use]
    pub fn address(&self, machine: usize) -> String {
        format!("10.99.0.{}", machine + 1)
    }

    /// A command that runs a program on a machine; its process is the program's.
    #[must_use]
    pub fn command(&self, machine: usize, program: &Path) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.namespace_of(machine)]).arg(program);
        // What the environment says about other clusters does not count.
        command.env_remove("NAMESRV_ADDR").env_remove("ROCKETMQ_HOME").env_remove("RUST_LOG");
        command
    }

    /// What `from` sends to `to` is lost from now on.
    ///
    /// # Errors
    /// `ip` refuses.
    pub fn cut(&self, from: usize, to: usize) -> Verdict {
        let to = self.address(to);
        let neighbour =
            ["neigh", "replace", &to, "lladdr", NOBODY, "dev", "eth0", "nud", "permanent"];
        ip(&[&["-n", &self.namespace_of(from)][..], &neighbour].concat())
    }

    /// It comes again.
    ///
    /// # Errors
    /// `ip` refuses.
    pub fn mend(&self, from: usize, to: usize) -> Verdict {
        ip(&["-n", &self.namespace_of(from), "neigh", "del", &self.address(to), "dev", "eth0"])
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        drop(self.wire.take());
        remove_own(self.program);
    }
}

/// Removes what this process has made as `program`; for the end of the program, whatever the reason.
pub fn remove_own(program: &str) {
    for name in leftovers::names(program, |run| run == own_run()) {
        drop(ip(&["netns", "del", &name]));
    }
}

/// Ends and removes what processes of this program have left that are gone.
pub fn remove_left_behind(program: &str) {
    for name in leftovers::names(program, |run| !is_running(run)) {
        // A namespace without a name lives on as long as a process in it does.
        leftovers::kill_all_in(&name);
        drop(ip(&["netns", "del", &name]));
    }
}

fn attach(switch: &str, port: &str) -> Verdict {
    ip(&["-n", switch, "link", "set", port, "master", "bridge", "up"])
}

fn detach(switch: &str, port: &str) -> Verdict {
    ip(&["-n", switch, "link", "set", port, "nomaster"])
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
