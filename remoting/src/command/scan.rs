//! A tolerant JSON scanner that allocates only for strings with escapes.

use std::borrow::Cow;

use crate::command::{DecodeError, word};
use crate::limits::MAX_JSON_DEPTH;

/// Boxed, so that a result is no larger than what is read: there are dozens of them a header.
pub(super) type Failed = Box<DecodeError>;

/// A JSON value as far as a header needs to tell values apart.
pub(super) enum Value<'a> {
    /// A string, without quotes and escapes.
    Text(Cow<'a, str>),
    /// Anything else but `null`, as it was written.
    Raw(&'a str),
    /// `null`.
    Null,
}

/// Reads JSON text from front to back.
pub(super) struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// The error that `expected` is not what comes next.
    #[cold]
    pub(super) fn fail(&self, expected: &'static str) -> Failed {
        Box::new(DecodeError::Json { at: self.at, expected })
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    #[inline]
    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    /// Takes `byte` if it comes next, after white space.
    #[inline]
    pub(super) fn take(&mut self, byte: u8) -> bool {
        debug_assert!(byte.is_ascii());
        if self.peek() == Some(byte) {
            self.at += 1;
            return true;
        }
        self.take_behind_space(byte)
    }

    /// As [`Scanner::take`], where something else comes first.
    #[inline(never)]
    fn take_behind_space(&mut self, byte: u8) -> bool {
        self.skip_space();
        let hit = self.peek() == Some(byte);
        self.at += usize::from(hit);
        hit
    }

    /// Takes `byte`, which must come next.
    #[inline]
    pub(super) fn expect(&mut self, byte: u8, name: &'static str) -> Result<(), Failed> {
        if self.take(byte) { Ok(()) } else { Err(self.fail(name)) }
    }

    /// After the value of a member: true if another follows, false if the object ends.
    #[inline]
    pub(super) fn more_members(&mut self) -> Result<bool, Failed> {
        if self.take(b',') {
            return Ok(true);
        }
        self.expect(b'}', "`,` or `}`")?;
        Ok(false)
    }

    /// The end of the text, after white space.
    pub(super) fn expect_end(&mut self) -> Result<(), Failed> {
        self.skip_space();
        if self.at == self.text.len() { Ok(()) } else { Err(self.fail("the end of the header")) }
    }

    /// A string and `after` behind it, if that is what comes next, without white space and without escapes: as nearly
    /// all of a header is written.
    #[inline]
    pub(super) fn plain_string(&mut self, after: u8) -> Option<&'a str> {
        let bytes = self.text.as_bytes();
        if self.peek() != Some(b'"') {
            return None;
        }
        let start = self.at + 1;
        let mut end = start;
        loop {
            let eight = bytes.get(end..)?.first_chunk()?;
            match word::first_quote_or_escape(*eight) {
                Some(ahead) => {
                    end += ahead;
                    break;
                }
                None => end += eight.len(),
            }
        }
        if bytes.get(end..end + 2)? != [b'"', after] {
            return None;
        }
        self.at = end + 2;
        self.text.get(start..end)
    }

    /// A member's name and the colon behind it.
    #[inline]
    pub(super) fn member_name(&mut self) -> Result<Cow<'a, str>, Failed> {
        if let Some(name) = self.plain_string(b':') {
            return Ok(Cow::Borrowed(name));
        }
        self.any_name()
    }

    #[inline(never)]
    fn any_name(&mut self) -> Result<Cow<'a, str>, Failed> {
        self.expect(b'"', "a field name")?;
        let name = self.rest_of_string()?;
        self.expect(b':', "`:`")?;
        Ok(name)
    }

    /// Any value.
    pub(super) fn value(&mut self) -> Result<Value<'a>, Failed> {
        if self.take(b'"') {
            return Ok(Value::Text(self.rest_of_string()?));
        }
        let start = self.at;
        self.skip_value(0)?;
        let raw = self.slice(start, self.at);
        Ok(if raw == "null" { Value::Null } else { Value::Raw(raw) })
    }

    /// The text between two positions that are known to lie on ASCII characters.
    #[inline]
    fn slice(&self, start: usize, end: usize) -> &'a str {
        self.text.get(start..end).unwrap_or_default()
    }

    /// What follows an opening quote, to the closing one.
    #[inline]
    fn rest_of_string(&mut self) -> Result<Cow<'a, str>, Failed> {
        let start = self.at;
        match self.seek_quote_or_escape()? {
            b'"' => {
                self.at += 1;
                Ok(Cow::Borrowed(self.slice(start, self.at - 1)))
            }
            _ => Ok(Cow::Owned(self.unescape(start)?)),
        }
    }

    /// Moves to the next quote or backslash and tells which.
    #[inline]
    fn seek_quote_or_escape(&mut self) -> Result<u8, Failed> {
        let bytes = self.text.as_bytes();
        while let Some(eight) = bytes.get(self.at..).and_then(|rest| rest.first_chunk()) {
            match word::first_quote_or_escape(*eight) {
                Some(ahead) => {
                    self.at += ahead;
                    return Ok(eight[ahead]);
                }
                None => self.at += eight.len(),
            }
        }
        while let Some(&byte) = bytes.get(self.at) {
            if byte == b'"' || byte == b'\\' {
                return Ok(byte);
            }
            self.at += 1;
        }
        Err(self.fail("the closing quote"))
    }

    /// The string that starts at `start` and has its first escape at the current position.
    fn unescape(&mut self, start: usize) -> Result<String, Failed> {
        let end = self.end_of_string()?;
        let mut out = String::with_capacity(end - start);
        let mut plain = start;
        loop {
            let stop = self.seek_quote_or_escape()?;
            out.push_str(self.slice(plain, self.at));
            self.at += 1;
            if stop == b'"' {
                return Ok(out);
            }
            out.push(self.escape()?);
            plain = self.at;
        }
    }

    /// Where the closing quote of the current string is; the position stays.
    fn end_of_string(&mut self) -> Result<usize, Failed> {
        let here = self.at;
        while self.seek_quote_or_escape()? == b'\\' {
            self.at = (self.at + 2).min(self.text.len());
        }
        Ok(std::mem::replace(&mut self.at, here))
    }

    /// What follows a backslash.
    fn escape(&mut self) -> Result<char, Failed> {
        let Some(kind) = self.peek() else {
            return Err(self.fail("an escape"));
        };
        let plain = match kind {
            b'"' | b'\\' | b'/' => char::from(kind),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                self.at += 1;
                return self.unicode_escape();
            }
            _ => return Err(self.fail("an escape of JSON")),
        };
        self.at += 1;
        Ok(plain)
    }

    /// What follows `\u`: four hex digits, or eight with another `\u` between for a pair. Half a
    /// pair becomes U+FFFD: Java strings can hold one, UTF-8 cannot.
    fn unicode_escape(&mut self) -> Result<char, Failed> {
        let unit = self.hex4()?;
        if !(0xd800..0xdc00).contains(&unit) {
            return Ok(char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        let here = self.at;
        if self.text.as_bytes().get(here..here + 2) == Some(b"\\u") {
            self.at += 2;
            let low = self.hex4()?;
            if (0xdc00..0xe000).contains(&low) {
                let point = 0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
                return Ok(char::from_u32(point).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            self.at = here;
        }
        Ok(char::REPLACEMENT_CHARACTER)
    }

    fn hex4(&mut self) -> Result<u32, Failed> {
        let mut unit = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
            let Some(digit) = digit else {
                return Err(self.fail("four hex digits"));
            };
            unit = unit << 4 | digit;
            self.at += 1;
        }
        assert!(unit <= 0xffff);
        Ok(unit)
    }

    /// Moves behind a value of any kind.
    fn skip_value(&mut self, depth: usize) -> Result<(), Failed> {
        if depth > MAX_JSON_DEPTH {
            return Err(Box::new(DecodeError::TooDeep { at: self.at }));
        }
        self.skip_space();
        match self.peek() {
            Some(b'"') => self.skip_string(),
            Some(b'{') => self.skip_object(depth),
            Some(b'[') => self.skip_array(depth),
            _ => self.skip_word(),
        }
    }

    fn skip_string(&mut self) -> Result<(), Failed> {
        self.at += 1;
        while self.seek_quote_or_escape()? == b'\\' {
            self.at = (self.at + 2).min(self.text.len());
        }
        self.at += 1;
        Ok(())
    }

    fn skip_object(&mut self, depth: usize) -> Result<(), Failed> {
        self.at += 1;
        if self.take(b'}') {
            return Ok(());
        }
        loop {
            self.skip_space();
            if self.peek() != Some(b'"') {
                return Err(self.fail("a field name"));
            }
            self.skip_string()?;
            self.expect(b':', "`:`")?;
            self.skip_value(depth + 1)?;
            if !self.more_members()? {
                return Ok(());
            }
        }
    }

    fn skip_array(&mut self, depth: usize) -> Result<(), Failed> {
        self.at += 1;
        if self.take(b']') {
            return Ok(());
        }
        loop {
            self.skip_value(depth + 1)?;
            if !self.take(b',') {
                return self.expect(b']', "`,` or `]`");
            }
        }
    }

    /// A number, `true`, `false`, `null`: letters, digits, signs and points.
    fn skip_word(&mut self) -> Result<(), Failed> {
        let start = self.at;
        while matches!(
            self.peek(),
            Some(b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'+' | b'-' | b'.')
        ) {
            self.at += 1;
        }
        if self.at == start { Err(self.fail("a value")) } else { Ok(()) }
    }
}
