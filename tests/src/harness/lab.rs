//! Where checks happen: the programs, the scratch directories, and the cluster at hand.

use std::cell::OnceCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::cluster::{Cluster, Spec};
use super::drivers::{Part, Workshop};
use super::failure::{Failure, Trying, Verdict};
use super::outage::Counts;
use super::process;
use super::servers::{Maker, OPENS};
use crate::net::{self, Missing};

/// Beyond its own deadline a driver gets this long to end.
const DRIVER_GRACE: Duration = Duration::from_secs(15);

/// A client library with its drivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Client {
    /// rocketmq-client 5.5.0.
    Java550,
    /// rocketmq-client 4.9.8.
    Java498,
    /// rocketmq-client-go 2.1.2.
    Go,
}

/// What a driver is told: where it may leave files, and whom to talk to.
#[derive(Debug, Clone)]
pub struct Home {
    /// Its directory, also for the files that clients keep at home.
    pub dir: PathBuf,
    /// `host:port` of the NameServer.
    pub namesrv: String,
    /// `host:port` of each broker.
    pub brokers: Vec<String>,
    /// The network namespace that it lives in; `None` for this machine's own.
    pub inside: Option<String>,
}

impl Home {
    /// For a cluster.
    #[must_use]
    pub fn of(cluster: &Cluster) -> Self {
        Self {
            dir: cluster.dir.clone(),
            namesrv: cluster.namesrv_address(),
            brokers: cluster.broker_addresses(),
            inside: None,
        }
    }
}

/// Where checks happen. One cluster is kept from check to check as long as it does well.
pub struct Lab {
    /// Sources and programs.
    pub shop: Workshop,
    /// Whose servers the suites are run against.
    pub against: Maker,
    /// Keep every scratch directory, not only those of failures.
    pub keep: bool,
    scratch: PathBuf,
    serial: u32,
    cluster: Option<Cluster>,
    counts: Vec<(String, Counts)>,
    /// What was found out about networks; asked once, because to ask makes one.
    net: OnceCell<Option<Missing>>,
}

impl Lab {
    /// A lab with an empty scratch directory on the disk that holds `target`.
    ///
    /// # Errors
    /// If the directory cannot be made.
    pub fn new(shop: Workshop, against: Maker, keep: bool) -> Verdict<Self> {
        let runs = shop.root.join("target/interop/run");
        forget_old_runs(&runs);
        let scratch = runs.join(std::process::id().to_string());
        fs::create_dir_all(&scratch).trying(scratch.display().to_string())?;
        Ok(Self {
            shop,
            against,
            keep,
            scratch,
            serial: 0,
            cluster: None,
            counts: Vec::new(),
            net: OnceCell::new(),
        })
    }

    /// The directory of this run.
    #[must_use]
    pub fn scratch(&self) -> &Path {
        &self.scratch
    }

    /// Why this machine has no networks of a program's own; `None` if it has. The first answer stays.
    #[must_use]
    pub fn missing_for_net(&self, program: &'static str) -> Option<&Missing> {
        self.net.get_or_init(|| net::missing(program)).as_ref()
    }

    /// An empty directory of its own.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn new_dir(&mut self, name: &str) -> Verdict<PathBuf> {
        self.serial += 1;
        let dir = self.scratch.join(format!("{:03}-{}", self.serial, name.replace('/', "-")));
        fs::create_dir_all(&dir).trying(dir.display().to_string())?;
        Ok(dir)
    }

    /// A running cluster like this: the one of the check before if it fits and is alive, else a new one.
    ///
    /// # Errors
    /// If it does not start.
    pub fn cluster(&mut self, spec: Spec) -> Verdict<&mut Cluster> {
        let fits = self.cluster.as_mut().is_some_and(|have| have.spec == spec && have.is_alive());
        if !fits {
            self.end_cluster()?;
            let dir = self.new_dir("cluster")?;
            self.cluster = Some(Cluster::start(&self.shop, spec, &dir)?);
        }
        Ok(self.cluster.as_mut().expect("made above"))
    }

    /// The cluster at hand, also while some of it was killed.
    ///
    /// # Panics
    /// Without a cluster.
    pub fn started(&mut self) -> &mut Cluster {
        self.cluster.as_mut().expect("the check has asked for one")
    }

    /// The cluster of the last check, if there is one.
    #[must_use]
    pub fn cluster_at_hand(&self) -> Option<&Cluster> {
        self.cluster.as_ref()
    }

    /// Apache's `mqadmin COMMAND` for the cluster at hand, told of all its NameServers, also of those that were killed.
    ///
    /// # Panics
    /// Without a cluster, or without [`Part::Apache`].
    #[must_use]
    pub fn apache_mqadmin(&self, command: &str) -> Command {
        let cluster = self.cluster.as_ref().expect("the check has asked for one");
        let mut java = self.shop.java_command("-Xmx256m");
        java.args(OPENS.map(|package| format!("--add-opens=java.base/{package}=ALL-UNNAMED")));
        java.arg(format!("-Duser.home={}", cluster.dir.display()));
        java.arg(format!("-Drocketmq.home.dir={}", cluster.dir.display()));
        java.arg("-cp").arg(self.shop.built(Part::Apache).join("lib/*"));
        java.args(["org.apache.rocketmq.tools.command.MQAdminStartup", command]);
        java.args(["-n", &cluster.namesrv_address()]);
        java.env_remove("NAMESRV_ADDR").env_remove("JAVA_TOOL_OPTIONS").current_dir(&cluster.dir);
        java
    }

    /// Prints what a client counted, and keeps it for [`Lab::take_counts`].
    pub fn note(&mut self, what: &str, counts: &Counts) {
        println!("{what}: {counts}");
        self.counts.push((what.to_owned(), counts.clone()));
    }

    /// What was noted since the last time.
    pub fn take_counts(&mut self) -> Vec<(String, Counts)> {
        std::mem::take(&mut self.counts)
    }

    /// Looks whether everything in the cluster at hand runs that should.
    ///
    /// # Errors
    /// As [`Cluster::look`].
    pub fn look(&mut self) -> Verdict {
        self.cluster.as_mut().map_or(Ok(()), Cluster::look)
    }

    /// Stops the cluster at hand and removes its files; they stay if it did not end in good order.
    ///
    /// # Errors
    /// As [`Cluster::stop`].
    pub fn end_cluster(&mut self) -> Verdict {
        let Some(cluster) = self.cluster.take() else { return Ok(()) };
        let dir = cluster.dir.clone();
        cluster.stop()?;
        if !self.keep {
            drop(fs::remove_dir_all(dir));
        }
        Ok(())
    }

    /// Kills the cluster at hand and leaves its files to whoever looks into a failure.
    pub fn drop_cluster(&mut self) {
        self.cluster = None;
    }

    /// Has this cluster at hand from now on.
    #[cfg(test)]
    pub(super) fn take_over(&mut self, cluster: Cluster) {
        self.cluster = Some(cluster);
    }

    /// Runs one check of a client library against the cluster at hand and wants it to say `OK`.
    ///
    /// # Errors
    /// What the driver printed, if it failed or did not end.
    ///
    /// # Panics
    /// Without a cluster.
    pub fn drive(&self, client: Client, check: &str, id: &str, options: &[&str]) -> Verdict {
        let cluster = self.cluster.as_ref().expect("the check has asked for one");
        self.drive_at(&Home::of(cluster), client, check, id, options)
    }

    /// The same against any servers.
    ///
    /// # Errors
    /// What the driver printed, if it failed or did not end.
    pub fn drive_at(
        &self,
        home: &Home,
        client: Client,
        check: &str,
        id: &str,
        options: &[&str],
    ) -> Verdict {
        let name = format!("{}-{check}", client.name());
        let limit = Duration::from_secs(deadline(options)) + DRIVER_GRACE;
        let mut command = self.driver(home, client, check, id);
        let seen = process::run(&name, command.args(options), &home.dir, limit)?;
        let ok = format!("OK {check}");
        if seen.status.success() && !seen.out.lines().any(|line| line == ok) {
            return Err(Failure::Wrong(format!("{name} did not say {ok}:\n{}", seen.out)));
        }
        seen.clean(&name)?;
        Ok(())
    }

    /// The command for one check, without options.
    #[must_use]
    pub fn driver(&self, home: &Home, client: Client, check: &str, id: &str) -> Command {
        self.shop.driver(home, client, check, id)
    }
}

impl Workshop {
    /// The command for one check of a client library, without options.
    #[must_use]
    pub fn driver(&self, home: &Home, client: Client, check: &str, id: &str) -> Command {
        let mut command = match client {
            Client::Java550 => self.java_driver(Part::Java550, &home.dir),
            Client::Java498 => self.java_driver(Part::Java498, &home.dir),
            Client::Go => Command::new(self.built(Part::Go).join("interop")),
        };
        command.args([home.namesrv.as_str(), check, id]).current_dir(&home.dir);
        if client == Client::Go {
            command.arg(format!("brokers={}", home.brokers.join(",")));
        }
        command.env("HOME", &home.dir).env_remove("NAMESRV_ADDR");
        match &home.inside {
            Some(namespace) => inside(namespace, &command),
            None => command,
        }
    }

    fn java_driver(&self, part: Part, home: &Path) -> Command {
        let built = self.built(part);
        let mut command = self.java_command("-Xmx512m");
        command.arg(format!("-Duser.home={}", home.display())).arg("-cp");
        command.arg(format!("{0}/classes:{0}/lib/*", built.display()));
        command.arg("turbopump.interop.Main").env_remove("JAVA_TOOL_OPTIONS");
        command
    }
}

/// The same command in a network namespace; its process is the program's.
fn inside(namespace: &str, command: &Command) -> Command {
    let mut outer = Command::new("ip");
    outer.args(["netns", "exec", namespace]).arg(command.get_program()).args(command.get_args());
    for (key, value) in command.get_envs() {
        match value {
            Some(value) => outer.env(key, value),
            None => outer.env_remove(key),
        };
    }
    if let Some(dir) = command.get_current_dir() {
        outer.current_dir(dir);
    }
    outer
}

/// What failed runs have left stays until the next run. Runs side by side leave each other alone.
fn forget_old_runs(runs: &Path) {
    let Ok(entries) = fs::read_dir(runs) else { return };
    for entry in entries.flatten() {
        if !Path::new("/proc").join(entry.file_name()).exists() {
            drop(fs::remove_dir_all(entry.path()));
        }
    }
}

impl Client {
    /// The name in the names of checks.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Java550 => "java-5.5.0",
            Self::Java498 => "java-4.9.8",
            Self::Go => "go",
        }
    }

    /// What must have been built to run it.
    #[must_use]
    pub fn part(self) -> Part {
        match self {
            Self::Java550 => Part::Java550,
            Self::Java498 => Part::Java498,
            Self::Go => Part::Go,
        }
    }
}

/// Seconds the driver gives itself.
fn deadline(options: &[&str]) -> u64 {
    let given = options.iter().find_map(|option| option.strip_prefix("deadline=")?.parse().ok());
    given.unwrap_or(120)
}
