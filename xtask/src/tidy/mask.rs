//! Rust source with everything that is not code blanked out.
//!
//! This is the whole "parser" of tidy: rules look for words and braces in the masked text and never
//! trip over a comment, a string or a character. Offsets and line numbers stay those of the source.

use std::ops::Range;

/// What is not code, found at one place of the source.
struct Skip {
    /// The bytes to blank: a comment whole, a literal between its quotes.
    blank: Range<usize>,
    /// Where code goes on.
    end: usize,
}

/// Returns `source` with comments, and the inside of strings and characters, replaced by spaces,
/// byte for byte. Quotes and line ends stay.
pub fn mask(source: &str) -> String {
    let bytes = source.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let Some(skip) = skip_at(bytes, at) else {
            at += 1;
            continue;
        };
        assert!(skip.end > at, "the scan must advance");
        for byte in &mut out[skip.blank] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        at = skip.end;
    }
    assert_eq!(out.len(), bytes.len(), "masking must keep every offset");
    String::from_utf8(out).expect("whole characters were replaced by spaces")
}

fn skip_at(bytes: &[u8], at: usize) -> Option<Skip> {
    let rest = &bytes[at..];
    match rest[0] {
        b'/' if rest.starts_with(b"//") => Some(line_comment(bytes, at)),
        b'/' if rest.starts_with(b"/*") => Some(block_comment(bytes, at)),
        b'"' => Some(string(bytes, at)),
        b'\'' => character(bytes, at),
        b'r' | b'b' | b'c' if at == 0 || !is_word_byte(bytes[at - 1]) => raw_string(bytes, at),
        _ => None,
    }
}

fn line_comment(bytes: &[u8], at: usize) -> Skip {
    let end = find(bytes, at, b"\n");
    Skip { blank: at..end, end }
}

fn block_comment(bytes: &[u8], at: usize) -> Skip {
    let mut depth = 0_usize;
    let mut end = at;
    while end < bytes.len() {
        if bytes[end..].starts_with(b"/*") {
            depth += 1;
            end += 2;
        } else if bytes[end..].starts_with(b"*/") {
            depth -= 1;
            end += 2;
            if depth == 0 {
                break;
            }
        } else {
            end += 1;
        }
    }
    Skip { blank: at..end, end }
}

fn string(bytes: &[u8], at: usize) -> Skip {
    let mut close = at + 1;
    while close < bytes.len() && bytes[close] != b'"' {
        close += if bytes[close] == b'\\' { 2 } else { 1 };
    }
    let close = close.min(bytes.len());
    Skip { blank: at + 1..close, end: (close + 1).min(bytes.len()) }
}

/// `r"…"`, `br#"…"#`, `cr"…"`; not the raw identifier `r#fn`, and not `b"…"`, whose letter is
/// passed over as code before its quote is met.
fn raw_string(bytes: &[u8], at: usize) -> Option<Skip> {
    let letters = if bytes[at] == b'r' { 1 } else { 2 };
    if bytes.get(at + letters - 1) != Some(&b'r') {
        return None;
    }
    let hashes = bytes[at + letters..].iter().take_while(|&&byte| byte == b'#').count();
    let open = at + letters + hashes;
    if bytes.get(open) != Some(&b'"') {
        return None;
    }
    let mut closing = vec![b'"'];
    closing.resize(1 + hashes, b'#');
    let close = find(bytes, open + 1, &closing);
    Some(Skip { blank: open + 1..close, end: (close + closing.len()).min(bytes.len()) })
}

/// `'x'` or `'\n'`; `None` for a lifetime or a label.
fn character(bytes: &[u8], at: usize) -> Option<Skip> {
    let close = match *bytes.get(at + 1)? {
        b'\\' => find(bytes, at + 3, b"'"),
        first => at + 1 + utf8_len(first),
    };
    (bytes.get(close) == Some(&b'\'')).then_some(Skip { blank: at + 1..close, end: close + 1 })
}

fn utf8_len(first: u8) -> usize {
    match first {
        0xF0.. => 4,
        0xE0.. => 3,
        0xC0.. => 2,
        _ => 1,
    }
}

/// Where `needle` begins at or after `from`, or the end of the text.
fn find(bytes: &[u8], from: usize, needle: &[u8]) -> usize {
    (from..bytes.len()).find(|&at| bytes[at..].starts_with(needle)).unwrap_or(bytes.len())
}

/// Whether `byte` can be part of an identifier. Bytes of non-ASCII characters count as such.
pub fn is_word_byte(byte: u8) -> bool {
    byte == b'_' || byte.is_ascii_alphanumeric() || !byte.is_ascii()
}

#[cfg(test)]
mod tests {
    use super::mask;

    #[test]
    fn comments_and_literals_are_blanked_and_offsets_kept() {
        for (source, masked) in [
            ("a // {\nb", "a     \nb"),
            ("a /* { /* } */ { */ b", "a                   b"),
            (r#"f("{ \" }", x)"#, r#"f("      ", x)"#),
            (r###"r#"a " b"# + c"###, r###"r#"     "# + c"###),
            (r#"br"\" + c"#, r#"br" " + c"#),
            (r#"b"}" + for"#, r#"b" " + for"#),
            ("'{' + '\\'' + b'}'", "' ' + '  ' + b' '"),
            ("'é'", "'  '"),
            ("&'a str, 'b: loop {}", "&'a str, 'b: loop {}"),
            ("r#fn", "r#fn"),
            ("\"unfinished", "\"          "),
            ("/* unfinished", "             "),
        ] {
            assert_eq!(mask(source), masked, "{source}");
        }
    }
}
