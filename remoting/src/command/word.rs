//! Looking at eight bytes of text at a time.

const ONES: u64 = 0x0101_0101_0101_0101;
const TOPS: u64 = 0x8080_8080_8080_8080;

/// Sets the top bit of every byte that is 0, and perhaps of bytes above one: the lowest is right.
#[inline]
fn zeros(x: u64) -> u64 {
    x.wrapping_sub(ONES) & !x & TOPS
}

#[inline]
fn quotes_and_escapes(word: u64) -> u64 {
    zeros(word ^ (ONES * u64::from(b'"'))) | zeros(word ^ (ONES * u64::from(b'\\')))
}

/// Which of eight bytes is the first quote or backslash.
#[inline]
pub(super) fn first_quote_or_escape(eight: [u8; 8]) -> Option<usize> {
    let hits = quotes_and_escapes(u64::from_le_bytes(eight));
    let bits = if hits == 0 { return None } else { hits.trailing_zeros() };
    Some((bits / 8) as usize)
}

/// Whether one of eight bytes cannot stand in a JSON string as it is: a quote, a backslash, or below 0x20.
#[inline]
pub(super) fn has_special(eight: [u8; 8]) -> bool {
    let word = u64::from_le_bytes(eight);
    let controls = word.wrapping_sub(ONES * 0x20) & !word & TOPS;
    (controls | quotes_and_escapes(word)) != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_at_every_place_is_judged_as_alone() {
        for byte in 0..=u8::MAX {
            for around in [b'a', 0x7f, 0x80, 0xff] {
                for at in 0..8 {
                    let mut eight = [around; 8];
                    eight[at] = byte;
                    let found = matches!(byte, b'"' | b'\\').then_some(at);
                    assert_eq!(first_quote_or_escape(eight), found, "{eight:?}");
                    let special = byte < 0x20 || found.is_some();
                    assert_eq!(has_special(eight), special, "{eight:?}");
                }
            }
        }
    }

    #[test]
    fn the_first_of_several_is_found() {
        assert_eq!(first_quote_or_escape(*b"ab\\d\"\"\"h"), Some(2));
        assert_eq!(first_quote_or_escape(*b"\"\\\\\\\\\\\\\\"), Some(0));
    }
}
