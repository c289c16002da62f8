//! The files for segments to come: made beside the log, and never in its way.

mod support;

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use model::{PhysicalOffset, QueueId};
use runtime::channel::mailbox;
use runtime::sim::Simulation;
use storage::{AppendError, Keep, Options, Scale, Trouble};
use support::{Opened, draft, everywhere, open, options};

const IDLE: Duration = Duration::from_millis(1_500);

async fn send(opened: &mut Opened, len: usize) -> u64 {
    let body = vec![0x5A; len];
    opened.append("T", QueueId(0), &body).await;
    let record = opened.collect(1).await.remove(0);
    record.physical.0 + u64::from(record.size)
}

/// Sends until the log has come to `offset`.
async fn fill(opened: &mut Opened, offset: u64) {
    while send(opened, 100_000).await < offset {}
}

async fn exists(dir: &Path, name: &str) -> bool {
    runtime::fs::exists(dir.join("log").join(name)).await.expect("readable")
}

#[test]
fn a_spare_that_was_interrupted_is_given_up_when_its_segment_is_due() {
    everywhere("interrupted-spare", |dir| async move {
        let size = options(&dir).segment_size;
        let mut opened = open(options(&dir)).await;
        opened.store.append_create_topic("T", 1, b"").expect("room");
        fill(&mut opened, size * 3 / 4).await;
        // Load comes back while the spare is being zeroed, and stays until the next segment is half full.
        while !exists(&dir, "spare.tmp").await && !exists(&dir, "spare.0").await {
            runtime::sleep(Duration::from_micros(100)).await;
        }
        fill(&mut opened, size + size * 3 / 4).await;
        runtime::sleep(IDLE).await;
        assert!(exists(&dir, "spare.0").await && !exists(&dir, "spare.tmp").await);
        fill(&mut opened, 3 * size).await;
        opened.stop().await;
        assert!(open(options(&dir)).await.recovery.clean);
    });
}

#[test]
fn under_steady_load_every_segment_was_written_before_the_log_comes_to_it() {
    let simulation = Simulation::new(11);
    let node = simulation.node("node", Ipv4Addr::new(10, 0, 0, 1));
    let run = node.start("store", || async {
        let options = options(Path::new("/store"));
        let size = options.segment_size;
        let mut opened = open(options).await;
        opened.store.append_create_topic("T", 1, b"").expect("room");
        // Never idle, and never faster than the disk.
        while send(&mut opened, 20_000).await < 6 * size {
            runtime::sleep(Duration::from_millis(3)).await;
        }
        assert_eq!(opened.store.stats().unwritten, 0);
        // As fast as it goes: the log does not wait.
        let from = opened.store.stats().max.0;
        let body = vec![0x5A; 100_000];
        while opened.store.stats().max.0 < from + 6 * size {
            match opened.store.append_message(&draft("T", QueueId(0), &body)) {
                Ok(()) => {}
                Err(AppendError::Busy { .. } | AppendError::NoSegment) => {
                    drop(opened.collect(1).await)
                }
                Err(error) => panic!("{error}"),
            }
        }
        assert!(opened.store.stats().unwritten > 0);
        opened.stop().await;
    });
    simulation.join(run, Duration::from_secs(600)).expect("the run ends");
}

#[test]
fn without_a_file_for_the_next_segment_messages_are_refused_until_there_is_one() {
    everywhere("no-spare", |dir| async move {
        let size = options(&dir).segment_size;
        let mut opened = open(options(&dir)).await;
        opened.store.append_create_topic("T", 1, b"").expect("room");
        let blocked = dir.join("log").join("spare.tmp");
        runtime::fs::create_dir_all(&blocked).await.expect("writable");
        fill(&mut opened, size * 3 / 4).await;
        runtime::sleep(IDLE).await;
        assert!(!exists(&dir, "spare.0").await);
        let AppendError::NoFile { why } = refused(&mut opened).await else {
            panic!("the file cannot be made, and the disk is not full");
        };
        assert!(why.contains("spare.tmp"), "{why}");
        assert!(!opened.store.stats().full, "nothing has to go for it");
        assert_eq!(opened.store.troubles()[0].0, Trouble::SegmentFile);
        // What messages have left is for those that may free some space.
        opened.store.append_create_topic("U", 1, b"").expect("room");
        assert!(opened.store.stats().max.0 < size);
        runtime::fs::rename(&blocked, dir.join("log").join("away")).await.expect("writable");
        runtime::sleep(IDLE).await;
        fill(&mut opened, 2 * size).await;
        assert!(opened.store.troubles().is_empty());
        opened.stop().await;
    });
}

/// Appends until a message is refused; why.
async fn refused(opened: &mut Opened) -> AppendError {
    let body = vec![0x5A; 100_000];
    loop {
        match opened.store.append_message(&draft("T", QueueId(0), &body)) {
            Ok(()) => drop(opened.collect(1).await),
            Err(AppendError::NoSegment) => opened.answer().await,
            Err(error) => return error,
        }
    }
}

const EIO: i32 = 5;
const EACCES: i32 = 13;
const EMFILE: i32 = 24;

#[test]
fn only_a_full_disk_counts_as_full() {
    for (errno, text) in
        [(EIO, "(os error 5)"), (EACCES, "(os error 13)"), (EMFILE, "(os error 24)")]
    {
        let simulation = Simulation::new(7);
        let node = simulation.node("node", Ipv4Addr::new(10, 0, 0, 1));
        let (refuse, mut asked) = mailbox(1);
        let (heal, mut healed) = mailbox(1);
        let run = node.start("store", move || async move {
            let dir = Path::new("/store");
            let size = options(dir).segment_size;
            let mut opened = open(options(dir)).await;
            opened.store.append_create_topic("T", 1, b"").expect("room");
            refuse.try_send(()).expect("asked once");
            let why = refused(&mut opened).await;
            assert!(matches!(&why, AppendError::NoFile { why } if why.contains(text)), "{why}");
            assert!(!opened.store.stats().full, "{why}");
            heal.try_send(()).expect("asked once");
            runtime::sleep(IDLE).await;
            fill(&mut opened, 2 * size).await;
            assert!(opened.store.troubles().is_empty());
            opened.stop().await;
            assert!(open(options(dir)).await.recovery.clean);
        });
        let long = Duration::from_secs(600);
        assert!(simulation.run_until(long, || asked.try_recv().is_some()));
        node.disk().refuse_new_files("/store/log", errno);
        assert!(simulation.run_until(long, || healed.try_recv().is_some()));
        node.disk().heal();
        simulation.join(run, long).expect("the run ends");
    }
}

#[test]
fn a_file_that_cannot_be_made_ready_ahead_of_the_log_is_told_until_one_can() {
    let simulation = Simulation::new(8);
    let node = simulation.node("node", Ipv4Addr::new(10, 0, 0, 1));
    let (refuse, mut asked) = mailbox(1);
    let (heal, mut healed) = mailbox(1);
    let run = node.start("store", move || async move {
        let dir = Path::new("/store");
        let mut opened = open(options(dir)).await;
        opened.store.append_create_topic("T", 1, b"").expect("room");
        runtime::sleep(IDLE).await; // one is ready
        refuse.try_send(()).expect("asked once");
        fill(&mut opened, options(dir).segment_size * 5 / 4).await;
        while opened.store.troubles().is_empty() {
            runtime::sleep(IDLE).await;
        }
        let (trouble, why) = opened.store.troubles().remove(0);
        assert_eq!(trouble, Trouble::Ahead);
        assert!(why.to_string().contains("(os error 5)"), "{why}");
        heal.try_send(()).expect("asked once");
        while !opened.store.troubles().is_empty() {
            runtime::sleep(IDLE).await;
        }
        assert!(exists(dir, "spare.0").await);
        opened.stop().await;
    });
    let long = Duration::from_secs(600);
    assert!(simulation.run_until(long, || asked.try_recv().is_some()));
    node.disk().refuse_new_files("/store/log", EIO);
    assert!(simulation.run_until(long, || healed.try_recv().is_some()));
    node.disk().heal();
    simulation.join(run, long).expect("the run ends");
}

#[test]
fn a_file_that_was_given_up_and_finds_no_name_is_told_and_then_deleted() {
    everywhere("stuck-file", |dir| async move {
        let scale = Scale { spare_bytes: 0, ..Scale::default() }; // two files
        let options = Options { scale, ..options(&dir) };
        let size = options.segment_size;
        let mut opened = open(options).await;
        opened.store.append_create_topic("T", 1, b"").expect("room");
        fill(&mut opened, 2 * size + size / 2).await;
        runtime::sleep(IDLE).await;
        // The names that it could be given are taken.
        for number in 0..2 {
            if !exists(&dir, &format!("spare.{number}")).await {
                let taken = dir.join("log").join(format!("spare.{number}")).join("in-the-way");
                runtime::fs::create_dir_all(taken).await.expect("writable");
            }
        }
        let to = opened.store.segment_times()[0].to;
        opened.store.append_trim(to).await.expect("two segments are over");
        opened.answer().await;
        let told = loop {
            if let Some(told) = opened.store.troubles().into_iter().next() {
                break told;
            }
            runtime::sleep(Duration::from_millis(20)).await;
        };
        assert_eq!(told.0, Trouble::GivenUp);
        assert!(told.1.to_string().contains("/log/"), "{}", told.1);
        assert_eq!(opened.store.stats().freeing, 0, "nobody knows when it comes back");
        let trimmed = format!("{:020}.trimmed", 0);
        while exists(&dir, &trimmed).await || !opened.store.troubles().is_empty() {
            runtime::sleep(Duration::from_millis(20)).await;
        }
        opened.stop().await;
    });
}

/// Files for segments to come, whatever state they are in, and what is left of segments that were given up.
async fn spares(dir: &Path) -> Vec<String> {
    let found = runtime::fs::list(dir.join("log")).await.expect("readable");
    let names = found.into_iter().map(|entry| entry.name);
    names.filter(|name| name.starts_with("spare.") || name.ends_with(".trimmed")).collect()
}

async fn trim_first(opened: &mut Opened, segments: usize) {
    let to = opened.store.segment_times()[segments - 1].to;
    opened.store.append_trim(to).await.expect("they are over");
    while opened.store.stats().min.0 < to.0 {
        opened.answer().await;
    }
}

#[test]
fn where_space_is_needed_only_the_next_segment_has_a_file_ready() {
    everywhere("short-of-space", |dir| async move {
        let size = options(&dir).segment_size;
        let mut opened = open(options(&dir)).await;
        opened.store.append_create_topic("T", 1, b"").expect("room");
        fill(&mut opened, 6 * size + size / 4).await;
        trim_first(&mut opened, 3).await;
        runtime::sleep(IDLE).await;
        assert_eq!(spares(&dir).await.len(), 4, "one that was made, and three that were given up");
        opened.store.keep(Keep::Recycled, 0);
        runtime::sleep(IDLE).await;
        assert_eq!(
            (spares(&dir).await.len(), opened.store.stats().freeing),
            (4, 0),
            "they are kept"
        );
        opened.store.keep(Keep::Next, 0);
        assert_eq!(opened.store.stats().freeing, 3 * size, "so much comes back");
        runtime::sleep(IDLE).await;
        assert_eq!((spares(&dir).await.len(), opened.store.stats().freeing), (1, 0));
        trim_first(&mut opened, 1).await;
        runtime::sleep(IDLE).await;
        assert_eq!(spares(&dir).await.len(), 1, "there is one already");
        opened.stop().await;
        assert!(open(options(&dir)).await.recovery.clean);
    });
}

#[test]
fn where_space_is_short_what_is_given_up_comes_before_what_is_made() {
    everywhere("recycled", |dir| async move {
        let size = options(&dir).segment_size;
        let mut opened = open(options(&dir)).await;
        opened.store.append_create_topic("T", 1, b"").expect("room");
        for keep in [Keep::Recycled, Keep::Next] {
            let begin = opened.store.stats().max.0 / size * size;
            opened.store.keep(Keep::Many, 0);
            fill(&mut opened, begin + 2 * size).await;
            opened.store.keep(keep, 0);
            runtime::sleep(IDLE).await;
            fill(&mut opened, begin + 3 * size + size / 8).await; // a file was ready and is used
            runtime::sleep(IDLE).await;
            assert!(spares(&dir).await.is_empty(), "it is early");
            assert_eq!(opened.store.stats().missing, 0);
            fill(&mut opened, begin + 3 * size + size * 5 / 16).await;
            assert_eq!(opened.store.stats().missing, size);
            trim_first(&mut opened, 1).await;
            runtime::sleep(IDLE).await;
            assert_eq!((spares(&dir).await.len(), opened.store.stats().missing), (1, 0));
            fill(&mut opened, begin + 4 * size + size * 5 / 8).await;
            runtime::sleep(IDLE).await;
            assert_eq!(spares(&dir).await.len(), 1, "nothing was given up, and one is made");
            opened.store.keep(Keep::Many, 0);
        }
        opened.stop().await;
        assert!(open(options(&dir)).await.recovery.clean);
    });
}

#[test]
fn what_the_owner_wants_left_of_the_disk_is_taken_only_by_a_file_that_is_due() {
    everywhere("left-alone", |dir| async move {
        let size = options(&dir).segment_size;
        let mut opened = open(options(&dir)).await;
        opened.store.append_create_topic("T", 1, b"").expect("room");
        runtime::sleep(IDLE).await; // one is ready
        opened.store.keep(Keep::Many, u64::MAX);
        fill(&mut opened, size + size / 2).await;
        runtime::sleep(IDLE).await;
        assert!(spares(&dir).await.is_empty(), "it was used, and no other is made");
        fill(&mut opened, size + size * 7 / 8).await;
        runtime::sleep(IDLE).await;
        assert_eq!(spares(&dir).await.len(), 1, "it is due");
        opened.stop().await;
    });
}

#[test]
fn on_a_disk_too_full_for_a_checkpoint_a_file_that_is_not_due_makes_room() {
    on_a_full_disk(false, |mut opened| async move {
        assert_eq!(spares(Path::new("/store")).await, ["spare.0"]);
        until_cramped(&mut opened).await;
        runtime::sleep(IDLE).await;
        opened.answer().await;
        assert!(spares(Path::new("/store")).await.is_empty());
        assert!(!opened.store.stats().full, "what it took has room");
        send(&mut opened, 100_000).await;
        opened.stop().await;
    });
}

/// Whether the deletion, or the name under which it goes on, comes to the disk before the power goes, is open.
#[test]
fn a_file_that_goes_for_want_of_space_is_no_file_for_a_segment_at_the_next_start() {
    for seed in 0..12 {
        let simulation = Simulation::new(seed);
        let node = simulation.node("node", Ipv4Addr::new(10, 0, 0, 1));
        let begun = node.start("first", move || async move {
            let scale = Scale { delete_step: 64 * 1024, ..Scale::default() };
            let options = Options { scale, ..options(Path::new("/store")) };
            let size = options.segment_size;
            let mut opened = open(options).await;
            opened.store.append_create_topic("T", 1, b"").expect("room");
            fill(&mut opened, 3 * size + size / 4).await;
            trim_first(&mut opened, 2).await;
            runtime::sleep(IDLE).await;
            opened.store.keep(Keep::Next, 0);
            let freeing = opened.store.stats().freeing;
            while opened.store.stats().freeing > freeing - size / 16 * (seed % 4) {
                runtime::sleep(Duration::from_micros(10)).await;
            }
        });
        simulation.join(begun, Duration::from_secs(60)).expect("a deletion begins");
        node.power_cut();
        let again = node.start("second", || async {
            let dir = Path::new("/store");
            let size = options(dir).segment_size;
            let mut opened = open(options(dir)).await;
            for name in spares(dir).await {
                let found = runtime::fs::list(dir.join("log")).await.expect("readable");
                let len = found.into_iter().find(|entry| entry.name == name).map(|entry| entry.len);
                assert!(name == "spare.tmp" || len == Some(size), "{name}: {len:?}");
            }
            fill(&mut opened, 6 * size).await;
            opened.stop().await;
            assert!(open(options(dir)).await.recovery.clean);
        });
        simulation.join(again, Duration::from_secs(60)).expect("and all goes on");
    }
}

#[test]
fn a_spare_that_somebody_removed_is_not_missed() {
    everywhere("removed-spare", |dir| async move {
        let size = options(&dir).segment_size;
        let mut opened = open(options(&dir)).await;
        opened.store.append_create_topic("T", 1, b"").expect("room");
        fill(&mut opened, size * 3 / 4).await;
        runtime::sleep(IDLE).await;
        runtime::fs::remove_file(dir.join("log").join("spare.0")).await.expect("it was ready");
        fill(&mut opened, 2 * size).await;
        opened.stop().await;
    });
}

#[test]
fn a_file_that_becomes_a_segment_is_not_replaced_meanwhile() {
    // Much more is drafted than is written: the file after the next is due while the next one is made.
    for seed in 0..24 {
        let simulation = Simulation::new(seed);
        let node = simulation.node("node", Ipv4Addr::new(10, 0, 0, 1));
        let executor = node.start("store", || async {
            let dir = Path::new("/store");
            let size = options(dir).segment_size;
            let mut opened = open(options(dir)).await;
            opened.store.append_create_topic("T", 1, b"").expect("room");
            let body = vec![0x5A; 700_000];
            while opened.store.stats().max.0 < 4 * size {
                match opened.store.append_message(&draft("T", QueueId(0), &body)) {
                    Ok(()) => {}
                    Err(AppendError::Busy { .. }) => opened.drain_some().await,
                    Err(AppendError::NoSegment) => opened.answer().await,
                    Err(error) => panic!("{error}"),
                }
            }
            opened.stop().await;
            assert!(open(options(dir)).await.recovery.clean);
        });
        simulation.join(executor, Duration::from_secs(600)).expect("the run ends");
    }
}

/// Runs `then` on a store whose disk has no room for anything more; with the old files of the index, or without.
fn on_a_full_disk<Fut: Future<Output = ()> + 'static>(old_files: bool, then: fn(Opened) -> Fut) {
    let simulation = Simulation::new(15);
    let node = simulation.node("node", Ipv4Addr::new(10, 0, 0, 1));
    let disk = node.disk();
    let (filled, fill_up) = std::sync::mpsc::channel();
    let executor = node.start("store", move || async move {
        let scale = Scale { interval: 256 * 1024, ..Scale::default() };
        let options = Options { scale, ..options(Path::new("/store")) };
        let size = options.segment_size;
        let mut opened = open(options).await;
        opened.store.append_create_topic("T", 1, b"").expect("room");
        fill(&mut opened, 2 * size + size / 4).await;
        runtime::sleep(IDLE).await;
        opened.answer().await;
        let old = old_parts().await;
        assert!(!old.is_empty());
        for file in old.into_iter().filter(|_| !old_files) {
            runtime::fs::remove_file(file).await.expect("it was there");
        }
        filled.send(()).expect("the test waits for it");
        runtime::sleep(Duration::from_millis(10)).await;
        then(opened).await;
    });
    let ready = || fill_up.try_recv().is_ok();
    assert!(simulation.run_until(Duration::from_secs(600), ready), "it is filled");
    disk.resize(disk.used());
    simulation.join(executor, Duration::from_secs(600)).expect("the run ends");
}

/// The old files of the index.
async fn old_parts() -> Vec<PathBuf> {
    let index = Path::new("/store/index");
    let names = runtime::fs::list(index).await.expect("readable").into_iter().map(|at| at.name);
    names.filter(|name| name.starts_with("spare.")).map(|name| index.join(name)).collect()
}

/// Sends until a message is refused, because there is no room for a checkpoint.
async fn until_cramped(opened: &mut Opened) {
    let body = vec![0x5A; 100_000];
    while !opened.store.stats().full {
        drop(opened.store.append_message(&draft("T", QueueId(0), &body)));
        opened.answer().await;
    }
    let refused = opened.store.append_message(&draft("T", QueueId(0), &body));
    assert_eq!(refused, Err(AppendError::Full));
}

#[test]
fn before_a_message_is_refused_the_old_files_of_the_index_go() {
    on_a_full_disk(true, |mut opened| async move {
        let end = opened.store.stats().max.0;
        fill(&mut opened, end + 700_000).await; // some checkpoints, and none is refused
        opened.answer().await;
        assert!(!opened.store.stats().full);
        assert!(old_parts().await.is_empty());
        opened.stop().await;
    });
}

#[test]
fn on_a_disk_too_full_for_a_checkpoint_the_first_trim_frees_room() {
    on_a_full_disk(false, |mut opened| async move {
        until_cramped(&mut opened).await;
        let size = options(Path::new("/store")).segment_size;
        opened.store.append_trim(PhysicalOffset(size)).await.expect("room for a trim");
        let until = runtime::now() + Duration::from_secs(5);
        while opened.store.stats().full {
            assert!(runtime::now() < until, "the trim has freed nothing");
            opened.answer().await;
        }
        send(&mut opened, 100_000).await;
        opened.stop().await;
    });
}

#[test]
fn a_stop_does_not_wait_for_room_for_a_checkpoint() {
    on_a_full_disk(false, |mut opened| async move {
        until_cramped(&mut opened).await;
        let end = opened.store.stats().max;
        let stopped = runtime::timeout(Duration::from_secs(5), opened.stop()).await;
        stopped.expect("a stop on a full disk ends");
        // Where nothing can be written there is nothing to be made anew at once.
        let opened = open(options(Path::new("/store"))).await;
        assert_eq!((opened.recovery.end, opened.recovery.clean), (end, true));
        opened.stop().await;
    });
}
