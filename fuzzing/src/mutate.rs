//! New inputs out of old ones.

/// The longest input that is made, in bytes.
pub const MAX_LEN: usize = 32 * 1024;
/// The most bytes that one change puts in.
const MAX_PIECE: usize = 256;
/// Changes of one input, at most.
const MAX_CHANGES: usize = 5;

/// A stream of numbers that its seed fixes (splitmix64).
#[derive(Clone, Debug)]
pub struct Seeded(u64);

impl Seeded {
    /// The stream of this seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.draw() % bound as u64).expect("smaller than a usize")
    }

    /// One of these.
    pub fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}

/// Changes `input` in a few places. `other` is an input that pieces may come from, `words` are pieces
/// that mean something to the format.
pub fn mutate(seeded: &mut Seeded, input: &mut Vec<u8>, other: &[u8], words: &[&[u8]]) {
    let most = seeded.below(MAX_CHANGES) + 1; // few as a rule: what is changed much is refused early
    for _ in 0..=seeded.below(most) {
        change(seeded, input, other, words);
    }
    input.truncate(MAX_LEN);
}

fn change(seeded: &mut Seeded, input: &mut Vec<u8>, other: &[u8], words: &[&[u8]]) {
    let at = seeded.below(input.len() + 1);
    let left = input.len() - at;
    match seeded.below(14) {
        0 if left > 0 => input[at] ^= 1 << seeded.below(8),
        1 if left > 0 => input[at] = seeded.draw().to_le_bytes()[0],
        2 if left > 0 => {
            let step = u8::try_from(1 + seeded.below(16)).expect("small");
            input[at] = input[at].wrapping_add(if seeded.below(2) == 0 { step } else { !step });
        }
        3 | 4 => number(seeded, input, at),
        5 => input.truncate(at),
        6 => drop(input.drain(at..at + seeded.below(left.min(MAX_PIECE) + 1))),
        7 => repeat(seeded, input, at),
        8 => {
            let piece = piece(seeded, other).to_vec();
            input.splice(at..at, piece);
        }
        9 => {
            let piece = piece(seeded, other).to_vec();
            let end = input.len().min(at + piece.len());
            input.splice(at..end, piece);
        }
        10 | 11 => {
            let new = if words.is_empty() || seeded.below(2) == 0 {
                word_of(other, seeded.below(other.len() + 1))
            } else {
                seeded.one_of(words)
            };
            let old = word_of(input, at).len();
            input.splice(at..at + old, new.iter().copied());
        }
        _ if !words.is_empty() => {
            input.splice(at..at, seeded.one_of(words).iter().copied());
        }
        _ => {
            let byte = seeded.draw().to_le_bytes()[0];
            let count = 1 + seeded.below(16);
            input.splice(at..at, std::iter::repeat_n(byte, count));
        }
    }
}

/// Writes an extreme number over what is there, as a length or count would lie there.
fn number(seeded: &mut Seeded, input: &mut [u8], at: usize) {
    let width = *seeded.one_of(&[1, 2, 4, 4, 8]);
    // Where numbers are aligned, most of them begin at multiples of four.
    let at = if seeded.below(2) == 0 { at / 4 * 4 } else { at };
    let Some(place) = input.get_mut(at..at + width) else { return };
    let near = seeded.below(3) as u64;
    let value = match seeded.below(6) {
        0 => near,
        1 => u64::MAX - near,
        2 => (u64::MAX >> (65 - 8 * width)).wrapping_add(near),
        3 => 1 << seeded.below(8 * width),
        4 => seeded.below(MAX_LEN) as u64,
        _ => seeded.draw(),
    };
    let bytes = value.to_le_bytes();
    place.copy_from_slice(&bytes[..width]);
    if seeded.below(2) == 0 {
        place.reverse();
    }
}

/// Puts a piece of the input in again, a few times or often.
fn repeat(seeded: &mut Seeded, input: &mut Vec<u8>, at: usize) {
    let piece = piece(seeded, input).to_vec();
    let count = *seeded.one_of(&[1, 1, 2, 8, 100]);
    let room = MAX_LEN.saturating_sub(input.len());
    let copies = piece.repeat(count);
    input.splice(at..at, copies.into_iter().take(room));
}

/// The rest of the word that `at` is in, if it is in one.
fn word_of(text: &[u8], at: usize) -> &[u8] {
    let rest = &text[at..];
    let len = rest.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
    &rest[..len]
}

/// Some part of `whole`.
fn piece<'a>(seeded: &mut Seeded, whole: &'a [u8]) -> &'a [u8] {
    let from = seeded.below(whole.len() + 1);
    let len = seeded.below((whole.len() - from).min(MAX_PIECE) + 1);
    &whole[from..from + len]
}

#[cfg(test)]
mod tests {
    use super::{MAX_LEN, Seeded, mutate};

    #[test]
    fn the_same_seed_gives_the_same_inputs_and_none_is_too_long() {
        let inputs = |seed| {
            let (mut seeded, mut input) = (Seeded::new(seed), b"seed".to_vec());
            let mut all = Vec::new();
            for _ in 0..2000 {
                mutate(&mut seeded, &mut input, b"other", &[b"word"]);
                assert!(input.len() <= MAX_LEN);
                all.push(input.clone());
            }
            all
        };
        assert_eq!(inputs(3), inputs(3));
        assert_ne!(inputs(3), inputs(4));
    }
}
