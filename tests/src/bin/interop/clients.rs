//! Suite `clients`: every check of every client library, with SYNC_FLUSH.

use tests::harness::check::Check;
use tests::harness::cluster::Spec;
use tests::harness::lab::{Client, Lab};
use tests::harness::servers::Maker;

/// Seconds a driver gets, and the check around it (which may start servers).
const DRIVER: &str = "deadline=120";
const LIMIT: u64 = 240;

/// What the 5.5.0 drivers check, besides the two of all clients.
pub const JAVA: [&str; 15] = [
    "batch",
    "oneway",
    "async",
    "bigbody",
    "orderly",
    "broadcast",
    "fromfirst",
    "fromlast",
    "fromtimestamp",
    "pull",
    "viewbyid",
    "autocreate",
    "createtopic",
    "longpoll",
    "topicdelete",
];

/// The suite.
pub fn checks(against: Maker) -> Vec<Check> {
    let mut checks = Vec::new();
    for client in [Client::Java550, Client::Java498, Client::Go] {
        checks.push(check(against, client, "order", &["count=10000", DRIVER]));
        checks.push(check(against, client, "tags", &[DRIVER]));
    }
    checks.extend(JAVA.map(|name| check(against, Client::Java550, name, &[DRIVER])));
    checks.push(offsets(against));
    checks
}

fn check(against: Maker, client: Client, name: &'static str, options: &'static [&str]) -> Check {
    let full = format!("clients/{}/{name}", client.name());
    Check::new(full, against, &[client.part()], LIMIT, move |lab| {
        lab.cluster(Spec::of(against))?;
        lab.drive(client, name, &id(client), options)
    })
}

/// The offsets of consumers outlive the broker: the second half runs after a restart of it.
fn offsets(against: Maker) -> Check {
    let client = Client::Java550;
    let full = format!("clients/{}/offsets", client.name());
    Check::new(full, against, &[client.part()], LIMIT, move |lab| {
        lab.cluster(Spec::of(against))?;
        restarted(lab, Spec::of(against))
    })
}

/// Both halves of the offsets check around a restart of the broker.
pub fn restarted(lab: &mut Lab, spec: Spec) -> tests::harness::failure::Verdict {
    let client = Client::Java550;
    lab.drive(client, "offsets1", &id(client), &[DRIVER])?;
    let cluster = lab.cluster(spec)?;
    cluster.stop_brokers()?;
    cluster.start_brokers()?;
    lab.drive(client, "offsets2", &id(client), &[DRIVER])
}

/// Names of topics and groups end in this: no two clients share one.
fn id(client: Client) -> String {
    client.name().replace(['-', '.'], "")
}
