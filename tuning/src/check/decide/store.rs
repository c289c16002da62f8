//! The directory of the store and its file system.

use super::super::{Row, Severity, Store};
use super::bytes;

/// File systems on which the log was designed and measured.
const GOOD: [&str; 2] = ["ext4", "xfs"];
/// File systems that never overwrite a block in place.
const COPY_ON_WRITE: [&str; 3] = ["bcachefs", "btrfs", "zfs"];
/// File systems that keep nothing.
const VOLATILE: [&str; 2] = ["ramfs", "tmpfs"];
/// Mount options with which a flush does not reach the disk.
const NO_BARRIER: [&str; 3] = ["nobarrier", "barrier=0", "barrier=none"];

/// Bytes of a block of the log.
const BLOCK: u32 = 4096;
/// Two segments of the default size: the one that is written and the next.
const SPACE_MIN: u64 = 2 << 30;
/// Percent of a disk from which a broker refuses sends, by default (`diskSpaceWarningLevelRatio`).
const FULL_PERCENT: u64 = 90;
/// Percent from which segments go early, by default (`diskMaxUsedSpaceRatio`).
const EARLY_PERCENT: u64 = 75;

pub(super) fn none_named() -> Row {
    Row {
        severity: Severity::Unknown,
        fix: Some(
            "`mqtune check --store DIR` looks at the file system and the disk as well".into(),
        ),
        ..Row::new("store", "a directory", "no directory was named")
    }
}

pub(super) fn directory(store: &Store) -> Row {
    let row = |current: String| Row::new("store", "a directory, or none yet", current);
    match &store.in_the_way {
        Some(file) => {
            let fix = "give the directory of the store, as storePathRootDir names it; it need not exist yet. What follows is \
                       about the directory that the file lies in";
            row(format!("{} is a file, not a directory", file.display()))
                .rated(Severity::Error, fix)
        }
        None if store.looked_at == store.dir => row(store.dir.display().to_string()),
        None => row(format!("{} is not there yet", store.dir.display())),
    }
}

pub(super) fn file_system(store: &Store) -> Row {
    let required = "ext4 or xfs";
    let mount = match &store.mount {
        Err(why) => return Row::unknown("file system", required, why),
        Ok(mount) => mount,
    };
    let kind = mount.kind.as_str();
    let current = format!("{kind} at {}", mount.point);
    let row = Row::new("file system", required, current);
    if GOOD.contains(&kind) {
        return row;
    }
    let fix = if COPY_ON_WRITE.contains(&kind) {
        "it writes every block to a new place, so a durable write costs much more, and recycled segments gain nothing: put \
         the store on ext4 or xfs"
    } else if VOLATILE.contains(&kind) {
        "it is memory: nothing survives a restart of the machine. Put the store on ext4 or xfs"
    } else {
        "the log was not measured there, and a network or overlay file system may answer a flush before the data are safe: \
         put the store on ext4 or xfs (in a container: on a volume)"
    };
    row.rated(Severity::Warning, fix)
}

pub(super) fn mount_options(store: &Store) -> Row {
    let required = "flushes reach the disk, no discard";
    let mount = match &store.mount {
        Err(why) => return Row::unknown("mount options", required, why),
        Ok(mount) => mount,
    };
    let with = |option: &str| mount.options.iter().any(|known| known == option);
    let row = |option: &str| Row::new("mount options", required, option);
    let remount = |option: &str| {
        format!("`mount -o remount,{option} {}` as root, and in /etc/fstab", mount.point)
    };
    if with("ro") {
        let fix = format!("nothing can be written: {}", remount("rw"));
        return row("ro").rated(Severity::Error, fix);
    }
    if let Some(option) = NO_BARRIER.into_iter().find(|option| with(option)) {
        let fix = format!(
            "a flush does not empty the disk's cache, so a power cut takes what was acknowledged: {}",
            remount("barrier")
        );
        return row(option).rated(Severity::Error, fix);
    }
    if with("data=journal") {
        let fix = "every write goes to the journal first, and direct I/O is switched off: mount with data=ordered";
        return row("data=journal").rated(Severity::Warning, fix);
    }
    if with("discard") {
        let fix = format!(
            "deleting a file tells the disk so at once, which holds up writes for milliseconds: {}, and run `fstrim` from time \
             to time",
            remount("nodiscard")
        );
        return row("discard").rated(Severity::Warning, fix);
    }
    row(if with("rw") { "rw" } else { "nothing against it" })
}

pub(super) fn direct_io(store: &Store) -> Row {
    let required = "O_DIRECT writes";
    match &store.direct_io {
        Ok(()) => Row::new("direct I/O", required, "works"),
        Err(why) if store.refuses_direct => {
            let fix = "put the store on ext4 or xfs, not on a network or overlay file system (in a container: on a volume)";
            Row::new("direct I/O", required, format!("refused: {why}")).rated(Severity::Error, fix)
        }
        Err(why) if store.looked_at == store.dir => {
            let fix = format!("check owner and mode: `ls -ld {}`", store.dir.display());
            Row::new("direct I/O", required, format!("no file can be made: {why}"))
                .rated(Severity::Error, fix)
        }
        // The directory is not there yet, and those above it need not be writable for this user.
        Err(why) => Row::unknown("direct I/O", required, why),
    }
}

pub(super) fn alignment(store: &Store) -> Row {
    let required = "direct I/O in blocks of 4096 bytes or less";
    let alignment = match &store.alignment {
        Err(why) => return Row::unknown("alignment", required, why),
        Ok(None) => {
            let why =
                super::super::Unknown("the kernel does not tell (as of Linux 6.1 it may)".into());
            return Row::unknown("alignment", required, &why);
        }
        Ok(Some(alignment)) => alignment,
    };
    let current = format!("memory {}, positions {}", alignment.memory, alignment.offset);
    let row = Row::new("alignment", required, current);
    if alignment.offset == 0 || alignment.offset > BLOCK || alignment.memory > BLOCK {
        let fix = "the log writes whole blocks of 4096 bytes: use a file system with that block size on a disk with sectors of \
                   4096 bytes or less";
        return row.rated(Severity::Error, fix);
    }
    row
}

pub(super) fn space(store: &Store) -> Row {
    let required = format!("{}, less than {EARLY_PERCENT} % in use", bytes(SPACE_MIN));
    let space = match &store.space {
        Err(why) => return Row::unknown("free space", required, why),
        Ok(space) => space,
    };
    let used = u64::from(space.used_percent());
    let current = format!("{} of {}, {used} % in use", bytes(space.available), bytes(space.total));
    let row = Row::new("free space", required, current);
    let place = store.looked_at.display();
    if used >= FULL_PERCENT {
        let fix = format!(
            "a broker refuses sends from {FULL_PERCENT} % on (diskSpaceWarningLevelRatio): make room, `du -xh {place} | sort -h | \
             tail` shows what takes it"
        );
        row.rated(Severity::Error, fix)
    } else if used >= EARLY_PERCENT {
        let fix = format!(
            "from {EARLY_PERCENT} % on (diskMaxUsedSpaceRatio) segments go as soon as they are old enough: make room, or shorten \
             fileReservedTime"
        );
        row.rated(Severity::Warning, fix)
    } else if space.available < SPACE_MIN {
        let fix = "two segments of the default size do not fit: make room, or set mappedFileSizeCommitLog lower before the first \
                   start";
        row.rated(Severity::Warning, fix)
    } else {
        row
    }
}
