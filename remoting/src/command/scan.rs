//! A tolerant JSON scanner that allocates only for strings with escapes.

use std::borrow::Cow;

use crate::command::DecodeError;
use crate::limits::MAX_JSON_DEPTH;

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
    pub(super) fn fail(&self, expected: &'static str) -> DecodeError {
        DecodeError::Json { at: self.at, expected }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    /// Takes `byte` if it comes next, after white space.
    pub(super) fn take(&mut self, byte: u8) -> bool {
        debug_assert!(byte.is_ascii());
        self.skip_space();
        let hit = self.peek() == Some(byte);
        self.at += usize::from(hit);
        hit
    }

    /// Takes `byte`, which must come next.
    pub(super) fn expect(&mut self, byte: u8, name: &'static str) -> Result<(), DecodeError> {
        if self.take(byte) { Ok(()) } else { Err(self.fail(name)) }
    }

    /// After the value of a member: true if another follows, false if the object ends.
    pub(super) fn more_members(&mut self) -> Result<bool, DecodeError> {
        if self.take(b',') {
            return Ok(true);
        }
        self.expect(b'}', "`,` or `}`")?;
        Ok(false)
    }

    /// The end of the text, after white space.
    pub(super) fn expect_end(&mut self) -> Result<(), DecodeError> {
        self.skip_space();
        if self.at == self.text.len() { Ok(()) } else { Err(self.fail("the end of the header")) }
    }

    /// A member's name and the colon behind it.
    pub(super) fn member_name(&mut self) -> Result<Cow<'a, str>, DecodeError> {
        self.expect(b'"', "a field name")?;
        let name = self.rest_of_string()?;
        self.expect(b':', "`:`")?;
        Ok(name)
    }

    /// Any value.
    pub(super) fn value(&mut self) -> Result<Value<'a>, DecodeError> {
        if self.take(b'"') {
            return Ok(Value::Text(self.rest_of_string()?));
        }
        let start = self.at;
        self.skip_value(0)?;
        let raw = self.slice(start, self.at);
        Ok(if raw == "null" { Value::Null } else { Value::Raw(raw) })
    }

    /// The text between two positions that are known to lie on ASCII characters.
    fn slice(&self, start: usize, end: usize) -> &'a str {
        self.text.get(start..end).unwrap_or_default()
    }

    /// What follows an opening quote, to the closing one.
    fn rest_of_string(&mut self) -> Result<Cow<'a, str>, DecodeError> {
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
    fn seek_quote_or_escape(&mut self) -> Result<u8, DecodeError> {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        match rest.iter().position(|&byte| byte == b'"' || byte == b'\\') {
            Some(ahead) => {
                self.at += ahead;
                Ok(rest[ahead])
            }
            None => {
                self.at = self.text.len();
                Err(self.fail("the closing quote"))
            }
        }
    }

    /// The string that starts at `start` and has its first escape at the current position.
    fn unescape(&mut self, start: usize) -> Result<String, DecodeError> {
        let mut out = String::with_capacity((self.at - start) * 2);
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

    /// What follows a backslash.
    fn escape(&mut self) -> Result<char, DecodeError> {
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
    fn unicode_escape(&mut self) -> Result<char, DecodeError> {
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

    fn hex4(&mut self) -> Result<u32, DecodeError> {
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
    fn skip_value(&mut self, depth: usize) -> Result<(), DecodeError> {
        if depth > MAX_JSON_DEPTH {
            return Err(DecodeError::TooDeep { at: self.at });
        }
        self.skip_space();
        match self.peek() {
            Some(b'"') => self.skip_string(),
            Some(b'{') => self.skip_object(depth),
            Some(b'[') => self.skip_array(depth),
            _ => self.skip_word(),
        }
    }

    fn skip_string(&mut self) -> Result<(), DecodeError> {
        self.at += 1;
        while self.seek_quote_or_escape()? == b'\\' {
            self.at = (self.at + 2).min(self.text.len());
        }
        self.at += 1;
        Ok(())
    }

    fn skip_object(&mut self, depth: usize) -> Result<(), DecodeError> {
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

    fn skip_array(&mut self, depth: usize) -> Result<(), DecodeError> {
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
    fn skip_word(&mut self) -> Result<(), DecodeError> {
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
