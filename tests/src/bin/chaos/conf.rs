//! The configurations of the servers.

use ::tests::net::Net;
use ::tests::net::node::{NAMESRV_PORT, Node, PORT, RAFT_PORT};

/// Label and address of a member, as `dLegerPeers` says them.
pub fn peer(net: &Net, node: &Node) -> String {
    format!("{}-{}:{RAFT_PORT}", node.name, net.address(node.machine))
}

/// The configuration of a broker that belongs to the group of `peers`.
pub fn broker_conf(net: &Net, node: &Node, namesrvs: &str, peers: &[String]) -> String {
    let address = net.address(node.machine);
    format!(
        "brokerClusterName=chaos\nbrokerName=broker-a\nlistenPort={PORT}\nbindAddress={address}\nbrokerIP1={address}\n\
         namesrvAddr={namesrvs}\nstorePathRootDir={}\nflushDiskType=SYNC_FLUSH\n\
         mappedFileSizeCommitLog=16MiB\nmaxMessageSize=1MiB\ntailBudget=4MiB\n\
         enableDLegerCommitLog=true\ndLegerGroup=g\ndLegerPeers={}\ndLegerSelfId={}\n\
         raftHeartbeatMillis=100\nraftElectionMinMillis=500\nraftElectionMaxMillis=1000\n",
        node.store().display(),
        peers.join(";"),
        node.name,
    )
}

/// The configuration of a NameServer.
pub fn namesrv_conf(net: &Net, node: &Node) -> String {
    format!("listenPort={NAMESRV_PORT}\nbindAddress={}\n", net.address(node.machine))
}
