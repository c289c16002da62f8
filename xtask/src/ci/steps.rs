//! The steps of the gate.

/// One step: a cargo command.
#[derive(Clone, Copy)]
pub struct Step {
    pub name: &'static str,
    pub args: &'static [&'static str],
    pub env: &'static [(&'static str, &'static str)],
    /// Whether later steps run what this one builds: if it fails, they do not run.
    pub is_build: bool,
    /// After this many minutes the step and all it started are killed. About five times what it
    /// takes on two cores with nothing built yet: a bound for what hangs, not a goal.
    pub limit_minutes: u64,
}

/// In order: the quick verdicts first. `--locked`, because a gate that rewrites Cargo.lock would
/// pass what was not committed.
pub const STEPS: [Step; 8] = [
    Step {
        limit_minutes: 2,
        ..step("fmt", &["fmt", "--all", "--check"])
    },
    Step {
        limit_minutes: 5,
        ..step("tidy", &["xtask", "tidy"])
    },
    step(
        "clippy",
        &[
            "clippy",
            "--locked",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ],
    ),
    Step {
        env: &[("RUSTDOCFLAGS", "-D warnings")],
        ..step("doc", &["doc", "--locked", "--workspace", "--no-deps"])
    },
    Step {
        is_build: true,
        ..step(
            "test-build",
            &[
                "test",
                "--locked",
                "--workspace",
                "--exclude",
                "tests",
                "--no-run",
            ],
        )
    },
    step(
        "test",
        &[
            "test",
            "--locked",
            "--workspace",
            "--exclude",
            "tests",
            "--no-fail-fast",
        ],
    ),
    Step {
        is_build: true,
        limit_minutes: 20,
        ..step("build", &["build", "--locked", "--release", "--workspace"])
    },
    Step {
        limit_minutes: 30,
        ..step(
            "interop",
            &[
                "run",
                "--locked",
                "--release",
                "-p",
                "tests",
                "--bin",
                "interop",
            ],
        )
    },
];

const fn step(name: &'static str, args: &'static [&'static str]) -> Step {
    Step {
        name,
        args,
        env: &[],
        is_build: false,
        limit_minutes: 15,
    }
}
