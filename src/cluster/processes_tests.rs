#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test starts processes, makes its own directories and waits for both"
)]

use std::fs;
use std::io::ErrorKind;
use std::process::{Child, Command};
use std::time::Instant;

use super::super::layout::Layout;
use super::*;

/// Until a shell runs and has begun, on a machine that has much else to do.
const READY_LIMIT: Duration = Duration::from_secs(20);

/// A process that passes for this member: a shell under the name of this program, with the member's arguments, that runs `script`.
fn pretend(home: &Home, one: &Process, script: &str) -> Child {
    let dir = home.dir().join(&one.name);
    fs::create_dir_all(&dir).expect("our directory");
    let own = process::own_program().expect("this test");
    let shell = dir.join(own.file_name().expect("a file"));
    fs::copy("/bin/sh", &shell).expect("a shell");
    // The first argument of a shell is its script.
    fs::write(dir.join("member"), script).expect("our directory");
    let mut command = Command::new(shell);
    command.args(arguments(home, one)).current_dir(&dir);
    let began = Instant::now();
    let child = loop {
        match command.spawn() {
            // Somebody who was started meanwhile still has the copy open.
            Err(error)
                if error.kind() == ErrorKind::ExecutableFileBusy
                    && began.elapsed() < READY_LIMIT =>
            {
                std::thread::sleep(LOOK);
            }
            child => break child.expect("it runs"),
        }
    };
    process::write_config_file(home.pid(one), &format!("{}\n", child.id())).expect("our directory");
    child
}

#[test]
fn one_that_does_not_stop_is_told_and_its_file_stays() {
    let dir = std::env::temp_dir().join(format!("turbopump-processes-{}", std::process::id()));
    fs::create_dir_all(&dir).expect("a directory for tests");
    let home = Home::at(&dir).and_then(Home::resolved).expect("a good path");
    let all = Layout::of_text("f", "").expect("the defaults fit").processes();
    let (obeys, stays) = (&all[1], &all[2]);
    let ready = home.dir().join("ready");
    let script = format!("trap '' TERM; : > {}; while :; do sleep 0.1; done", ready.display());
    let mut children =
        [pretend(&home, obeys, "while :; do sleep 0.1; done"), pretend(&home, stays, &script)];
    let began = Instant::now();
    while fs::metadata(&ready).is_err() && began.elapsed() < READY_LIMIT {
        std::thread::sleep(LOOK);
    }
    let is_ready = fs::metadata(&ready).is_ok();
    let two = [obeys.clone(), stays.clone()];
    // It is waited for to the end, because of the one that stays; the one that obeys has it for dying.
    let limit = Duration::from_secs(5);
    let stopped = runtime::block_on("test", async { stop(&home, &two, limit).await });
    let files = two.each_ref().map(|one| fs::metadata(home.pid(one)).is_ok());
    children.iter_mut().for_each(|child| drop(child.kill().and_then(|()| child.wait())));
    assert!(is_ready, "the shell that is to stay did not begin within {READY_LIMIT:?}");
    let error = stopped.expect("an executor").expect_err("one runs on").to_string();
    drop(fs::remove_dir_all(&dir));
    let name = format!("RaftNode00-n1 ({})", children[1].id());
    assert!(error.contains(&name) && !error.contains("RaftNode00-n0"), "{error}");
    assert!(error.contains("after 5s"), "{error}");
    assert_eq!(files, [false, true]);
}
