//! A key of the configuration, and the table of all keys of a program.

use std::fmt;

use crate::nearest::nearest;

/// What values a key takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`, in any case.
    Bool,
    /// A decimal number within the bounds, both included.
    Int {
        /// Smallest value allowed.
        min: i64,
        /// Largest value allowed.
        max: i64,
    },
    /// Bytes: a decimal number, or one with `KiB`, `MiB` or `GiB` behind it; bounds in bytes, both included.
    Size {
        /// Smallest value allowed, bytes.
        min: u64,
        /// Largest value allowed, bytes.
        max: u64,
    },
    /// One of the words, in any case.
    OneOf(&'static [&'static str]),
    /// Any text.
    Text,
    /// Texts separated by the character; blanks around them and empty ones do not count.
    List(char),
}

/// What setting a key does in this program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// What the documentation says.
    Full,
    /// Accepted and without effect; the text says why, and setting it to something other than the default gives a warning.
    Nothing(&'static str),
}

/// One key. Built by `Key::int(…)` and its siblings, refined by [`restart`](Key::restart) and the others.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// The name in files and messages.
    pub name: &'static str,
    /// The values it takes.
    pub kind: Kind,
    /// The value when nobody sets one; valid for the kind. Empty where the program works it out.
    pub default: &'static str,
    /// One sentence for an operator, with the unit.
    pub doc: &'static str,
    /// A change takes effect only at the next start.
    pub needs_restart: bool,
    /// The name of the key in Apache RocketMQ's files, `None` for a key of our own. Both names are accepted.
    pub apache_name: Option<&'static str>,
    /// Whether the key does something.
    pub effect: Effect,
}

impl Key {
    const fn new(name: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Key {
        Key {
            name,
            kind,
            default,
            doc,
            needs_restart: false,
            apache_name: Some(name),
            effect: Effect::Full,
        }
    }

    /// A key for `true` or `false`.
    pub const fn bool(name: &'static str, default: &'static str, doc: &'static str) -> Key {
        Key::new(name, Kind::Bool, default, doc)
    }

    /// A key for a whole number from `min` to `max`.
    pub const fn int(
        name: &'static str,
        default: &'static str,
        min: i64,
        max: i64,
        doc: &'static str,
    ) -> Key {
        assert!(min <= max);
        Key::new(name, Kind::Int { min, max }, default, doc)
    }

    /// A key for a number of bytes from `min` to `max`.
    pub const fn size(
        name: &'static str,
        default: &'static str,
        min: u64,
        max: u64,
        doc: &'static str,
    ) -> Key {
        assert!(min <= max);
        Key::new(name, Kind::Size { min, max }, default, doc)
    }

    /// A key for one of some words.
    pub const fn one_of(
        name: &'static str,
        default: &'static str,
        words: &'static [&'static str],
        doc: &'static str,
    ) -> Key {
        assert!(!words.is_empty());
        Key::new(name, Kind::OneOf(words), default, doc)
    }

    /// A key for any text.
    pub const fn text(name: &'static str, default: &'static str, doc: &'static str) -> Key {
        Key::new(name, Kind::Text, default, doc)
    }

    /// A key for texts separated by `separator`.
    pub const fn list(
        name: &'static str,
        default: &'static str,
        separator: char,
        doc: &'static str,
    ) -> Key {
        Key::new(name, Kind::List(separator), default, doc)
    }

    /// A change takes effect only at the next start.
    pub const fn restart(mut self) -> Key {
        self.needs_restart = true;
        self
    }

    /// A key that Apache's program does not have.
    pub const fn ours(mut self) -> Key {
        self.apache_name = None;
        self
    }

    /// A key that Apache's files call otherwise.
    pub const fn apache(mut self, name: &'static str) -> Key {
        self.apache_name = Some(name);
        self
    }

    /// Accepted for the sake of existing files; `why` completes "has no effect: …".
    pub const fn no_effect(mut self, why: &'static str) -> Key {
        self.effect = Effect::Nothing(why);
        self
    }

    /// Whether `value` is one this key takes. The empty text is taken where the default is empty.
    ///
    /// # Errors
    /// What is allowed.
    pub fn check(&self, value: &str) -> Result<(), ValueError> {
        if value.is_empty() && self.default.is_empty() {
            return Ok(());
        }
        let fits = match self.kind {
            Kind::Bool => parse_bool(value).is_some(),
            Kind::Int { min, max } => value.parse::<i64>().is_ok_and(|n| (min..=max).contains(&n)),
            Kind::Size { min, max } => parse_size(value).is_some_and(|n| (min..=max).contains(&n)),
            Kind::OneOf(words) => words.iter().any(|w| w.eq_ignore_ascii_case(value)),
            Kind::Text | Kind::List(_) => true,
        };
        if fits { Ok(()) } else { Err(ValueError { allowed: self.kind.to_string() }) }
    }
}

/// A value does not fit its key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("allowed: {allowed}")]
pub struct ValueError {
    /// What the key takes, in words.
    pub allowed: String,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::Bool => write!(f, "true or false"),
            Kind::Int { min: i64::MIN, max: i64::MAX } => write!(f, "a whole number"),
            Kind::Int { min, max: i64::MAX } => write!(f, "a whole number, {min} or more"),
            Kind::Int { min, max } => write!(f, "a whole number from {min} to {max}"),
            Kind::Size { min, max } => {
                write!(f, "a number of bytes from {min} to {max}")?;
                match size_examples(*min, *max).join(" or ") {
                    none if none.is_empty() => Ok(()),
                    examples => write!(f, ", also with a unit, such as {examples}"),
                }
            }
            Kind::OneOf(words) => write!(f, "{}", words.join(" or ")),
            Kind::Text => write!(f, "any text"),
            Kind::List(separator) => write!(f, "texts separated by `{separator}`"),
        }
    }
}

/// A size in each unit that has one between `min` and `max`, both included.
fn size_examples(min: u64, max: u64) -> Vec<String> {
    let example = |(unit, shift): (&str, u32)| {
        let fits = |count: &u64| (min..=max).contains(&(count << shift));
        [64, 16, 4, 1].into_iter().find(fits).map(|count: u64| format!("{count}{unit}"))
    };
    [("KiB", 10), ("MiB", 20), ("GiB", 30)].into_iter().filter_map(example).collect()
}

pub(crate) fn parse_bool(value: &str) -> Option<bool> {
    if value.eq_ignore_ascii_case("true") {
        Some(true)
    } else if value.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

pub(crate) fn parse_size(value: &str) -> Option<u64> {
    let digits = value.trim_end_matches(|c: char| !c.is_ascii_digit());
    let shift = match value[digits.len()..].trim_start().to_ascii_lowercase().as_str() {
        "" => 0,
        "kib" => 10,
        "mib" => 20,
        "gib" => 30,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(1 << shift)
}

/// All keys of a program, the only place that says what they are.
#[derive(Debug)]
pub struct Table {
    keys: &'static [Key],
}

impl Table {
    /// A table of these keys. [`Table::assert_sound`] belongs into a test beside it.
    pub const fn new(keys: &'static [Key]) -> Table {
        Table { keys }
    }

    /// The keys, in the order written.
    pub fn keys(&self) -> &'static [Key] {
        self.keys
    }

    /// The place in the table of a key, by its name or by Apache's; case counts.
    pub(crate) fn position(&self, name: &str) -> Option<usize> {
        self.keys.iter().position(|k| k.name == name || k.apache_name == Some(name))
    }

    /// The key of that name (ours or Apache's).
    pub fn find(&self, name: &str) -> Option<&'static Key> {
        self.position(name).map(|at| &self.keys[at])
    }

    /// The known name most like `name`, if any is near.
    pub fn nearest(&self, name: &str) -> Option<&'static str> {
        nearest(name, self.keys.iter().map(|k| k.name))
    }

    /// Panics if two keys share a name or a default does not fit its key: a mistake in the table itself.
    pub fn assert_sound(&self) {
        for (at, key) in self.keys.iter().enumerate() {
            assert_eq!(
                self.position(key.name),
                Some(at),
                "key `{}` is in the table twice",
                key.name
            );
            if let Some(apache) = key.apache_name {
                assert_eq!(
                    self.position(apache),
                    Some(at),
                    "Apache's key `{apache}` is in the table twice"
                );
            }
            assert!(
                key.check(key.default).is_ok(),
                "default `{}` does not fit key `{}`",
                key.default,
                key.name
            );
            assert!(!key.doc.is_empty(), "key `{}` has no documentation", key.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(parse_size("1073741824"), Some(1 << 30));
        assert_eq!(parse_size("64MiB"), Some(64 << 20));
        assert_eq!(parse_size("2 gib"), Some(2 << 30));
        for bad in ["", "MiB", "-1", "1.5GiB", "64MB", "99999999999GiB", "1 2"] {
            assert_eq!(parse_size(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_examples_of_sizes_are_sizes_that_are_taken() {
        let says = |min, max| Key::size("x", "", min, max, "size").kind.to_string();
        assert_eq!(
            says(16 << 20, 2 << 30),
            "a number of bytes from 16777216 to 2147483648, also with a unit, such as 64MiB or 1GiB"
        );
        assert!(says(1024, 12 << 20).ends_with(", such as 64KiB or 4MiB"));
        assert!(says(4096, 1 << 40).ends_with(", such as 64KiB or 64MiB or 64GiB"));
        assert_eq!(says(1, 10), "a number of bytes from 1 to 10");
        for (min, max) in [(16 << 20, 2 << 30), (1024, 12 << 20), (4096, 1 << 40), (1, 1 << 10)] {
            let examples = size_examples(min, max);
            assert!(!examples.is_empty());
            for example in examples {
                assert!(
                    parse_size(&example).is_some_and(|n| (min..=max).contains(&n)),
                    "{example}"
                );
            }
        }
    }

    #[test]
    fn values_are_checked_against_their_kind() {
        let port = Key::int("listenPort", "9876", 1, 65535, "port");
        assert!(port.check("65535").is_ok());
        let refused = port.check("65536").unwrap_err();
        assert_eq!(refused.to_string(), "allowed: a whole number from 1 to 65535");
        assert!(port.check("").is_err());

        let role = Key::one_of("brokerRole", "ASYNC_MASTER", &["ASYNC_MASTER", "SLAVE"], "role");
        assert!(role.check("slave").is_ok());
        assert!(role.check("LEADER").is_err());

        let computed = Key::size("x", "", 1, 10, "worked out when empty");
        assert!(computed.check("").is_ok());
        assert!(computed.check("11").is_err());
    }

    #[test]
    #[should_panic(expected = "twice")]
    fn a_name_is_in_the_table_once() {
        static KEYS: Table =
            Table::new(&[Key::bool("a", "true", "x"), Key::text("b", "", "x").apache("a")]);
        KEYS.assert_sound();
    }

    #[test]
    #[should_panic(expected = "does not fit")]
    fn defaults_fit() {
        static KEYS: Table = Table::new(&[Key::int("a", "11", 0, 10, "x")]);
        KEYS.assert_sound();
    }
}
