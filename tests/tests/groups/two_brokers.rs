//! Two brokers at one NameServer, each a group, with members that are called the same.

use crate::cluster::{Cluster, SECOND};
use crate::members::admin;

const NAMES: &str = "10.0.0.1:9876;10.0.0.2:9876";

/// Both are led: nodes 0, 1 and 2 are n0 to n2 of broker-a, and 3 and 4 are n0 and n1 of broker-b.
fn two_brokers(seed: u64) -> Cluster {
    let mut cluster = Cluster::new(seed, 1);
    cluster.two_brokers = true;
    cluster.start_all();
    (3..5).for_each(|at| cluster.start(at));
    cluster.until_led(0, &[0, 1, 2]);
    cluster.until("both are led", |cluster| {
        let state = groups(cluster);
        state.len() == 2 && state.iter().all(|group| !group["canLose"].is_null())
    });
    cluster
}

/// What `groupState` says of each group.
fn groups(cluster: &Cluster) -> Vec<serde_json::Value> {
    let lines = admin(cluster, &format!("groupState -n {NAMES} --json")).assert_done("brokerName");
    serde_json::from_str(&lines[0]).expect("it is JSON")
}

fn voters(cluster: &Cluster) -> Vec<usize> {
    let members = |group: &serde_json::Value| group["members"].as_array().map_or(0, Vec::len);
    groups(cluster).iter().map(members).collect()
}

#[test]
fn a_label_that_two_brokers_have_changes_neither() {
    let cluster = two_brokers(160);
    assert_eq!(voters(&cluster), [3, 2]);
    let leaders = |cluster: &Cluster| -> Vec<serde_json::Value> {
        groups(cluster).iter().map(|group| group["leader"].clone()).collect()
    };
    let before = leaders(&cluster);
    for words in ["removeMember --member n1", "promote --member n1", "transferLeader --all-away n0"]
    {
        admin(&cluster, &format!("{words} -n {NAMES}"))
            .assert_refused("several brokers are found there (broker-a, broker-b)");
    }
    assert_eq!((voters(&cluster), leaders(&cluster)), (vec![3, 2], before));
    // One of them is meant, by an address or by its group.
    let remove = format!("removeMember --member n1 -b {}", Cluster::addr(0, 0));
    admin(&cluster, &remove).assert_done("n1 is no member any more");
    assert_eq!(voters(&cluster), [2, 2]);
    let transfer = format!("transferLeader --to n1 -n {NAMES} -g broker-b");
    admin(&cluster, &transfer).assert_done("group broker-b: ");
}

#[test]
fn a_new_node_says_itself_which_of_two_brokers_it_belongs_to() {
    let mut cluster = two_brokers(161);
    let (new, replace) = (Cluster::addr(5, 0), "replaceMember --old n1");
    let words = format!("{replace} --new {new} -n {NAMES}");
    admin(&cluster, &words).assert_refused("the new node's broker does not answer");
    cluster.start(5);
    cluster.run_for(SECOND);
    let lines = admin(&cluster, &words).assert_done("group broker-a: n1 ");
    assert!(lines.iter().all(|line| !line.contains("broker-b")), "{lines:?}");
    admin(&cluster, &words).assert_done("nothing to do, n5 votes");
    assert_eq!(voters(&cluster), [3, 2]);
}
