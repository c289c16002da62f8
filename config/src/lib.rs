//! Configuration files and the table of keys a program knows.
//!
//! A program writes down its keys once, as a [`Table`] of [`Key`]s; the parser, the messages, the `-p` listing and the
//! documentation page all come out of that table. The files are Java-properties text ([`properties`]), because operators bring
//! the files they have.
//!
//! This crate does no I/O: the caller reads the file and hands in the text with the name to show in messages.
//!
//! ```
//! use config::{Key, Settings, Source, Table};
//!
//! static KEYS: Table = Table::new(&[
//!     Key::int("listenPort", "9876", 1, 65535, "TCP port to listen on").restart(),
//!     Key::text("bindAddress", "0.0.0.0", "address to bind").restart(),
//! ]);
//!
//! let mut settings = Settings::defaults(&KEYS);
//! let warnings = settings.load(&Source::file("namesrv.conf"), b"listenPort = 19876\nlistenprt = 1\n").expect("no errors");
//! assert_eq!(settings.int::<u16>("listenPort"), 19876);
//! assert!(warnings[0].to_string().contains("did you mean `listenPort`"));
//! ```

#![forbid(unsafe_code)]

mod error;
mod key;
mod nearest;
mod page;
pub mod properties;
mod settings;

pub use error::{ConfigError, ConfigErrors, Contradiction, Setting, Warning};
pub use key::{Effect, Key, Kind, Table, ValueError};
pub use page::without_effect;
pub use settings::{Place, Settings, Source};
