//! Programs the checks need, built once and kept under `target/interop`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::failure::{Failure, Trying, Verdict};
use super::fingerprint;
use super::process;
use super::tools::{Tool, Tools};

/// The first build fetches a few hundred jars, or compiles the whole workspace.
const BUILD_LIMIT: Duration = Duration::from_secs(900);

/// Something that is built before the checks that need it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Our own programs.
    Servers,
    /// The checks on rocketmq-client 5.5.0.
    Java550,
    /// The checks on rocketmq-client 4.9.8.
    Java498,
    /// The checks on rocketmq-client-go.
    Go,
    /// Apache's servers and tools, 5.5.0.
    Apache,
}

impl Part {
    /// The name in the log, and of the directory under `target/interop`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Servers => "servers",
            Self::Java550 => "client-5.5.0",
            Self::Java498 => "client-4.9.8",
            Self::Go => "go",
            Self::Apache => "servers-5.5.0",
        }
    }

    /// What building and running it takes.
    #[must_use]
    pub fn tools(self) -> &'static [Tool] {
        match self {
            Self::Servers => &[],
            Self::Java550 | Self::Java498 | Self::Apache => &[Tool::Jdk, Tool::Maven],
            Self::Go => &[Tool::Go],
        }
    }
}

/// Where things are built from and to.
#[derive(Debug)]
pub struct Workshop {
    /// The workspace.
    pub root: PathBuf,
    /// Directory of our programs, once they are built.
    pub bin: PathBuf,
    /// Whether our programs are taken as they are.
    pub prebuilt: bool,
    /// What the machine has.
    pub tools: Tools,
}

impl Workshop {
    /// Builds a part, unless what is there was built from the same sources.
    ///
    /// # Errors
    /// What the build tool said.
    pub fn build(&self, part: Part) -> Verdict {
        let built = self.built(part);
        match part {
            Part::Servers => self.build_servers(),
            Part::Java550 => self.build_client(&built, "5.5.0", &["both", "v550"]),
            Part::Java498 => self.build_client(&built, "4.9.8", &["both", "v498"]),
            Part::Go => self.build_go(&built),
            Part::Apache => self.fetch_jars(&built, &self.java("pom-servers-5.5.0.xml")),
        }
    }

    /// Where a part is under `target/interop`.
    #[must_use]
    pub fn built(&self, part: Part) -> PathBuf {
        self.root.join("target/interop").join(part.name())
    }

    /// A command for `java` with a bounded heap that starts quickly.
    ///
    /// # Panics
    /// Without a JDK: a check that needs one is skipped.
    #[must_use]
    pub fn java_command(&self, heap: &str) -> Command {
        let jdk = self.tools.jdk.as_ref().expect("looked for before the check");
        let mut command = Command::new(jdk.join("java"));
        command.arg(heap).args(["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"]);
        command
    }

    fn java(&self, path: &str) -> PathBuf {
        self.root.join("tests/interop/java").join(path)
    }

    fn build_servers(&self) -> Verdict {
        if self.prebuilt {
            return Ok(());
        }
        let mut cargo = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".into()));
        cargo.args(["build", "--quiet", "--locked", "--release", "--workspace", "--bins"]);
        self.finish("cargo build", cargo.current_dir(&self.root))
    }

    fn build_client(&self, built: &Path, version: &str, folders: &[&str]) -> Verdict {
        let pom = self.java(&format!("pom-client-{version}.xml"));
        self.fetch_jars(built, &pom)?;
        let folders: Vec<PathBuf> =
            folders.iter().map(|folder| self.java("src").join(folder)).collect();
        let mut inputs = folders.clone();
        inputs.push(pom);
        let fingerprint = fingerprint::of(&inputs).trying("reading the Java sources")?;
        let classes = built.join("classes");
        if fingerprint::is_current(&classes, fingerprint) {
            return Ok(());
        }
        let fresh = empty(built, "classes.new")?;
        let jdk = self.tools.jdk.as_ref().expect("looked for before the build");
        let mut javac = Command::new(jdk.join("javac"));
        javac.args(["-nowarn", "-encoding", "UTF-8", "-d"]).arg(&fresh);
        javac.arg("-cp").arg(built.join("lib/*"));
        for folder in &folders {
            javac.args(sources(folder).trying(folder.display().to_string())?);
        }
        self.finish("javac", &mut javac)?;
        replace(&fresh, &classes, fingerprint)
    }

    fn fetch_jars(&self, built: &Path, pom: &Path) -> Verdict {
        let fingerprint = fingerprint::of(&[pom.to_owned()]).trying(pom.display().to_string())?;
        let lib = built.join("lib");
        if fingerprint::is_current(&lib, fingerprint) {
            return Ok(());
        }
        let fresh = empty(built, "lib.new")?;
        let maven = self.tools.maven.as_ref().expect("looked for before the build");
        let mut mvn = Command::new(maven);
        mvn.args(["-q", "-B", "-f"]).arg(pom).arg("dependency:copy-dependencies");
        mvn.arg(format!("-DoutputDirectory={}", fresh.display()));
        self.finish("mvn", &mut mvn)?;
        replace(&fresh, &lib, fingerprint)
    }

    fn build_go(&self, built: &Path) -> Verdict {
        let sources = self.root.join("tests/interop/go");
        let fingerprint =
            fingerprint::of(std::slice::from_ref(&sources)).trying("reading the Go sources")?;
        if fingerprint::is_current(built, fingerprint) {
            return Ok(());
        }
        fs::create_dir_all(built).trying(built.display().to_string())?;
        let mut go = Command::new(self.tools.go.as_ref().expect("looked for before the build"));
        go.args(["build", "-trimpath", "-buildvcs=false", "-o"]).arg(built.join("interop"));
        self.finish("go build", go.arg(".").current_dir(sources))?;
        fingerprint::keep(built, fingerprint).trying("a fingerprint")
    }

    fn finish(&self, name: &str, command: &mut Command) -> Verdict {
        let scratch = self.root.join("target/interop");
        fs::create_dir_all(&scratch).trying(scratch.display().to_string())?;
        process::run(name, command, &scratch, BUILD_LIMIT)?.clean(name)?;
        Ok(())
    }
}

/// An empty directory inside `parent`.
fn empty(parent: &Path, name: &str) -> Verdict<PathBuf> {
    let dir = parent.join(name);
    drop(fs::remove_dir_all(&dir));
    fs::create_dir_all(&dir).trying(dir.display().to_string())?;
    Ok(dir)
}

/// Puts `fresh` in the place of `old`, and notes what it was built from last.
fn replace(fresh: &Path, old: &Path, fingerprint: u64) -> Verdict {
    drop(fs::remove_dir_all(old));
    fs::rename(fresh, old).trying(old.display().to_string())?;
    fingerprint::keep(old, fingerprint).trying("a fingerprint")
}

fn sources(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(sources(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "java") {
            found.push(path);
        }
    }
    Ok(found)
}

/// One failure for every check that needs a part which could not be built.
#[must_use]
pub fn not_built(part: Part) -> Failure {
    Failure::NotBuilt(part.name())
}
