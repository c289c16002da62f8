//! Which crate may depend on which.

use super::finding::Finding;
use super::workspace::Crate;

/// The whole map: a crate, and the crates of ours it may name in its manifest, for any purpose.
/// An edge is added here first, with its reason in the same commit.
#[rustfmt::skip]
const EDGES: [(&str, &[&str]); 17] = [
    // Vocabulary, tables of settings, and the only door to the outside.
    ("config",    &[]),
    ("model",     &[]),
    ("runtime",   &[]),
    // Bytes on the wire (no I/O), bytes on the disk.
    ("remoting",  &["model"]),
    ("storage",   &["model", "runtime"]),
    ("transport", &["remoting", "runtime"]),
    ("raft",      &["model", "runtime", "storage"]),
    // What RocketMQ means. `namesrv` names `runtime` to start its executor.
    ("namesrv",   &["config", "model", "remoting", "runtime", "transport"]),
    ("client",    &["remoting", "runtime", "transport"]),
    // `broker` names `client` and `namesrv` in a test only: who else belongs to a whole cluster in the simulator.
    ("broker",    &["client", "config", "model", "namesrv", "raft", "remoting", "runtime", "storage", "transport"]),
    // Edges of the system: programs and tests.
    // `bench` names `storage` to feed a store without a broker around it.
    ("bench",     &["client", "model", "remoting", "runtime", "storage", "transport"]),
    // `admin` names the servers and `model` in a test only: what it administers.
    ("admin",     &["broker", "client", "model", "namesrv", "remoting", "runtime"]),
    // `tuning` names `broker` in a test only: the profile that it writes must be one that the broker loads.
    ("tuning",    &["broker", "runtime"]),
    // `fuzzing` reads every format that there is.
    ("fuzzing",   &["broker", "model", "raft", "remoting", "runtime", "storage"]),
    // `turbopump` names `admin` to show the groups of a cluster that it has started, and `bench` in a test only: it prints a
    // command of that program.
    ("turbopump", &["admin", "bench", "broker", "config", "namesrv", "runtime"]),
    // `tests` names `bench` and `admin` to measure our servers, and to administer them, in a simulation.
    ("tests",     &["admin", "bench", "broker", "client", "config", "model", "namesrv", "remoting", "runtime",
                    "storage", "transport"]),
    ("xtask",     &[]),
];

/// Every edge between our crates must be in the table, and every row of the table have its crate.
pub fn check(crates: &[Crate]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for krate in crates {
        let Some((_, allowed)) = EDGES.iter().find(|(name, _)| *name == krate.name) else {
            let message = format!("crate `{}` has no row in xtask/src/tidy/edges.rs", krate.name);
            findings.push(Finding::of(&krate.manifest, message));
            continue;
        };
        for edge in krate.dependencies.iter().filter(|dependency| dependency.ours) {
            if !allowed.contains(&edge.name.as_str()) {
                let allowed =
                    if allowed.is_empty() { "nothing".into() } else { allowed.join(", ") };
                findings.push(Finding::of(
                    &krate.manifest,
                    format!(
                        "edge {} → {} is not allowed; {0} may name: {allowed}",
                        krate.name, edge.name
                    ),
                ));
            }
        }
    }
    findings
}

/// Rows of the table whose crate is gone.
pub fn check_table(crates: &[Crate]) -> Vec<Finding> {
    EDGES
        .iter()
        .filter(|(name, _)| !crates.iter().any(|krate| krate.name == *name))
        .map(|(name, _)| {
            Finding::of("xtask/src/tidy/edges.rs", format!("there is no crate `{name}`"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::workspace::sample;
    use super::{EDGES, check, check_table};

    #[test]
    fn an_edge_outside_the_table_is_named() {
        let good = sample("storage", &["model", "runtime"], &[("bytes", "^1")]);
        assert!(check(&[good]).is_empty());

        let findings = check(&[sample("storage", &["model", "broker"], &[])]);
        assert_eq!(findings.len(), 1);
        assert!(findings[0].message.contains("storage → broker"), "{}", findings[0]);
        assert!(findings[0].message.contains("model, runtime"), "{}", findings[0]);
    }

    #[test]
    fn a_crate_without_a_row_and_a_row_without_a_crate_are_found() {
        assert_eq!(check(&[sample("gadget", &[], &[])]).len(), 1);
        let all: Vec<_> = EDGES.iter().map(|(name, _)| sample(name, &[], &[])).collect();
        assert!(check_table(&all).is_empty());
        assert_eq!(check_table(&all[1..]).len(), 1);
    }

    #[test]
    fn the_table_has_no_cycle_because_rows_name_only_rows_above() {
        for (row, (name, allowed)) in EDGES.iter().enumerate() {
            for edge in *allowed {
                let above = EDGES[..row].iter().any(|(name, _)| name == edge);
                assert!(above, "{name} → {edge}");
            }
        }
    }
}
