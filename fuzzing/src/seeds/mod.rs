//! The first inputs of every target.
//!
//! They are made by what is under test, so that they are made anew when a format changes: files called
//! `seed-…` are replaced, others (inputs that once found a bug) stay as they are.

mod disk;
mod peer;
mod wire;

use std::{fs, io};

use crate::corpus;

/// What the names of files begin with that this module makes.
const PREFIX: &str = "seed-";
/// No seed is larger, in bytes: small inputs are tried more often.
const MAX_SEED: usize = 8 * 1024;

/// A first input.
struct Seed {
    target: &'static str,
    name: String,
    input: Vec<u8>,
}

impl Seed {
    fn new(target: &'static str, name: impl Into<String>, input: impl Into<Vec<u8>>) -> Self {
        Self { target, name: name.into(), input: input.into() }
    }
}

/// Writes the first inputs of all targets to the corpus in this source tree.
///
/// # Errors
/// The disk.
pub fn write() -> io::Result<()> {
    let mut seeds = wire::seeds()?;
    seeds.extend(peer::seeds());
    seeds.extend(disk::seeds());
    for target in crate::TARGETS {
        let folder = corpus::folder().join(target.name);
        fs::create_dir_all(&folder)?;
        for kept in corpus::read(&corpus::folder(), target.name)? {
            let name = kept.path.file_name().and_then(|name| name.to_str());
            if name.is_some_and(|name| name.starts_with(PREFIX)) {
                fs::remove_file(kept.path)?;
            }
        }
        let mine = seeds.iter().filter(|seed| seed.target == target.name);
        let (mut count, mut bytes) = (0, 0);
        for Seed { name, input, .. } in mine.filter(|seed| seed.input.len() <= MAX_SEED) {
            fs::write(folder.join(format!("{PREFIX}{name}")), input)?;
            (count, bytes) = (count + 1, bytes + input.len());
        }
        println!("{}: {count} seeds, {bytes} bytes", target.name);
    }
    Ok(())
}
