//! Several shards of one broker.

mod support;

use std::time::Duration;

use broker::shard::siblings::mailboxes;
use remoting::body::{Body, RaftGroupState, RaftRecovery};
use remoting::header::raft::RecoverGroupHeader;
use remoting::{Command, RequestCode, ResponseCode};
use support::cluster::{Cluster, shard_addr};
use support::log::Lines;
use support::{Client, Place, Running, config, in_simulation, send_header};

const SHARDS: u16 = 3;

fn port(place: &Place, number: u16) -> Place {
    Place { port: place.port + 100 * number, ..place.clone() }
}

#[test]
fn a_topic_that_a_send_creates_is_on_every_shard() {
    in_simulation(3, |place| async move {
        let config = config(&place, &[("shards", "3")]);
        let mut shards = Vec::new();
        for (number, mailbox) in (0..).zip(mailboxes(SHARDS.into())) {
            shards.push(Running::start_shard(&config, &place, number, mailbox).await);
        }
        let names: Vec<&str> =
            shards.iter().map(|shard| shard.started.identity.name.as_str()).collect();
        assert_eq!(names, ["broker-a", "broker-a-1", "broker-a-2"]);
        let mut clients = Vec::new();
        for number in 0..SHARDS {
            clients.push(Client::connect(port(&place, number).addr()).await);
        }
        clients[1].send("Born", 3, b"x").await;
        runtime::sleep(Duration::from_millis(50)).await;
        for client in &clients {
            let pulled = client.pull("Born", 3, 0).await;
            assert_ne!(pulled.code, ResponseCode::TopicNotExist);
        }
        assert_eq!(
            clients[0].send("Born", 3, b"y").await.offset,
            0,
            "each shard has its own queues"
        );
        // One that is created on purpose is on the shard it was created on.
        clients[2].create_topic("Mine", 1).await;
        runtime::sleep(Duration::from_millis(50)).await;
        assert_eq!(clients[0].pull("Mine", 0, 0).await.code, ResponseCode::TopicNotExist);
        for shard in shards {
            shard.stop().await;
        }
    });
}

/// The number of shards is fixed at the first start.
#[test]
fn another_number_of_shards_is_refused() {
    in_simulation(3, |place| async move {
        let two = config(&place, &[("shards", "2")]);
        let shard = Running::start_shard(&two, &place, 0, mailboxes(2).remove(0)).await;
        shard.stop().await;
        let three = config(&place, &[("shards", "3")]);
        let error = Running::try_start(&three, &place, 0, mailboxes(3).remove(0)).await;
        let error = error.err().expect("it is refused").to_string();
        assert!(error.contains("shards = 2, the configuration says 3"), "{error}");
    });
}

/// Whether a node leads the group of a shard.
async fn leads(at: usize, shard: u16) -> bool {
    let client = Client::connect(shard_addr(at, shard)).await;
    state(&client).await.role == "LEADER"
}

async fn state(client: &Client) -> RaftGroupState {
    let answer = client.ask(Command::request(RequestCode::GetRaftGroupState)).await;
    RaftGroupState::decode(&answer.body).expect("a state")
}

/// Has a node that is alone become the group of its shard 0 by force.
async fn recover(at: usize) {
    let client = Client::connect(shard_addr(at, 0)).await;
    let state = state(&client).await;
    let lost = state.members.iter().filter(|one| one.store != state.store);
    let lost: Vec<&str> = lost.map(|one| one.store.as_str()).collect();
    let lost = lost.join(";");
    let header = RecoverGroupHeader { group: &state.group, lost: Some(&lost), go_on: Some(true) };
    let answer = client.request(RequestCode::RecoverRaftGroup, &header).await;
    assert_eq!(answer.code, 0, "{:?}", answer.remark);
    let report = RaftRecovery::decode(&answer.body).expect("a report");
    assert!(report.begins, "{report:?}");
}

/// Three members of three groups each, and not all the time about their heartbeats.
const CALM: [(&str, &str); 4] = [
    ("shards", "3"),
    ("raftHeartbeatMillis", "200"),
    ("raftElectionMinMillis", "700"),
    ("raftElectionMaxMillis", "1200"),
];
/// More than a shard that reads nothing is told before its siblings wait.
const TOPICS: u32 = 1_100;

#[test]
fn a_shard_that_cannot_open_its_log_again_says_so_and_is_in_none_of_the_others_way() {
    let lines = Lines::keep();
    let mut cluster = Cluster::founded(3, &CALM);
    cluster.run_for(Duration::from_secs(20)); // each group is led by whom it prefers
    (0..2).for_each(|at| cluster.crash(at));
    cluster.run_for(Duration::from_secs(5));
    cluster.client(|| recover(2));
    let log = "/store/shard-0/log/00000000000000000000";
    cluster.machines[2].disk().spoil(log, 0..4096);
    cluster.run_for(Duration::from_secs(90));
    let told = lines.with("shard stopped for good");
    assert_eq!(told.len(), 1, "{told:?}");
    for part in ["ERROR", "shard=broker-a ", "store=/store/shard-0", "start the broker again"] {
        assert!(told[0].contains(part), "{part}: {told:?}");
    }
    assert_eq!(cluster.ended(), Vec::<String>::new(), "the process goes on");

    cluster.client(|| async {
        let client = Client::connect(shard_addr(2, 1)).await;
        let status = client.ask(Command::request(RequestCode::GetBrokerRuntimeInfo)).await;
        let status = String::from_utf8(status.body.to_vec()).expect("text");
        assert!(status.contains("\"raftShardsGone\":\"0\""), "{status}");
    });

    // The other shards make topics for each other.
    (0..2).for_each(|at| cluster.start(at));
    cluster.run_for(Duration::from_secs(20));
    cluster.client(|| async {
        assert!(leads(1, 1).await && leads(2, 2).await);
        let client = Client::connect(shard_addr(1, 1)).await;
        for number in 0..TOPICS {
            let topic = format!("Made-{number}");
            client.send_with(&send_header(&topic, 0), b"x").await.expect("it is stored");
        }
        runtime::sleep(Duration::from_secs(5)).await;
        let sibling = Client::connect(shard_addr(2, 2)).await;
        let last = format!("Made-{}", TOPICS - 1);
        let code = sibling.pull(&last, 0, 0).await.code;
        assert_eq!(code, ResponseCode::PullNotFound, "it is there, and empty");
    });
    cluster.stop(2);
    let ended = cluster.ended();
    assert_eq!(ended.len(), 1, "{ended:?}");
    assert!(ended[0].starts_with("n2: ") && ended[0].contains("shard-0"), "{ended:?}");
}

/// Announcements are as old as the clock of the leader who wrote them has it.
#[test]
fn a_topic_gets_onto_every_shard_also_where_clocks_differ() {
    let cluster = Cluster::founded(5, &[("shards", "2")]);
    cluster.run_for(Duration::from_secs(20)); // each group is led by whom it prefers
    cluster.machines[1].shift_clock(120_000);
    cluster.client(|| async {
        assert!(leads(0, 0).await && leads(1, 1).await);
        let client = Client::connect(shard_addr(0, 0)).await;
        client.send_with(&send_header("Born", 0), b"x").await.expect("it is stored");
        runtime::sleep(Duration::from_secs(2)).await;
        let sibling = Client::connect(shard_addr(1, 1)).await;
        let code = sibling.pull("Born", 0, 0).await.code;
        assert_eq!(code, ResponseCode::PullNotFound, "it is there, and empty");
    });
}
