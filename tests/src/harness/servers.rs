//! How to start a NameServer and a broker, ours or Apache's.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use super::drivers::{Part, Workshop};
use super::failure::{Trying, Verdict};
use super::{cores, ports};

/// Whose server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Maker {
    /// Turbopump.
    Ours,
    /// Apache RocketMQ 5.5.0.
    Apache,
}

/// Broker name of the only shard, or of the first.
pub const BROKER_NAME: &str = "broker-a";
/// Cluster name of every broker here.
pub const CLUSTER_NAME: &str = "DefaultCluster";
/// Distance of the ports of two shards. Far from the ports that a broker of Apache's takes around its own.
const STRIDE: u16 = 10;
/// Heartbeat, and shortest and longest wait of an election, for groups whose members share two cores with clients: a
/// member that gets no time for a while is not dead. A process that dies is noticed at once all the same.
pub const PATIENT_MILLIS: [u32; 3] = [200, 2_000, 3_000];

/// What a JVM from 17 on must be told so that Apache's servers may look into it.
pub const OPENS: [&str; 4] = ["java.lang", "java.nio", "java.util", "sun.nio.ch"];

/// A server: everything it takes to start it again with the same port and store.
#[derive(Debug)]
pub struct Plan {
    /// The name in the log.
    pub name: String,
    /// First port.
    pub port: u16,
    /// Broker names, by shard; empty for a NameServer.
    pub broker_names: Vec<String>,
    /// Its configuration, log and store.
    pub dir: PathBuf,
    program: PathBuf,
    words: Vec<String>,
    maker: Maker,
    /// The cores that it may use; none: all.
    cores: Vec<usize>,
}

/// What makes one broker different from another.
#[derive(Debug)]
pub struct Seat {
    /// Broker name of its first shard.
    pub name: String,
    /// Shards; Apache's has one.
    pub shards: u16,
    /// Ports of the NameServers.
    pub namesrvs: Vec<u16>,
    /// Its place in a Raft group; `None` for a broker of its own.
    pub membership: Option<Membership>,
}

/// A place in a Raft group on this machine.
#[derive(Debug)]
pub struct Membership {
    /// Raft port of the first shard of each member; see [`raft_port`].
    pub ports: Vec<u16>,
    /// Which of them it is.
    pub own: usize,
    /// Which of them should lead the first shard; `None` leaves the default.
    pub preferred: Option<usize>,
    /// Heartbeat, shortest and longest wait of an election; `None` leaves the defaults.
    pub millis: Option<[u32; 3]>,
}

/// A port for a member of a Raft group with so many shards.
#[must_use]
pub fn raft_port(shards: u16) -> u16 {
    ports::free(&(0..shards).map(|shard| i32::from(shard * STRIDE)).collect::<Vec<_>>())
}

impl Plan {
    /// A NameServer with its files in `dir`.
    ///
    /// # Errors
    /// If its configuration cannot be written.
    pub fn namesrv(shop: &Workshop, maker: Maker, dir: &Path) -> Verdict<Self> {
        let port = ports::free(&[0]);
        let mut conf = format!("listenPort={port}\nbindAddress=127.0.0.1\n");
        if maker == Maker::Apache {
            let home = dir.display();
            line(&mut conf, format_args!("kvConfigPath={home}/kvConfig.json"));
            line(&mut conf, format_args!("configStorePath={home}/namesrv.properties"));
        }
        let conf = write(dir, "namesrv.conf", &conf)?;
        let (program, words) = match maker {
            Maker::Ours => (shop.bin.join("mqnamesrv"), vec!["-c".to_owned(), conf]),
            Maker::Apache => apache(shop, dir, "namesrv.NamesrvStartup", "-Xmx256m", &conf),
        };
        let name = format!("{} NameServer", maker.whose());
        let dir = dir.to_owned();
        let (broker_names, cores) = (Vec::new(), Vec::new());
        Ok(Self { name, port, broker_names, program, words, dir, maker, cores })
    }

    /// A broker with SYNC_FLUSH and its store in `dir`.
    ///
    /// # Errors
    /// If its configuration cannot be written.
    pub fn broker(shop: &Workshop, maker: Maker, dir: &Path, seat: &Seat) -> Verdict<Self> {
        let is_plain = seat.shards == 1 && seat.membership.is_none();
        assert!(maker == Maker::Ours || is_plain, "Apache's broker knows no shards and groups");
        // Apache's takes one port below (listenPort - 2) and one above for its replicas.
        let mut offsets = vec![1];
        for first in (0..seat.shards).map(|shard| i32::from(shard * STRIDE)) {
            offsets.extend([first - 2, first]);
        }
        let port = ports::free(&offsets);
        let conf = write(dir, "broker.conf", &configuration(maker, dir, seat, port))?;
        let (program, words) = match maker {
            Maker::Ours => (shop.bin.join("mqbroker"), vec!["-c".to_owned(), conf]),
            Maker::Apache => apache(shop, dir, "broker.BrokerStartup", "-Xmx512m", &conf),
        };
        let name = match &seat.membership {
            Some(membership) => format!("{} n{}", seat.name, membership.own),
            None => format!("{} broker", maker.whose()),
        };
        let broker_names = (0..seat.shards).map(|shard| shard_name(&seat.name, shard)).collect();
        let cores = seat.membership.as_ref().map_or_else(Vec::new, |membership| {
            cores::share(&cores::allowed(), membership.own, usize::from(seat.shards))
        });
        let dir = dir.to_owned();
        Ok(Self { name, port, broker_names, program, words, dir, maker, cores })
    }

    /// The command that starts it.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = cores::command(&self.cores, self.program.as_os_str());
        command.args(&self.words).current_dir(&self.dir);
        // What the environment says about other clusters does not count.
        command
            .env_remove("NAMESRV_ADDR")
            .env_remove("ROCKETMQ_HOME")
            .env_remove("JAVA_TOOL_OPTIONS");
        if self.maker == Maker::Ours {
            command.env("RUST_LOG", "info");
        }
        command
    }

    /// Whether it ended in good order after SIGTERM. A JVM ends with 143 then, whatever it did before.
    #[must_use]
    pub fn ends_well(&self, status: ExitStatus) -> bool {
        self.maker == Maker::Apache || status.success()
    }

    /// Where its output goes.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.dir.join(format!("{}.log", self.name.replace(' ', "-")))
    }

    /// The address of each shard, `host:port`, first shard first.
    #[must_use]
    pub fn addresses(&self) -> Vec<String> {
        let shards = u16::try_from(self.broker_names.len()).expect("a few").max(1);
        (0..shards).map(|shard| format!("127.0.0.1:{}", self.port + shard * STRIDE)).collect()
    }
}

#[cfg(test)]
impl Plan {
    /// A shell script in the place of a server, for tests of what the harness makes of its end.
    pub fn script(maker: Maker, dir: &Path, script: &str) -> Self {
        let words = vec!["-c".to_owned(), script.to_owned()];
        let (program, dir) = (PathBuf::from("sh"), dir.to_owned());
        let name = "script".to_owned();
        let (broker_names, cores) = (Vec::new(), Vec::new());
        Self { name, port: 0, broker_names, dir, program, words, maker, cores }
    }
}

impl Maker {
    fn whose(self) -> &'static str {
        match self {
            Self::Ours => "our",
            Self::Apache => "Apache",
        }
    }
}

fn shard_name(first: &str, shard: u16) -> String {
    if shard == 0 { first.to_owned() } else { format!("{first}-{shard}") }
}

fn configuration(maker: Maker, dir: &Path, seat: &Seat, port: u16) -> String {
    let namesrvs: Vec<String> =
        seat.namesrvs.iter().map(|port| format!("127.0.0.1:{port}")).collect();
    let mut conf = format!(
        "brokerClusterName={CLUSTER_NAME}\nbrokerName={}\nlistenPort={port}\n\
         bindAddress=127.0.0.1\nbrokerIP1=127.0.0.1\nnamesrvAddr={}\n\
         storePathRootDir={}/store\nflushDiskType=SYNC_FLUSH\nmappedFileSizeCommitLog=67108864\n",
        seat.name,
        namesrvs.join(";"),
        dir.display()
    );
    if seat.shards > 1 {
        line(&mut conf, format_args!("shards={}\nshardPortStride={STRIDE}", seat.shards));
    }
    if let Some(membership) = &seat.membership {
        conf.push_str(&group(membership));
    }
    if maker == Maker::Apache {
        conf.push_str(
            "brokerIP2=127.0.0.1\nwaitTimeMillsInSendQueue=5000\ndiskMaxUsedSpaceRatio=95\n",
        );
    }
    conf
}

fn group(membership: &Membership) -> String {
    let peers: Vec<String> = (membership.ports.iter().enumerate())
        .map(|(at, port)| format!("n{at}-127.0.0.1:{port}"))
        .collect();
    let mut conf = format!(
        "enableDLegerCommitLog=true\ndLegerPeers={}\ndLegerSelfId=n{}\n",
        peers.join(";"),
        membership.own
    );
    if let Some(preferred) = membership.preferred {
        line(&mut conf, format_args!("preferredLeaderId=n{preferred}"));
    }
    if let Some([heartbeat, min, max]) = membership.millis {
        line(&mut conf, format_args!("raftHeartbeatMillis={heartbeat}"));
        line(&mut conf, format_args!("raftElectionMinMillis={min}\nraftElectionMaxMillis={max}"));
    }
    conf
}

fn apache(
    shop: &Workshop,
    dir: &Path,
    class: &str,
    heap: &str,
    conf: &str,
) -> (PathBuf, Vec<String>) {
    let java = shop.java_command(heap);
    let mut words: Vec<String> =
        java.get_args().map(|word| word.to_string_lossy().into_owned()).collect();
    words.extend(OPENS.map(|package| format!("--add-opens=java.base/{package}=ALL-UNNAMED")));
    words.push(format!("-Duser.home={}", dir.display()));
    words.push(format!("-Drocketmq.home.dir={}", dir.display()));
    words.push("-cp".to_owned());
    words.push(shop.built(Part::Apache).join("lib/*").display().to_string());
    words.push(format!("org.apache.rocketmq.{class}"));
    words.extend(["-c".to_owned(), conf.to_owned()]);
    (PathBuf::from(java.get_program()), words)
}

fn write(dir: &Path, name: &str, text: &str) -> Verdict<String> {
    let path = dir.join(name);
    fs::write(&path, text).trying(path.display().to_string())?;
    Ok(path.display().to_string())
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(text, "{line}").expect("a String takes everything");
}
