//! Signals, other processes, the end of this one.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

use runtime::process::{self, StopSignal};
use runtime::{Placement, Spec};

use crate::child;

fn spec(name: &str) -> Spec {
    Spec { name: name.to_owned(), placement: Placement::Any, busy_poll: None }
}

#[test]
fn stop_signals_are_taken_in_order() {
    child::in_child("processes::stop_signals_are_taken_in_order", || {
        let mut signals = process::stop_signals().unwrap();
        process::terminate(process::pid()).unwrap();
        assert_eq!(signals.wait(), Some(StopSignal::Terminate));
        // SAFETY: plain integers.
        child::check(unsafe { libc::kill(libc::getpid(), libc::SIGINT) }).unwrap();
        assert_eq!(signals.wait(), Some(StopSignal::Interrupt));
        assert_eq!(StopSignal::Interrupt.to_string(), "SIGINT");
        assert_eq!(StopSignal::Terminate.to_string(), "SIGTERM");
        let executor = runtime::start(spec("waiting"), move || async move {
            let sooner = runtime::timeout(Duration::from_millis(50), signals.next()).await;
            assert!(sooner.is_err(), "nobody has sent one");
            process::terminate(process::pid()).unwrap();
            let began = runtime::now();
            (signals.next().await, began.elapsed())
        });
        let (signal, took) = executor.unwrap().join().unwrap();
        assert_eq!(signal, Some(StopSignal::Terminate));
        assert!(took < Duration::from_secs(2), "{took:?}");
    });
}

#[test]
fn a_closed_terminal_is_a_stop_signal_for_whoever_asks_for_it() {
    child::in_child(
        "processes::a_closed_terminal_is_a_stop_signal_for_whoever_asks_for_it",
        || {
            let mut signals = process::stop_signals_and_hang_up().unwrap();
            // SAFETY: plain integers.
            child::check(unsafe { libc::kill(libc::getpid(), libc::SIGHUP) }).unwrap();
            let signal = signals.wait();
            assert_eq!(signal, Some(StopSignal::HangUp));
            assert_eq!(signal.map(|signal| signal.to_string()).as_deref(), Some("SIGHUP"));
            process::terminate(process::pid()).unwrap();
            assert_eq!(signals.wait(), Some(StopSignal::Terminate));
        },
    );
}

#[test]
fn a_second_stop_signal_ends_the_process() {
    const TEST: &str = "processes::a_second_stop_signal_ends_the_process";
    if child::is_child(TEST) {
        let mut signals = process::stop_signals_second_ends("program").unwrap();
        process::terminate(process::pid()).unwrap();
        assert_eq!(signals.wait(), Some(StopSignal::Terminate));
        // Right behind the first: the same wish.
        process::terminate(process::pid()).unwrap();
        assert_eq!(signals.wait(), Some(StopSignal::Terminate));
        std::thread::sleep(Duration::from_millis(300));
        // SAFETY: plain integers.
        child::check(unsafe { libc::kill(libc::getpid(), libc::SIGINT) }).unwrap();
        std::thread::sleep(Duration::from_secs(10));
        unreachable!("the process is dead");
    }
    let report = child::run(child::command(TEST));
    assert_eq!(report.output.status.code(), Some(130), "{}", report.text);
    let line = "program: SIGINT for the second time: the process ends at once";
    assert_eq!(report.text.matches(line).count(), 1, "{}", report.text);
}

#[test]
fn a_panic_anywhere_is_one_line_and_the_end_of_the_process() {
    const TEST: &str = "processes::a_panic_anywhere_is_one_line_and_the_end_of_the_process";
    if child::is_child(TEST) {
        process::abort_on_panic();
        let executor = runtime::start(spec("shard-7"), || async {
            runtime::spawn(async { panic!("invariant\nbroken: {}", 42) }).await
        });
        drop(executor.unwrap().join());
        unreachable!("the process is dead");
    }
    let report = child::run(child::command(TEST));
    assert_eq!(report.output.status.signal(), Some(libc::SIGABRT), "{}", report.text);
    let lines: Vec<_> = report.text.lines().filter(|line| line.contains("fatal")).collect();
    assert_eq!(lines.len(), 1, "{}", report.text);
    for part in ["thread shard-7", "invariant broken: 42", "processes.rs"] {
        assert!(lines[0].contains(part), "{}", lines[0]);
    }
}

#[test]
fn processes_are_found_by_their_program_and_terminated() {
    const TEST: &str = "processes::processes_are_found_by_their_program_and_terminated";
    if child::is_child(TEST) {
        eprintln!("ready");
        std::io::stderr().flush().unwrap();
        std::thread::sleep(Duration::from_secs(30));
        unreachable!("nobody has terminated it");
    }
    let mut started = child::command(TEST).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(started.stderr.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line.trim(), "ready");
    let program = std::env::current_exe().unwrap();
    let name = program.file_name().unwrap().to_str().unwrap();
    let found = process::find_processes(&["no-such-program", name]);
    assert!(found.iter().all(|process| process.pid != std::process::id()));
    let it = found.iter().find(|process| process.pid == started.id()).expect("it is running");
    assert_eq!(it.name, name);
    assert!(it.args.contains(&TEST.to_owned()), "{it:?}");
    process::terminate(it.pid).unwrap();
    assert_eq!(started.wait().unwrap().signal(), Some(libc::SIGTERM));
    let gone = process::terminate(started.id()).unwrap_err();
    assert_eq!(gone.kind(), std::io::ErrorKind::NotFound);
    assert!(process::terminate(0).is_err(), "that would be a whole group");
}

#[test]
fn the_process_knows_itself() {
    assert_eq!(process::pid(), std::process::id());
    assert!(!process::host_name().is_empty());
    assert!(process::local_ipv4().iter().all(|ip| !ip.is_loopback()));
    assert!(process::resident_memory() > 1 << 20);
    let before = process::cpu_time();
    let began = Instant::now();
    let mut n = 0u64;
    while began.elapsed() < Duration::from_millis(200) {
        n = std::hint::black_box(n.wrapping_mul(31) + 7);
    }
    assert!(process::cpu_time() - before > Duration::from_millis(10));
    assert!(process::threads().iter().any(|thread| thread.tid == std::process::id()));
}

#[test]
fn configuration_files_have_a_size_limit() {
    let name = format!("config-{}", std::process::id());
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, "brokerName=a\n").unwrap();
    assert_eq!(process::read_config_file(&path, 13).unwrap(), "brokerName=a\n");
    let error = process::read_config_file(&path, 12).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::FileTooLarge);
    assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    std::fs::write(&path, [0xff, 0xfe]).unwrap();
    let error = process::read_config_file(&path, 100).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
    std::fs::remove_file(&path).unwrap();
    let error = process::read_config_file(&path, 100).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
}
