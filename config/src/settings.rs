//! The values of a table's keys, and where each came from.

use std::fmt;

use crate::error::{ConfigError, ConfigErrors, Contradiction, Setting, Warning};
use crate::key::{Effect, Key, Kind, Table, parse_bool, parse_size};
use crate::properties::{self, Property};

/// Where settings come from, as messages name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    kind: SourceKind,
    name: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SourceKind {
    File,
    Option,
    Environment,
}

impl Source {
    /// A file, by the path the operator gave.
    pub fn file(path: &str) -> Source {
        Source { kind: SourceKind::File, name: path.to_owned() }
    }

    /// A command line option such as `-n`.
    pub fn option(option: &str) -> Source {
        Source { kind: SourceKind::Option, name: option.to_owned() }
    }

    /// An environment variable.
    pub fn environment(variable: &str) -> Source {
        Source { kind: SourceKind::Environment, name: variable.to_owned() }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            SourceKind::File => f.write_str(&self.name),
            SourceKind::Option => write!(f, "option {}", self.name),
            SourceKind::Environment => write!(f, "environment variable {}", self.name),
        }
    }
}

/// Where one value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Nobody set it.
    Default,
    /// A line (from 1) of a file.
    Line(Source, u32),
    /// An option, the environment, a request.
    At(Source),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Default => f.write_str("default"),
            Place::Line(source, line) => write!(f, "{source}:{line}"),
            Place::At(source) => write!(f, "{source}"),
        }
    }
}

#[derive(Debug, Clone)]
struct Value {
    text: String,
    place: Place,
}

/// A value for each key of a table. Every value fits its key, always.
#[derive(Debug, Clone)]
pub struct Settings {
    table: &'static Table,
    values: Vec<Value>,
}

impl Settings {
    /// Every key at its default.
    pub fn defaults(table: &'static Table) -> Settings {
        let value = |key: &Key| Value { text: key.default.to_owned(), place: Place::Default };
        Settings { table, values: table.keys().iter().map(value).collect() }
    }

    /// The table these are values of.
    pub fn table(&self) -> &'static Table {
        self.table
    }

    /// Takes over the properties of a file; later calls win over earlier ones. Unknown keys are warnings.
    ///
    /// # Errors
    /// All errors of the file at once; the settings are then unchanged.
    pub fn load(&mut self, source: &Source, text: &[u8]) -> Result<Vec<Warning>, ConfigErrors> {
        let found = properties::parse(text)
            .map_err(|error| ConfigError::Unreadable { source_name: source.clone(), error })?;
        let mut errors = Vec::new();
        let mut warnings = Vec::new();
        let mut next = self.clone();
        for (at, property) in found.iter().enumerate() {
            let place = Place::Line(source.clone(), property.line);
            if let Some(first) = found[..at].iter().rev().find(|p| p.key == property.key) {
                warnings.push(Warning::SetTwice {
                    place: place.clone(),
                    key: property.key.clone(),
                    first_line: first.line,
                });
            }
            next.take(place, property, &mut warnings, &mut errors);
        }
        if !errors.is_empty() {
            return Err(ConfigErrors(errors));
        }
        *self = next;
        Ok(warnings)
    }

    fn take(
        &mut self,
        place: Place,
        property: &Property,
        warnings: &mut Vec<Warning>,
        errors: &mut Vec<ConfigError>,
    ) {
        let Property { key, value, .. } = property;
        let Some(at) = self.table.position(key) else {
            warnings.push(Warning::UnknownKey {
                place,
                key: key.clone(),
                nearest: self.table.nearest(key),
            });
            return;
        };
        let known = &self.table.keys()[at];
        if let Err(error) = known.check(value) {
            errors.push(ConfigError::BadValue {
                place,
                key: key.clone(),
                value: value.clone(),
                error,
            });
            return;
        }
        if let Effect::Nothing(why) = known.effect
            && !value.eq_ignore_ascii_case(known.default)
        {
            let warning = Warning::NoEffect {
                place: place.clone(),
                key: known.name,
                value: value.clone(),
                why,
            };
            warnings.push(warning);
        }
        self.values[at] = Value { text: value.clone(), place };
    }

    /// Sets one key, from an option, the environment or a request.
    ///
    /// # Errors
    /// No such key, or a value that does not fit; the settings are then unchanged.
    pub fn set(&mut self, source: &Source, name: &str, value: &str) -> Result<(), ConfigError> {
        let place = Place::At(source.clone());
        let value = value.trim();
        let Some(at) = self.table.position(name) else {
            return Err(ConfigError::NoSuchKey {
                place,
                key: name.to_owned(),
                nearest: self.table.nearest(name),
            });
        };
        if let Err(error) = self.table.keys()[at].check(value) {
            return Err(ConfigError::BadValue {
                place,
                key: name.to_owned(),
                value: value.to_owned(),
                error,
            });
        }
        self.values[at] = Value { text: value.to_owned(), place };
        Ok(())
    }

    /// An error for two settings that exclude each other, with where they come from.
    pub fn contradiction(&self, name: &str, other: &str, remedy: impl Into<String>) -> ConfigError {
        let (first, second) = (self.setting(name), self.setting(other));
        let remedy = remedy.into();
        ConfigError::Contradiction(Box::new(Contradiction { first, second, remedy }))
    }

    fn setting(&self, name: &str) -> Setting {
        let (key, value) = self.entry(name);
        Setting { key: key.name, value: value.text.clone(), place: value.place.clone() }
    }

    /// An error for a value that fits its kind but not the place it is used (an address that is none, say).
    pub fn bad_value(&self, name: &str, allowed: &str) -> ConfigError {
        let (key, value) = self.entry(name);
        ConfigError::BadValue {
            place: value.place.clone(),
            key: key.name.to_owned(),
            value: value.text.clone(),
            error: crate::ValueError { allowed: allowed.to_owned() },
        }
    }

    fn entry(&self, name: &str) -> (&'static Key, &Value) {
        let at = self.table.position(name);
        let at = at.unwrap_or_else(|| {
            panic!("the program asks for key `{name}`, which is not in its table")
        });
        (&self.table.keys()[at], &self.values[at])
    }

    /// Where the value of a key comes from.
    pub fn place(&self, name: &str) -> &Place {
        &self.entry(name).1.place
    }

    /// What an operator changes to change the value, for the remedies of errors that show later: the option that set it,
    /// or the key and the place where it was set.
    pub fn handle(&self, name: &str) -> String {
        let (key, value) = self.entry(name);
        match &value.place {
            Place::At(source) if source.kind == SourceKind::Option => source.name.clone(),
            Place::Default => format!("`{}`", key.name),
            place => format!("`{}` ({place})", key.name),
        }
    }

    /// Whether somebody set the key.
    pub fn is_set(&self, name: &str) -> bool {
        *self.place(name) != Place::Default
    }

    /// The value as text. Panics, as its siblings do, if the table has no such key: a mistake of the program.
    pub fn text(&self, name: &str) -> &str {
        &self.entry(name).1.text
    }

    /// The value of a [`Kind::Bool`] key.
    pub fn bool(&self, name: &str) -> bool {
        let (key, value) = self.entry(name);
        assert_eq!(key.kind, Kind::Bool, "key `{name}`");
        parse_bool(&value.text).expect("checked when it was set")
    }

    /// The value of a [`Kind::Int`] key; its bounds must lie within `T`.
    pub fn int<T: TryFrom<i64>>(&self, name: &str) -> T {
        let (key, value) = self.entry(name);
        assert!(matches!(key.kind, Kind::Int { .. }), "key `{name}` is not a number");
        let number: i64 = value.text.parse().expect("checked when it was set");
        T::try_from(number).ok().expect("the bounds in the table lie within the type asked for")
    }

    /// The value of a [`Kind::Size`] key, bytes.
    pub fn size(&self, name: &str) -> u64 {
        let (key, value) = self.entry(name);
        assert!(matches!(key.kind, Kind::Size { .. }), "key `{name}` is not a size");
        parse_size(&value.text).expect("checked when it was set")
    }

    /// The value of a [`Kind::OneOf`] key, spelled as in the table.
    pub fn one_of(&self, name: &str) -> &'static str {
        let (key, value) = self.entry(name);
        let Kind::OneOf(words) = key.kind else { panic!("key `{name}` is not one of some words") };
        let found = words.iter().find(|w| w.eq_ignore_ascii_case(&value.text));
        found.expect("checked when it was set")
    }

    /// The value of a [`Kind::List`] key, without blanks and empty items.
    pub fn list(&self, name: &str) -> Vec<&str> {
        let (key, value) = self.entry(name);
        let Kind::List(separator) = key.kind else { panic!("key `{name}` is not a list") };
        value.text.split(separator).map(str::trim).filter(|item| !item.is_empty()).collect()
    }

    /// All keys with their values, sorted by name.
    pub fn sorted(&self) -> Vec<(&'static Key, &str)> {
        let mut all: Vec<_> =
            self.table.keys().iter().zip(self.values.iter().map(|v| v.text.as_str())).collect();
        all.sort_by_key(|(key, _)| key.name);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static KEYS: Table = Table::new(&[
        Key::int("listenPort", "9876", 1, 65535, "port"),
        Key::bool("orderMessageEnable", "false", "order"),
        Key::one_of("flushDiskType", "ASYNC_FLUSH", &["ASYNC_FLUSH", "SYNC_FLUSH"], "flush"),
        Key::list("namesrvAddr", "", ';', "addresses"),
        Key::size("segmentSize", "1GiB", 4096, 1 << 40, "segment")
            .apache("mappedFileSizeCommitLog"),
        Key::int("serverWorkerThreads", "8", 0, 1024, "threads").no_effect("one thread serves all"),
    ]);

    fn file() -> Source {
        Source::file("conf/a.conf")
    }

    fn loaded(text: &str) -> (Settings, Vec<String>) {
        let mut settings = Settings::defaults(&KEYS);
        let warnings = settings.load(&file(), text.as_bytes()).unwrap();
        (settings, warnings.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn the_table_is_sound() {
        KEYS.assert_sound();
    }

    #[test]
    fn values_by_type() {
        let (settings, warnings) = loaded(
            "listenPort = 1\norderMessageEnable=TRUE\nflushDiskType=sync_flush\nnamesrvAddr = a:1; b:2;\nmappedFileSizeCommitLog=64MiB",
        );
        assert_eq!(warnings, Vec::<String>::new());
        assert_eq!(settings.int::<u16>("listenPort"), 1);
        assert!(settings.bool("orderMessageEnable"));
        assert_eq!(settings.one_of("flushDiskType"), "SYNC_FLUSH");
        assert_eq!(settings.list("namesrvAddr"), ["a:1", "b:2"]);
        assert_eq!(settings.size("segmentSize"), 64 << 20);
        assert_eq!(settings.place("listenPort").to_string(), "conf/a.conf:1");
        assert!(!settings.is_set("serverWorkerThreads"));
    }

    #[test]
    fn warnings_name_file_line_and_key() {
        let (settings, warnings) = loaded(
            "listenprt = 1\n\ncolour = red\nserverWorkerThreads=9\nlistenPort=1\nlistenPort=2\n",
        );
        assert_eq!(
            warnings,
            [
                "conf/a.conf:1: unknown key `listenprt` is ignored; did you mean `listenPort`?",
                "conf/a.conf:3: unknown key `colour` is ignored",
                "conf/a.conf:4: `serverWorkerThreads = 9` has no effect: one thread serves all",
                "conf/a.conf:6: `listenPort` is set again; the value of line 5 does not count",
            ]
        );
        assert_eq!(settings.int::<u16>("listenPort"), 2);
        assert!(loaded("serverWorkerThreads=8").1.is_empty(), "the default asks for nothing");
    }

    #[test]
    fn all_errors_at_once_and_nothing_changed() {
        let mut settings = Settings::defaults(&KEYS);
        let errors = settings
            .load(&file(), b"listenPort = 70000\norderMessageEnable=yes\nflushDiskType=SYNC_FLUSH")
            .unwrap_err();
        assert_eq!(
            errors.to_string(),
            "conf/a.conf:1: `listenPort = 70000` is not possible; allowed: a whole number from 1 to 65535\n\
             conf/a.conf:2: `orderMessageEnable = yes` is not possible; allowed: true or false"
        );
        assert_eq!(settings.one_of("flushDiskType"), "ASYNC_FLUSH");

        let errors = settings.load(&file(), b"a = 1\n<!-- x").unwrap_err();
        assert!(errors.to_string().starts_with("conf/a.conf: line 2: the comment"), "{errors}");
    }

    #[test]
    fn a_value_is_changed_where_it_was_set() {
        let (mut settings, _) = loaded("listenPort = 1\n");
        assert_eq!(settings.handle("listenPort"), "`listenPort` (conf/a.conf:1)");
        assert_eq!(settings.handle("flushDiskType"), "`flushDiskType`");
        settings.set(&Source::option("--listen-port"), "listenPort", "2").unwrap();
        assert_eq!(settings.handle("listenPort"), "--listen-port");
        settings.set(&Source::environment("NAMESRV_ADDR"), "namesrvAddr", "a:1").unwrap();
        assert_eq!(
            settings.handle("namesrvAddr"),
            "`namesrvAddr` (environment variable NAMESRV_ADDR)"
        );
    }

    #[test]
    fn single_settings() {
        let mut settings = Settings::defaults(&KEYS);
        settings.set(&Source::option("-n"), "namesrvAddr", " a:1 ").unwrap();
        assert_eq!(settings.list("namesrvAddr"), ["a:1"]);
        let error = settings.set(&Source::option("--x"), "listenprt", "1").unwrap_err();
        assert_eq!(error.to_string(), "option --x: no key `listenprt`; did you mean `listenPort`?");
        let error = settings.contradiction("namesrvAddr", "listenPort", "remove one");
        assert_eq!(
            error.to_string(),
            "`namesrvAddr = a:1` (option -n) is not possible together with `listenPort = 9876` (default); remove one"
        );
    }
}
