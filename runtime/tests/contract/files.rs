//! Files.

use std::io::ErrorKind;
use std::rc::Rc;
use std::time::Duration;

use runtime::{BLOCK, Buffer, File, IoError, OpenMode, Slice, sleep, timeout};

use crate::harness::Env;

fn filled(len: usize, byte: u8) -> Rc<Buffer> {
    let mut buffer = runtime::buffer(len);
    buffer.fill(byte);
    Rc::new(buffer)
}

/// `len` bytes of which no two blocks are the same.
fn pattern(len: usize) -> Rc<Buffer> {
    let mut buffer = runtime::buffer(len);
    for (i, chunk) in buffer.chunks_exact_mut(8).enumerate() {
        chunk.copy_from_slice(&(i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
    }
    Rc::new(buffer)
}

async fn create(env: &Env, name: &str) -> File {
    File::open(env.path(name), OpenMode::CreateNew).await.unwrap()
}

fn kind<T>(result: Result<T, IoError>) -> ErrorKind {
    result.err().expect("it must fail").kind()
}

pub async fn open_modes_and_their_errors(env: Env) {
    let path = env.path("a");
    assert_eq!(kind(File::open(&path, OpenMode::ReadWrite).await), ErrorKind::NotFound);
    assert_eq!(kind(File::open(&path, OpenMode::ReadOnly).await), ErrorKind::NotFound);
    let file = File::open(&path, OpenMode::CreateNew).await.unwrap();
    assert_eq!(file.path(), path);
    assert_eq!(file.len().await.unwrap(), 0);
    file.close().await.unwrap();

    assert_eq!(kind(File::open(&path, OpenMode::CreateNew).await), ErrorKind::AlreadyExists);
    File::open(&path, OpenMode::ReadWrite).await.unwrap().close().await.unwrap();
    File::open(&path, OpenMode::ReadOnly).await.unwrap().close().await.unwrap();

    let missing = env.path("no/such/dir");
    let error = File::open(&missing, OpenMode::CreateNew).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let text = error.to_string();
    assert!(text.contains("open") && text.contains(missing.to_str().unwrap()), "{text}");
}

pub async fn written_blocks_are_read_back(env: Env) {
    let file = create(&env, "a").await;
    file.write_at(&filled(BLOCK, 1), 0).await.unwrap();
    file.write_at(&filled(2 * BLOCK, 2), BLOCK as u64).await.unwrap();
    file.write_at(&filled(BLOCK, 3), BLOCK as u64).await.unwrap();
    file.sync().await.unwrap();
    assert_eq!(file.len().await.unwrap(), 3 * BLOCK as u64);
    file.close().await.unwrap();

    let file = File::open(env.path("a"), OpenMode::ReadOnly).await.unwrap();
    let read = file.read_at(0, 3 * BLOCK).await.unwrap();
    assert_eq!(read.len(), 3 * BLOCK);
    for (block, byte) in [1u8, 3, 2].into_iter().enumerate() {
        assert!(read[block * BLOCK..(block + 1) * BLOCK].iter().all(|b| *b == byte));
    }
}

pub async fn blocks_are_written_and_flushed_in_one_step(env: Env) {
    let file = create(&env, "a").await;
    // So many that an executor which makes them by itself has begun to.
    for byte in 0..60 {
        file.write_and_sync(&filled(2 * BLOCK, byte), u64::from(byte) * BLOCK as u64)
            .await
            .unwrap();
    }
    for byte in 0..60 {
        let read = file.read_at(u64::from(byte) * BLOCK as u64, BLOCK).await.unwrap();
        assert!(read.iter().all(|b| *b == byte), "block {byte}");
    }
    // Given up before it is done, it runs to its end, and the next one is none the worse.
    drop(timeout(Duration::ZERO, file.write_and_sync(&filled(BLOCK, 77), 0)).await);
    file.write_and_sync(&filled(BLOCK, 78), BLOCK as u64).await.unwrap();
    assert_eq!(file.read_at(BLOCK as u64, 1).await.unwrap()[..], [78]);
    // Many at a time.
    let all = (0..40).map(|i| {
        let (file, block) = (&file, filled(BLOCK, i));
        async move { file.write_and_sync(&block, u64::from(i) * BLOCK as u64).await }
    });
    for done in futures::future::join_all(all).await {
        done.unwrap();
    }
    file.close().await.unwrap();
    let file = File::open(env.path("a"), OpenMode::ReadOnly).await.unwrap();
    let error = file.write_and_sync(&filled(BLOCK, 9), 0).await.err().unwrap().to_string();
    assert!(error.contains("write"), "{error}");
    assert_eq!(file.read_at(39 * BLOCK as u64, 1).await.unwrap()[..], [39]);
}

pub async fn unaligned_reads(env: Env) {
    let file = create(&env, "a").await;
    let written = pattern(5 * BLOCK);
    file.write_at(&written, 0).await.unwrap();
    let cases = [(0, 1), (1, 1), (4095, 2), (511, 513), (4096, 4096), (4097, 8190), (20479, 1)];
    for (pos, len) in cases {
        let read = file.read_at(pos as u64, len).await.unwrap();
        assert_eq!(&read[..], &written[pos..pos + len], "{len} bytes at {pos}");
    }
}

pub async fn several_pieces_are_read_at_once(env: Env) {
    let file = create(&env, "a").await;
    let written = pattern(7 * BLOCK);
    file.write_at(&written, 0).await.unwrap();
    let pieces = file.read_pieces(BLOCK as u64, 2 * BLOCK, 2).await.unwrap();
    let starts = [BLOCK, 3 * BLOCK];
    assert_eq!(pieces.len(), 2);
    for (piece, start) in pieces.iter().zip(starts) {
        assert_eq!(&piece[..], &written[start..start + 2 * BLOCK]);
    }
    // The end of the file cuts one short, and others off.
    let pieces = file.read_pieces(4 * BLOCK as u64, 2 * BLOCK, 4).await.unwrap();
    assert_eq!(pieces.iter().map(|piece| piece.len()).collect::<Vec<_>>(), [2 * BLOCK, BLOCK]);
    assert_eq!(&pieces[1][..], &written[6 * BLOCK..]);
    assert!(file.read_pieces(8 * BLOCK as u64, BLOCK, 2).await.unwrap().is_empty());
    // Given up before it is done, it harms nobody.
    drop(timeout(Duration::ZERO, file.read_pieces(0, BLOCK, 4)).await);
    let pieces = file.read_pieces(0, BLOCK, 1).await.unwrap();
    assert_eq!(&pieces[0][..], &written[..BLOCK]);
}

pub async fn reads_at_the_end(env: Env) {
    let file = create(&env, "a").await;
    assert_eq!(file.read_at(0, 100).await.unwrap().len(), 0, "an empty file");
    let written = pattern(2 * BLOCK);
    file.write_at(&written, 0).await.unwrap();
    let end = 2 * BLOCK as u64;
    assert_eq!(&file.read_at(end - 10, 100).await.unwrap()[..], &written[2 * BLOCK - 10..]);
    assert_eq!(file.read_at(end, 100).await.unwrap().len(), 0);
    assert_eq!(file.read_at(end + 5000, 100).await.unwrap().len(), 0);
    assert_eq!(&file.read_at(0, 10 * BLOCK).await.unwrap()[..], &written[..]);
    assert_eq!(file.read_at(7, 0).await.unwrap().len(), 0, "nothing wanted, nothing read");

    // An end inside a block.
    file.truncate(5000).await.unwrap();
    assert_eq!(&file.read_at(4990, 100).await.unwrap()[..], &written[4990..5000]);
    assert_eq!(file.read_at(5000, 1).await.unwrap().len(), 0);
    assert_eq!(file.read_at(6000, 100).await.unwrap().len(), 0);
    assert_eq!(&file.read_at(4096, 904).await.unwrap()[..], &written[4096..5000]);
}

pub async fn allocate_reads_zero(env: Env) {
    let file = create(&env, "a").await;
    file.write_at(&filled(BLOCK, 9), 0).await.unwrap();
    file.allocate(1 << 20).await.unwrap();
    assert_eq!(file.len().await.unwrap(), 1 << 20);
    let read = file.read_at(0, 1 << 20).await.unwrap();
    assert_eq!(read.len(), 1 << 20);
    assert!(read[..BLOCK].iter().all(|b| *b == 9), "what was there stays");
    assert!(read[BLOCK..].iter().all(|b| *b == 0));
    file.allocate(BLOCK as u64).await.unwrap();
    assert_eq!(file.len().await.unwrap(), 1 << 20, "allocating less does not cut");
}

pub async fn truncate_cuts_and_extends(env: Env) {
    let file = create(&env, "a").await;
    file.write_at(&filled(3 * BLOCK, 5), 0).await.unwrap();
    file.truncate(BLOCK as u64 + 100).await.unwrap();
    assert_eq!(file.len().await.unwrap(), BLOCK as u64 + 100);
    file.truncate(3 * BLOCK as u64).await.unwrap();
    let read = file.read_at(0, 3 * BLOCK).await.unwrap();
    assert_eq!(read.len(), 3 * BLOCK);
    assert!(read[..BLOCK + 100].iter().all(|b| *b == 5));
    assert!(read[BLOCK + 100..].iter().all(|b| *b == 0), "what was cut off does not come back");
}

pub async fn large_write_and_read(env: Env) {
    // Larger than the memory that is registered with a ring.
    let file = create(&env, "a").await;
    let written = pattern(8 << 20);
    file.write_at(&written, BLOCK as u64).await.unwrap();
    let read = file.read_at(BLOCK as u64 + 1, (8 << 20) - 2).await.unwrap();
    assert!(read[..] == written[1..written.len() - 1]);
    // Many reads held at once: they cannot use up anything.
    let mut held = Vec::new();
    for i in 0..64u64 {
        held.push(file.read_at(BLOCK as u64 + (i << 16), 64 << 10).await.unwrap());
    }
    for (i, read) in held.iter().enumerate() {
        assert!(read[..] == written[i << 16..(i + 1) << 16]);
    }
}

pub async fn read_only_refuses_writes(env: Env) {
    create(&env, "a").await.close().await.unwrap();
    let file = File::open(env.path("a"), OpenMode::ReadOnly).await.unwrap();
    let error = file.write_at(&filled(BLOCK, 1), 0).await.err().unwrap();
    assert_eq!(error.source.raw_os_error(), Some(libc::EBADF));
    assert!(error.to_string().contains("write"));
    assert!(file.truncate(0).await.is_err());
    assert_eq!(file.len().await.unwrap(), 0);
}

pub async fn writes_overlap_in_any_order(env: Env) {
    let file = Rc::new(create(&env, "a").await);
    let tasks: Vec<_> = (0..16u8)
        .map(|i| {
            let file = file.clone();
            runtime::spawn(async move {
                file.write_at(&filled(BLOCK, i), u64::from(i) * BLOCK as u64).await.unwrap();
            })
        })
        .collect();
    for task in tasks {
        task.await;
    }
    let read = file.read_at(0, 16 * BLOCK).await.unwrap();
    for (i, block) in read.chunks_exact(BLOCK).enumerate() {
        assert!(block.iter().all(|b| usize::from(*b) == i));
    }
}

pub async fn buffers_are_aligned_and_zero(env: Env) {
    let file = create(&env, "a").await;
    for len in [1, 4095, 4096, 4097, 1 << 20] {
        let mut buffer = file.buffer(len);
        assert_eq!(buffer.len(), len);
        assert_eq!(buffer.as_ptr() as usize % BLOCK, 0);
        assert!(buffer.iter().all(|b| *b == 0));
        buffer.fill(0xab); // the next one may get this memory
        buffer.shrink_to(1);
        assert_eq!(buffer[..], [0xab]);
    }
}

pub async fn slices_share_the_buffer(_env: Env) {
    let whole = pattern(BLOCK);
    let slice = Slice::new(whole.clone(), 10..100);
    let part = slice.slice(5..20);
    assert_eq!(&part[..], &whole[15..30]);
    assert_eq!(part.as_ptr(), whole[15..].as_ptr(), "nothing is copied");
    assert_eq!(part.slice(15..15).len(), 0);
    drop((whole, slice));
    assert_eq!(part.len(), 15, "a slice keeps its buffer");
    assert_eq!(Slice::empty().len(), 0);
}

pub async fn a_dropped_write_leaves_the_file_usable(env: Env) {
    let file = create(&env, "a").await;
    file.write_at(&filled(BLOCK, 1), 0).await.unwrap();
    let big = filled(4 << 20, 2);
    // Dropped at once, or when it has just been handed over: either way the buffer stays whole.
    drop(file.write_at(&big, BLOCK as u64));
    assert!(timeout(Duration::from_nanos(1), file.write_at(&big, BLOCK as u64)).await.is_err());
    drop(big);
    sleep(Duration::from_millis(50)).await;
    file.write_at(&filled(BLOCK, 3), 0).await.unwrap();
    file.sync().await.unwrap();
    let read = file.read_at(0, 5 << 20).await.unwrap();
    assert!(read[..BLOCK].iter().all(|b| *b == 3));
    assert!(read[BLOCK..].iter().all(|b| *b == 2 || *b == 0), "old or new, nothing else");
}

pub async fn removed_files_stay_open(env: Env) {
    let file = create(&env, "a").await;
    file.write_at(&filled(BLOCK, 1), 0).await.unwrap();
    runtime::fs::remove_file(env.path("a")).await.unwrap();
    assert_eq!(file.read_at(0, 10).await.unwrap()[..], [1; 10]);
    let other = create(&env, "a").await;
    assert_eq!(other.len().await.unwrap(), 0);
    file.close().await.unwrap();
}

pub async fn dsync_files_are_written_and_read(env: Env) {
    let path = env.path("a");
    assert_eq!(kind(File::open_dsync(&path, OpenMode::ReadWrite).await), ErrorKind::NotFound);
    let file = File::open_dsync(&path, OpenMode::CreateNew).await.unwrap();
    assert_eq!(kind(File::open_dsync(&path, OpenMode::CreateNew).await), ErrorKind::AlreadyExists);
    file.allocate(4 * BLOCK as u64).await.unwrap();
    let written = pattern(6 * BLOCK);
    file.write_at(&written, 0).await.unwrap();
    assert_eq!(file.len().await.unwrap(), 6 * BLOCK as u64);
    file.write_at(&filled(BLOCK, 7), BLOCK as u64).await.unwrap();
    file.sync().await.unwrap();
    file.close().await.unwrap();

    let file = File::open_dsync(&path, OpenMode::ReadWrite).await.unwrap();
    let read = file.read_at(0, 6 * BLOCK).await.unwrap();
    assert_eq!(&read[..BLOCK], &written[..BLOCK]);
    assert!(read[BLOCK..2 * BLOCK].iter().all(|byte| *byte == 7));
    assert_eq!(&read[2 * BLOCK..], &written[2 * BLOCK..]);
    file.truncate(BLOCK as u64).await.unwrap();
    assert_eq!(file.len().await.unwrap(), BLOCK as u64);
}
