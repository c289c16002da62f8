//! `mqnamesrv` as a process: what it says when it cannot start.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test starts processes, writes its own files and finds its own ports"
)]

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Runs it with a configuration file of these lines, where it ends by itself: success, standard output, standard error.
fn run(name: &str, conf: &str, options: &[&str]) -> (bool, String, String) {
    let path = file(name);
    fs::write(&path, conf).expect("a writable target directory");
    let mut command = Command::new(env!("CARGO_BIN_EXE_mqnamesrv"));
    command.arg("-c").arg(&path).args(options).env("RUST_LOG", "info").stdin(Stdio::null());
    let output = command.output().expect("mqnamesrv runs");
    fs::remove_file(&path).expect("our file");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (output.status.success(), text(output.stdout), text(output.stderr))
}

fn file(name: &str) -> PathBuf {
    let name = format!("namesrv-{name}-{}.conf", std::process::id());
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

#[test]
fn an_address_that_cannot_be_had_is_told_with_the_line_that_sets_it() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("it is bound").port();
    let conf = format!("listenPort = {port}\nbindAddress = 127.0.0.1\n");
    let (ok, log, error) = run("taken", &conf, &[]);
    let message = format!(
        "port {port} of 127.0.0.1 is in use by another process; stop that process or choose another port; \
         `listenPort` ({}:1) sets it",
        file("taken").display()
    );
    assert!(!ok);
    assert_eq!(error, format!("mqnamesrv: {message}\n"));
    let logged = |event: &str| event.contains(" ERROR ") && event.ends_with(&message);
    assert!(log.lines().any(logged), "{log}");

    let (ok, _, error) = run("nobodys", "bindAddress = 192.0.2.1\n", &[]);
    let set = format!("`bindAddress` ({}:1) sets it", file("nobodys").display());
    assert!(!ok && error.contains(&set), "{error}");
}

#[test]
fn a_wrong_file_is_told_and_printing_logs_nothing() {
    let (ok, log, error) = run("wrong", "listenPort = 98765\n", &[]);
    assert!(!ok && error.contains("`listenPort = 98765` is not possible"), "{error}");
    assert!(log.contains(" ERROR ") && log.contains("98765"), "{log}");
    let (ok, listing, error) = run("print", "listenPort = 98\n", &["-p"]);
    assert!(ok && error.is_empty(), "{error}");
    assert!(listing.lines().all(|line| line.contains('=')), "{listing}");
    assert!(listing.contains("\nlistenPort=98\n"), "{listing}");
}
