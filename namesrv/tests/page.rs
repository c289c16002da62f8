//! docs/namesrv.md is written by this test and compared by it: `BLESS=1 cargo test -p namesrv --test page`.

use std::fmt::Write as _;

use config::{Effect, without_effect};
use namesrv::KEYS;

const PAGE: &str = include_str!("../../docs/namesrv.md");

const HEAD: &str = "\
# Configuration of the NameServer

This page is generated from the table of keys in `namesrv/src/keys.rs`; change it there and run
`BLESS=1 cargo test -p namesrv --test page`.

`mqnamesrv -c namesrv.conf` reads a file in Java's properties format, as Apache RocketMQ's files are; without a file every key has
its default. `-p` prints all keys with their values.

- A key that nobody knows gives a warning with file, line and the nearest known key.
- A key that Apache knows and that does nothing here gives a warning that says why, if it is set to something else than its default.
- A value that does not fit its key stops the start.

A NameServer keeps everything in memory: after a restart brokers register again within 30 seconds. That goes for keys and
values (`updateKvConfig`, order configuration) as well, which nobody registers again: put them again after a restart.

## Keys
";

fn page() -> String {
    let mut page = String::from(HEAD);
    page.push_str("\n| key | default | allowed | meaning |\n|---|---|---|---|\n");
    for key in KEYS.keys().iter().filter(|key| key.effect == Effect::Full) {
        let allowed = key.kind.to_string();
        writeln!(page, "| `{}` | `{}` | {allowed} | {}. |", key.name, key.default, key.doc)
            .expect("writing to a string cannot fail");
    }
    page.push_str("\nEach takes effect at the next start.\n\n## Keys without effect\n\n");
    page.push_str(&without_effect(KEYS.keys(), "default"));
    page
}

#[test]
#[allow(clippy::disallowed_methods, reason = "writes the page into the source tree when asked to")]
fn the_page_is_in_step_with_the_table() {
    let page = page();
    if std::env::var_os("BLESS").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/namesrv.md");
        std::fs::write(path, &page).expect("the source tree can be written");
        return;
    }
    assert!(page == PAGE, "run `BLESS=1 cargo test -p namesrv --test page`");
}

#[test]
fn every_key_that_does_something_needs_a_restart() {
    for key in KEYS.keys().iter().filter(|key| key.effect == Effect::Full) {
        assert!(key.needs_restart, "the page says so of {}", key.name);
    }
}
