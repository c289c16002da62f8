//! A hunt in a process of its own: however it ends, the input is told.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use crate::hunt::Note;
use crate::{Target, corpus};

/// How much longer than it was given a hunt may take before it counts as hanging in its last input.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often a hunt is looked at.
const POLL: Duration = Duration::from_millis(20);

/// Hunts in a process of its own, which prints its bag. `program` is this program.
///
/// # Errors
/// What went wrong, for people: which target, which seed, where the input is and how to try it again.
pub fn hunt(program: &Path, target: &Target, seed: u64, time: Duration) -> Result<(), String> {
    let folder =
        folder().map_err(|error| format!("{}: no place for notes: {error}", target.name))?;
    let note = folder.join(format!("{}-{}.note", target.name, std::process::id()));
    let mut command = Command::new(program);
    command.args(["--inside", target.name, "--seed", &seed.to_string()]);
    command.args(["--millis", &time.as_millis().to_string(), "--note"]).arg(&note);
    let ended = command.spawn().and_then(|child| wait(child, time + PATIENCE));
    let why = match ended {
        Ok(Some(status)) if status.success() => None,
        Ok(Some(status)) => Some(status.to_string()),
        Ok(None) => Some("it hangs".to_owned()),
        Err(error) => Some(error.to_string()),
    };
    let told = why.map_or(Ok(()), |why| Err(tell(target, seed, &why, &folder, &note)));
    drop(std::fs::remove_file(&note)); // a hunt that never began has left none
    told
}

/// How it ended; `None` if it had to be killed.
fn wait(mut child: Child, limit: Duration) -> io::Result<Option<ExitStatus>> {
    let deadline = Instant::now() + limit;
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        std::thread::sleep(POLL);
    }
    child.kill()?;
    child.wait()?;
    Ok(None)
}

/// Keeps the input and says all there is to know.
fn tell(target: &Target, seed: u64, why: &str, folder: &Path, note: &Path) -> String {
    let name = target.name;
    let Some(input) = Note::read(note) else {
        return format!("{name}: {why}, before the first input; seed {seed}");
    };
    let file = folder.join(format!("{name}-{:08x}.bin", crc32c::crc32c(&input)));
    if let Err(error) = std::fs::write(&file, &input) {
        return format!("{name}: {why}; seed {seed}; the input is lost: {error}");
    }
    format!(
        "{name}: {why}; seed {seed}; the input of {} bytes is {}\n\
         again: cargo run --package fuzzing -- --replay {name} {1}\n\
         once it is mended, keep the input in {}",
        input.len(),
        file.display(),
        corpus::folder().join(name).display(),
    )
}

/// Where notes and found inputs go: below the folder that cargo builds in.
fn folder() -> io::Result<PathBuf> {
    let program = std::env::current_exe()?;
    let build = program.parent().and_then(Path::parent).ok_or(io::ErrorKind::NotFound)?;
    let folder = build.join("fuzzing");
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}
