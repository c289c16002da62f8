//! Frames that no client sends, the same for the same seed: what a server must answer or close on.

mod headers;
mod lengths;
mod requests;
pub mod rng;
pub mod strike;

use rng::Rng;

/// What a server may do with a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Answer it, or close the connection; silence is wrong.
    Verdict,
    /// It asks for no answer: a request behind it is answered, or the connection is closed.
    Silence,
    /// It may be incomplete, so that waiting is right: closed at the latest when the peer has closed.
    Patience,
    /// It is incomplete and its sender stays: nothing, until the sender goes.
    Nothing,
}

/// One malformed frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed {
    /// What is wrong with it, in a word.
    pub kind: &'static str,
    /// What goes over the wire.
    pub bytes: Vec<u8>,
    /// What the server owes.
    pub due: Due,
}

type Make = fn(&mut Rng) -> Vec<u8>;

/// Every kind. The names appear in failures, with seed and number.
const KINDS: [(&str, Make, Due); 30] = [
    ("random-bytes", lengths::random_bytes, Due::Patience),
    ("negative-length", lengths::negative, Due::Verdict),
    ("oversized-length", lengths::oversized, Due::Verdict),
    ("length-under-four", lengths::under_four, Due::Verdict),
    ("header-beyond-frame", lengths::header_beyond_frame, Due::Verdict),
    ("truncated", lengths::truncated, Due::Patience),
    ("half-open", lengths::half_open, Due::Nothing),
    ("tls-hello", lengths::tls_hello, Due::Patience),
    ("http", lengths::http, Due::Verdict),
    ("proxy-protocol", lengths::proxy_protocol, Due::Verdict),
    ("unknown-header-type", headers::unknown_type, Due::Verdict),
    ("binary-header-noise", headers::binary_noise, Due::Patience),
    ("binary-header-lengths", headers::binary_lengths, Due::Verdict),
    ("header-noise", headers::noise, Due::Verdict),
    ("header-cut-json", headers::cut_json, Due::Verdict),
    ("header-no-object", headers::no_object, Due::Verdict),
    ("header-wrong-types", headers::wrong_types, Due::Verdict),
    ("header-nested", headers::nested, Due::Verdict),
    ("header-no-utf8", headers::no_utf8, Due::Verdict),
    ("header-empty", headers::empty, Due::Verdict),
    ("no-fields", requests::no_fields, Due::Verdict),
    ("bad-fields", requests::bad_fields, Due::Verdict),
    ("huge-fields", requests::huge_fields, Due::Verdict),
    ("garbage-body", requests::garbage_body, Due::Verdict),
    ("nested-body", requests::nested_body, Due::Verdict),
    ("wrong-json-body", requests::wrong_json_body, Due::Verdict),
    ("unknown-code", requests::unknown_code, Due::Verdict),
    ("flipped-bits", requests::flipped_bits, Due::Patience),
    ("garbage-oneway", requests::garbage_oneway, Due::Silence),
    ("unasked-reply", requests::unasked_reply, Due::Silence),
];

/// Names of all kinds.
pub fn kinds() -> impl Iterator<Item = &'static str> {
    KINDS.iter().map(|(name, _, _)| *name)
}

/// The frame with this number under this seed.
#[must_use]
pub fn frame(seed: u64, number: u64) -> Malformed {
    let mut rng = Rng::new(seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let (kind, make, due) = KINDS[rng.below(KINDS.len())];
    Malformed { kind, bytes: make(&mut rng), due }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::frame::FRAME_MAX;

    #[test]
    fn the_same_seed_is_the_same_frames() {
        for number in 0..500 {
            assert_eq!(frame(7, number), frame(7, number));
        }
        let differ = (0..500).filter(|number| frame(7, *number) != frame(8, *number)).count();
        assert!(differ > 450, "{differ} of 500 frames differ under another seed");
    }

    #[test]
    fn every_kind_comes_up_and_none_is_endless() {
        let frames: Vec<_> = (0..3_000).map(|number| frame(1, number)).collect();
        let seen: BTreeSet<_> = frames.iter().map(|frame| frame.kind).collect();
        assert_eq!(seen, kinds().collect());
        assert!(frames.iter().all(|frame| !frame.bytes.is_empty()));
        let longest = frames.iter().map(|frame| frame.bytes.len()).max();
        assert!(longest < Some(2 << 20), "{longest:?} bytes is too slow for thousands");
    }

    #[test]
    fn whole_frames_that_owe_an_answer_have_an_honest_length() {
        for number in 0..3_000 {
            let Malformed { kind, bytes, due } = frame(3, number);
            let Some(length) = bytes.first_chunk::<4>() else { continue };
            let announced = u32::from_be_bytes(*length) as usize;
            // A server may only be asked for a verdict on what it can see whole, or refuse by its length.
            let whole = announced == bytes.len() - 4 || !(4..=FRAME_MAX).contains(&announced);
            assert!(due != Due::Verdict || whole, "{kind}, number {number}");
        }
    }
}
