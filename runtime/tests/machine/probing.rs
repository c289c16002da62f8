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
    let spec = Spec { name: "refused".to_owned(), placement: Placement::Any };
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
    for dir in ["/proc/no-such-directory", "/dev/null/below-a-file"] {
        match probe(Some(Path::new(dir))) {
            Err(ProbeError::NotWritable { dir: named, .. }) => assert_eq!(named, Path::new(dir)),
            other => panic!("{dir}: {other:?}"),
        }
    }
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
    assert_says(&report, &["locked memory is 0 KiB", "ulimit -l", "LimitMEMLOCK", "512 KiB"]);
}

#[test]
fn three_executors_fit_into_eight_mebibytes_of_locked_memory() {
    const TEST: &str = "probing::three_executors_fit_into_eight_mebibytes_of_locked_memory";
    if child::is_child(TEST) {
        let start = |i: usize| {
            let spec = Spec { name: format!("shard-{i}"), placement: Placement::Any };
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
