//! Directories, names, locks.

use std::io::ErrorKind;
use std::rc::Rc;

use runtime::fs::{self, Entry, LockError};
use runtime::{BLOCK, File, OpenMode};

use crate::harness::Env;

async fn create(env: &Env, name: &str, byte: u8) {
    let file = File::open(env.path(name), OpenMode::CreateNew).await.unwrap();
    let mut buffer = file.buffer(BLOCK);
    buffer.fill(byte);
    file.write_at(&Rc::new(buffer), 0).await.unwrap();
    file.close().await.unwrap();
}

async fn first_byte(env: &Env, name: &str) -> u8 {
    let file = File::open(env.path(name), OpenMode::ReadOnly).await.unwrap();
    file.read_at(0, 1).await.unwrap()[0]
}

pub async fn create_list_and_exists(env: Env) {
    assert_eq!(fs::list(&env.dir).await.unwrap(), []);
    fs::create_dir_all(env.path("b/c/d")).await.unwrap();
    fs::create_dir_all(env.path("b/c/d")).await.unwrap();
    create(&env, "z", 1).await;
    create(&env, "a", 1).await;
    create(&env, "b/inner", 1).await;
    let entry = |name: &str, is_dir, len| Entry { name: name.to_owned(), is_dir, len };
    let expected =
        [entry("a", false, BLOCK as u64), entry("b", true, 0), entry("z", false, BLOCK as u64)];
    assert_eq!(fs::list(&env.dir).await.unwrap(), expected);
    assert!(fs::exists(env.path("a")).await.unwrap());
    assert!(fs::exists(env.path("b/c")).await.unwrap());
    assert!(!fs::exists(env.path("b/x")).await.unwrap());
    fs::sync_dir(&env.dir).await.unwrap();
    fs::remove_file(env.path("a")).await.unwrap();
    assert!(!fs::exists(env.path("a")).await.unwrap());
    assert_eq!(fs::list(&env.dir).await.unwrap().len(), 2);
}

pub async fn rename_replaces(env: Env) {
    create(&env, "a", 1).await;
    create(&env, "b", 2).await;
    let held = File::open(env.path("b"), OpenMode::ReadOnly).await.unwrap();
    fs::rename(env.path("a"), env.path("b")).await.unwrap();
    assert!(!fs::exists(env.path("a")).await.unwrap());
    assert_eq!(first_byte(&env, "b").await, 1);
    assert_eq!(held.read_at(0, 1).await.unwrap()[0], 2, "an open file is not what its name is");

    fs::create_dir_all(env.path("x/y")).await.unwrap();
    create(&env, "x/y/f", 3).await;
    fs::rename(env.path("x"), env.path("w")).await.unwrap();
    assert_eq!(first_byte(&env, "w/y/f").await, 3);
    assert!(!fs::exists(env.path("x/y")).await.unwrap());
    fs::rename(env.path("b"), env.path("w/b")).await.unwrap();
    assert_eq!(first_byte(&env, "w/b").await, 1);
}

pub async fn missing_names_are_errors(env: Env) {
    let missing = env.path("missing");
    assert_eq!(fs::list(&missing).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(fs::remove_file(&missing).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(fs::sync_dir(&missing).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(fs::space(&missing).await.unwrap_err().kind(), ErrorKind::NotFound);
    let error = fs::rename(&missing, env.path("b")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("rename"), "{error}");

    create(&env, "file", 1).await;
    assert_eq!(fs::list(env.path("file")).await.unwrap_err().kind(), ErrorKind::NotADirectory);
    assert_eq!(fs::sync_dir(env.path("file")).await.unwrap_err().kind(), ErrorKind::NotADirectory);
    let error = fs::create_dir_all(env.path("file")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    let error = fs::create_dir_all(env.path("file/inside")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotADirectory);
    fs::create_dir_all(env.path("dir")).await.unwrap();
    let error = fs::rename(env.path("file"), env.path("dir")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::IsADirectory);
}

pub async fn space_is_plausible(env: Env) {
    let space = fs::space(&env.dir).await.unwrap();
    assert!(space.available <= space.free && space.free <= space.total);
    assert!(space.used_percent() <= 100);
    assert!(space.total > 64 << 20, "{space:?}");
    assert!(space.available > 0 && space.available <= space.total, "{space:?}");
}

pub async fn lock_conflicts_and_is_released(env: Env) {
    let path = env.path("lock");
    let lock = fs::lock_exclusive(&path).await.unwrap();
    assert_eq!(lock.path(), path);
    match fs::lock_exclusive(&path).await {
        Err(error @ LockError::Held { pid, .. }) => {
            assert_eq!(pid, Some(runtime::process::pid()));
            assert!(error.to_string().contains(&runtime::process::pid().to_string()), "{error}");
        }
        other => panic!("the lock was given twice: {other:?}"),
    }
    drop(lock);
    drop(fs::lock_exclusive(&path).await.unwrap());
    assert!(fs::exists(&path).await.unwrap());
    let missing = fs::lock_exclusive(env.path("no/dir/lock")).await;
    assert!(matches!(missing, Err(LockError::Io(error)) if error.kind() == ErrorKind::NotFound));
}
