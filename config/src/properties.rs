//! Java-properties text: `key = value` lines, as Apache's configuration files have them.
//!
//! Understood: `#` and `!` comments, `=`, `:` or blanks as separator, `\` at the end of a line as continuation, the escapes
//! `\t \n \r \f \uXXXX` (any other escaped character stands for itself), a byte order mark, CRLF, UTF-8. Beyond Java: a comment in XML
//! style (`<!-- … -->`, also over several lines) is skipped, because one of Apache's sample files begins with one; and blanks after
//! a value are dropped, because they are never meant.

/// One `key = value` of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Property {
    /// Line of the key, from 1.
    pub line: u32,
    /// The key, unescaped, never empty.
    pub key: String,
    /// The value, unescaped, without blanks around it; may be empty.
    pub value: String,
}

/// Why a text is not a properties text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PropertiesError {
    /// A line is not UTF-8.
    #[error("line {line}: not UTF-8; save the file as UTF-8")]
    NotUtf8 {
        /// Line number, from 1.
        line: u32,
    },
    /// `\u` without four hexadecimal digits, or half of a surrogate pair.
    #[error(
        "line {line}: `\\u` wants four hexadecimal digits that name a character; write `\\\\u` for a backslash and a u"
    )]
    BadUnicodeEscape {
        /// Line number, from 1.
        line: u32,
    },
    /// `<!--` without `-->`: everything after it would be lost silently.
    #[error(
        "line {line}: the comment that begins here with `<!--` never ends; close it with `-->` or use `#`"
    )]
    OpenComment {
        /// Line number, from 1.
        line: u32,
    },
    /// A line like ` = value`.
    #[error(
        "line {line}: a value without a key; write `key = value`, or `#` in front of a comment"
    )]
    NoKey {
        /// Line number, from 1.
        line: u32,
    },
}

/// Reads a whole file. Properties come in the order of the file; a key may occur more than once (the last one counts).
///
/// # Errors
/// The first line that cannot be read.
pub fn parse(text: &[u8]) -> Result<Vec<Property>, PropertiesError> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let mut lines = Lines { rest: text, number: 0 };
    let mut found = Vec::new();
    while let Some((number, line)) = lines.next_text()? {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with(['#', '!']) {
            continue;
        }
        if line.starts_with("<!--") {
            lines.skip_xml_comment(number, line)?;
            continue;
        }
        let logical = lines.with_continuations(line)?;
        found.push(split(number, &logical)?);
    }
    Ok(found)
}

struct Lines<'a> {
    rest: &'a [u8],
    number: u32,
}

impl<'a> Lines<'a> {
    fn next_text(&mut self) -> Result<Option<(u32, &'a str)>, PropertiesError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let end = self.rest.iter().position(|b| matches!(b, b'\n' | b'\r'));
        let (line, rest) = match end {
            None => (self.rest, &[][..]),
            Some(at) if self.rest[at..].starts_with(b"\r\n") => {
                (&self.rest[..at], &self.rest[at + 2..])
            }
            Some(at) => (&self.rest[..at], &self.rest[at + 1..]),
        };
        self.rest = rest;
        self.number += 1;
        let text = std::str::from_utf8(line)
            .map_err(|_| PropertiesError::NotUtf8 { line: self.number })?;
        Ok(Some((self.number, text)))
    }

    fn skip_xml_comment(&mut self, began: u32, first: &str) -> Result<(), PropertiesError> {
        let mut line = first;
        while !line.contains("-->") {
            line = self.next_text()?.ok_or(PropertiesError::OpenComment { line: began })?.1;
        }
        Ok(())
    }

    fn with_continuations(&mut self, first: &str) -> Result<String, PropertiesError> {
        let mut logical = first.to_owned();
        while ends_in_odd_backslashes(&logical) {
            logical.pop();
            match self.next_text()? {
                Some((_, next)) => logical.push_str(next.trim_start()),
                None => break,
            }
        }
        Ok(logical)
    }
}

fn ends_in_odd_backslashes(line: &str) -> bool {
    line.bytes().rev().take_while(|&b| b == b'\\').count() % 2 == 1
}

fn split(line: u32, logical: &str) -> Result<Property, PropertiesError> {
    let mut escaped = false;
    let mut end = logical.len();
    for (at, c) in logical.char_indices() {
        if !escaped && (c == '=' || c == ':' || c.is_whitespace()) {
            end = at;
            break;
        }
        escaped = !escaped && c == '\\';
    }
    let key = unescape(line, &logical[..end])?;
    if key.is_empty() {
        return Err(PropertiesError::NoKey { line });
    }
    let rest = logical[end..].trim_start();
    let rest = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    let value = unescape(line, rest.trim())?;
    Ok(Property { line, key, value })
}

fn unescape(line: u32, text: &str) -> Result<String, PropertiesError> {
    let mut units: Vec<u16> = Vec::new();
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let escaped = if c == '\\' { chars.next() } else { None };
        if escaped == Some('u') {
            units.push(
                unicode_escape(chars.by_ref()).ok_or(PropertiesError::BadUnicodeEscape { line })?,
            );
            continue;
        }
        flush_units(line, &mut units, &mut out)?;
        match escaped {
            None => out.push(c),
            Some('t') => out.push('\t'),
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('f') => out.push('\u{c}'),
            Some(other) => out.push(other),
        }
    }
    flush_units(line, &mut units, &mut out)?;
    Ok(out)
}

fn unicode_escape(chars: &mut std::str::Chars<'_>) -> Option<u16> {
    let digits: String = chars.take(4).collect();
    if digits.len() != 4 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    u16::from_str_radix(&digits, 16).ok()
}

/// Java writes a character beyond 16 bits as two escapes, so runs of escapes are decoded together.
fn flush_units(line: u32, units: &mut Vec<u16>, out: &mut String) -> Result<(), PropertiesError> {
    if !units.is_empty() {
        let text =
            String::from_utf16(units).map_err(|_| PropertiesError::BadUnicodeEscape { line })?;
        out.push_str(&text);
        units.clear();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(u32, String, String)> {
        parse(text.as_bytes()).unwrap().into_iter().map(|p| (p.line, p.key, p.value)).collect()
    }

    fn one(text: &str) -> (String, String) {
        let found = pairs(text);
        assert_eq!(found.len(), 1, "{found:?}");
        (found[0].1.clone(), found[0].2.clone())
    }

    #[test]
    fn separators_and_blanks() {
        for text in
            ["a=b", "a = b", "a:b", "a b", "  a =b  ", "a\t=\tb", "\u{feff}a=b", "a=b\r\n", "a=b\r"]
        {
            assert_eq!(one(text), ("a".into(), "b".into()), "{text:?}");
        }
        assert_eq!(one("a="), ("a".into(), String::new()));
        assert_eq!(one("a"), ("a".into(), String::new()));
        assert_eq!(one("a==b"), ("a".into(), "=b".into()));
        assert_eq!(one("a:=b"), ("a".into(), "=b".into()));
    }

    #[test]
    fn values_keep_what_addresses_and_names_are_made_of() {
        assert_eq!(one("namesrvAddr=a:9876;b:9876;").1, "a:9876;b:9876;");
        assert_eq!(one("brokerName=suzhou@broker").1, "suzhou@broker");
        assert_eq!(one("x = a # not a comment").1, "a # not a comment");
        assert_eq!(one("名=苏州").1, "苏州");
    }

    #[test]
    fn comments_count_as_lines() {
        let text = "# one\n## two\n! three\n\n<!--\n  licence = none\n-->\n<!-- short -->\nk = v\n";
        assert_eq!(pairs(text), [(9, "k".into(), "v".into())]);
    }

    #[test]
    fn continuation_lines() {
        let text = "a = one,\\\n    two,\\\r\n  three\nb = c:\\\\\nc=d\\";
        let expected = [(1, "a", "one,two,three"), (4, "b", "c:\\"), (5, "c", "d")];
        assert_eq!(pairs(text), expected.map(|(l, k, v)| (l, k.to_owned(), v.to_owned())));
    }

    #[test]
    fn escapes() {
        assert_eq!(one(r"a\ b\=c\:=x\ty\qz").0, "a b=c:");
        assert_eq!(one(r"k=x\ty\qz").1, "x\tyqz");
        assert_eq!(one(r"k=\u82cf\u5dde").1, "苏州");
        assert_eq!(one(r"k=\ud83d\ude00!").1, "😀!");
    }

    #[test]
    fn errors_name_the_line() {
        assert_eq!(parse(b"a=1\nb=\xff\n"), Err(PropertiesError::NotUtf8 { line: 2 }));
        assert_eq!(parse(b"a=\\u12"), Err(PropertiesError::BadUnicodeEscape { line: 1 }));
        assert_eq!(parse(b"a=\\ud83d"), Err(PropertiesError::BadUnicodeEscape { line: 1 }));
        assert_eq!(parse(b"a=1\n<!-- x\nb=2\n"), Err(PropertiesError::OpenComment { line: 2 }));
        assert_eq!(parse(b"\n = v"), Err(PropertiesError::NoKey { line: 2 }));
    }
}
