//! The crates as cargo sees them.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::ci::cargo;

/// One package of the workspace.
pub struct Crate {
    pub name: String,
    /// The manifest, relative to the workspace root.
    pub manifest: String,
    /// The root files of its libraries and binaries, relative to the workspace root.
    pub roots: Vec<String>,
    pub dependencies: Vec<Dependency>,
}

/// One direct dependency, of any kind (normal, development, build).
pub struct Dependency {
    pub name: String,
    /// The version requirement as written, `^` added by cargo where nothing was.
    pub requirement: String,
    /// Whether it is a crate of this workspace.
    pub ours: bool,
}

/// Asks cargo for the packages of the workspace at `root`, without their dependencies' metadata, so
/// that nothing is fetched.
pub fn read(root: &Path) -> Result<Vec<Crate>, String> {
    let output = Command::new(cargo())
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .current_dir(root)
        .output()
        .map_err(|error| format!("cargo metadata did not start: {error}"))?;
    if !output.status.success() {
        return Err(format!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr)));
    }
    let metadata: Value = serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("cargo metadata printed no JSON: {error}"))?;
    crates(&metadata).ok_or_else(|| "cargo metadata lacks a field that tidy reads".to_owned())
}

fn crates(metadata: &Value) -> Option<Vec<Crate>> {
    let root = metadata["workspace_root"].as_str()?;
    metadata["packages"].as_array()?.iter().map(|package| krate(package, root)).collect()
}

fn krate(package: &Value, root: &str) -> Option<Crate> {
    let relative = |path: &Value| {
        let path = path.as_str()?;
        Some(path.strip_prefix(root).unwrap_or(path).trim_start_matches('/').to_owned())
    };
    let ships = |target: &&Value| {
        target["kind"]
            .as_array()
            .is_some_and(|kinds| kinds.iter().any(|k| k == "lib" || k == "bin"))
    };
    Some(Crate {
        name: package["name"].as_str()?.to_owned(),
        manifest: relative(&package["manifest_path"])?,
        roots: package["targets"]
            .as_array()?
            .iter()
            .filter(ships)
            .map(|target| relative(&target["src_path"]))
            .collect::<Option<_>>()?,
        dependencies: package["dependencies"]
            .as_array()?
            .iter()
            .map(dependency)
            .collect::<Option<_>>()?,
    })
}

fn dependency(dependency: &Value) -> Option<Dependency> {
    Some(Dependency {
        name: dependency["name"].as_str()?.to_owned(),
        requirement: dependency["req"].as_str()?.to_owned(),
        ours: dependency["source"].is_null(),
    })
}

/// A crate for the tests of rules: `ours` are edges within the workspace, `others` come with their
/// version requirement.
#[cfg(test)]
pub fn sample(name: &str, ours: &[&str], others: &[(&str, &str)]) -> Crate {
    let ours = ours.iter().map(|name| (*name, "*", true));
    let others = others.iter().map(|(name, requirement)| (*name, *requirement, false));
    Crate {
        name: name.to_owned(),
        manifest: format!("{name}/Cargo.toml"),
        roots: vec![format!("{name}/src/lib.rs")],
        dependencies: ours
            .chain(others)
            .map(|(name, requirement, ours)| Dependency {
                name: name.to_owned(),
                requirement: requirement.to_owned(),
                ours,
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::crates;

    #[test]
    fn cargo_metadata_is_read() {
        let metadata = json!({
            "workspace_root": "/somewhere",
            "packages": [{
                "name": "broker",
                "manifest_path": "/somewhere/broker/Cargo.toml",
                "targets": [
                    {"kind": ["lib"], "src_path": "/somewhere/broker/src/lib.rs"},
                    {"kind": ["test"], "src_path": "/somewhere/broker/tests/contract.rs"},
                ],
                "dependencies": [
                    {"name": "model", "req": "*", "source": null},
                    {"name": "clap", "req": "^4.5", "source": "registry+https://example.org"},
                ],
            }],
        });
        let crates = crates(&metadata).expect("every field is there");
        assert_eq!(crates.len(), 1);
        assert_eq!(crates[0].manifest, "broker/Cargo.toml");
        assert_eq!(crates[0].roots, ["broker/src/lib.rs"]);
        let ours: Vec<_> =
            crates[0].dependencies.iter().map(|d| (d.name.as_str(), d.ours)).collect();
        assert_eq!(ours, [("model", true), ("clap", false)]);
    }
}
