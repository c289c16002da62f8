//! What keeps a machine from having such networks.

use std::fmt;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::Net;
use crate::harness::failure::Verdict;
use crate::harness::process;

/// The bits of CAP_NET_ADMIN and CAP_SYS_ADMIN among the capabilities of a process.
const ADMIN: u64 = 1 << 12 | 1 << 21;
/// `true` in a namespace.
const TRUE_LIMIT: Duration = Duration::from_secs(20);

/// What keeps a machine from having such networks, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Missing {
    /// A right, or a part of the kernel: whoever runs this cannot install it.
    Means(String),
    /// A program, which can be installed.
    Program(String),
}

impl fmt::Display for Missing {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Means(what) | Self::Program(what) => out.write_str(what),
        }
    }
}

/// Why this machine has no such networks; `None` if it has. Rights are looked at first: who has none needs no programs.
///
/// It builds a network and takes it down, so nothing of this process's may be up.
#[must_use]
pub fn missing(program: &'static str) -> Option<Missing> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    if !is_admin(&status) {
        let text = "network namespaces need root, with CAP_SYS_ADMIN and CAP_NET_ADMIN";
        return Some(Missing::Means(text.to_owned()));
    }
    if let Some(program) = missing_program() {
        return Some(Missing::Program(program));
    }
    let refused = try_all(program).err()?;
    let refused = refused.to_string();
    Some(Missing::Means(format!("this machine cannot have such networks: {}", refused.trim_end())))
}

/// Whether the process of this `/proc/…/status` may do what a network takes.
fn is_admin(status: &str) -> bool {
    let capabilities = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let capabilities = capabilities.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok());
    capabilities.is_some_and(|bits| bits & ADMIN == ADMIN)
}

/// The first program that is not installed, and what it comes with; `None` if all are there.
fn missing_program() -> Option<String> {
    let from = [("ip", "iproute2"), ("tc", "iproute2"), ("taskset", "util-linux")];
    let is_there = |program: &str| {
        let mut command = Command::new(program);
        command.arg("-V").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok()
    };
    let (program, package) = from.into_iter().find(|(program, _)| !is_there(program))?;
    Some(format!("`{program}` is not there; it comes with {package}"))
}

/// Does once what a run does all the time: a container may have namespaces, and no links, bridges or filters in them.
fn try_all(program: &'static str) -> Verdict {
    let net = Net::new(program, &["probe0", "probe1"])?;
    let scratch = std::env::temp_dir();
    let name = format!("{}-true", net.namespace_of(0));
    let ran = process::run(&name, &mut net.command(0, Path::new("true")), &scratch, TRUE_LIMIT);
    for kind in ["out", "err"] {
        drop(fs::remove_file(scratch.join(format!("{name}.{kind}"))));
    }
    ran?.clean("a program in a namespace")?;
    net.cut(0, 1)?;
    net.mend(0, 1)?;
    net.drop_link(0)?;
    net.restore_link(0)?;
    net.means().map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_lacks_one_of_two_capabilities_is_no_admin() {
        let status = |bits: &str| format!("Name:\tx\nCapPrm:\t000001ffffffffff\nCapEff:\t{bits}\n");
        for all in ["000001ffffffffff", "0000000000201000"] {
            assert!(is_admin(&status(all)), "{all}");
        }
        // None, one without the other, and what nobody can read.
        for less in ["0000000000000000", "0000000000200000", "0000000000001000", "x", ""] {
            assert!(!is_admin(&status(less)), "{less}");
        }
        assert!(!is_admin(""));
    }

    #[test]
    fn what_keeps_from_it_is_said() {
        for missing in [Missing::Means("no veth".into()), Missing::Program("no veth".into())] {
            assert_eq!(missing.to_string(), "no veth");
        }
    }
}
