//! From the dialect to plain JSON.

use crate::fastjson::JsonError;
use crate::limits::{MAX_INFLATED, MAX_JSON_DEPTH};

/// Rewrites a text of the dialect as plain JSON.
///
/// Bare keys get quotes. An object that is a key becomes a string that holds its JSON. Members
/// whose value is `null`, `NaN` or infinite are dropped, which lets Java's defaults take their
/// place; in arrays they become `null`. Strings, numbers and words are copied unseen: whoever parses
/// the result judges them. The result is at most a constant factor longer than the text.
///
/// # Errors
/// [`JsonError`] with the position in `text`.
pub fn normalise(text: &[u8]) -> Result<String, JsonError> {
    if text.len() > MAX_INFLATED {
        return Err(JsonError::TooLong { bytes: text.len(), max: MAX_INFLATED });
    }
    let text = std::str::from_utf8(text)
        .map_err(|error| JsonError::NotUtf8 { at: error.valid_up_to() })?;
    let mut reader = Normaliser { text, at: 0, out: String::with_capacity(text.len() + 64) };
    reader.value(0, Place::Body)?;
    reader.skip_space();
    if reader.at < text.len() {
        return Err(reader.fail("the end"));
    }
    Ok(reader.out)
}

/// Whether a value is part of a key.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Body,
    Key,
}

struct Normaliser<'a> {
    text: &'a str,
    at: usize,
    out: String,
}

impl Normaliser<'_> {
    fn fail(&self, expected: &'static str) -> JsonError {
        JsonError::Syntax { at: self.at, expected }
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
    fn take(&mut self, byte: u8) -> bool {
        self.skip_space();
        let hit = self.peek() == Some(byte);
        self.at += usize::from(hit);
        hit
    }

    /// Copies the text from `start` to the current position; both lie on ASCII characters.
    fn copy_from(&mut self, start: usize) {
        let piece = self.text.get(start..self.at).unwrap_or_default();
        self.out.push_str(piece);
    }

    fn value(&mut self, depth: usize, place: Place) -> Result<(), JsonError> {
        self.skip_space();
        if depth >= MAX_JSON_DEPTH {
            return Err(JsonError::TooDeep { at: self.at });
        }
        match self.peek() {
            Some(b'{') => self.object(depth, place),
            Some(b'[') => self.array(depth, place),
            Some(b'"') => self.string(),
            _ => self.word(),
        }
    }

    fn array(&mut self, depth: usize, place: Place) -> Result<(), JsonError> {
        self.at += 1;
        self.out.push('[');
        if !self.take(b']') {
            loop {
                self.value(depth + 1, place)?;
                if !self.take(b',') {
                    break;
                }
                self.out.push(',');
            }
            if !self.take(b']') {
                return Err(self.fail("`,` or `]`"));
            }
        }
        self.out.push(']');
        Ok(())
    }

    fn object(&mut self, depth: usize, place: Place) -> Result<(), JsonError> {
        self.at += 1;
        self.out.push('{');
        if !self.take(b'}') {
            let mut first = true;
            loop {
                first &= !self.member(depth, place, first)?;
                if !self.take(b',') {
                    break;
                }
            }
            if !self.take(b'}') {
                return Err(self.fail("`,` or `}`"));
            }
        }
        self.out.push('}');
        Ok(())
    }

    /// One member of an object; false if its value was `null` and it was dropped.
    fn member(&mut self, depth: usize, place: Place, first: bool) -> Result<bool, JsonError> {
        let member = self.out.len();
        if !first {
            self.out.push(',');
        }
        self.key(depth, place)?;
        if !self.take(b':') {
            return Err(self.fail("`:`"));
        }
        self.out.push(':');
        let value = self.out.len();
        self.value(depth + 1, place)?;
        let kept = self.out.get(value..) != Some("null");
        if !kept {
            self.out.truncate(member);
        }
        Ok(kept)
    }

    fn key(&mut self, depth: usize, place: Place) -> Result<(), JsonError> {
        self.skip_space();
        match self.peek() {
            Some(b'"') => self.string(),
            Some(b'{') => self.object_key(depth, place),
            Some(b'-' | b'_' | b'$' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z') => {
                self.bare_key();
                Ok(())
            }
            _ => Err(self.fail("a key")),
        }
    }

    /// `{"queueId":0}` becomes `"{\"queueId\":0}"`. Only once: quoting what is quoted already would
    /// double its backslashes at every level.
    fn object_key(&mut self, depth: usize, place: Place) -> Result<(), JsonError> {
        if place == Place::Key {
            return Err(JsonError::KeyInKey { at: self.at });
        }
        let start = self.out.len();
        self.value(depth + 1, Place::Key)?;
        let key = self.out.split_off(start);
        assert!(key.starts_with('{') && key.ends_with('}'));
        self.out.push('"');
        for letter in key.chars() {
            if letter == '"' || letter == '\\' {
                self.out.push('\\');
            }
            self.out.push(letter);
        }
        self.out.push('"');
        Ok(())
    }

    /// A number or a name without quotes.
    fn bare_key(&mut self) {
        let start = self.at;
        while matches!(
            self.peek(),
            Some(b'-' | b'_' | b'$' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z')
        ) {
            self.at += 1;
        }
        assert!(self.at > start);
        self.out.push('"');
        self.copy_from(start);
        self.out.push('"');
    }

    fn string(&mut self) -> Result<(), JsonError> {
        let mut start = self.at;
        self.at += 1;
        loop {
            match self.peek() {
                Some(b'"') => break,
                // What is escaped may be a quote, but never the first byte of a longer character
                // that hides one: UTF-8 has no quote inside.
                Some(b'\\') => {
                    self.at += 1;
                    // Nobody writes that, and escaped it would be another text.
                    if self.peek().is_some_and(|byte| byte < 0x20) {
                        return Err(self.fail("what a backslash may stand before"));
                    }
                    self.at += 1;
                }
                // A line break or another control character: fastjson lets it pass, JSON does not.
                Some(byte) if byte < 0x20 => {
                    self.copy_from(start);
                    self.out.push_str(&format!("\\u{byte:04x}"));
                    self.at += 1;
                    start = self.at;
                }
                Some(_) => self.at += 1,
                None => {
                    self.at = self.text.len();
                    return Err(self.fail("the closing quote"));
                }
            }
        }
        self.at += 1;
        self.copy_from(start);
        Ok(())
    }

    /// A number, `true`, `false`, `null`, or what Java prints for floats that are no numbers.
    fn word(&mut self) -> Result<(), JsonError> {
        let start = self.at;
        while matches!(
            self.peek(),
            Some(b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'+' | b'-' | b'.')
        ) {
            self.at += 1;
        }
        match self.text.get(start..self.at).unwrap_or_default() {
            "" => return Err(self.fail("a value")),
            "NaN" | "Infinity" | "-Infinity" => self.out.push_str("null"),
            _ => self.copy_from(start),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> String {
        normalise(text.as_bytes()).unwrap()
    }

    fn fails(text: &str) -> String {
        let error = normalise(text.as_bytes()).unwrap_err();
        // `Shape` is not made here, so that the texts name byte positions.
        error.to_string()
    }

    #[test]
    fn plain_json_stays() {
        for text in
            [r#"{"a":[1,-2.5e3,true,"x\"\\\u00e9é"],"b":{}}"#, "[]", "0", r#""s""#, "[null]"]
        {
            assert_eq!(plain(text), text);
        }
    }

    #[test]
    fn control_characters_in_strings_are_escaped() {
        assert_eq!(plain("[\"a\n\u{1}\\n\"]"), r#"["a\u000a\u0001\n"]"#);
    }

    #[test]
    fn bare_keys_get_quotes() {
        assert_eq!(plain(r#"{0:"h:1",-1:"i"}"#), r#"{"0":"h:1","-1":"i"}"#);
        assert_eq!(plain(r#"{ name_1 : 2 }"#), r#"{"name_1":2}"#);
    }

    #[test]
    fn object_keys_become_strings() {
        let text = r#"{"t":{{"brokerName":"b\"","queueId":3,"topic":"T"}:{"x":1},{"a":0}:2}}"#;
        let want = r#"{"t":{"{\"brokerName\":\"b\\\"\",\"queueId\":3,\"topic\":\"T\"}":{"x":1},"{\"a\":0}":2}}"#;
        assert_eq!(plain(text), want);
        let back: serde_json::Value = serde_json::from_str(want).unwrap();
        assert_eq!(back["t"][r#"{"brokerName":"b\"","queueId":3,"topic":"T"}"#]["x"], 1);
    }

    #[test]
    fn absent_values_are_dropped() {
        assert_eq!(plain(r#"{"a":null,"b":1,"c":NaN,"d":2,"e":-Infinity}"#), r#"{"b":1,"d":2}"#);
        assert_eq!(plain(r#"{"a":null}"#), "{}");
        assert_eq!(plain(r#"{"a":"null"}"#), r#"{"a":"null"}"#);
        assert_eq!(plain("[NaN,Infinity]"), "[null,null]");
    }

    #[test]
    fn errors_name_the_byte() {
        for (text, want) in [
            ("", "not JSON: expected a value at byte 0"),
            ("{", "not JSON: expected a key at byte 1"),
            (r#"{"a""#, "not JSON: expected `:` at byte 4"),
            (r#"{"a":1"#, "not JSON: expected `,` or `}` at byte 6"),
            ("[1 2]", "not JSON: expected `,` or `]` at byte 3"),
            (r#"["a"#, "not JSON: expected the closing quote at byte 3"),
            (r#"["a\"#, "not JSON: expected the closing quote at byte 4"),
            ("[\"a\\\n\"]", "not JSON: expected what a backslash may stand before at byte 4"),
            ("{}x", "not JSON: expected the end at byte 2"),
            ("{[1]:2}", "not JSON: expected a key at byte 1"),
        ] {
            assert_eq!(fails(text), want);
        }
        let error = normalise(b"[\"\xff\"]").unwrap_err();
        assert!(matches!(error, JsonError::NotUtf8 { at: 2 }));
    }

    #[test]
    fn depth_is_limited_in_values_and_in_keys() {
        let nest = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert_eq!(plain(&nest(MAX_JSON_DEPTH)), nest(MAX_JSON_DEPTH));
        let error = normalise(nest(MAX_JSON_DEPTH + 1).as_bytes()).unwrap_err();
        assert!(matches!(error, JsonError::TooDeep { at: MAX_JSON_DEPTH }));
        let error = normalise("{".repeat(100_000).as_bytes()).unwrap_err();
        assert!(matches!(error, JsonError::KeyInKey { at: 2 }));
        let error = normalise(br#"{{"a":{{"b":1}:2}}:3}"#).unwrap_err();
        assert!(matches!(error, JsonError::KeyInKey { at: 7 }));
    }
}
