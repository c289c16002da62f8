//! docs/configuration.md is written by this test and compared by it: `BLESS=1 cargo test -p broker configuration`.

use std::fmt::Write as _;

use ::config::{Effect, Table, without_effect};

use super::{IMPORTANT, KEYS};

const PAGE: &str = include_str!("../../../docs/configuration.md");

const HEAD: &str = "\
# Configuration of the broker

This page is generated from the table of keys in `broker/src/config`; change it there and run
`BLESS=1 cargo test -p broker the_configuration_page`.

`mqbroker -c broker.conf` reads a file in Java's properties format, as Apache RocketMQ's files are. Sizes are bytes, or a
number with `KiB`, `MiB` or `GiB` behind it. As with Apache, the environment variable `NAMESRV_ADDR` is the default of
`namesrvAddr`, the file wins over it, and the option `-n` over both.

- A key that nobody knows gives a warning with file, line and the nearest known key.
- A key that Apache knows and that does nothing here gives a warning that says why, if it is set to something other than
  Apache's default. Those that are set to the default are named together in one line.
- A value that does not fit its key, and settings that contradict each other, stop the start. So do settings that ask for
  more than this build has: a second copy of messages without a Raft group (`enableControllerMode`, `brokerRole =
  SYNC_MASTER` or `SLAVE`, `inSyncReplicas` and its siblings above 1) and protection (`authenticationEnabled` and its
  siblings). The message says what to take out.

## What to know before production

- **Durability.** Without `flushDiskType` the broker does as Apache's does: `ASYNC_FLUSH`. What is acknowledged then survives
  the death of the process; a power cut can take up to `flushIntervalCommitLog` of it. `SYNC_FLUSH` acknowledges after the
  flush. The standalone `turbopump` uses `SYNC_FLUSH`.
- **Retention.** `fileReservedTime`, `deleteWhen` and the ratios of the disk mean what they mean to Apache's broker. Apache also takes
  two of the ratios as Java system properties (`rocketmq.broker.diskSpaceWarningLevelRatio` and its sibling, fractions);
  here they are keys, in percent. The space of what goes comes back to the disk step by step, while messages come only a few MiB a
  second, so that sends are not held up; at full speed when no messages come, when the disk is fuller than the lowest of these
  ratios says, or when the log has no room. Each shard keeps two files for segments to come, however large they are, and up to
  eight as long as they hold no more than 256 MiB, or its part of a 32nd of the disk. Above
  `diskMaxUsedSpaceRatio` they are made of segments that go, where some go in time. Above `diskSpaceCleanForciblyRatio` (or
  `diskSpaceWarningLevelRatio`, if that is lower), and where the log has no room, one file is kept: what a shard has ready beyond that is deleted before messages
  of it go that are not old enough. No file is made ahead of the log that would itself bring the disk over that ratio, and on a disk
  too full for a checkpoint only one that is due is kept. The disk is looked at every ten seconds; while
  sends are refused for its fullness twice a second, so that they are taken again as soon as there is room.
- **I/O profile.** `ioProfile` names a few settings that fit a disk. They lie above the defaults and below everything else that is
  set; the broker logs which it took. [tuning.md](tuning.md) has the profiles and the tool that makes one.
- **Shards.** `shards = 1` is the layout of Apache's files. With more, shard k registers as `brokerName-k`, listens on
  `listenPort + k × shardPortStride` and keeps its store in `shard-k`. `shards = auto` is one for each core that the process may
  use; the log says how many that is. The number is fixed in the store at first start: on a machine with another number of cores
  a store made with `auto` is refused, and the number has to be written out.
- **Raft groups.** With `enableDLegerCommitLog = true` each shard is a member of a group of its own, among the machines in
  `dLegerPeers`: a send is answered when a majority of the members has the message. Shard k's group is `dLegerGroup-k`, its members
  are at their ports plus `k × shardPortStride`, and the k-th member should lead it, counted round, unless `preferredLeaderId` says
  otherwise. `brokerClusterName`, `brokerName`, `dLegerGroup`, `dLegerPeers`, `shards`, `shardPortStride` and
  `mappedFileSizeCommitLog` are the same on all members. `brokerId` and `brokerRole` have no effect, as with Apache: a leader
  registers as 0, the others by the number in their labels and one. Members flush before they acknowledge, whatever `flushDiskType`
  says, which Apache's do not: what a majority has acknowledged outlives a power cut of all.
    - *Founding.* The member with the first label (shorter labels come first, those of one length go by their letters) founds the
      group, once all members run and their stores are empty; its log says what it waits for. It happens once: a node that comes
      back with an empty store is no member any more. Where it does not come to it: [the group is not
      founded](runbook-groups.md#the-group-is-not-founded). A group's store without `enableDLegerCommitLog` is refused.
    - *From one broker to a group.* The member with the first label, and no other, may bring the store of a broker without replicas: start
      it as before, with the keys of the group. It serves on, alone, and says so; when all others run and are empty they get its log and
      then a vote each, and it says that the group is complete. Nothing is copied on its own disk; messages, topics, groups, offsets
      and locks go on.
    - *Members.* Once a group is founded its log says who belongs to it. `mqadmin replaceMember`, `addLearner`, `promote` and
      `removeMember` ([mqadmin.md](mqadmin.md)) change that while the group runs; `dLegerPeers` is brought up to date afterwards, and a start
      warns where the two differ. A new node's `dLegerPeers` names the others and itself.
    - *Roles.* The log has a line for each change. The leader registers at every NameServer as soon as it is elected, on a new connection
      where the old one does not answer within 200 ms, or three times as long as usual; the one that led before says a second later that it follows. The others
      hand sends, consumer offsets, queue locks and changes of topics and groups on to it, once; while they know of no leader they
      refuse them with code 14, on which stock producers try another broker. They serve pulls of what is committed. A leader that makes place
      for the one that should lead finishes what is under way first, for up to two seconds. One that has heard of no majority for
      twice `raftElectionMaxMillis`, and one whose disk has written nothing for that long while another member's has, which hands over,
      answer code 14 to whoever waits: such a message may be stored, and a client that sends it again stores it twice. Members
      without a vote, such as one that still gets the log, or was removed, are not registered.
    - *Consumer offsets.* A question for one is answered by a leader that has made sure that it still leads, or not at all; never with a
      code such as 14. Clients of 4.9.8 take any refusal for *none* and begin at the end of the queue
      (`RemoteBrokerOffsetStore.readOffset`, `RebalancePushImpl.computePullFromWhere`): a backlog would never be consumed. Up to
      65,536 questions are held and tried again for 2.5 seconds, and then left without an answer. Clients ask again after that: those of
      Java have waited for 5 seconds, those of Go for 3.
    - *Behind the end.* Only a leader that is certain of it tells a consumer that its offset is behind the end of a queue, and sends it
      back. Another member may not have the message yet: it holds the pull, and answers in the end that there is nothing new.
    - *Who should lead.* A leader makes place for the member that should lead once that one has been connected, with nearly all of the log,
      for five seconds, and the leader has led for as long. If it leads again soon afterwards, because that member is sick, it waits a
      minute before the next attempt, then two, and so on, an hour at most; the third attempt in a row is a warning. Ten minutes of
      the other one's leading make up for that.
    - *What outlives a leader.* Messages, topics, consumer groups, consumer offsets and queue locks.
    - *Stopping.* A leader that is told to stop finishes what is under way and hands over to a member that has the log, first to the one that
      should lead; if that one does not take over, to the next. When its process
      is killed the others learn that from its machine and elect one at once. When the machine itself is gone, or the network, they do when
      they have heard nothing for `raftElectionMaxMillis` and a random part more.
- **Ports.** A shard listens on its port for clients and, in a group, on one for the other members. With groups no two of these may be
  one port, nor the port two below that for clients, which clients with `vipChannelEnabled` dial: such a start is refused with the
  keys that clash. Ports such as 40911 lie where Linux finds ports for connections that go out; the sysctl
  `net.ipv4.ip_local_reserved_ports` keeps them free, and a start warns without it.
- **Queue locks** of orderly consumers are in the log: they expire after 60 seconds without renewal, and outlive a restart of the
  broker, or another leader, for 60 seconds more at most. RocketMQ's let go then, and two clients can work on one queue.
- **Addresses.** The broker dials its own `brokerIP1` after the start and says so if a client could not reach it.

";

const RESTART: &str = "\
In the column *restart*, `yes` means that the broker reads the key when it starts, so that a change takes effect at the next
start; `no` stands at keys without effect, of which a change does nothing.";

fn page() -> String {
    let mut page = String::from(HEAD);
    let main = IMPORTANT.markdown();
    writeln!(page, "## Keys\n\n{RESTART}\n\n{main}").expect("writing to a string cannot fail");
    page.push_str("## The rest of Apache's keys\n\n");
    page.push_str("Known, and without effect here:\n\n");
    let rest = &KEYS.keys()[IMPORTANT.keys().len()..];
    for key in rest {
        let quiet = matches!(key.effect, Effect::Nothing(_));
        assert!(quiet, "{} does something and is not among the important keys", key.name);
    }
    page.push_str(&without_effect(rest, "Apache's default"));
    page
}

#[test]
#[allow(clippy::disallowed_methods, reason = "writes the page into the source tree when asked to")]
fn the_configuration_page_is_in_step_with_the_table() {
    let page = page();
    if std::env::var_os("BLESS").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/configuration.md");
        std::fs::write(path, &page).expect("the source tree can be written");
        return;
    }
    assert!(page == PAGE, "run `BLESS=1 cargo test -p broker the_configuration_page`");
}

#[test]
fn every_key_that_does_something_needs_a_restart() {
    for key in KEYS.keys().iter().filter(|key| key.effect == Effect::Full) {
        assert!(key.needs_restart, "the page says so of {}", key.name);
    }
}

#[test]
fn every_important_key_is_on_the_page() {
    let keys: &Table = &IMPORTANT;
    for key in keys.keys() {
        assert!(PAGE.contains(&format!("| `{}` |", key.name)), "{}", key.name);
    }
}
