//! The configuration files that operators bring, with exactly the messages they get.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ::config::{Settings, Source};
use storage::Flush;

use super::{Config, FlushMethod, IoTuning, KEYS, Retention, Surroundings, advice, quiet_keys};

fn around() -> Surroundings {
    Surroundings { home: Some(PathBuf::from("/home/op")), host_name: "host-1".to_owned(), cores: 2 }
}

/// Settings of a file, and its warnings.
fn settings(text: &str) -> (Settings, Vec<String>) {
    let mut settings = Settings::defaults(&KEYS);
    let warnings = settings.load(&Source::file("broker.conf"), text.as_bytes());
    let warnings = warnings.expect("the file loads");
    (settings, warnings.iter().map(ToString::to_string).collect())
}

fn config(text: &str) -> (Config, Vec<String>) {
    let (settings, warnings) = settings(text);
    let config = Config::from_settings(&settings, &around()).expect("the configuration starts");
    (config, warnings)
}

/// The lines of the refusal.
fn refusal(text: &str) -> (Vec<String>, Vec<String>) {
    let (settings, warnings) = settings(text);
    let error = Config::from_settings(&settings, &around()).expect_err("the start is refused");
    (error.to_string().lines().map(str::to_owned).collect(), warnings)
}

#[test]
fn an_empty_file_is_apaches_broker() {
    let (config, warnings) = config("");
    assert_eq!(warnings, Vec::<String>::new());
    assert_eq!(
        (config.cluster.as_str(), config.broker_name.as_str()),
        ("DefaultCluster", "host-1")
    );
    assert_eq!((config.listen_port, config.shards, config.permission), (10911, 1, 6));
    assert_eq!(config.store_dir, Path::new("/home/op/store"));
    assert_eq!(config.log_dir, None);
    assert_eq!(config.flush, Flush::Async { interval: Duration::from_millis(500) });
    assert_eq!(config.segment_size, 1 << 30);
    assert_eq!(config.advertised_host, None);
    assert_eq!(config.register_every, Duration::from_secs(30));
    assert_eq!((config.pull_memory.messages, config.pull_disk.messages), (32, 32));
}

const RAFT_NODE: &str = "\
brokerClusterName = RaftCluster
brokerName=suzhou@broker
listenPort=30911
namesrvAddr=a:9876;b:9876
storePathRootDir=/tmp/rmqstore/node00
storePathCommitLog=/tmp/rmqstore/node00/commitlog
enableDLegerCommitLog=true
dLegerGroup=suzhou@broker
dLegerPeers=n0-127.0.0.1:40911;n1-127.0.0.1:40912;n2-127.0.0.1:40913
## must be unique
dLegerSelfId=n0
sendMessageThreadPoolNums=16
brokerIP1=192.168.65.237
";

const RAFT_WARNINGS: [&str; 1] = [
    "broker.conf:12: `sendMessageThreadPoolNums = 16` has no effect: a shard has one thread, there are no thread pools to size",
];

#[test]
fn scenario_1_a_raft_node_is_understood() {
    let (config, warnings) = config(RAFT_NODE);
    assert_eq!(warnings, RAFT_WARNINGS);
    assert_eq!(advice(&settings(RAFT_NODE).0), Vec::<String>::new());
    let group = config.raft_group.as_ref().expect("it is a member of a group");
    assert_eq!((group.name.as_str(), group.peers.len(), group.own), ("suzhou@broker", 3, 0));
    assert_eq!(config.flush, Flush::Sync, "a group flushes where the file says nothing");
}

#[test]
fn scenario_1_without_raft_is_one_broker() {
    let text = RAFT_NODE.replace("enableDLegerCommitLog=true", "#");
    let (config, warnings) = config(&text);
    assert_eq!(warnings, RAFT_WARNINGS);
    assert_eq!(
        advice(&settings(&text).0),
        [
            "`dLegerGroup = suzhou@broker` (broker.conf:8) has no effect without `enableDLegerCommitLog = true`",
            "`dLegerPeers = n0-127.0.0.1:40911;n1-127.0.0.1:40912;n2-127.0.0.1:40913` (broker.conf:9) has no effect without `enableDLegerCommitLog = true`",
            "`dLegerSelfId = n0` (broker.conf:11) has no effect without `enableDLegerCommitLog = true`",
        ]
    );
    assert_eq!(config.raft_group, None);
    assert_eq!(config.flush, Flush::Async { interval: Duration::from_millis(500) });
    assert_eq!(config.broker_name, "suzhou@broker");
    assert_eq!(config.namesrv_addrs, ["a:9876", "b:9876"]);
    assert_eq!(config.store_dir, Path::new("/tmp/rmqstore/node00"));
    assert_eq!(config.log_dir.as_deref(), Some(Path::new("/tmp/rmqstore/node00/commitlog")));
    assert_eq!(config.advertised_host.as_deref(), Some("192.168.65.237"));
}

#[test]
fn a_raft_node_is_no_master_and_no_slave() {
    // As Apache, which sets both keys itself in this mode.
    for more in ["brokerRole=SYNC_MASTER", "brokerRole=SLAVE\nbrokerId=1", "brokerId=-1"] {
        assert!(config(&format!("{RAFT_NODE}{more}\n")).0.raft_group.is_some(), "{more}");
    }
    for flush in ["ASYNC_FLUSH", "SYNC_FLUSH"] {
        let (config, _) = config(&format!("{RAFT_NODE}flushDiskType={flush}\n"));
        assert_eq!(config.flush == Flush::Sync, flush == "SYNC_FLUSH");
    }
    let copies = |more: &str| settings(&format!("{RAFT_NODE}{more}\n")).0;
    let fits = |more: &str| Config::from_settings(&copies(more), &around()).is_ok();
    assert!(fits("totalReplicas=3\ninSyncReplicas=2\nminInSyncReplicas=2"));
    assert!(!fits("totalReplicas=4"));
    let (errors, _) = refusal(&format!("{RAFT_NODE}inSyncReplicas=3\n"));
    assert_eq!(
        errors,
        [
            "broker.conf:14: `inSyncReplicas = 3` is refused: a send to a Raft group is answered when a majority has the message, and that is fewer; take the line out"
        ]
    );
}

#[test]
fn a_raft_node_is_looked_at_before_it_is_refused() {
    let (errors, _) = refusal(&RAFT_NODE.replace("SelfId=n0", "SelfId=n7"));
    assert_eq!(
        errors,
        [
            "broker.conf:11: `dLegerSelfId = n7` is not possible; allowed: the label of this node in `dLegerPeers` (broker.conf:9), which has n0, n1, n2"
        ]
    );
    let (errors, _) = refusal(&RAFT_NODE.replace("listenPort=30911", "listenPort=40911"));
    assert!(errors[0].contains("port 40911 would be for clients of shard 0 and for"), "{errors:?}");
    let (errors, _) = refusal(&format!("{RAFT_NODE}enableControllerMode=true\n"));
    assert_eq!(
        errors,
        [
            "`enableDLegerCommitLog = true` (broker.conf:7) is not possible together with `enableControllerMode = true` (broker.conf:14); either a group elects its leader or a controller the master: take one out"
        ]
    );
}

#[test]
fn scenario_2_is_no_file_for_a_broker() {
    let (config, warnings) = config(
        "listenPort = 9876\nenableControllerInNamesrv = true\ncontrollerDLegerGroup = group1\n",
    );
    assert_eq!(config.listen_port, 9876);
    assert_eq!(
        warnings,
        [
            "broker.conf:2: unknown key `enableControllerInNamesrv` is ignored",
            "broker.conf:3: unknown key `controllerDLegerGroup` is ignored",
        ]
    );
}

#[test]
fn scenario_3_controller_mode_is_refused_in_this_build() {
    let (errors, warnings) = refusal(
        "brokerClusterName = DefaultCluster\nbrokerName = broker-a\nbrokerId = -1\nbrokerRole = SLAVE\n\
         deleteWhen = 04\nfileReservedTime = 48\nenableControllerMode = true\n\
         controllerAddr = 127.0.0.1:9878\nnamesrvAddr = 127.0.0.1:9876\nallAckInSyncStateSet=true\n\
         listenPort=30911\nstorePathRootDir=/tmp/rmqstore/node01\n\
         storePathCommitLog=/tmp/rmqstore/node01/commitlog\n",
    );
    assert_eq!(
        errors,
        [
            "broker.conf:7: `enableControllerMode = true` is refused: controller mode is not in this build, nobody would take over a dead master; take the line out for a broker without replicas, with brokerId = 0 and brokerRole = ASYNC_MASTER",
            "broker.conf:10: `allAckInSyncStateSet = true` is refused: controller mode is not in this build, nobody would take over a dead master; take the line out for a broker without replicas, with brokerId = 0 and brokerRole = ASYNC_MASTER",
            "broker.conf:3: `brokerId = -1` is refused: only a controller assigns ids, and controller mode is not in this build; set it to 0",
            "broker.conf:4: `brokerRole = SLAVE` is refused: primary-backup replication is not in this build, this broker would copy nothing; set brokerId = 0 and brokerRole = ASYNC_MASTER under a brokerName of its own for one more master",
        ]
    );
    assert_eq!(
        warnings,
        [
            "broker.conf:8: `controllerAddr = 127.0.0.1:9878` has no effect: controller mode is not in this build",
        ]
    );
}

/// One of Apache's classic files.
fn classic(id: &str, role: &str, flush: &str) -> String {
    format!(
        "brokerClusterName=DefaultCluster\nbrokerName=broker-a\nbrokerId={id}\ndeleteWhen=04\n\
         fileReservedTime=48\nbrokerRole={role}\nflushDiskType={flush}\n"
    )
}

#[test]
fn scenario_4_masters_without_slaves() {
    for (flush, expected) in [
        ("ASYNC_FLUSH", Flush::Async { interval: Duration::from_millis(500) }),
        ("SYNC_FLUSH", Flush::Sync),
    ] {
        let (config, warnings) = config(&classic("0", "ASYNC_MASTER", flush));
        assert_eq!(warnings, Vec::<String>::new());
        assert_eq!(config.flush, expected);
        assert_eq!(config.retention.reserved, Duration::from_secs(48 * 3600));
        assert_eq!(config.retention.hours, [4]);
        assert_eq!(config.broker_name, "broker-a");
    }
    let (settings, _) = settings("sendMessageThreadPoolNums=\ndeleteWhen=04\n");
    assert_eq!(quiet_keys(&settings), ["sendMessageThreadPoolNums"]);
}

#[test]
fn scenario_4_pairs_are_refused_in_this_build() {
    let (errors, warnings) = refusal(&classic("0", "SYNC_MASTER", "ASYNC_FLUSH"));
    assert_eq!(
        errors,
        [
            "broker.conf:6: `brokerRole = SYNC_MASTER` is refused: primary-backup replication is not in this build, sends would be answered without a slave's copy; set brokerRole = ASYNC_MASTER"
        ]
    );
    assert_eq!(warnings, Vec::<String>::new());

    let (errors, _) = refusal(&classic("1", "SLAVE", "ASYNC_FLUSH"));
    assert_eq!(errors.len(), 2);
    assert!(errors[0].starts_with("broker.conf:3: `brokerId = 1` is refused: primary-backup"));
    assert!(
        errors[1].starts_with("broker.conf:6: `brokerRole = SLAVE` is refused: primary-backup")
    );
}

#[test]
fn protection_that_is_not_there_is_refused() {
    let (errors, _) =
        refusal("aclEnable = true\nauthenticationEnabled=true\nminInSyncReplicas=2\n");
    assert_eq!(errors.len(), 3);
    assert!(errors[0].contains("broker.conf:2: `authenticationEnabled = true` is refused"));
    assert!(errors[1].contains("anybody could send and receive"));
    assert!(errors[2].contains("`minInSyncReplicas = 2` is refused"));
}

#[test]
fn wrong_values_name_file_line_key_and_what_is_allowed() {
    for (text, message) in [
        (
            "\nnamesrvAddr=localhost",
            "broker.conf:2: `namesrvAddr = localhost` is not possible; allowed: `host:port`, several separated by `;`",
        ),
        (
            "bindAddress=::1",
            "broker.conf:1: `bindAddress = ::1` is not possible; allowed: an IPv4 address such as 0.0.0.0",
        ),
        (
            "brokerIP1=1.2.3.4:5",
            "broker.conf:1: `brokerIP1 = 1.2.3.4:5` is not possible; allowed: one IPv4 address or host name, without a port",
        ),
        (
            "\n\nbrokerIP1=300.1.2.3",
            "broker.conf:3: `brokerIP1 = 300.1.2.3` is not possible; allowed: one IPv4 address or host name, without a port",
        ),
        (
            "brokerIP1=10.1",
            "broker.conf:1: `brokerIP1 = 10.1` is not possible; allowed: one IPv4 address or host name, without a port",
        ),
        (
            "brokerName=a b",
            "broker.conf:1: `brokerName = a b` is not possible; allowed: 1 to 120 bytes without blanks and control characters",
        ),
        (
            "storePathCommitLog=/a,/b",
            "broker.conf:1: `storePathCommitLog = /a,/b` is not possible; allowed: one directory; a log does not spread over several",
        ),
        (
            "mappedFileSizeCommitLog=16777217",
            "broker.conf:1: `mappedFileSizeCommitLog = 16777217` is not possible; allowed: a multiple of 4096 bytes",
        ),
        (
            "shards=0",
            "broker.conf:1: `shards = 0` is not possible; allowed: a whole number from 1 to 256, or auto",
        ),
        (
            "deleteWhen=04;24",
            "broker.conf:1: `deleteWhen = 04;24` is not possible; allowed: hours of the day from 00 to 23, several separated by `;`",
        ),
        (
            "maxBatchBytes=8MiB\nmappedFileSizeCommitLog=16MiB\nmaxMessageSize=1MiB",
            "`mappedFileSizeCommitLog = 16MiB` (broker.conf:2) is not possible together with `maxBatchBytes = 8MiB` (broker.conf:1); a segment holds at least four of the largest writes: raise it or lower the other",
        ),
        (
            "maxBatchBytes=8MiB\ntailBudget=4MiB",
            "`tailBudget = 4MiB` (broker.conf:2) is not possible together with `maxBatchBytes = 8MiB` (broker.conf:1); what is written must be able to stay for consumers: raise it or lower the other",
        ),
        (
            "shards=3\nlistenPort=65400",
            "`shards = 3` (broker.conf:1) is not possible together with `listenPort = 65400` (broker.conf:2); the port of the last shard, listenPort + (shards - 1) × shardPortStride, must be at most 65535",
        ),
        (
            "mappedFileSizeCommitLog=16MiB",
            "broker.conf:1: `mappedFileSizeCommitLog = 16MiB` is not possible; allowed: at least 33824768 bytes with `maxMessageSize = 4MiB` (default), because a segment holds four of the largest requests: raise it or lower the other",
        ),
        (
            "namesrvAddr=a:9876,b:9876",
            "broker.conf:1: `namesrvAddr = a:9876,b:9876` is not possible; allowed: `host:port`, several separated by `;`",
        ),
    ] {
        assert_eq!(refusal(text).0, [message]);
    }
}

#[test]
fn what_is_kept_and_how_the_log_meets_the_device() {
    let (defaults, _) = config("");
    let retention = Retention {
        reserved: Duration::from_secs(72 * 3600),
        hours: vec![4],
        early_percent: 75,
        forced_percent: 85,
        full_percent: 90,
        forcibly: true,
    };
    assert_eq!(defaults.retention, retention);
    let io = IoTuning {
        flush_method: FlushMethod::Fdatasync,
        max_batch: 1 << 20,
        busy_poll: Duration::ZERO,
        block_cache: 64 << 20,
    };
    assert_eq!(defaults.io, io);

    let (config, warnings) = config(
        "deleteWhen=16;04; 4;\ndiskMaxUsedSpaceRatio=88\ncleanFileForciblyEnable=false\n\
         flushMethod=o_dsync\nbusyPollMicros=50\nshards=auto\n",
    );
    assert_eq!(warnings, Vec::<String>::new());
    assert_eq!(config.retention.hours, [4, 16]);
    assert_eq!((config.retention.early_percent, config.retention.forcibly), (88, false));
    assert_eq!(config.io.flush_method, FlushMethod::Dsync);
    assert_eq!(config.io.busy_poll, Duration::from_micros(50));
    assert_eq!(config.shards, around().cores);
}

#[test]
fn directories_below_home_and_names_of_shards() {
    let (config, _) =
        config("storePathRootDir=~\nnamesrvAddr=a:1;a:1; b:2;\nbindAddress=127.0.0.1\n");
    assert_eq!(config.store_dir, Path::new("/home/op"));
    assert_eq!(config.namesrv_addrs, ["a:1", "b:2"]);
    assert_eq!(config.advertised_host.as_deref(), Some("127.0.0.1"));

    let (settings, _) = settings("");
    let homeless = Surroundings { home: None, host_name: "h".to_owned(), cores: 2 };
    let error = Config::from_settings(&settings, &homeless).expect_err("there is no home");
    assert_eq!(
        error.to_string(),
        "default: `storePathRootDir = ~/store` is not possible; allowed: a directory without `~`, because the environment has no HOME"
    );
}

#[test]
fn an_empty_cluster_is_apaches() {
    assert_eq!(config("brokerClusterName=\n").0.cluster, "DefaultCluster");
}

#[test]
fn keys_of_apaches_other_configurations_are_known() {
    let (_, warnings) = config(
        "storePathConsumeQueue=/s/cq\nabortFile=/s/abort\nuserCacheMaxNum=1\nclusterName=c\nuseTLS=false\n\
         socksProxyConfig={}\nconfigName=x\n",
    );
    assert_eq!(warnings.len(), 5, "{warnings:?}");
    assert!(warnings.iter().all(|warning| warning.contains("has no effect: ")), "{warnings:?}");
    let (errors, _) = refusal("useTLS=true\n");
    assert_eq!(
        errors,
        [
            "broker.conf:1: `useTLS = true` is refused: TLS is not in this build, everything would go over the net in the clear; take the line out, and let only trusted networks reach the port"
        ]
    );
}

#[test]
fn a_typing_error_names_the_key_that_was_meant() {
    let (_, warnings) = config("brokerIp1 = 10.0.0.1\nflushDiskTyp=SYNC_FLUSH\n");
    assert_eq!(
        warnings,
        [
            "broker.conf:1: unknown key `brokerIp1` is ignored; did you mean `brokerIP1`?",
            "broker.conf:2: unknown key `flushDiskTyp` is ignored; did you mean `flushDiskType`?",
        ]
    );
}
