//! Words of masked source, and words within identifiers.

use super::mask::is_word_byte;

/// One identifier, keyword or number in masked source.
#[derive(Clone, Copy)]
pub struct Word<'a> {
    pub text: &'a str,
    /// Byte offset in the source.
    pub at: usize,
}

/// The words of `code` in order.
pub fn words(code: &str) -> impl Iterator<Item = Word<'_>> {
    let bytes = code.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        while at < bytes.len() && !is_word_byte(bytes[at]) {
            at += 1;
        }
        let start = at;
        while at < bytes.len() && is_word_byte(bytes[at]) {
            at += 1;
        }
        (start < at).then(|| Word { text: &code[start..at], at: start })
    })
}

/// `ConsumerGroupId`, `CONSUMER_GROUP_ID` and `consumer_group_id` all become
/// `_consumer_group_id_`, so that `contains("_group_")` finds a word and never a part of one.
pub fn snake(identifier: &str) -> String {
    let mut out = String::from("_");
    let mut previous_lower = false;
    for letter in identifier.chars() {
        if letter == '_' || (letter.is_uppercase() && previous_lower) {
            out.push('_');
        }
        if letter != '_' {
            out.extend(letter.to_lowercase());
        }
        previous_lower = letter.is_lowercase() || letter.is_numeric();
    }
    out.push('_');
    out
}

#[cfg(test)]
mod tests {
    use super::{snake, words};

    #[test]
    fn words_come_in_order_with_their_offsets() {
        let found: Vec<_> = words("pub fn a_1(x: &T)").map(|word| (word.text, word.at)).collect();
        assert_eq!(found, [("pub", 0), ("fn", 4), ("a_1", 7), ("x", 11), ("T", 15)]);
    }

    #[test]
    fn every_spelling_of_an_identifier_gives_the_same_words() {
        for spelling in ["ConsumerGroup", "CONSUMER_GROUP", "consumer_group", "consumerGroup"] {
            assert_eq!(snake(spelling), "_consumer_group_", "{spelling}");
        }
        assert_ne!(snake("regroup"), snake("re_group"));
    }
}
