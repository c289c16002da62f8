//! A door for fuzzing: any bytes as a part's file. See [`crate::fuzz`].

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::rc::Rc;

use model::PhysicalOffset;
use runtime::{BLOCK, File, OpenMode, fs};

use super::dir::PartDir;
use super::error::PartError;
use super::file::PartFile;
use super::format::{Listed, reseal, seed as seed_of, u64_at};
use super::header::Header;
use super::name::Span;
use super::output::{About, Output};
use super::scan::Scan;
use super::{KeyAt, Packed};
use crate::identity::StoreId;

/// Reads of keys that are tried at most.
const HASHES: usize = 16;

/// The store and the range that the file itself says it is of; zeros where it is too short.
fn claims(bytes: &[u8]) -> (StoreId, Span) {
    let mut head = [0; 72];
    let len = bytes.len().min(head.len());
    head[..len].copy_from_slice(&bytes[..len]);
    let store = u128::from_le_bytes(head[32..48].try_into().expect("sixteen bytes"));
    let offset = |at| PhysicalOffset(u64_at(&head, at));
    (StoreId(store), Span { from: offset(56), to: offset(64) })
}

/// Makes the CRCs of all whole blocks right.
pub(crate) fn seal(bytes: &mut [u8]) {
    let (store, span) = claims(bytes);
    for (number, block) in bytes.chunks_exact_mut(BLOCK).enumerate() {
        reseal(block, if number == 0 { 0 } else { seed_of(store, span) });
    }
}

/// Where an intact part's bytes are; what follows them is of an older file and never read.
pub(crate) fn covered(bytes: &[u8]) -> Range<usize> {
    let (_, span) = claims(bytes);
    let header = Header::decode(&bytes[..BLOCK], span).expect("it could be read");
    let blocks = header.places().expect("it could be read").blocks;
    0..blocks as usize * BLOCK
}

/// Opens the bytes as a file, asks it for all that it has, in every way, and writes that again.
pub(crate) async fn reread(dir: &Path, bytes: &[u8]) -> Result<Vec<u8>, String> {
    let (store, span) = claims(bytes);
    fs::create_dir_all(dir).await.expect("a new directory");
    let path = dir.join(span.name());
    let file = File::open(&path, OpenMode::CreateNew).await.expect("a new file");
    for (number, block) in (0..).zip(bytes.chunks_exact(BLOCK)) {
        let mut buffer = file.buffer(BLOCK);
        buffer.copy_from_slice(block);
        file.write_at(&Rc::new(buffer), number * BLOCK as u64).await.expect("room");
    }
    file.close().await.expect("it closes");
    let part = PartFile::open(&path, store).await.map_err(|error| error.to_string())?;
    // Whoever asks does not check everything before; nothing that is asked may panic.
    let served = serve(&part).await;
    part.check().await.map_err(|error| error.to_string())?;
    assert!(served.expect("what is intact is served"), "a query finds what a walk finds");
    let again = rewrite(&dir.join("again"), &part, store).await.expect("what is intact is written");
    let len = usize::try_from(again.len()).expect("small");
    let file = File::open(dir.join("again").join(span.name()), OpenMode::ReadOnly).await;
    Ok(file.expect("just written").read_at(0, len).await.expect("readable").to_vec())
}

/// Asks for every run and some keys. Tells whether that finds what a walk through all finds.
async fn serve(part: &PartFile) -> Result<bool, PartError> {
    let mut same = true;
    let mut directory = part.directory();
    let mut runs = Vec::new();
    while let Some(found) = directory.next().await? {
        runs.push(found);
    }
    for (key, run) in runs {
        same &= part.run(&key).await? == Some(run);
        let mut skip = 0;
        while skip < run.count {
            let units = part.units(&run, skip, usize::MAX).await?;
            assert!(!units.is_empty(), "a run has as many messages as it says");
            skip += u32::try_from(units.len()).expect("small");
        }
        assert_eq!(skip, run.count, "a run has as many messages as it says");
    }
    let mut keys = Scan::<KeyAt>::new(part);
    let mut by_hash = BTreeMap::<u32, Vec<u32>>::new();
    while let Some(key) = keys.next().await? {
        by_hash.entry(key.hash).or_default().push(key.at);
    }
    for (hash, at) in by_hash.into_iter().take(HASHES) {
        let asked = part.positions(hash, u32::MAX, usize::MAX).await?;
        same &= at.into_iter().filter(|at| *at < u32::MAX).eq(asked);
    }
    Ok(same)
}

/// Writes what an intact part holds as a new file.
async fn rewrite(dir: &Path, part: &PartFile, store: StoreId) -> Result<PartFile, PartError> {
    fs::create_dir_all(dir).await?;
    let dir = PartDir::new(dir.to_owned(), 0);
    let mut out = Output::create(&dir, store, part.span(), part.len()).await?;
    let mut units = out.units();
    let mut scan = Scan::<Packed>::new(part);
    while let Some(unit) = scan.next().await? {
        units.push_all(&[unit]).await?;
    }
    units.end();
    let mut directory = out.directory();
    let mut scan = Scan::<Listed>::new(part);
    while let Some(listed) = scan.next().await? {
        directory.push(&listed).await?;
    }
    directory.end();
    let mut keys = out.keys();
    let mut scan = Scan::<KeyAt>::new(part);
    while let Some(key) = scan.next().await? {
        keys.push(&key).await?;
    }
    keys.end();
    let header = part.header();
    let (base, complete, times) = (header.base, header.complete, header.times);
    let again = out.finish(About { base, complete, times }).await?;
    assert_eq!(again.header(), header, "what is written again says the same");
    again.check().await?;
    Ok(again)
}
