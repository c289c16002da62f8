//! A target on many inputs, in this process. A bug ends the process.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::corpus::{self, Kept};
use crate::mutate::{Seeded, mutate};
use crate::{Outcome, Target};

/// Inputs that are kept in memory because what came of them was new, at most.
const MAX_NEW: usize = 2000;
/// Runs between two looks at the clock.
const A_LOOK: u64 = 16;

/// Allows this process so many more bytes of memory than it has now; `usize::MAX` lifts the limit. Who
/// needs more is aborted by the allocator.
pub type Allow = fn(usize);

/// What a hunt came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bag {
    /// Inputs that were tried.
    pub runs: u64,
    /// Of these, those that could be read.
    pub read: u64,
    /// Kinds of outcomes.
    pub kinds: usize,
}

/// The input that is being tried, in a file: whoever watches this process finds it there when it dies.
pub struct Note(File);

impl Note {
    /// A note in the file at `path`, which is made.
    ///
    /// # Errors
    /// The disk.
    pub fn create(path: &Path) -> io::Result<Self> {
        File::create(path).map(Self)
    }

    fn put(&self, input: &[u8]) -> io::Result<()> {
        let len = u64::try_from(input.len()).expect("small").to_le_bytes();
        self.0.write_all_at(&[&len, input].concat(), 0)
    }

    /// The input that a note at `path` holds; `None` if it holds none.
    pub fn read(path: &Path) -> Option<Vec<u8>> {
        let bytes = std::fs::read(path).ok()?;
        let (len, rest) = bytes.split_first_chunk()?;
        rest.get(..usize::try_from(u64::from_le_bytes(*len)).ok()?).map(<[u8]>::to_vec)
    }
}

/// A target that is being tried.
struct Hunt<'a> {
    target: &'a Target,
    note: Option<&'a Note>,
    allow: Allow,
    seen: HashSet<u64>,
    bag: Bag,
}

/// Tries `target` on its corpus and then, until `time` has passed, on inputs made of it. `seed` fixes
/// which they are.
///
/// # Errors
/// The corpus cannot be read or has nothing for this target, or the note cannot be written.
///
/// # Panics
/// When the target does.
pub fn hunt(
    target: &Target,
    seed: u64,
    time: Duration,
    note: Option<&Note>,
    allow: Allow,
) -> io::Result<Bag> {
    let deadline = Instant::now() + time;
    let kept = corpus::read(&corpus::folder(), target.name)?;
    let mut hunt = Hunt { target, note, allow, seen: HashSet::new(), bag: Bag::default() };
    let mut pool = Vec::new();
    for Kept { input, .. } in kept {
        hunt.one(&input)?;
        pool.push(input);
    }
    if pool.is_empty() {
        return Err(io::Error::other(format!("no corpus of {}", target.name)));
    }
    let (mut seeded, room) = (Seeded::new(seed), pool.len() + MAX_NEW);
    while !hunt.bag.runs.is_multiple_of(A_LOOK) || Instant::now() < deadline {
        let mut input = seeded.one_of(&pool).clone();
        let other = seeded.one_of(&pool);
        mutate(&mut seeded, &mut input, other, target.words);
        if hunt.one(&input)? && pool.len() < room {
            pool.push(input);
        }
    }
    Ok(hunt.bag)
}

impl Hunt<'_> {
    /// Tries an input; tells whether what came of it was new.
    fn one(&mut self, input: &[u8]) -> io::Result<bool> {
        if let Some(note) = self.note {
            note.put(input)?;
        }
        let outcome = run(self.target, input, self.allow);
        self.bag.runs += 1;
        self.bag.read += u64::from(outcome.is_read());
        let new = self.seen.insert(outcome.kind());
        self.bag.kinds = self.seen.len();
        Ok(new)
    }
}

/// Tries `target` on one input, with the memory that it may need.
///
/// # Panics
/// When the target does.
pub fn run(target: &Target, input: &[u8], allow: Allow) -> Outcome {
    allow(target.memory(input.len()));
    let outcome = (target.run)(input);
    allow(usize::MAX);
    outcome
}
