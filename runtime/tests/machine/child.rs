//! Running one test of this program in a process of its own.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const MARK: &str = "RUNTIME_TEST_CHILD";

/// Time that a child may take.
const LIMIT: Duration = Duration::from_secs(40);

/// True in the child that runs `test`.
pub fn is_child(test: &str) -> bool {
    std::env::var(MARK).is_ok_and(|name| name == test)
}

/// The command that runs `test` (its full path in this program) in a child.
pub fn command(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--nocapture"]).env(MARK, test).env("RUST_BACKTRACE", "0");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Lets `prepare` change the child before its program starts. It must only make system calls.
pub fn prepared(
    mut command: Command,
    prepare: impl Fn() -> std::io::Result<()> + Send + Sync + 'static,
) -> Command {
    // SAFETY: the closures given by the tests make plain system calls, which are allowed between fork and exec.
    unsafe { command.pre_exec(prepare) };
    command
}

/// What the child printed to its standard error, and whether it passed.
pub struct Report {
    pub passed: bool,
    pub text: String,
    pub output: Output,
}

pub fn wait(mut child: Child) -> Report {
    let end = Instant::now() + LIMIT;
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > end {
            child.kill().unwrap();
            let output = child.wait_with_output().unwrap();
            panic!("the child hangs: {}", String::from_utf8_lossy(&output.stderr));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    Report { passed: output.status.success(), text, output }
}

pub fn run(mut command: Command) -> Report {
    wait(command.spawn().unwrap())
}

/// Runs `body` in a child; fails when it fails.
pub fn in_child(test: &str, body: impl FnOnce()) {
    if is_child(test) {
        body();
        return;
    }
    let report = run(command(test));
    let stdout = String::from_utf8_lossy(&report.output.stdout);
    assert!(report.passed, "{}\n{stdout}", report.text);
    assert!(stdout.contains("1 passed"), "no such test: {stdout}");
    eprint!("{}", report.text);
}

/// Checks the result of a system call.
pub fn check(result: libc::c_int) -> std::io::Result<()> {
    if result < 0 { Err(std::io::Error::last_os_error()) } else { Ok(()) }
}

/// Sets both limits of a resource.
pub fn limit(resource: libc::__rlimit_resource_t, value: u64) -> std::io::Result<()> {
    let limit = libc::rlimit { rlim_cur: value, rlim_max: value };
    // SAFETY: the kernel reads one `rlimit`.
    check(unsafe { libc::setrlimit(resource, &limit) })
}
