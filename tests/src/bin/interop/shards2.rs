//! Suite `shards2`: a broker of two shards, seen by clients as two broker names.

use std::collections::BTreeSet;

use tests::harness::check::Check;
use tests::harness::cluster::Spec;
use tests::harness::failure::{Verdict, expect};
use tests::harness::lab::{Client, Lab};
use tests::harness::resident;
use tests::harness::servers::Maker;

use crate::clients;

const LIMIT: u64 = 240;
const SPEC: Spec = Spec { shards: 2, ..Spec::of(Maker::Ours) };

/// The suite. Apache's broker has no shards.
pub fn checks() -> Vec<Check> {
    let part = Client::Java550.part();
    let mut checks: Vec<Check> = ["order", "tags"]
        .into_iter()
        .chain(clients::JAVA)
        .chain(["twonames"])
        .map(|name| {
            Check::new(format!("shards2/{name}"), Maker::Ours, &[part], LIMIT, move |lab| {
                lab.cluster(SPEC)?;
                lab.drive(Client::Java550, name, "shards2", &[])
            })
        })
        .collect();
    checks.push(Check::new("shards2/offsets", Maker::Ours, &[part], LIMIT, |lab| {
        lab.cluster(SPEC)?;
        clients::restarted(lab, SPEC)
    }));
    checks.push(Check::new("shards2/pinned", Maker::Ours, &[], LIMIT, pinned));
    checks.into_iter().map(|check| check.with_cores(usize::from(SPEC.shards))).collect()
}

/// Each shard's executor thread may run on one core only, and no two on the same.
fn pinned(lab: &mut Lab) -> Verdict {
    let threads = resident::threads(lab.cluster(SPEC)?.broker_pid())?;
    let mut cores = BTreeSet::new();
    for shard in 0..SPEC.shards {
        let name = format!("shard-{shard}");
        let named: Vec<_> = threads.iter().filter(|thread| thread.name == name).collect();
        let is_pinned = named.len() == 1 && named[0].cores.parse::<u32>().is_ok();
        expect(is_pinned, || format!("one thread {name}, on one core; saw {threads:?}"))?;
        cores.insert(named[0].cores.clone());
    }
    expect(cores.len() == usize::from(SPEC.shards), || {
        format!("a core for each shard; saw {cores:?} in {threads:?}")
    })
}
