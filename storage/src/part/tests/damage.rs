//! No damage is believed, and no bytes whatever make a reader panic.

use runtime::{BLOCK, File, OpenMode};

use super::super::format::{reseal, seed as seed_of};
use super::super::{BadPart, PartError, Span, merge, write};
use super::*;

/// The bytes of a file.
async fn bytes_of(path: &Path) -> Vec<u8> {
    let file = File::open(path, OpenMode::ReadOnly).await.expect("the file");
    let len = usize::try_from(file.len().await.expect("a length")).expect("small");
    let bytes = file.read_at(0, len).await.expect("readable").to_vec();
    file.close().await.expect("closable");
    bytes
}

async fn write_block(path: &Path, number: usize, bytes: &[u8]) {
    let file = File::open(path, OpenMode::ReadWrite).await.expect("the file");
    let mut block = file.buffer(BLOCK);
    block.copy_from_slice(bytes);
    file.write_at(&std::rc::Rc::new(block), (number * BLOCK) as u64).await.expect("writable");
    file.close().await.expect("closable");
}

/// A file of a few blocks of each kind, and what it says.
async fn small(dir: &Path, messages: u64) -> (PathBuf, Span, Content) {
    let mut log = Log::new(140, 1 << 32);
    let (part, content) = log.part(messages);
    let file = write(&parts_in(dir), STORE, &part).await.expect("room");
    assert_says(&file, &content).await;
    (dir.join(part.span().name()), part.span(), content)
}

/// Reads all that can be asked for; whatever is answered must be right. Tells whether damage was met.
async fn answers_are_right(file: &PartFile, content: &Content) -> bool {
    let mut damaged = false;
    let mut note = |error| match error {
        PartError::Damaged { .. } => damaged = true,
        other => panic!("not damaged: {other}"),
    };
    for (key, (first, units)) in &content.runs {
        let run = match file.run(key).await {
            Ok(run) => run.expect("a queue does not disappear"),
            Err(error) => {
                note(error);
                continue;
            }
        };
        assert_eq!(run.first.0, *first);
        match file.units(&run, 0, usize::MAX).await {
            Ok(found) => assert_eq!(found, *units),
            Err(error) => note(error),
        }
    }
    for hash in content.hashes() {
        match file.positions(hash, u32::MAX, usize::MAX).await {
            Ok(found) => assert_eq!(found, content.positions(hash)),
            Err(error) => note(error),
        }
    }
    damaged
}

#[test]
fn every_flipped_byte_is_seen() {
    simulated(1, |dir| async move {
        let (path, _, content) = small(&dir, 2).await;
        let intact = bytes_of(&path).await;
        assert_eq!(intact.len() / BLOCK, 6, "one block of each kind");
        for (number, block) in intact.chunks_exact(BLOCK).enumerate() {
            for at in 0..BLOCK {
                let mut bad = block.to_vec();
                bad[at] ^= 1 << random_below(8);
                write_block(&path, number, &bad).await;
                match PartFile::open(&path, STORE).await {
                    Err(PartError::Damaged { .. } | PartError::Version { .. }) => {
                        assert!([0, 4, 5].contains(&number), "opening reads header and fences");
                    }
                    Err(other) => panic!("byte {at} of block {number}: {other}"),
                    Ok(file) => {
                        let seen = file.check().await.is_err();
                        assert!(seen, "byte {at} of block {number} was flipped and not seen");
                        if at % 16 == 0 {
                            assert!(answers_are_right(&file, &content).await);
                        }
                    }
                }
            }
            write_block(&path, number, block).await;
        }
        let file = PartFile::open(&path, STORE).await.expect("intact again");
        assert_says(&file, &content).await;
    });
}

#[test]
fn damage_of_a_block_is_met_by_those_who_need_it() {
    simulated(2, |dir| async move {
        let (path, _, content) = small(&dir, 700).await;
        let intact = bytes_of(&path).await;
        let file = PartFile::open(&path, STORE).await.expect("intact");
        for (number, block) in intact.chunks_exact(BLOCK).enumerate() {
            let mut bad = block.to_vec();
            bad[16 + random_below(4080) as usize] ^= 0x20;
            write_block(&path, number, &bad).await;
            assert!(matches!(file.check().await, Err(PartError::Damaged { .. })), "{number}");
            let met = answers_are_right(&file, &content).await;
            let behind = PartFile::open(&path, STORE).await.is_ok();
            assert_eq!(met, behind, "block {number} is read by opening or by asking");
            write_block(&path, number, block).await;
        }
    });
}

#[test]
fn a_block_in_the_place_of_another_is_seen() {
    simulated(3, |dir| async move {
        let (path, _, content) = small(&dir, 700).await;
        let intact = bytes_of(&path).await;
        let blocks: Vec<_> = intact.chunks_exact(BLOCK).collect();
        for number in 0..blocks.len() {
            for other in (0..blocks.len()).filter(|other| *other != number) {
                write_block(&path, number, blocks[other]).await;
                if let Ok(file) = PartFile::open(&path, STORE).await {
                    assert!(file.check().await.is_err(), "{other} in the place of {number}");
                    assert!(answers_are_right(&file, &content).await);
                }
            }
            write_block(&path, number, blocks[number]).await;
        }
    });
}

/// A lost write or a mixed-up device may leave a block of another file in the place of one.
#[test]
fn a_block_of_another_store_or_range_is_seen() {
    simulated(7, |dir| async move {
        let mut log = Log::new(140, 1 << 32);
        let (grown, content) = log.grow(700);
        let part = grown.freeze(log.end);
        drop(write(&parts_in(&dir), STORE, &part).await.expect("room"));
        let path = dir.join(part.span().name());
        let intact = bytes_of(&path).await;
        let elsewhere = dir.join("elsewhere");
        fs::create_dir_all(&elsewhere).await.expect("a new directory");
        drop(write(&parts_in(&elsewhere), StoreId(STORE.0 ^ 1), &part).await.expect("room"));
        let other = bytes_of(&elsewhere.join(part.span().name())).await;
        for number in 1..intact.len() / BLOCK {
            let ours = &intact[number * BLOCK..][..BLOCK];
            let theirs = &other[number * BLOCK..][..BLOCK];
            assert_eq!(ours[4..], theirs[4..], "the same but for the CRC");
            write_block(&path, number, theirs).await;
            if let Ok(file) = PartFile::open(&path, STORE).await {
                assert!(file.check().await.is_err(), "block {number} of another store");
                assert!(answers_are_right(&file, &content).await);
            }
            write_block(&path, number, ours).await;
        }
    });
}

#[test]
fn a_cut_or_longer_file_is_seen() {
    simulated(4, |dir| async move {
        let (path, _, _) = small(&dir, 700).await;
        let intact = bytes_of(&path).await;
        let len = intact.len() as u64;
        let block = BLOCK as u64;
        let lens = (0..len / block).map(|blocks| blocks * block);
        for cut in lens.chain([1, 100, len - 1, len - 512]) {
            let file = File::open(&path, OpenMode::ReadWrite).await.expect("the file");
            file.truncate(cut).await.expect("writable");
            file.close().await.expect("closable");
            let opened = PartFile::open(&path, STORE).await;
            let Err(PartError::Damaged { why, .. }) = opened else {
                panic!("{cut} of {len} bytes: {opened:?}");
            };
            assert!(matches!(why, BadPart::Length { .. }), "{cut} of {len} bytes: {why}");
            for (number, block) in intact.chunks_exact(BLOCK).enumerate() {
                write_block(&path, number, block).await;
            }
        }
    });
}

#[test]
fn a_file_that_shrinks_while_it_is_open_is_damaged() {
    simulated(5, |dir| async move {
        let (path, _, content) = small(&dir, 700).await;
        let part = PartFile::open(&path, STORE).await.expect("intact");
        let file = File::open(&path, OpenMode::ReadWrite).await.expect("the file");
        file.truncate(BLOCK as u64 + 100).await.expect("writable");
        assert!(answers_are_right(&part, &content).await);
        assert!(part.check().await.is_err());
    });
}

#[test]
fn what_is_not_of_this_store_or_version_is_told() {
    simulated(6, |dir| async move {
        let (path, span, _) = small(&dir, 10).await;
        let found = PartFile::open(&path, StoreId(9)).await;
        assert!(matches!(found, Err(PartError::Foreign { found: STORE, .. })));
        let intact = bytes_of(&path).await;
        let mut newer = intact[..BLOCK].to_vec();
        newer[24] = 3;
        write_block(&path, 0, &newer).await;
        let found = PartFile::open(&path, STORE).await;
        assert!(matches!(found, Err(PartError::Version { found: 3, .. })));
        write_block(&path, 0, &intact[..BLOCK]).await;
        let elsewhere = Span { from: span.from, to: span.to.plus(8) };
        for (name, expected) in [(elsewhere.name(), BadPart::Range), ("x".into(), BadPart::Name)] {
            let moved = dir.join(name);
            fs::rename(&path, &moved).await.expect("renamed");
            let opened = PartFile::open(&moved, STORE).await;
            let Err(PartError::Damaged { why, .. }) = opened else {
                panic!("opened: {opened:?}");
            };
            assert_eq!(why, expected);
            fs::rename(&moved, &path).await.expect("renamed");
        }
    });
}

/// Asks for everything, whatever the answers.
async fn ask_everything(path: &Path, dir: &Path, content: &Content) -> bool {
    let Ok(file) = PartFile::open(path, STORE).await else {
        return false;
    };
    let intact = file.check().await.is_ok();
    for key in content.runs.keys().step_by(9) {
        if let Ok(Some(run)) = file.run(key).await {
            drop(file.units(&run, 0, 1000).await);
            drop(file.units(&run, run.count / 2, 3).await);
        }
    }
    for hash in content.hashes().into_iter().take(20) {
        drop(file.positions(hash, u32::MAX, 100).await);
    }
    let ends = content
        .runs
        .iter()
        .map(|(key, (first, units))| (*key, QueueOffset(first + units.len() as u64)));
    let ends: Vec<_> = ends.collect();
    let merged = merge(&parts_in(dir), STORE, &[file], Some(ends.iter().copied())).await;
    if let Ok(merged) = merged {
        merged.remove().await.expect("it is there");
    }
    intact
}

#[test]
fn no_bytes_make_a_reader_panic() {
    let mut believed = 0;
    for seed in 0..3 {
        let (tell, told) = std::sync::mpsc::channel();
        simulated(100 + seed, move |dir| async move {
            let (path, span, content) = small(&dir, 600).await;
            let scratch = dir.join("scratch");
            fs::create_dir_all(&scratch).await.expect("a new directory");
            let intact = bytes_of(&path).await;
            let blocks = (intact.len() / BLOCK) as u64;
            let mut believed = 0;
            for _ in 0..200 {
                let number = random_below(blocks) as usize;
                let mut bad = intact[number * BLOCK..][..BLOCK].to_vec();
                for _ in 0..1 + random_below(4) {
                    let field = random_below(200).min(random_below(4000)) as usize;
                    let value = [0, 1, 0x7F, 0xFF][random_below(4) as usize];
                    bad[4 + field] = value;
                }
                let seed = if number == 0 { 0 } else { seed_of(STORE, span) };
                reseal(&mut bad, seed);
                write_block(&path, number, &bad).await;
                believed += usize::from(ask_everything(&path, &scratch, &content).await);
                write_block(&path, number, &intact[number * BLOCK..][..BLOCK]).await;
            }
            tell.send(believed).expect("somebody listens");
        });
        believed += told.recv().expect("told");
    }
    assert!(believed > 0, "some changes with a right CRC cannot be seen here");
}

#[test]
fn what_follows_a_part_in_its_file_is_not_looked_at() {
    simulated(6, |dir| async move {
        let (path, _, content) = small(&dir, 700).await;
        let len = bytes_of(&path).await.len() as u64;
        for longer in [len + 1, len + BLOCK as u64, 2 * len] {
            let file = File::open(&path, OpenMode::ReadWrite).await.expect("the file");
            file.truncate(longer).await.expect("writable");
            file.close().await.expect("closable");
            let part = PartFile::open(&path, STORE).await.expect("intact");
            assert_eq!(part.len(), len);
            assert_says(&part, &content).await;
            part.check().await.expect("intact");
        }
    });
}
