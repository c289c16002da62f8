//! How to start a NameServer and a broker, ours or Apache's.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::drivers::{Part, Workshop};
use super::failure::{Trying, Verdict};
use super::ports;

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
    program: PathBuf,
    words: Vec<String>,
    dir: PathBuf,
    maker: Maker,
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
        Ok(Self { name, port, broker_names: Vec::new(), program, words, dir, maker })
    }

    /// A broker of `shards` shards (Apache's has one), with SYNC_FLUSH and its store in `dir`.
    ///
    /// # Errors
    /// If its configuration cannot be written.
    pub fn broker(
        shop: &Workshop,
        maker: Maker,
        dir: &Path,
        namesrv: u16,
        shards: u16,
    ) -> Verdict<Self> {
        assert!(maker == Maker::Ours || shards == 1, "Apache's broker knows no shards");
        // Apache's takes one port below (listenPort - 2) and one above for its replicas.
        let mut offsets = vec![-2, 1];
        offsets.extend((0..shards).map(|shard| i32::from(shard * STRIDE)));
        let port = ports::free(&offsets);
        let mut conf = format!(
            "brokerClusterName={CLUSTER_NAME}\nbrokerName={BROKER_NAME}\nlistenPort={port}\n\
             bindAddress=127.0.0.1\nbrokerIP1=127.0.0.1\nnamesrvAddr=127.0.0.1:{namesrv}\n\
             storePathRootDir={}/store\nflushDiskType=SYNC_FLUSH\nmappedFileSizeCommitLog=67108864\n",
            dir.display()
        );
        match maker {
            Maker::Ours if shards > 1 => {
                line(&mut conf, format_args!("shards={shards}\nshardPortStride={STRIDE}"));
            }
            Maker::Ours => {}
            Maker::Apache => conf.push_str(
                "brokerIP2=127.0.0.1\nwaitTimeMillsInSendQueue=5000\ndiskMaxUsedSpaceRatio=95\n",
            ),
        }
        let conf = write(dir, "broker.conf", &conf)?;
        let (program, words) = match maker {
            Maker::Ours => (shop.bin.join("mqbroker"), vec!["-c".to_owned(), conf]),
            Maker::Apache => apache(shop, dir, "broker.BrokerStartup", "-Xmx512m", &conf),
        };
        let name = format!("{} broker", maker.whose());
        let broker_names = (0..shards).map(broker_name).collect();
        Ok(Self { name, port, broker_names, program, words, dir: dir.to_owned(), maker })
    }

    /// The command that starts it.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
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

impl Maker {
    fn whose(self) -> &'static str {
        match self {
            Self::Ours => "our",
            Self::Apache => "Apache",
        }
    }
}

fn broker_name(shard: u16) -> String {
    if shard == 0 { BROKER_NAME.to_owned() } else { format!("{BROKER_NAME}-{shard}") }
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
