//! From what was seen to verdicts; nothing is looked at in here.

mod cpu;
mod disk;
mod kernel;
mod memory;
mod store;

#[cfg(test)]
mod tests;

use super::{Facts, Row};

/// The verdicts, in the order in which they are shown.
#[must_use]
pub fn decide(facts: &Facts) -> Vec<Row> {
    let mut rows = vec![
        kernel::io_uring(&facts.kernel),
        kernel::locked_memory(&facts.limits, facts.cpu.allowed),
        kernel::open_files(&facts.limits),
        cpu::cores(&facts.cpu),
        cpu::quota(&facts.cpu),
        cpu::governor(&facts.cpu),
        cpu::clock(&facts.cpu),
        memory::swap(&facts.memory),
        memory::huge_pages(&facts.memory),
    ];
    rows.extend(match &facts.store {
        Some(store) => vec![
            store::directory(store),
            store::file_system(store),
            store::mount_options(store),
            store::direct_io(store),
            store::alignment(store),
            store::space(store),
            disk::scheduler(&store.device),
            disk::write_cache(&store.device),
            disk::block_rewrite(&store.device),
        ],
        None => vec![store::none_named()],
    });
    rows
}

/// Bytes as people read them.
fn bytes(count: u64) -> String {
    const UNITS: [(&str, u32); 4] = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
    match UNITS.iter().find(|(_, shift)| count >= 1 << shift) {
        Some((unit, shift)) => {
            let whole = count >> shift;
            let tenths = ((count - (whole << shift)) * 10) >> shift;
            if tenths == 0 { format!("{whole} {unit}") } else { format!("{whole}.{tenths} {unit}") }
        }
        None => format!("{count} bytes"),
    }
}
