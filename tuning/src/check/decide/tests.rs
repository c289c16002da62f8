//! Verdicts over machines that were made up.

use std::path::PathBuf;

use runtime::probe::ProbeError;

use super::super::facts::{
    Cpu, Device, Facts, Kernel, Limits, Memory, Mount, Reading, Store, Unknown,
};
use super::super::{Row, Severity, text};
use super::{bytes, decide};
use crate::sys::{Alignment, Space};

fn good() -> Facts {
    Facts {
        kernel: Kernel { release: Ok("6.1.0".into()), io_uring: Ok(()) },
        limits: Limits { locked_memory: Ok(Some(8 << 20)), open_files: Ok(Some(1 << 20)) },
        cpu: Cpu {
            allowed: 4,
            online: Ok(4),
            quota: Ok(None),
            governors: Ok(vec!["performance".into(); 4]),
            clock_source: Ok("tsc".into()),
        },
        memory: Memory { swap: Ok(0), swappiness: Ok(60), huge_pages: Ok("madvise".into()) },
        store: Some(good_store()),
    }
}

fn good_store() -> Store {
    Store {
        dir: "/data/store".into(),
        looked_at: "/data/store".into(),
        in_the_way: None,
        mount: Ok(mount("ext4", &["rw", "relatime"])),
        direct_io: Ok(()),
        refuses_direct: false,
        alignment: Ok(Some(Alignment { memory: 4, offset: 512 })),
        space: Ok(Space { total: 100 << 30, free: 80 << 30, available: 80 << 30 }),
        device: Ok(good_device()),
    }
}

fn mount(kind: &str, options: &[&str]) -> Mount {
    let options = options.iter().map(ToString::to_string).collect();
    Mount { kind: kind.into(), point: "/data".into(), options }
}

fn good_device() -> Device {
    Device {
        name: "nvme0n1".into(),
        model: Some("Fast Disk 7".into()),
        scheduler: Ok("none".into()),
        volatile_cache: Ok(false),
        fua: Ok(false),
        rotational: Ok(false),
        physical_block: Ok(4096),
    }
}

/// The row of `check` on the good machine with something changed.
fn row(check: &str, change: impl FnOnce(&mut Facts)) -> Row {
    let mut facts = good();
    change(&mut facts);
    decide(&facts).into_iter().find(|row| row.check == check).expect("the check is there")
}

fn row_of_store(check: &str, change: impl FnOnce(&mut Store)) -> Row {
    row(check, |facts| change(facts.store.as_mut().expect("it has one")))
}

fn row_of_device(check: &str, change: impl FnOnce(&mut Device)) -> Row {
    row_of_store(check, |store| change(store.device.as_mut().expect("it is known")))
}

/// The row has this severity, and its remark these words.
#[track_caller]
fn says(row: &Row, severity: Severity, words: &[&str]) {
    assert_eq!(row.severity, severity, "{row:?}");
    let fix = row.fix.as_deref().unwrap_or_default();
    for word in words {
        assert!(fix.contains(word), "no `{word}` in: {fix}");
    }
}

#[test]
fn a_good_machine_has_nothing_to_fix() {
    for row in decide(&good()) {
        // That block writes destroy nothing cannot be seen anywhere: it is always said.
        let expected = if row.check == "block rewrite" { Severity::Info } else { Severity::Ok };
        assert_eq!(row.severity, expected, "{row:?}");
        assert!(!row.required.is_empty() && !row.current.is_empty(), "{row:?}");
    }
    let names: Vec<_> = decide(&good()).iter().map(|row| row.check).collect();
    let mut once = names.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), names.len(), "a check has one row");
}

#[test]
fn the_assumption_about_blocks_is_told_in_plain_words() {
    let row = row("block rewrite", |_| {});
    says(&row, Severity::Info, &["assumed", "power cut", "old or new"]);
    let row = row_of_device("block rewrite", |device| device.physical_block = Ok(16_384));
    says(&row, Severity::Warning, &["neighbours"]);
}

#[test]
fn io_uring_is_judged_as_at_the_start_of_a_broker() {
    let refused = row("io_uring", |f| f.kernel.io_uring = Err(ProbeError::Disabled { value: 2 }));
    says(&refused, Severity::Error, &["sysctl kernel.io_uring_disabled=0"]);
    let call = "io_uring_setup";
    let forbidden = ProbeError::Forbidden { call, errno: libc::EPERM };
    let refused = row("io_uring", |f| f.kernel.io_uring = Err(forbidden));
    says(&refused, Severity::Error, &["seccomp-io-uring.json"]);
    // One cause, one error.
    let little = |f: &mut Facts| {
        f.kernel.io_uring = Err(ProbeError::LockedMemory { limit: 65_536 });
        f.limits.locked_memory = Ok(Some(65_536));
    };
    says(&row("io_uring", little), Severity::Ok, &[]);
    says(&row("locked memory", little), Severity::Error, &["LimitMEMLOCK", "ulimit -l"]);
}

#[test]
fn limits() {
    let locked = |limit| row("locked memory", |f| f.limits.locked_memory = Ok(limit));
    says(&locked(None), Severity::Ok, &[]);
    says(&locked(Some(512 << 10)), Severity::Warning, &["--ulimit memlock"]);
    says(&locked(Some(1 << 20)), Severity::Ok, &[]);
    let files = |limit| row("open files", |f| f.limits.open_files = Ok(limit));
    says(&files(None), Severity::Ok, &[]);
    says(&files(Some(1023)), Severity::Error, &["LimitNOFILE=65536"]);
    says(&files(Some(4096)), Severity::Warning, &["ulimit -n 65536"]);
}

#[test]
fn cores_and_their_quota() {
    let narrowed = row("cores", |f| f.cpu.online = Ok(8));
    says(&narrowed, Severity::Info, &["cpuset"]);
    assert_eq!(narrowed.current, "4 allowed of 8");
    let quota = |cores| row("CPU quota", |f| f.cpu.quota = Ok(Some(cores)));
    says(&quota(4.0), Severity::Ok, &[]);
    says(&quota(2.5), Severity::Warning, &["--cpus 4", "CPUQuota=400%", "at most 2"]);
    says(&quota(0.5), Severity::Warning, &["at most 1"]);
    let mixed = vec!["powersave".to_owned(), "performance".to_owned()];
    let governor = row("CPU governor", |f| f.cpu.governors = Ok(mixed));
    says(&governor, Severity::Warning, &["cpupower frequency-set -g performance"]);
    assert_eq!(governor.current, "performance, powersave");
    let clock = row("clock source", |f| f.cpu.clock_source = Ok("hpet".into()));
    says(&clock, Severity::Warning, &["echo tsc >"]);
}

#[test]
fn memory() {
    let swap = |bytes, swappiness: Reading<u32>| {
        row("swap", |f| (f.memory.swap, f.memory.swappiness) = (Ok(bytes), swappiness))
    };
    says(&swap(1 << 30, Ok(60)), Severity::Warning, &["swapoff -a", "vm.swappiness=1"]);
    says(&swap(1 << 30, Ok(1)), Severity::Ok, &[]);
    says(&swap(1 << 30, Err(Unknown("hidden".into()))), Severity::Warning, &["swapoff"]);
    let pages = row("transparent huge pages", |f| f.memory.huge_pages = Ok("always".into()));
    says(&pages, Severity::Warning, &["echo madvise >"]);
}

#[test]
fn file_systems_and_their_options() {
    let kind = |kind| row_of_store("file system", |s| s.mount = Ok(mount(kind, &["rw"])));
    says(&kind("xfs"), Severity::Ok, &[]);
    says(&kind("btrfs"), Severity::Warning, &["new place"]);
    says(&kind("tmpfs"), Severity::Warning, &["nothing survives"]);
    says(&kind("overlay"), Severity::Warning, &["volume"]);
    let options =
        |list: &[&str]| row_of_store("mount options", |s| s.mount = Ok(mount("ext4", list)));
    let barrier = options(&["rw", "nobarrier", "discard"]);
    says(&barrier, Severity::Error, &["power cut", "mount -o remount,barrier /data"]);
    says(&options(&["ro"]), Severity::Error, &["remount,rw"]);
    says(&options(&["rw", "data=journal"]), Severity::Warning, &["data=ordered"]);
    says(&options(&["rw", "discard"]), Severity::Warning, &["nodiscard", "fstrim"]);
}

#[test]
fn a_directory_may_come_later_and_a_file_is_in_its_way() {
    let found = row_of_store("store", |_| {});
    says(&found, Severity::Ok, &[]);
    assert_eq!(found.current, "/data/store");
    let absent = row_of_store("store", |s| s.looked_at = PathBuf::from("/data"));
    says(&absent, Severity::Ok, &[]);
    assert_eq!(absent.current, "/data/store is not there yet");
    let file = row_of_store("store", |s| {
        (s.looked_at, s.in_the_way) = (PathBuf::from("/data"), Some(PathBuf::from("/data/store")));
    });
    says(&file, Severity::Error, &["give the directory", "storePathRootDir"]);
    assert_eq!(file.current, "/data/store is a file, not a directory");
}

#[test]
fn direct_io() {
    let why = Unknown("Invalid argument".into());
    let refused =
        row_of_store("direct I/O", |s| (s.direct_io, s.refuses_direct) = (Err(why.clone()), true));
    says(&refused, Severity::Error, &["ext4 or xfs"]);
    let unwritable = row_of_store("direct I/O", |s| s.direct_io = Err(why.clone()));
    says(&unwritable, Severity::Error, &["ls -ld /data/store"]);
    let above = row_of_store("direct I/O", |s| {
        (s.direct_io, s.looked_at) = (Err(why), PathBuf::from("/"));
    });
    says(&above, Severity::Unknown, &[]);

    let alignment = |memory, offset| {
        row_of_store("alignment", |s| s.alignment = Ok(Some(Alignment { memory, offset })))
    };
    says(&alignment(512, 4096), Severity::Ok, &[]);
    says(&alignment(512, 0), Severity::Error, &["4096"]);
    says(&alignment(512, 8192), Severity::Error, &["4096"]);
    says(&row_of_store("alignment", |s| s.alignment = Ok(None)), Severity::Unknown, &[]);
}

#[test]
fn room() {
    let space = |total, available| {
        row_of_store("free space", |s| s.space = Ok(Space { total, free: available, available }))
    };
    says(&space(100 << 30, 10 << 30), Severity::Error, &["diskSpaceWarningLevelRatio", "du -xh"]);
    says(&space(100 << 30, 25 << 30), Severity::Warning, &["fileReservedTime"]);
    says(&space(3 << 30, 1 << 30 | 1 << 29), Severity::Warning, &["mappedFileSizeCommitLog"]);
    says(&space(0, 0), Severity::Warning, &[]);
    // What only root may use counts neither as used nor as room, as with df and the broker: 54 of 92.
    let reserved = Space { total: 100 << 30, free: 46 << 30, available: 38 << 30 };
    let row = row_of_store("free space", |s| s.space = Ok(reserved));
    says(&row, Severity::Ok, &[]);
    assert!(row.current.contains("59 % in use"), "{}", row.current);
}

#[test]
fn disks() {
    let scheduler = |name: &str, turns| {
        row_of_device("I/O scheduler", |d| {
            (d.scheduler, d.rotational) = (Ok(name.into()), Ok(turns));
        })
    };
    says(&scheduler("none", false), Severity::Ok, &[]);
    let sorted = scheduler("mq-deadline", false);
    says(&sorted, Severity::Info, &["echo none > /sys/block/nvme0n1/queue/scheduler"]);
    says(&scheduler("bfq", false), Severity::Warning, &["echo none"]);
    says(&scheduler("mq-deadline", true), Severity::Ok, &[]);
    says(&scheduler("none", true), Severity::Info, &["echo mq-deadline"]);
    let cache = row_of_device("write cache", |d| d.volatile_cache = Ok(true));
    says(&cache, Severity::Info, &["cannot be seen", "mqtune iotune"]);
    assert_eq!(cache.current, "volatile, without FUA (Fast Disk 7)");
}

#[test]
fn what_a_container_hides_is_unknown_and_no_error() {
    fn hidden<T>() -> Reading<T> {
        Err(Unknown("there is no /sys here".into()))
    }
    let rows = decide(&Facts {
        kernel: Kernel { release: hidden(), io_uring: Ok(()) },
        limits: Limits { locked_memory: hidden(), open_files: hidden() },
        cpu: Cpu {
            allowed: 2,
            online: hidden(),
            quota: hidden(),
            governors: hidden(),
            clock_source: hidden(),
        },
        memory: Memory { swap: hidden(), swappiness: hidden(), huge_pages: hidden() },
        store: Some(Store {
            mount: hidden(),
            alignment: hidden(),
            space: hidden(),
            device: hidden(),
            ..good_store()
        }),
    });
    for row in &rows {
        assert!(row.severity <= Severity::Unknown, "{row:?}");
        if row.severity == Severity::Unknown {
            says(row, Severity::Unknown, &["there is no /sys here"]);
        }
    }
    let unknown = rows.iter().filter(|row| row.severity == Severity::Unknown).count();
    assert_eq!(unknown, 14);
    assert!(text(&rows).contains("14 unknown, 0 warnings, 0 errors"), "{}", text(&rows));
}

#[test]
fn without_a_store_the_table_says_how_to_name_one() {
    let row = row("store", |facts| facts.store = None);
    says(&row, Severity::Unknown, &["--store DIR"]);
}

#[test]
fn bytes_are_readable() {
    let shown: Vec<_> = [0, 1023, 1 << 10, 1536, 80 << 30, u64::MAX].map(bytes).into();
    assert_eq!(shown, ["0 bytes", "1023 bytes", "1 KiB", "1.5 KiB", "80 GiB", "16777215.9 TiB"]);
}
