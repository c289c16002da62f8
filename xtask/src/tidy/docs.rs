//! Documents: records are numbered, pages are listed, links lead somewhere.

use std::collections::BTreeMap;

use super::finding::Finding;
use super::tree::File;

const RECORDS: &str = "docs/adr/";

/// Folders whose README lists every page beside it.
const LISTED: [&str; 2] = [RECORDS, "docs/format/"];

/// Checks all Markdown files together.
pub fn check(files: &[File]) -> Vec<Finding> {
    let pages: Vec<&File> = files.iter().filter(|file| file.extension() == "md").collect();
    let mut findings = records(&pages);
    for folder in LISTED {
        findings.extend(unlisted(&pages, folder));
    }
    for page in &pages {
        findings.extend(dead_links(page, files));
    }
    findings
}

/// `docs/adr/NNNN-title.md` begins with `# ADR NNNN: title`, and no number is used twice.
fn records(pages: &[&File]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut taken: BTreeMap<&str, &str> = BTreeMap::new();
    for page in pages.iter().filter(|page| is_record(page)) {
        let name = &page.path[RECORDS.len()..];
        let number = name.split('-').next().unwrap_or_default();
        if number.len() != 4 || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            findings.push(Finding::of(&page.path, "a record is called NNNN-title.md"));
            continue;
        }
        let heading = format!("# ADR {number}: ");
        let first = page.text.lines().next().unwrap_or_default();
        if first.strip_prefix(&heading).is_none_or(|title| title.trim().is_empty()) {
            findings
                .push(Finding::of(&page.path, format!("the first line must be `{heading}title`")));
        }
        if let Some(other) = taken.insert(number, &page.path) {
            findings.push(Finding::of(&page.path, format!("number {number} is taken by {other}")));
        }
    }
    findings
}

fn is_record(page: &File) -> bool {
    page.path.starts_with(RECORDS) && page.path != format!("{RECORDS}README.md")
}

/// Pages of `folder` that its README does not link.
fn unlisted(pages: &[&File], folder: &str) -> Vec<Finding> {
    let list_path = format!("{folder}README.md");
    let list = pages.iter().find(|page| page.path == list_path);
    let linked: Vec<&str> =
        list.map_or_else(Vec::new, |list| links(&list.text).map(|(_, to)| to).collect());
    pages
        .iter()
        .filter_map(|page| Some((page, page.path.strip_prefix(folder)?)))
        .filter(|(_, name)| *name != "README.md" && !linked.contains(name))
        .map(|(page, _)| Finding::of(&page.path, format!("{list_path} does not link it")))
        .collect()
}

/// Links of `page` to files of the project that are not there. Folders count when they hold a file.
fn dead_links(page: &File, files: &[File]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (at, link) in links(&page.text) {
        let target = link.split('#').next().unwrap_or_default();
        if target.is_empty() || target.contains(':') {
            continue;
        }
        let target = resolve(&page.path, target);
        let folder = format!("{target}/");
        if !files.iter().any(|file| file.path == target || file.path.starts_with(&folder)) {
            findings.push(Finding::at(page, at, format!("`{link}` leads nowhere")));
        }
    }
    findings
}

/// The targets of `[text](target)` in `text`, each with its offset.
fn links(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.match_indices("](").filter_map(|(at, mark)| {
        let rest = &text[at + mark.len()..];
        let target = rest[..rest.find(')')?].split_whitespace().next()?;
        Some((at, target))
    })
}

/// The path from the workspace root of what `target` means in a page at `page`.
fn resolve(page: &str, target: &str) -> String {
    let mut parts: Vec<&str> = page.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::super::tree::File;
    use super::check;

    fn messages(pages: &[(&str, &str)]) -> Vec<String> {
        let files: Vec<_> = pages.iter().map(|(path, text)| File::new(path, text)).collect();
        check(&files).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_record_needs_number_title_and_a_place_in_the_list() {
        let list = ("docs/adr/README.md", "- [one](0001-one.md)");
        assert!(messages(&[list, ("docs/adr/0001-one.md", "# ADR 0001: One\n")]).is_empty());
        for bad in ["# One", "# ADR 0002: One", "# ADR 0001: ", ""] {
            assert_eq!(messages(&[list, ("docs/adr/0001-one.md", bad)]).len(), 1, "{bad}");
        }
        let good = ("docs/adr/0001-one.md", "# ADR 0001: One\n");
        // Not in the list, and the number is taken.
        assert_eq!(messages(&[list, good, ("docs/adr/0001-two.md", "# ADR 0001: Two\n")]).len(), 2);
        // Not in the list, and without a number.
        assert_eq!(messages(&[list, good, ("docs/adr/two.md", "# ADR 0002: Two\n")]).len(), 2);
    }

    #[test]
    fn a_format_page_that_nothing_links_is_found() {
        let page = ("docs/format/segment.md", "# Segment");
        assert_eq!(messages(&[page]).len(), 1);
        assert_eq!(messages(&[page, ("docs/format/README.md", "segment.md")]).len(), 1);
        assert!(messages(&[page, ("docs/format/README.md", "[s](segment.md)")]).is_empty());
    }

    #[test]
    fn a_link_that_leads_nowhere_is_found() {
        let code = ("broker/src/lib.rs", "");
        for good in
            ["[a](broker/src/lib.rs#L1)", "[a](broker)", "[a](#here)", "[a](https://docs.rs)"]
        {
            assert!(messages(&[("README.md", good), code]).is_empty(), "{good}");
        }
        assert!(messages(&[("docs/a.md", "[a](../broker/src/lib.rs)"), code]).is_empty());
        assert_eq!(messages(&[("docs/a.md", "x\n[a](broker/src/lib.rs)"), code]).len(), 1);
    }
}
