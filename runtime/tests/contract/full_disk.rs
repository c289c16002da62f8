//! A disk that fills up and has space again.

use std::rc::Rc;

use runtime::{BLOCK, Buffer, File, IoError, OpenMode, fs};

use crate::harness::Env;

/// Size of the disk.
pub const BYTES: u64 = 64 * BLOCK as u64;

fn block() -> Rc<Buffer> {
    let mut buffer = runtime::buffer(BLOCK);
    buffer.fill(7);
    Rc::new(buffer)
}

fn is_full<T>(result: Result<T, IoError>) -> bool {
    match result {
        Ok(_) => false,
        Err(error) if error.is_storage_full() => true,
        Err(error) => panic!("another error than that of a full disk: {error}"),
    }
}

pub async fn fills_up_and_is_freed(env: Env) {
    let space = fs::space(&env.dir).await.unwrap();
    assert!(space.total == BYTES && space.available <= BYTES, "{space:?}");
    let reserved = File::open(env.path("reserved"), OpenMode::CreateNew).await.unwrap();
    reserved.allocate(16 * BLOCK as u64).await.unwrap();
    assert!(is_full(reserved.allocate(2 * BYTES).await));

    let filler = File::open(env.path("filler"), OpenMode::CreateNew).await.unwrap();
    let mut blocks = 0;
    while !is_full(filler.write_at(&block(), blocks * BLOCK as u64).await) {
        blocks += 1;
        assert!(blocks < 64, "more is written than there is room");
    }
    assert!(blocks > 30, "only {blocks} blocks were written");
    assert!(fs::space(&env.dir).await.unwrap().available < BLOCK as u64);
    // The same when it is to be flushed too: none of it fits, or only the beginning.
    assert!(is_full(filler.write_and_sync(&block(), blocks * BLOCK as u64).await));
    let many = Rc::new(runtime::buffer(4 * BLOCK));
    assert!(is_full(filler.write_and_sync(&many, (blocks - 2) * BLOCK as u64).await));
    filler.write_and_sync(&block(), (blocks - 1) * BLOCK as u64).await.unwrap();
    // What has a place can be written, and what was written can be read.
    for at in 0..16 {
        reserved.write_at(&block(), at * BLOCK as u64).await.unwrap();
    }
    filler.write_at(&block(), 0).await.unwrap();
    let last = filler.read_at((blocks - 1) * BLOCK as u64, BLOCK).await.unwrap();
    assert_eq!(last[..], [7; BLOCK]);

    filler.close().await.unwrap();
    fs::remove_file(env.path("filler")).await.unwrap();
    assert!(fs::space(&env.dir).await.unwrap().available >= 30 * BLOCK as u64);
    let next = File::open(env.path("next"), OpenMode::CreateNew).await.unwrap();
    for at in 0..20 {
        next.write_at(&block(), at * BLOCK as u64).await.unwrap();
    }
    let first = reserved.read_at(0, BLOCK).await.unwrap();
    assert_eq!(first[..], [7; BLOCK]);
}
