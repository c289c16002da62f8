//! How an error repeats what somebody has sent: a little of it, on one line. Errors go to clients and
//! into logs.

use crate::limits::{MAX_QUOTED_ERROR, MAX_QUOTED_VALUE};

/// The beginning of a wrong value.
pub(crate) fn value(text: &str) -> String {
    one_line(text.chars().take(MAX_QUOTED_VALUE))
}

/// The beginning and the end of another error's text, which may repeat a value as long as its sender
/// liked. The beginning says what is wrong, the end where.
pub(crate) fn error(error: &dyn std::error::Error) -> String {
    let text = error.to_string();
    let count = text.chars().count();
    if count <= MAX_QUOTED_ERROR {
        return one_line(text.chars());
    }
    let half = MAX_QUOTED_ERROR / 2;
    let (begin, end) = (text.chars().take(half), text.chars().skip(count - half));
    format!("{} … {}", one_line(begin), one_line(end))
}

fn one_line(letters: impl Iterator<Item = char>) -> String {
    let mut line = String::new();
    for letter in letters {
        if letter.is_control() {
            line.extend(letter.escape_debug());
        } else {
            line.push(letter);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_shortened_and_stays_on_its_line() {
        assert_eq!(value("1\r\n2\u{7f}é"), "1\\r\\n2\\u{7f}é");
        assert_eq!(value(&"é".repeat(100)), "é".repeat(MAX_QUOTED_VALUE));
    }

    #[test]
    fn of_an_error_both_ends_are_kept() {
        let read = |text: &str| serde_json::from_str::<bool>(text).unwrap_err();
        assert_eq!(error(&read("1")), read("1").to_string());
        let long = error(&read(&format!("\"{}\"", "x".repeat(10_000))));
        assert!(long.starts_with("invalid type: string \"xxx"), "{long}");
        assert!(long.ends_with("at line 1 column 10002"), "{long}");
        assert_eq!(long.chars().count(), MAX_QUOTED_ERROR + 3);
    }
}
