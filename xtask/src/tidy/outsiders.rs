//! Packages that only certain crates may name: each is wrapped in one place and never exposed.

use super::finding::Finding;
use super::tree::File;
use super::words::words;
use super::workspace::Crate;

struct Outsider {
    package: &'static str,
    /// As source writes it.
    ident: &'static str,
    allowed: &'static [&'static str],
}

const OUTSIDERS: [Outsider; 3] = [
    Outsider { package: "io-uring", ident: "io_uring", allowed: &["runtime", "tuning"] },
    Outsider { package: "openraft", ident: "openraft", allowed: &["raft"] },
    Outsider { package: "tokio", ident: "tokio", allowed: &[] },
];

/// Packages whose every release may change what we rely on, so that an update is a decision.
const PINNED: [&str; 1] = ["openraft"];

/// Manifests: who depends on an outsider, and what must be pinned to one version.
pub fn check_manifests(crates: &[Crate]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for krate in crates {
        for dependency in krate.dependencies.iter().filter(|dependency| !dependency.ours) {
            let name = dependency.name.as_str();
            let outsider = OUTSIDERS.iter().find(|outsider| outsider.package == name);
            if let Some(outsider) = outsider.filter(|it| !it.allowed.contains(&krate.name.as_str()))
            {
                findings.push(Finding::of(&krate.manifest, outsider.complaint()));
            }
            if PINNED.contains(&name) && !dependency.requirement.starts_with('=') {
                let message = format!("pin {name}: `=…` instead of `{}`", dependency.requirement);
                findings.push(Finding::of(&krate.manifest, message));
            }
        }
    }
    findings
}

/// Source: who names an outsider, also through a re-export.
pub fn check_source(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    for word in words(&file.code) {
        let outsider = OUTSIDERS.iter().find(|outsider| outsider.ident == word.text);
        if let Some(outsider) =
            outsider.filter(|outsider| !outsider.allowed.contains(&file.krate()))
        {
            findings.push(Finding::at(file, word.at, outsider.complaint()));
        }
    }
    findings
}

impl Outsider {
    fn complaint(&self) -> String {
        match self.allowed {
            [] => format!("nothing may name {} yet", self.package),
            allowed => format!("only {} may name {}", allowed.join(" and "), self.package),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tree::File;
    use super::super::workspace::sample;
    use super::{check_manifests, check_source};

    #[test]
    fn a_manifest_that_names_an_outsider_is_found() {
        let good = sample("raft", &[], &[("openraft", "=0.10.0"), ("bytes", "^1")]);
        assert!(check_manifests(&[good]).is_empty());
        let bad =
            sample("broker", &[], &[("openraft", "=0.10.0"), ("tokio", "^1"), ("bytes", "^1")]);
        assert_eq!(check_manifests(&[bad]).len(), 2);
    }

    #[test]
    fn a_floating_version_of_what_must_be_pinned_is_found() {
        let findings = check_manifests(&[sample("raft", &[], &[("openraft", "^0.10.0")])]);
        assert_eq!(findings.len(), 1);
        assert!(findings[0].message.contains("pin openraft"), "{}", findings[0]);
    }

    #[test]
    fn source_that_names_an_outsider_is_found_and_prose_is_not() {
        let source = "// openraft elects here\nuse raft::openraft::Raft;\nlet s = \"openraft\";\n";
        assert!(check_source(&File::new("raft/src/a.rs", source)).is_empty());
        let findings = check_source(&File::new("broker/src/a.rs", source));
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].place, "broker/src/a.rs:2");
    }
}
