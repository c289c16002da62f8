//! Bytes of a store as text that cannot play tricks on a terminal.

use std::fmt;

/// Printable text is shown as it is, everything else with `\x..` or `\u{..}`.
pub struct Escaped<'a>(pub &'a [u8]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for char in chunk.valid().chars() {
                match char {
                    '\\' => f.write_str("\\\\")?,
                    _ if char.is_control() => write!(f, "{}", char.escape_default())?,
                    _ => write!(f, "{char}")?,
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Escaped;

    #[test]
    fn what_is_not_printable_is_escaped() {
        let shown = Escaped("a\\b\n\x1b[K\u{e9}".as_bytes()).to_string();
        assert_eq!(shown, "a\\\\b\\n\\u{1b}[K\u{e9}");
        assert_eq!(Escaped(b"x\xff\x00y").to_string(), "x\\xff\\u{0}y");
    }
}
