//! Versions are written once, in the table of the workspace's manifest.

use super::finding::Finding;
use super::tree::File;

/// Checks that every dependency in a member's manifest is taken from the workspace table.
pub fn check(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut in_dependencies = false;
    for (number, line) in file.text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        let inherited =
            ["workspace = true", "workspace=true"].iter().any(|mark| line.contains(mark));
        if let Some(section) = line.strip_prefix('[') {
            let section = section.trim_end_matches(']');
            let last = section.rsplit('.').next().unwrap_or_default();
            in_dependencies = section != "workspace.dependencies" && is_dependencies(last);
            // `[dependencies.x]` hides its version from this check, so there is none.
            let split = section.split('.').rev().skip(1).any(is_dependencies);
            if split && !section.starts_with("workspace.") {
                findings.push(complaint(file, number, section));
            }
        } else if in_dependencies && line.contains('=') && !inherited {
            findings.push(complaint(file, number, line));
        }
    }
    findings
}

fn is_dependencies(section: &str) -> bool {
    ["dependencies", "dev-dependencies", "build-dependencies"].contains(&section)
}

fn complaint(file: &File, number: usize, what: &str) -> Finding {
    let place = format!("{}:{}", file.path, number + 1);
    Finding::of(
        &place,
        format!("`{what}`: list it in [workspace.dependencies] and write `x.workspace = true`"),
    )
}

#[cfg(test)]
mod tests {
    use super::super::tree::File;
    use super::check;

    fn count(manifest: &str) -> usize {
        check(&File::new("broker/Cargo.toml", manifest)).len()
    }

    #[test]
    fn a_version_outside_the_table_is_found() {
        for manifest in [
            "[dependencies]\nbytes = \"1\"",
            "[dev-dependencies]\nmodel = { path = \"../model\" }",
            "[target.'cfg(unix)'.dependencies]\nlibc = \"0.2\"",
            "[dependencies.bytes]\nversion = \"1\"",
        ] {
            assert_eq!(count(manifest), 1, "{manifest}");
        }
    }

    #[test]
    fn inherited_dependencies_and_other_sections_pass() {
        let manifest = "[package]\nname = \"broker\"\n[dependencies]\n# bytes = \"1\"\n\
                        bytes.workspace = true\nserde = { workspace = true, features = [\"rc\"] }\n\
                        [workspace.dependencies]\nlibc = \"0.2\"\n[lints]\nworkspace = true\n";
        assert_eq!(count(manifest), 0);
    }
}
