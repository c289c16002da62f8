//! What a program of this crate does before its checks: finds the workspace and its tools, and sees to it that no server
//! outlives it.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::drivers::Workshop;
use super::failure::{Trying, Verdict};
use super::lab::Lab;
use super::process;
use super::servers::Maker;
use super::tools::Tools;
use crate::net;

/// A lab for the program that runs now, called `name` in what it says at a signal.
///
/// # Errors
/// If its scratch directory cannot be made or signals cannot be caught.
pub fn lab(name: &'static str, against: Maker, keep: bool) -> Verdict<Lab> {
    let root = workspace_root();
    let prebuilt = env::var_os("INTEROP_BIN").map(PathBuf::from);
    let shop = Workshop {
        bin: prebuilt.clone().unwrap_or_else(|| built_beside(&root)),
        prebuilt: prebuilt.is_some(),
        root,
        tools: Tools::find(),
    };
    let lab = Lab::new(shop, against, keep)?;
    clean_up_at_the_end(name, lab.scratch(), keep).trying("handling signals")?;
    Ok(lab)
}

/// A panic or a signal ends the harness without running destructors: it takes the children with it.
fn clean_up_at_the_end(name: &'static str, scratch: &Path, keep: bool) -> std::io::Result<()> {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        report(panic);
        process::kill_all();
        net::remove_own(name);
    }));
    let scratch = scratch.to_owned();
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    std::thread::spawn(move || {
        if let Some(signal) = signals.forever().next() {
            eprintln!("\n{name}: stopped by signal {signal}");
            // The checks go on until this process ends: they shall start nothing meanwhile.
            process::kill_all_for_good();
            net::remove_own(name);
            if !keep {
                drop(fs::remove_dir_all(scratch));
            }
            std::process::exit(128 + signal);
        }
    });
    Ok(())
}

/// Where cargo puts programs: beside this one, wherever its target directory is.
fn built_beside(root: &Path) -> PathBuf {
    let own = env::current_exe().ok();
    let target = own.as_deref().and_then(Path::parent).and_then(Path::parent);
    target.map_or_else(|| root.join("target"), Path::to_path_buf).join("release")
}

/// The folder of the workspace. Cargo names this crate's folder when it runs us; a binary started by
/// hand falls back on where it was built.
#[must_use]
pub fn workspace_root() -> PathBuf {
    let own = env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    own.parent().map_or_else(|| own.clone(), Path::to_path_buf)
}
