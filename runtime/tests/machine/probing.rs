//! The start-up probe, where the machine refuses.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use runtime::executor::StartError;
use runtime::probe::{ProbeError, probe};
use runtime::{Placement, Spec};

use crate::child::{self, Report, check};

fn temp_dir(name: &str) -> PathBuf {
    let name = format!("machine-{name}-{}", std::process::id());
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// In the child: what the probe says, on one line, and how long it took.
fn say_verdict() {
    let began = Instant::now();
    match probe(None) {
        Ok(_) => eprintln!("verdict: fine"),
        Err(error) => eprintln!("verdict: {error}"),
    }
    assert!(began.elapsed() < Duration::from_secs(1));
    let spec = Spec { name: "refused".to_owned(), placement: Placement::Any, busy_poll: None };
    match runtime::start(spec, || async {}) {
        Ok(_) => eprintln!("executor: started"),
        Err(error @ StartError::Unavailable(_)) => eprintln!("executor: {error}"),
        Err(error) => panic!("not told by the probe: {error}"),
    }
}

#[track_caller]
fn assert_says(report: &Report, words: &[&str]) {
    assert!(report.passed, "{}", report.text);
    for start in ["verdict:", "executor:"] {
        let line = report.text.lines().find(|line| line.starts_with(start)).expect("a line");
        for word in words {
            assert!(line.contains(word), "no {word:?} in: {line}");
        }
    }
}

#[test]
fn this_machine_is_fine() {
    let dir = temp_dir("fine").join("made/by/the/probe");
    let began = Instant::now();
    let found = probe(Some(&dir)).unwrap();
    assert!(began.elapsed() < Duration::from_secs(1));
    assert!(!found.cores.is_empty() && !found.kernel.is_empty(), "{found:?}");
    assert!(dir.is_dir());
    assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 0, "nothing is left behind");
    std::fs::remove_dir_all(temp_dir("fine")).unwrap();
}

#[test]
fn a_directory_that_cannot_be_written_is_named() {
    let dir = Path::new("/proc/no-such-directory");
    match probe(Some(dir)) {
        Err(ProbeError::NotWritable { dir: named, .. }) => assert_eq!(named, dir),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_in_the_way_of_a_directory_is_named() {
    let place = temp_dir("in-the-way");
    std::fs::create_dir_all(&place).unwrap();
    let (file, link) = (place.join("file"), place.join("link"));
    std::fs::write(&file, "x").unwrap();
    std::os::unix::fs::symlink(place.join("nowhere"), &link).unwrap();
    let device = PathBuf::from("/dev/null");
    for (dir, path, what) in [
        (file.clone(), &file, "a file"),
        (file.join("store/below"), &file, "a file"),
        (device.join("store"), &device, "a special file"),
        (link.join("store"), &link, "a link that leads nowhere"),
    ] {
        let expected = ProbeError::NotADirectory { dir: dir.clone(), path: path.clone(), what };
        assert_eq!(probe(Some(&dir)).unwrap_err(), expected);
    }
    std::fs::remove_dir_all(&place).unwrap();
}

#[test]
fn a_file_system_in_memory_is_told() {
    let shared = Path::new("/dev/shm");
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap();
    if !mounts.lines().any(|line| line.starts_with("tmpfs /dev/shm tmpfs ")) {
        println!("skipped: this machine has no tmpfs at /dev/shm");
        return;
    }
    let dir = shared.join(format!("machine-memory-{}", std::process::id()));
    let found = probe(Some(&dir));
    std::fs::remove_dir(&dir).unwrap();
    match found {
        Ok(found) => assert_eq!(found.memory_disk, Some("tmpfs")),
        // Before Linux 6.6 a tmpfs has no direct I/O.
        Err(error) => assert!(matches!(error, ProbeError::NoDirectIo { .. }), "{error}"),
    }
    assert_eq!(probe(None).unwrap().memory_disk, None);
}

/// Lets every system call through but `number`, which fails with `errno`.
fn forbid(number: libc::c_long, errno: i32) -> std::io::Result<()> {
    let op = |code: u32, jt: u8, jf: u8, k: u32| libc::sock_filter {
        code: u16::try_from(code).unwrap_or(0),
        jt,
        jf,
        k,
    };
    let number = u32::try_from(number).unwrap_or(0);
    let refusal = libc::SECCOMP_RET_ERRNO | u32::try_from(errno).unwrap_or(1);
    let mut filter = [
        op(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0), // the call's number
        op(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, number),
        op(libc::BPF_RET | libc::BPF_K, 0, 0, refusal),
        op(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: 4, filter: filter.as_mut_ptr() };
    // SAFETY: plain integers.
    check(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) })?;
    // SAFETY: the kernel copies the program, whose four instructions live until the call returns.
    check(unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program) })
}

#[test]
fn a_seccomp_filter_is_told_with_the_remedy() {
    const TEST: &str = "probing::a_seccomp_filter_is_told_with_the_remedy";
    if child::is_child(TEST) {
        return say_verdict();
    }
    // As Docker answers, and as some other runtimes do; and a filter of the second call only.
    let cases = [
        (libc::SYS_io_uring_setup, libc::EPERM),
        (libc::SYS_io_uring_setup, libc::ENOSYS),
        (libc::SYS_io_uring_enter, libc::EPERM),
    ];
    for (number, errno) in cases {
        let command = child::command(TEST);
        let report = child::run(child::prepared(command, move || forbid(number, errno)));
        assert_says(&report, &["seccomp", "docs/seccomp-io-uring.json", "io_uring_"]);
    }
}

#[test]
fn too_little_locked_memory_is_told_with_the_remedy() {
    const TEST: &str = "probing::too_little_locked_memory_is_told_with_the_remedy";
    if child::is_child(TEST) {
        return say_verdict();
    }
    let command = child::command(TEST);
    let report = child::run(child::prepared(command, || {
        child::limit(libc::RLIMIT_MEMLOCK, 0)?;
        // As root the limit does not count on every kernel: be nobody, if we may.
        // SAFETY: plain integers.
        unsafe {
            libc::setgid(65534);
            libc::setuid(65534);
        }
        Ok(())
    }));
    assert_says(&report, &["locked memory is 0 KiB", "ulimit -l", "LimitMEMLOCK", "256 KiB"]);
}

#[test]
fn three_executors_fit_into_eight_mebibytes_of_locked_memory() {
    const TEST: &str = "probing::three_executors_fit_into_eight_mebibytes_of_locked_memory";
    if child::is_child(TEST) {
        let start = |i: usize| {
            let spec =
                Spec { name: format!("shard-{i}"), placement: Placement::Any, busy_poll: None };
            runtime::start(spec, || async { runtime::sleep(Duration::from_millis(200)).await })
        };
        let executors: Vec<_> = (0..3).map(|i| start(i).unwrap()).collect();
        for executor in executors {
            executor.join().unwrap();
        }
        return eprintln!("all three");
    }
    let command = child::command(TEST);
    let report = child::run(child::prepared(command, || {
        child::limit(libc::RLIMIT_MEMLOCK, 8 << 20)?;
        // SAFETY: plain integers.
        unsafe {
            libc::setgid(65534);
            libc::setuid(65534);
        }
        Ok(())
    }));
    assert!(report.passed && report.text.contains("all three"), "{}", report.text);
    assert!(!report.text.contains("Skipping"), "{}", report.text);
}
