//! Bits of a log that rot, and sectors that cannot be read.

use std::path::PathBuf;

use runtime::sim::Disk;

use crate::dice::Dice;

/// So near to its end a log does not rot: nobody could tell the last entries of a log from ones that were being written
/// when the power went.
const END: u64 = 128 << 10;
const SECTOR: u64 = 4096;
/// Nobody else has a segment's header, with the store's own name in it: without one a member is refused.
const HEADER: u64 = SECTOR;

/// Whether there was something to rot.
pub fn rots(disk: &Disk, dice: &mut Dice) -> bool {
    let logs: Vec<(PathBuf, u64)> = segments(disk).collect();
    let used: Vec<(PathBuf, u64)> = logs
        .into_iter()
        .map(|(path, _)| {
            let bytes = disk.content(&path);
            let end = bytes.iter().rposition(|byte| *byte != 0).unwrap_or(0) as u64;
            (path, end)
        })
        .filter(|(_, end)| *end > 2 * END)
        .collect();
    if used.is_empty() {
        return false;
    }
    let (path, end) = &used[dice.below(used.len() as u64) as usize];
    let at = HEADER + dice.below(end - END - HEADER);
    match dice.below(2) {
        0 => disk.flip_bit(path, 8 * at + dice.below(8)),
        _ => disk.spoil(path, at..at + SECTOR),
    }
    true
}

/// The files in which entries are, or will be.
pub fn segments(disk: &Disk) -> impl Iterator<Item = (PathBuf, u64)> {
    let all = disk.files().into_iter();
    all.filter(|(path, _)| {
        let in_log = path.parent().and_then(|dir| dir.file_name()).is_some_and(|dir| dir == "log");
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        in_log && name.bytes().all(|byte| byte.is_ascii_digit())
    })
}
