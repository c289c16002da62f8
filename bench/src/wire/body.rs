//! Bodies that say whose they are, for an audit.

use super::template::hex;

/// Bytes in front of a body that say which message's it is. A shorter body has none.
const NUMBER: usize = 16;

/// Writes the message's number into its body.
pub fn number(body: &mut [u8], number: u64) {
    if let Some(front) = body.first_chunk_mut::<NUMBER>() {
        hex(front, number);
    }
}

/// Whether this is the body, of so many bytes, of the message with this number.
#[must_use]
pub fn is_of(body: &[u8], number: u64, len: usize) -> bool {
    let mut expected = [0; NUMBER];
    hex(&mut expected, number);
    body.len() == len && body.first_chunk::<NUMBER>().is_none_or(|front| *front == expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_of_one_message() {
        let mut body = [b'x'; 20];
        number(&mut body, 0xA1);
        assert_eq!(&body, b"00000000000000A1xxxx");
        assert!(is_of(&body, 0xA1, 20));
        assert!(!is_of(&body, 0xA2, 20) && !is_of(&body, 0xA1, 21));
        let mut short = *b"short";
        number(&mut short, 7);
        assert!(is_of(&short, 7, 5) && !is_of(&short, 7, 6), "there is room for no number");
    }
}
