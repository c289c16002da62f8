//! Bits that rot and sectors that cannot be read: named and refused, never served wrong, never skipped.

use std::path::PathBuf;
use std::sync::Arc;

use runtime::BLOCK;

use crate::life::{Ended, Script, live, with};
use crate::{History, LIMIT, segment_of};

/// What rots.
#[derive(Clone, Debug)]
struct Rotten {
    file: PathBuf,
    bit: u64,
    unreadable: bool,
    /// It lies in what was acknowledged, which is never written again.
    in_record: bool,
}

/// No record is shorter.
const SHORTEST: u64 = 96;

/// Lets one thing rot after the other, each in a store that was stopped in order and is whole.
pub fn histories(history: &mut History) {
    while_it_works(history);
    for _ in 0..6 {
        let rotten = choose(history);
        history.note(format!("{rotten:?}"));
        set(history, &rotten, true);
        let ended = open(history);
        match &ended {
            // What is rotten is not needed: free space, a copy.
            Ended::Stopped => {}
            Ended::Refused(error) | Ended::Failed(error) => assert!(
                error.contains("/store") || error.contains("offset"),
                "{rotten:?}: the error does not say where: {error}"
            ),
            Ended::Unreadable(error) => {
                let text = error.to_string();
                assert!(text.contains("offset") || text.contains("/store"), "{rotten:?}: {text}");
            }
        }
        history.node.crash();
        // A life that stopped in order has written, and perhaps over what was rotten.
        if matches!(ended, Ended::Stopped) && !rotten.unreadable {
            return;
        }
        set(history, &rotten, false);
        history.healthy_life(0); // nothing was cut, nothing was changed
    }
}

/// A record rots in a store that is open: readers are told, or get what was written.
fn while_it_works(history: &mut History) {
    let turns = Some(200);
    // What has rotted must not move: nothing is trimmed.
    let (large_one_in, trim_one_in) = (1_000_000, u64::MAX);
    let script = Script { turns, faulty: true, large_one_in, trim_one_in, ..history.script() };
    let before = with(&history.shared, |model| model.recovered);
    let shared = Arc::clone(&history.shared);
    let executor = history.node.start("rotting", move || live(script, shared));
    let shared = Arc::clone(&history.shared);
    let is_right = || with(&shared, |model| model.recovered > before);
    assert!(history.simulation.run_until(LIMIT, is_right), "it was stopped in order");
    let rotten: Vec<Rotten> = (0..20).map(|_| choose(history)).collect();
    // The block that the log ends in is written again, and whole: what had rotted in it is well then.
    let end = with(&history.shared, |model| model.durable.0) / 4096 * 4096;
    let (last, into) = segment_of(end);
    let stays = |rotten: &Rotten| rotten.in_record && (rotten.file < last || rotten.bit / 8 < into);
    let rotten: Vec<_> = rotten.into_iter().filter(|one| stays(one)).collect();
    for one in &rotten {
        set(history, one, true);
    }
    drop(history.simulation.join(executor, LIMIT).expect("it ends by itself"));
    history.node.crash();
    for one in &rotten {
        set(history, one, false);
    }
    history.healthy_life(0);
}

fn choose(history: &mut History) -> Rotten {
    let unreadable = history.dice.one_in(3);
    let in_record = history.dice.one_in(2);
    let records: Vec<u64> = with(&history.shared, |model| {
        let kept = model.topics.values().flat_map(|topic| topic.queues.iter().flatten());
        kept.map(|kept| kept.physical).filter(|at| *at >= model.trimmed).map(|at| at.0).collect()
    });
    // The block that the log ends in is written again, and what has rotted in it is whole then.
    let last_block = records.iter().max().map_or(0, |last| last / BLOCK as u64 * BLOCK as u64);
    let settled = |at: &u64| at + SHORTEST <= last_block;
    let records: Vec<u64> = records.into_iter().filter(settled).collect();
    if in_record && !records.is_empty() {
        let (file, at) = segment_of(history.dice.pick(&records));
        let bit = at * 8 + history.dice.below(SHORTEST * 8);
        return Rotten { file, bit, unreadable, in_record };
    }
    let files: Vec<(PathBuf, u64)> =
        history.disk.files().into_iter().filter(|(_, len)| *len > 0).collect();
    let (file, len) = &files[history.dice.below(files.len() as u64) as usize];
    let within = if history.dice.one_in(2) { (*len).min(8192) } else { *len };
    let bit = history.dice.below(within * 8);
    Rotten { file: file.clone(), bit, unreadable, in_record: false }
}

fn set(history: &History, rotten: &Rotten, now: bool) {
    let byte = rotten.bit / 8;
    // What can be made anew from the log was removed by a start, if it could not be read.
    let gone = || !history.disk.files().iter().any(|(file, _)| *file == rotten.file);
    if !now && rotten.unreadable && gone() {
        return;
    }
    match (rotten.unreadable, now) {
        (true, true) => history.disk.spoil(&rotten.file, byte..byte + 1),
        (true, false) => history.disk.mend(&rotten.file, byte..byte + 1),
        (false, _) => history.disk.flip_bit(&rotten.file, rotten.bit),
    }
}

/// Opens, checks and closes the store: whatever it serves is right, or this panics.
fn open(history: &mut History) -> Ended {
    let script = Script { turns: Some(0), faulty: true, ..history.script() };
    let shared = Arc::clone(&history.shared);
    let executor = history.node.start("rotten", move || live(script, shared));
    history.simulation.join(executor, LIMIT).expect("it ends by itself")
}
