//! Tools that a machine may lack: JDK, Maven and Go.

use std::env;
use std::path::PathBuf;
use std::process::Command;

/// Oldest Java that the drivers compile with, and that Apache's servers are run on.
const JAVA_AT_LEAST: u32 = 17;

/// A tool from outside, needed to build or run drivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tool {
    /// `java` and `javac` in the same directory.
    Jdk,
    /// `mvn`.
    Maven,
    /// `go`.
    Go,
}

/// Where the tools are; `None` for what is not there.
#[derive(Debug)]
pub struct Tools {
    /// Directory of `java` and `javac`.
    pub jdk: Option<PathBuf>,
    /// `mvn`.
    pub maven: Option<PathBuf>,
    /// `go`.
    pub go: Option<PathBuf>,
}

impl Tools {
    /// Looks in `JAVA_HOME` and `PATH`, and in the places where Go's own packages put it.
    #[must_use]
    pub fn find() -> Self {
        let home = env::var_os("JAVA_HOME").map(|home| PathBuf::from(home).join("bin/javac"));
        let javac = home.filter(|javac| javac.is_file()).or_else(|| on_path("javac"));
        let go = on_path("go").or_else(|| Some(PathBuf::from("/usr/local/go/bin/go")));
        Self {
            jdk: javac.filter(is_new_enough).and_then(|javac| Some(javac.parent()?.to_owned())),
            maven: on_path("mvn"),
            go: go.filter(|go| go.is_file()),
        }
    }

    /// The names of those of `needed` that are not there, for a skip line; `None` if all are.
    #[must_use]
    pub fn missing(&self, needed: &[Tool]) -> Option<String> {
        let absent = |tool: &&Tool| match tool {
            Tool::Jdk => self.jdk.is_none(),
            Tool::Maven => self.maven.is_none(),
            Tool::Go => self.go.is_none(),
        };
        let names: Vec<String> = needed.iter().filter(absent).map(|tool| tool.name()).collect();
        if names.is_empty() { None } else { Some(format!("no {}", names.join(", no "))) }
    }
}

impl Tool {
    fn name(self) -> String {
        match self {
            Self::Jdk => format!("JDK {JAVA_AT_LEAST} or newer"),
            Self::Maven => "Maven".to_owned(),
            Self::Go => "Go".to_owned(),
        }
    }
}

fn on_path(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|dir| dir.join(program)).find(|file| file.is_file())
}

fn is_new_enough(javac: &PathBuf) -> bool {
    let said = Command::new(javac).arg("-version").output();
    let text = said.map_or_else(|_| Vec::new(), |said| [said.stdout, said.stderr].concat());
    version(&String::from_utf8_lossy(&text)).is_some_and(|version| version >= JAVA_AT_LEAST)
}

/// The first number in `javac 17.0.15`; old releases call themselves `1.8`.
fn version(said: &str) -> Option<u32> {
    let number = said.trim().strip_prefix("javac ")?;
    number.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        assert_eq!(version("javac 17.0.15\n"), Some(17));
        assert_eq!(version("javac 22-ea"), Some(22));
        assert_eq!(version("javac 1.8.0_292"), Some(1));
        assert_eq!(version("no such thing"), None);
    }

    #[test]
    fn what_is_missing_is_named() {
        let tools = Tools { jdk: None, maven: Some("/usr/bin/mvn".into()), go: None };
        assert_eq!(tools.missing(&[Tool::Maven]), None);
        let all = tools.missing(&[Tool::Jdk, Tool::Maven, Tool::Go]);
        assert_eq!(all.as_deref(), Some("no JDK 17 or newer, no Go"));
    }
}
