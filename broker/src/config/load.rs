//! From settings to a [`Config`], with every check that needs more than one key.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ::config::{ConfigError, ConfigErrors, Effect, Settings};
use storage::{Flush, Options};
use thiserror::Error;

use super::advice::CLUSTER;
use super::demands::{self, Demands};
use super::raft_group::{self, RaftGroup};
use super::{Config, Handles, IoTuning, ProfileError, PullLimits, QueryLimits, Retention};
use crate::shard::identity::{shard_name, shard_port};

/// Bytes of a record beside its body: header, names, and at most 32,767 bytes of properties.
const MAX_RECORD_OVERHEAD: usize = 64 * 1024;
/// Registrations are at least this far apart (RocketMQ 5.5.0, BrokerController).
const REGISTER_MIN: Duration = Duration::from_secs(10);
/// Registrations are at most this far apart.
const REGISTER_MAX: Duration = Duration::from_secs(60);
/// Longest broker, cluster or group name, bytes: the first two are topic names as well.
pub(super) const MAX_NAME: usize = 120;

/// The value of `shards` for one on each core.
pub(crate) const SHARDS_AUTO: &str = "auto";
/// The most shards of a process.
const SHARDS_MAX: u32 = 256;

/// What the configuration needs to know of the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Surroundings {
    /// The user's home directory, for `~`.
    pub home: Option<PathBuf>,
    /// The host's name, for a broker without one.
    pub host_name: String,
    /// Number of cores that the process may use, at least 1, for `shards = auto`.
    pub cores: u32,
}

/// Why a configuration does not start a broker. The message has a line for each reason.
#[derive(Debug, Error)]
pub enum LoadError {
    /// Values that cannot be.
    #[error(transparent)]
    Wrong(#[from] ConfigErrors),
    /// The I/O profile.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// Settings that ask for more than this build has.
    #[error(transparent)]
    Unmet(#[from] Demands),
}

impl From<ConfigError> for LoadError {
    fn from(error: ConfigError) -> Self {
        Self::Wrong(error.into())
    }
}

/// Keys that were set to what they are anyway and have no effect here: worth one quiet line together.
#[must_use]
pub fn quiet_keys(settings: &Settings) -> Vec<&'static str> {
    let quiet = |(key, value): (&'static ::config::Key, &str)| {
        let nothing = matches!(key.effect, Effect::Nothing(_));
        let same = value.eq_ignore_ascii_case(key.default);
        (nothing && same && settings.is_set(key.name)).then_some(key.name)
    };
    settings.sorted().into_iter().filter_map(quiet).collect()
}

impl Config {
    /// The configuration that `settings` describe.
    ///
    /// # Errors
    /// [`LoadError`], with file, line, key, value and what is allowed for each reason. A configuration of Raft groups is
    /// checked here and refused by [`crate::boot`].
    pub fn from_settings(settings: &Settings, around: &Surroundings) -> Result<Self, LoadError> {
        let config = read(settings, around)?;
        check_ports(settings, &config)?;
        check_sizes(settings, &config)?;
        let unmet = demands::unmet(settings, config.raft_group.as_ref());
        if !unmet.is_empty() {
            return Err(Demands(unmet).into());
        }
        Ok(config)
    }

    /// What shard `number` opens its store with.
    #[must_use]
    pub fn store_options(&self, dir: PathBuf, log_dir: PathBuf, number: u32) -> Options {
        Options {
            dir,
            log_dir,
            segment_size: self.segment_size,
            flush: self.flush,
            method: self.io.flush_method,
            max_batch: self.io.max_batch,
            tail_budget: self.tail_budget,
            cache_size: self.io.block_cache,
            max_queued: self.max_queued,
            max_request: self.max_request,
            shard: number,
            shards: self.shards,
            scale: storage::Scale::default(),
        }
    }
}

fn read(settings: &Settings, around: &Surroundings) -> Result<Config, LoadError> {
    let millis = |key| Duration::from_millis(settings.int(key));
    let max_message = bytes(settings, "maxMessageSize");
    let broker_name = name(settings, "brokerName", &around.host_name)?;
    Ok(Config {
        cluster: name(settings, CLUSTER, &cluster_default(settings))?,
        raft_group: RaftGroup::of(settings, &broker_name)?,
        broker_name,
        shards: shards(settings, around)?,
        listen_port: settings.int("listenPort"),
        shard_port_stride: settings.int("shardPortStride"),
        bind_address: bind_address(settings)?,
        advertised_host: advertised(settings)?,
        namesrv_addrs: namesrv_addrs(settings)?,
        register_every: millis("registerNameServerPeriod").clamp(REGISTER_MIN, REGISTER_MAX),
        register_timeout: millis("registerBrokerTimeoutMills"),
        idle_timeout: Duration::from_secs(settings.int("serverChannelMaxIdleTimeSeconds")),
        client_expiry: millis("channelExpiredTimeout"),
        permission: settings.int("brokerPermission"),
        region: settings.text("regionId").to_owned(),
        trace_on: settings.bool("traceOn"),
        auto_create_topics: settings.bool("autoCreateTopicEnable"),
        default_topic_queues: settings.int("defaultTopicQueueNums"),
        auto_create_groups: settings.bool("autoCreateSubscriptionGroup"),
        cluster_topic: settings.bool("clusterTopicEnable"),
        broker_topic: settings.bool("brokerTopicEnable"),
        trace_topic: settings
            .bool("traceTopicEnable")
            .then(|| settings.text("msgTraceTopicName").to_owned()),
        max_topic_length: settings.int("maxTopicLength"),
        long_polling: settings.bool("longPollingEnable"),
        short_polling: millis("shortPollingTimeMills"),
        notify_consumer_ids_changed: settings.bool("notifyConsumerIdsChangedEnable"),
        store_dir: directory(settings, "storePathRootDir", around)?,
        log_dir: log_dir(settings, around)?,
        segment_size: settings.size("mappedFileSizeCommitLog"),
        max_message,
        max_request: 2 * max_message + MAX_RECORD_OVERHEAD,
        tail_budget: bytes(settings, "tailBudget"),
        max_queued: bytes(settings, "maxQueuedBytes"),
        flush: flush(settings),
        io: IoTuning::of(settings),
        retention: Retention::of(settings)?,
        pull_memory: PullLimits {
            bytes: bytes(settings, "maxTransferBytesOnMessageInMemory"),
            messages: settings.int("maxTransferCountOnMessageInMemory"),
        },
        pull_disk: PullLimits {
            bytes: bytes(settings, "maxTransferBytesOnMessageInDisk"),
            messages: settings.int("maxTransferCountOnMessageInDisk"),
        },
        query: QueryLimits {
            messages: settings.int("maxMsgsNumBatch"),
            unique_key: settings.int("defaultQueryMaxNum"),
        },
        handles: handles(settings),
    })
}

fn handles(settings: &Settings) -> Handles {
    Handles {
        shards: settings.handle("shards"),
        shards_are_auto: settings.text("shards").eq_ignore_ascii_case(SHARDS_AUTO),
        listen_port: settings.handle("listenPort"),
        bind_address: settings.handle("bindAddress"),
        raft_peers: settings.handle("dLegerPeers"),
        advertised_host: settings.handle("brokerIP1"),
        store_dir: settings.handle("storePathRootDir"),
        log_dir: settings.handle("storePathCommitLog"),
    }
}

pub(super) fn bytes(settings: &Settings, key: &str) -> usize {
    usize::try_from(settings.size(key)).expect("the bounds in the table fit the address space")
}

/// A number, or one for each core: none is left out, because what is not a shard hardly works at all.
fn shards(settings: &Settings, around: &Surroundings) -> Result<u32, LoadError> {
    assert!(around.cores > 0, "the process runs on a core");
    let text = settings.text("shards");
    if text.eq_ignore_ascii_case(SHARDS_AUTO) {
        return Ok(around.cores.min(SHARDS_MAX));
    }
    match text.parse() {
        Ok(number) if (1..=SHARDS_MAX).contains(&number) => Ok(number),
        _ => Err(settings.bad_value("shards", "a whole number from 1 to 256, or auto").into()),
    }
}

/// As configured. Members of a group flush where nobody says otherwise: several copies are asked for so that messages
/// survive.
fn flush(settings: &Settings) -> Flush {
    let by_default = settings.bool(raft_group::ENABLE) && !settings.is_set("flushDiskType");
    if by_default || settings.one_of("flushDiskType") == "SYNC_FLUSH" {
        return Flush::Sync;
    }
    Flush::Async { interval: Duration::from_millis(settings.int("flushIntervalCommitLog")) }
}

/// The name of a cluster whose line is empty.
fn cluster_default(settings: &Settings) -> String {
    settings.table().find(CLUSTER).expect("the table has the key").default.to_owned()
}

/// The name of a broker, a cluster or a group: NameServers and tools show it, and those of the first two are topics' as
/// well.
pub(super) fn name(settings: &Settings, key: &str, otherwise: &str) -> Result<String, ConfigError> {
    let text = match settings.text(key) {
        "" => otherwise,
        text => text,
    };
    let fits = !text.is_empty()
        && text.len() <= MAX_NAME
        && text.chars().all(|c| !c.is_whitespace() && !c.is_control());
    if !fits {
        let allowed = "1 to 120 bytes without blanks and control characters";
        return Err(settings.bad_value(key, allowed));
    }
    Ok(text.to_owned())
}

fn bind_address(settings: &Settings) -> Result<Ipv4Addr, LoadError> {
    let parsed = settings.text("bindAddress").parse();
    parsed.map_err(|_| settings.bad_value("bindAddress", "an IPv4 address such as 0.0.0.0").into())
}

/// The address for clients: as configured, or the one address that is listened on.
fn advertised(settings: &Settings) -> Result<Option<String>, LoadError> {
    let host = settings.text("brokerIP1");
    // Resolvers take 10.1 for 10.0.0.1, and nobody who writes it means that.
    let is_half_an_address = !host.is_empty()
        && host.chars().all(|c| c.is_ascii_digit() || c == '.')
        && host.parse::<Ipv4Addr>().is_err();
    if host.contains([':', ';', ',', '/', ' ']) || is_half_an_address {
        let allowed = "one IPv4 address or host name, without a port";
        return Err(settings.bad_value("brokerIP1", allowed).into());
    }
    let bound = bind_address(settings)?;
    Ok(match host {
        "" if bound.is_unspecified() => None,
        "" => Some(bound.to_string()),
        host => Some(host.to_owned()),
    })
}

fn namesrv_addrs(settings: &Settings) -> Result<Vec<String>, LoadError> {
    let mut addrs: Vec<String> = Vec::new();
    for addr in settings.list("namesrvAddr") {
        let fits = addr.rsplit_once(':').is_some_and(|(host, port)| {
            // A comma is no part of a name: somebody has separated two addresses with it.
            let is_one = !host.contains(|c: char| c == ',' || c.is_whitespace());
            !host.is_empty() && is_one && port.parse::<u16>().is_ok_and(|port| port != 0)
        });
        if !fits {
            let allowed = "`host:port`, several separated by `;`";
            return Err(settings.bad_value("namesrvAddr", allowed).into());
        }
        if !addrs.iter().any(|known| known == addr) {
            addrs.push(addr.to_owned());
        }
    }
    Ok(addrs)
}

/// A directory; `~` stands for the home directory.
fn directory(settings: &Settings, key: &str, around: &Surroundings) -> Result<PathBuf, LoadError> {
    let text = settings.text(key);
    if text.is_empty() {
        return Err(settings.bad_value(key, "a directory").into());
    }
    let below_home = match text.strip_prefix('~') {
        Some("") => Some(""),
        Some(rest) => rest.strip_prefix('/'),
        None => None,
    };
    match (below_home, &around.home) {
        (None, _) => Ok(PathBuf::from(text)),
        (Some(rest), Some(home)) => Ok(home.join(Path::new(rest))),
        (Some(_), None) => {
            let allowed = "a directory without `~`, because the environment has no HOME";
            Err(settings.bad_value(key, allowed).into())
        }
    }
}

fn log_dir(settings: &Settings, around: &Surroundings) -> Result<Option<PathBuf>, LoadError> {
    let text = settings.text("storePathCommitLog");
    if text.contains(',') {
        let allowed = "one directory; a log does not spread over several";
        return Err(settings.bad_value("storePathCommitLog", allowed).into());
    }
    match text {
        "" => Ok(None),
        _ => directory(settings, "storePathCommitLog", around).map(Some),
    }
}

fn check_ports(settings: &Settings, config: &Config) -> Result<(), LoadError> {
    let last = config.shards - 1;
    if shard_port(config.listen_port, config.shard_port_stride, last).is_none() {
        let remedy = "the port of the last shard, listenPort + (shards - 1) × shardPortStride, must be at most 65535";
        return Err(settings.contradiction("shards", "listenPort", remedy).into());
    }
    if shard_name(&config.broker_name, last).len() > MAX_NAME {
        let allowed = "a shorter name, because `-1`, `-2` … is put behind it for the other shards";
        return Err(settings.bad_value("brokerName", allowed).into());
    }
    if let Some(group) = &config.raft_group {
        raft_group::check_ports(settings, config, group)?;
    }
    Ok(())
}

fn check_sizes(settings: &Settings, config: &Config) -> Result<(), LoadError> {
    if !config.segment_size.is_multiple_of(4096) {
        let allowed = "a multiple of 4096 bytes";
        return Err(settings.bad_value("mappedFileSizeCommitLog", allowed).into());
    }
    let options = config.store_options(PathBuf::new(), PathBuf::new(), 0);
    config.io.check(settings, &options)?;
    if config.segment_size < options.smallest_segment() {
        let allowed = format!(
            "at least {} bytes with `maxMessageSize = {}` ({}), because a segment holds four of the largest requests: \
             raise it or lower the other",
            options.smallest_segment(),
            settings.text("maxMessageSize"),
            settings.place("maxMessageSize"),
        );
        return Err(settings.bad_value("mappedFileSizeCommitLog", &allowed).into());
    }
    if config.max_queued < 2 * config.max_request {
        let remedy =
            "two of the largest requests must be able to wait: raise it or lower the other";
        return Err(settings.contradiction("maxQueuedBytes", "maxMessageSize", remedy).into());
    }
    Ok(())
}
