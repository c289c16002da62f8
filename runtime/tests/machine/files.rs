//! What the kernel says of the files that the runtime opens.

use std::path::{Path, PathBuf};

use runtime::{File, OpenMode, Placement, Spec};

/// The open(2) flags of this process's descriptor of `path`, as the kernel tells them.
fn flags_of(path: &Path) -> i32 {
    let entries = std::fs::read_dir("/proc/self/fd").unwrap();
    let found = entries
        .flatten()
        .find(|entry| std::fs::read_link(entry.path()).is_ok_and(|target| target == path));
    let name = found.expect("the file is open").file_name();
    let info = Path::new("/proc/self/fdinfo").join(name);
    let text = std::fs::read_to_string(info).unwrap();
    let flags = text.lines().find_map(|line| line.strip_prefix("flags:")).unwrap();
    i32::from_str_radix(flags.trim(), 8).unwrap()
}

#[test]
fn files_are_direct_and_dsync_if_asked() {
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let dir = dir.join(format!("flags-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let (plain, dsync) = (dir.join("plain"), dir.join("dsync"));
    let spec = Spec { name: "flags".to_owned(), placement: Placement::Any, busy_poll: None };
    let executor = runtime::start(spec, || async move {
        let file = File::open(&plain, OpenMode::CreateNew).await.unwrap();
        assert_eq!(flags_of(&plain) & (libc::O_DIRECT | libc::O_DSYNC), libc::O_DIRECT);
        file.close().await.unwrap();
        let both = libc::O_DIRECT | libc::O_DSYNC;
        for mode in [OpenMode::CreateNew, OpenMode::ReadWrite] {
            let file = File::open_dsync(&dsync, mode).await.unwrap();
            assert_eq!(flags_of(&dsync) & both, both, "{mode:?}");
            file.close().await.unwrap();
        }
    });
    executor.unwrap().join().unwrap();
    std::fs::remove_dir_all(&dir).unwrap();
}
