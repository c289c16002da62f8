//! The steps of the gate.

/// One step: a cargo command.
#[derive(Clone, Copy)]
pub struct Step {
    pub name: &'static str,
    /// What follows `cargo`, its words parted by spaces.
    pub args: &'static str,
    pub env: &'static [(&'static str, &'static str)],
    /// Whether later steps run what this one builds: if it fails, they do not run.
    pub is_build: bool,
    /// Whether it may find that it cannot be made on this machine. For any other step that is a failure.
    pub may_skip: bool,
    /// After this many minutes the step and all it started are killed. Several times what it takes
    /// on two cores with nothing built yet: a bound for what hangs, not a goal.
    pub limit_minutes: u64,
}

/// In order: the quick verdicts first. `--locked`, because a gate that rewrites Cargo.lock would
/// pass what was not committed. The interop suite is a program of the package `tests`; its own
/// `#[test]`s are ordinary unit tests and run with all others.
pub const STEPS: [Step; 11] = [
    check("fmt", "fmt --all --check"),
    check("tidy", "xtask tidy"),
    check("clippy", "clippy --locked --workspace --all-targets -- -D warnings"),
    Step {
        env: &[("RUSTDOCFLAGS", "-D warnings")],
        ..check("doc", "doc --locked --workspace --no-deps")
    },
    build("test-build", "test --locked --workspace --no-run"),
    Step { limit_minutes: 40, ..check("test", "test --locked --workspace --no-fail-fast") },
    // Not `--release`: overflows of numbers are looked for, too.
    check("fuzz", "run --locked --package fuzzing"),
    build("build", "build --locked --release --workspace"),
    Step { limit_minutes: 30, ..check("sim", "xtask sim --gate") },
    Step {
        limit_minutes: 30,
        ..check("interop", "run --locked --release --package tests --bin interop")
    },
    // Needs root and network namespaces; without them it is skipped.
    Step {
        limit_minutes: 5,
        may_skip: true,
        ..check("chaos", "run --locked --release --package tests --bin chaos -- --short")
    },
];

const fn check(name: &'static str, args: &'static str) -> Step {
    Step { name, args, env: &[], is_build: false, may_skip: false, limit_minutes: 15 }
}

const fn build(name: &'static str, args: &'static str) -> Step {
    Step { is_build: true, limit_minutes: 20, ..check(name, args) }
}
