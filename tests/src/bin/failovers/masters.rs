//! Case `masters`: several brokers without replicas. What a dead one has taken can be read again when it is back.

use tests::harness::check::Check;
use tests::harness::cluster::{Spec, group_name};
use tests::harness::failure::Verdict;
use tests::harness::lab::{Client, Home, Lab};
use tests::harness::outage::Outage;
use tests::harness::servers::Maker;

use crate::group::{LIMIT, all_is_well};

const MASTERS: u16 = 3;
const SENDS: u32 = 1_000;
const SPEC: Spec = Spec { namesrvs: 2, groups: MASTERS, ..Spec::of(Maker::Ours) };

/// The one case.
pub fn cases() -> Vec<Check> {
    let parts = [Client::Java550.part()];
    vec![Check::new("masters/backlog", Maker::Ours, &parts, LIMIT, backlog)]
}

/// Nobody has consumed yet when the first master dies. The others' messages arrive, and more are taken; when it is back
/// its own arrive, too.
fn backlog(lab: &mut Lab) -> Verdict {
    let home = Home::of(lab.cluster(SPEC)?);
    let mut outage = Outage::start(lab, &home, Client::Java550, "masters", &[])?;
    outage.send("sync", SENDS)?;
    let cluster = lab.cluster(SPEC)?;
    cluster.kill_broker(0);
    outage.consume()?;
    outage.send("sync", SENDS)?;
    let others: Vec<String> = (1..MASTERS).map(group_name).collect();
    outage.await_from(&others.iter().map(String::as_str).collect::<Vec<_>>())?;
    cluster.start_brokers()?;
    let counts = outage.end()?;
    lab.note("masters", &counts);
    counts.none_failed()?;
    all_is_well(&counts, 0)
}
