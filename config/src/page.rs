//! What people see of a table: the `-p` listing, the help of `--help`, the page in the documentation.

use std::fmt::Write as _;

use crate::key::{Effect, Key, Table};
use crate::settings::Settings;

/// Columns of a line of help text.
const HELP_WIDTH: usize = 100;

impl Settings {
    /// Every key as `key=value`, one a line, sorted, as Apache's `-p` and configuration requests show them.
    pub fn listing(&self) -> String {
        let mut out = String::new();
        for (key, value) in self.sorted() {
            let value = value.replace('\\', "\\\\").replace('\n', "\\n");
            writeln!(out, "{}={value}", key.name).expect("writing to a string cannot fail");
        }
        out
    }
}

impl Table {
    /// The keys that do something, for a terminal: name, default, allowed values, documentation.
    pub fn help(&self) -> String {
        let mut out = String::new();
        let mut keys: Vec<_> = self.keys().iter().filter(|k| k.effect == Effect::Full).collect();
        keys.sort_by_key(|k| k.name);
        for key in keys {
            let restart = if key.needs_restart { ", needs a restart" } else { "" };
            writeln!(out, "  {} = {}", key.name, key.default)
                .expect("writing to a string cannot fail");
            for line in wrapped(&format!("{} ({}{restart})", key.doc, key.kind), HELP_WIDTH - 6) {
                writeln!(out, "      {line}").expect("writing to a string cannot fail");
            }
        }
        out
    }

    /// A Markdown table of all keys, for the documentation.
    pub fn markdown(&self) -> String {
        let mut out = String::from(
            "| key | default | allowed | restart | Apache's name | meaning |\n|---|---|---|---|---|---|\n",
        );
        for key in self.keys() {
            let apache = match key.apache_name {
                None => "–",
                Some(name) if name == key.name => "same",
                Some(name) => name,
            };
            let effect = match key.effect {
                Effect::Full => String::new(),
                Effect::Nothing(why) => format!(" **No effect:** {why}."),
            };
            let default = if key.default.is_empty() {
                "–".to_owned()
            } else {
                format!("`{}`", key.default)
            };
            writeln!(
                out,
                "| `{}` | {default} | {} | {} | {apache} | {}.{effect} |",
                key.name,
                key.kind.to_string().replace('|', "\\|"),
                if key.needs_restart { "yes" } else { "no" },
                key.doc.trim_end_matches('.'),
            )
            .expect("writing to a string cannot fail");
        }
        out
    }
}

/// A Markdown table of those of `keys` that do nothing, and why; `default` names whose default it is.
pub fn without_effect<'a>(keys: impl IntoIterator<Item = &'a Key>, default: &str) -> String {
    let mut out = format!("| key | {default} | why it has no effect |\n|---|---|---|\n");
    for key in keys {
        if let Effect::Nothing(why) = key.effect {
            let default = if key.default.is_empty() { "–" } else { key.default };
            writeln!(out, "| `{}` | {default} | {why} |", key.name)
                .expect("writing to a string cannot fail");
        }
    }
    out
}

fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use crate::{Key, Settings, Source, Table};

    static KEYS: Table = Table::new(&[
        Key::text("path", "", "where things are").restart(),
        Key::int("listenPort", "9876", 1, 65535, "TCP port").restart(),
        Key::bool("old", "false", "once did something").no_effect("nothing is left to do"),
        Key::bool("new", "true", "something of ours").ours(),
    ]);

    #[test]
    fn listing_is_sorted_and_can_be_read_back() {
        let mut settings = Settings::defaults(&KEYS);
        settings.set(&Source::option("-x"), "path", "c:\\data").unwrap();
        let listing = settings.listing();
        assert_eq!(listing, "listenPort=9876\nnew=true\nold=false\npath=c:\\\\data\n");
        let mut again = Settings::defaults(&KEYS);
        assert!(again.load(&Source::file("x"), listing.as_bytes()).unwrap().is_empty());
        assert_eq!(again.text("path"), "c:\\data");
    }

    #[test]
    fn help_shows_what_does_something() {
        let help = KEYS.help();
        assert!(help.contains("  listenPort = 9876\n      TCP port (a whole number from 1 to 65535, needs a restart)\n"));
        assert!(!help.contains("old ="));
        assert!(help.lines().all(|l| l.chars().count() <= super::HELP_WIDTH));
    }

    #[test]
    fn keys_without_effect_say_why() {
        let table = super::without_effect(KEYS.keys(), "Apache's default");
        let head = "| key | Apache's default | why it has no effect |\n|---|---|---|\n";
        assert_eq!(table, format!("{head}| `old` | false | nothing is left to do |\n"));
    }

    #[test]
    fn page_shows_every_key() {
        let page = KEYS.markdown();
        assert_eq!(page.lines().count(), 2 + KEYS.keys().len());
        assert!(page.contains("| `old` | `false` | true or false | no | same | once did something. **No effect:** nothing is left to do. |"));
        assert!(page.contains("| `new` | `true` | true or false | no | – | something of ours. |"));
    }
}
