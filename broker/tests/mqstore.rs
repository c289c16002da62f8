//! `mqstore` as a process, on stores of a real disk: what it prints, its exit codes, what it leaves alone.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test starts processes and makes its own directories"
)]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use broker::shard::commands::{CONSUMER_OFFSETS, ConsumerOffsets, OffsetUpdate, TopicConfig};
use model::{Draft, LogIndex, QueueId, Term, UnixMillis};
use runtime::{Placement, Spec};
use storage::{
    EntryHead, EntryKind, EntryLog, Event, Events, Flush, FlushMethod, Options, Store, StoreId,
    What, founding_entry,
};

const MQSTORE: &str = env!("CARGO_BIN_EXE_mqstore");
const MESSAGES: u64 = 6;

/// A directory that goes with the test.
struct Place {
    dir: PathBuf,
}

impl Place {
    fn new(name: &str) -> Self {
        let name = format!("mqstore-{name}-{}", std::process::id());
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        drop(fs::remove_dir_all(&dir));
        fs::create_dir_all(&dir).expect("a writable target directory");
        Self { dir }
    }

    /// Makes a store with a few messages, stopped in order; the offsets of their entries.
    fn store(&self, shard: u32, shards: u32) -> (PathBuf, Vec<u64>) {
        let dir = match shards {
            1 => self.dir.join("store"),
            _ => self.dir.join("store").join(format!("shard-{shard}")),
        };
        let options = options(&dir, shard, shards);
        let spec = Spec { name: "make".into(), placement: Placement::Any, busy_poll: None };
        let made = runtime::start(spec, move || make(options)).expect("an executor");
        (dir, made.join().expect("the store is made"))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.dir));
    }
}

fn options(dir: &Path, shard: u32, shards: u32) -> Options {
    let mut options = Options {
        dir: dir.to_owned(),
        log_dir: dir.join("log"),
        segment_size: 0,
        flush: Flush::Sync,
        method: FlushMethod::Fdatasync,
        max_batch: 1024 * 1024,
        tail_budget: 64 * 1024,
        cache_size: 1024 * 1024,
        max_queued: 4 * 1024 * 1024,
        max_request: 1024 * 1024,
        shard,
        shards,
        scale: storage::Scale::default(),
    };
    options.segment_size = options.smallest_segment();
    options
}

async fn recovered(options: Options) -> (Store, Events) {
    let (store, mut events) = Store::open(options).await.expect("the store opens");
    loop {
        match events.next().await {
            Event::Recovered(_) => return (store, events),
            Event::StateWanted(wanted) => wanted.give(Vec::new()),
            Event::Failed(error) => panic!("{error}"),
            _ => {}
        }
    }
}

async fn make(options: Options) -> Vec<u64> {
    let (store, mut events) = recovered(options).await;
    let config = TopicConfig::new("orders", 2, 6).to_bytes();
    store.append_create_topic("orders", 2, &config).expect("room");
    let update = OffsetUpdate { group: "g1".into(), topic: "orders".into(), queues: vec![(1, 7)] };
    let offsets = ConsumerOffsets { updates: vec![update] }.to_bytes();
    store.append_command(CONSUMER_OFFSETS, &offsets).expect("room");
    let mut entries = Vec::new();
    for number in 0..MESSAGES {
        let body = format!("body {number}\n");
        let host = "127.0.0.1:10911".parse().expect("an address");
        let draft = Draft {
            topic: "orders",
            queue_id: QueueId(u32::from(number % 2 == 1)),
            flag: 0,
            sys_flag: 0,
            born_time: UnixMillis(1),
            born_host: host,
            store_host: host,
            reconsume_times: 0,
            prepared_offset: 0,
            body: body.as_bytes(),
            properties: b"KEYS\x01k1\x02TAGS\x01TagA\x02",
            more_properties: b"",
        };
        store.append_message(&draft).expect("room");
        while entries.len() as u64 <= number {
            if let Event::Committed(applied) = events.next().await
                && let What::Messages(records) = applied.what
            {
                entries.push(records[0].physical.0 - 88);
            }
        }
    }
    let stopping = {
        let store = store.clone();
        runtime::spawn(async move { store.stop().await })
    };
    while !matches!(events.next().await, Event::Stopped) {}
    stopping.await;
    entries
}

/// A store whose log begins as that of `founder`, or as its own, with a few entries, the last of which is another one if
/// `strays`; its id.
async fn make_member(options: Options, founder: Option<StoreId>, strays: bool) -> StoreId {
    const ENTRIES: u64 = 6;
    let mut log = EntryLog::open(&options).await.expect("it opens");
    let id = log.id();
    let founder = founder.unwrap_or(id);
    log.begin_as(founder).await.expect("nothing is in it");
    let founding = founding_entry(founder);
    for at in 0..ENTRIES {
        let (index, term, timestamp) = (LogIndex(at), Term(1), UnixMillis(7));
        let command =
            format!("{} {at}", if strays && at == ENTRIES - 2 { "other" } else { "entry" });
        let (kind, payload) = match at {
            0 => (EntryKind::Membership, &founding[..]),
            _ => (EntryKind::Command, command.as_bytes()),
        };
        let head = EntryHead { index, term, kind, timestamp, records: 0, chain: None };
        log.commit(index);
        log.append(&[(head, payload)]).await.expect("appended");
    }
    log.close().await.expect("closed");
    id
}

/// The stores of members of one group, the last of which has an entry of its own if `strays`.
fn members(place: &Place, name: &str, count: usize, strays: bool) -> Vec<PathBuf> {
    let dirs: Vec<PathBuf> = (0..count).map(|at| place.dir.join(format!("{name}{at}"))).collect();
    let all: Vec<Options> = dirs.iter().map(|dir| options(dir, 0, 1)).collect();
    let spec = Spec { name: "make".into(), placement: Placement::Any, busy_poll: None };
    let made = runtime::start(spec, move || async move {
        let mut founder = None;
        for (at, options) in all.into_iter().enumerate() {
            let id = make_member(options, founder, strays && at + 1 == count).await;
            founder.get_or_insert(id);
        }
    });
    made.expect("an executor").join().expect("the stores are made");
    dirs
}

/// `mqstore check --compare`.
fn compare(dirs: &[&Path], more: &[&str]) -> (i32, String) {
    let mut args = vec!["check", "--compare"];
    let (last, rest) = dirs.split_last().expect("there are some");
    args.extend(rest.iter().map(|dir| dir.to_str().expect("text")));
    args.splice(1..1, more.iter().copied());
    mqstore(&args, last)
}

/// Runs the program; its exit code and all it printed.
fn mqstore(args: &[&str], dir: &Path) -> (i32, String) {
    let mut command = Command::new(MQSTORE);
    let output = command.args(args).arg(dir).stdin(Stdio::null()).output().expect("it runs");
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().expect("it ends by itself"), String::from_utf8(text).expect("text"))
}

/// Every file's bytes, but those of the lock, which names the process that has it.
fn all_bytes(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(dir).expect("readable") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            all.extend(all_bytes(&path));
        } else if path.file_name().is_some_and(|name| name != "lock") {
            all.insert(path.clone(), fs::read(&path).expect("readable"));
        }
    }
    all
}

fn flip(file: &Path, at: u64) {
    let open = fs::File::options().read(true).write(true).open(file).expect("it is there");
    let mut byte = [0];
    open.read_exact_at(&mut byte, at).expect("readable");
    open.write_all_at(&[byte[0] ^ 1], at).expect("writable");
}

fn first_segment(dir: &Path) -> PathBuf {
    dir.join("log").join(format!("{:020}", 0))
}

#[test]
fn an_intact_store_is_said_to_be_intact_and_left_as_it_is() {
    let place = Place::new("intact");
    let (dir, _) = place.store(0, 1);
    let before = all_bytes(&dir);
    let (code, text) = mqstore(&["check"], &dir);
    assert_eq!(code, 0, "{text}");
    for part in
        ["9 entries with 6 messages", "1 topics, stopped in order", "intact; the broker starts"]
    {
        assert!(text.contains(part), "`{part}` is not in:\n{text}");
    }
    let (code, json) = mqstore(&["check", "--json"], &dir);
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((code, &json["stores"][0]["intact"]), (0, &true.into()), "{json}");
    assert_eq!(json["stores"][0]["log"]["topics"]["orders"], MESSAGES);
    let (code, text) = mqstore(&["repair", "--yes"], &dir);
    assert!(code == 0 && text.contains("nothing to do"), "{text}");
    for args in [["dump", "--entries"], ["dump", "--messages"], ["dump", "--parts"]] {
        assert_eq!(mqstore(&args, &dir).0, 0);
    }
    assert!(before == all_bytes(&dir), "a file was changed");
}

#[test]
fn entries_and_messages_are_printed() {
    let place = Place::new("dump");
    let (dir, entries) = place.store(0, 1);
    let (code, text) = mqstore(&["dump"], &dir);
    assert_eq!(code, 0, "{text}");
    for part in [
        "offset 4096 index 0 term 1 generation 1 ",
        " membership ",
        ": put orders with 2 queues, perm 6",
        ": consumer offsets g1@orders 1=7",
        ": 1 records",
    ] {
        assert!(text.contains(part), "`{part}` is not in:\n{text}");
    }
    let from = entries[2].to_string();
    let (_, text) =
        mqstore(&["dump", "--messages", "--body", "--from", &from, "--count", "2"], &dir);
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 2, "{text}");
    let part = " orders queue 0 offset 1, 7 bytes, tags TagA, keys k1: body 2\\n";
    assert!(lines[0].contains(part), "{text}");
    let (_, text) = mqstore(&["dump", "--messages", "--json", "--topic", "orders"], &dir);
    let last: serde_json::Value =
        serde_json::from_str(text.lines().last().expect("lines")).expect("JSON");
    assert_eq!((&last["queue"], &last["queueOffset"]), (&1.into(), &2.into()), "{last}");
    assert_eq!(mqstore(&["dump", "--messages", "--topic", "none"], &dir), (0, String::new()));
    let (code, text) = mqstore(&["dump", "--messages", "--entries"], &dir);
    assert_eq!(code, 2, "{text}");
}

#[test]
fn damage_is_named_and_cut_only_with_yes() {
    let place = Place::new("cut");
    let (dir, entries) = place.store(0, 1);
    flip(&first_segment(&dir), entries[3] + 120);
    let (code, text) = mqstore(&["check"], &dir);
    let at = entries[3].to_string();
    let cut = format!("mqstore repair {} --cut {at}", dir.display());
    for part in [
        &*format!(", offset {at} (byte {at}): the log is damaged"),
        &*cut,
        "the broker does not start",
    ] {
        assert!(text.contains(part), "`{part}` is not in:\n{text}");
    }
    assert_eq!(code, 1);
    assert_eq!(mqstore(&["dump"], &dir).0, 1);
    let before = all_bytes(&dir);
    let (code, text) = mqstore(&["repair", "--cut", &at], &dir);
    assert_eq!(code, 1, "{text}");
    assert!(
        text.contains("lost of topic orders: 2 messages") && text.contains("--yes does it"),
        "{text}"
    );
    let (code, text) = mqstore(&["repair", "--yes", "--cut", "4096"], &dir);
    assert_eq!(code, 2, "{text}");
    assert!(text.contains(&format!("ends at offset {at}")), "{text}");
    assert!(before == all_bytes(&dir), "a file was changed");
    let (code, text) = mqstore(&["repair", "--yes", "--cut", &at], &dir);
    assert_eq!(code, 0, "{text}");
    let (code, text) = mqstore(&["check"], &dir);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("6 entries with 3 messages"), "{text}");
    let spec = Spec { name: "again".into(), placement: Placement::Any, busy_poll: None };
    let again = options(&dir, 0, 1);
    let queue = runtime::start(spec, move || async move {
        let (store, _events) = recovered(again).await;
        store.queue("orders", QueueId(0)).map(|range| range.max.0)
    });
    assert_eq!(queue.expect("an executor").join().expect("it starts"), Some(2));
}

#[test]
fn shards_are_looked_at_one_by_one() {
    let place = Place::new("shards");
    let (first, _) = place.store(0, 2);
    let (second, _) = place.store(1, 2);
    let dir = place.dir.join("store");
    let (code, text) = mqstore(&["check"], &dir);
    assert_eq!(code, 0, "{text}");
    for shard in [&first, &second] {
        assert!(text.contains(&format!("store {}\n", shard.display())), "{text}");
    }
    let (code, text) = mqstore(&["dump"], &dir);
    assert!(code == 2 && text.contains("shard-0"), "{text}");
    flip(&second.join("vote"), 20);
    let (code, text) = mqstore(&["check"], &dir);
    assert!(code == 1 && text.contains("slot 0 is damaged"), "{text}");
}

#[test]
fn what_is_in_use_or_no_store_is_not_looked_at() {
    let place = Place::new("refused");
    let (dir, _) = place.store(0, 1);
    let spec = Spec { name: "holder".into(), placement: Placement::Any, busy_poll: None };
    let (at, in_use) = (dir.clone(), options(&dir, 0, 1));
    let refused = runtime::start(spec, move || async move {
        let (_store, _events) = recovered(in_use).await;
        mqstore(&["check"], &at)
    });
    let (code, text) = refused.expect("an executor").join().expect("it starts");
    assert_eq!(code, 2, "{text}");
    assert!(text.contains(&format!("in use by process {}", std::process::id())), "{text}");
    let nothing = place.dir.join("nothing");
    let (code, text) = mqstore(&["check"], &nothing);
    assert!(code == 2 && text.contains("holds no store"), "{text}");
    assert!(!nothing.exists());
    assert_eq!(mqstore(&["check", "--online"], &dir).0, 2);
}

#[test]
fn a_file_is_refused_with_the_directory_that_is_meant() {
    let place = Place::new("file");
    let (dir, _) = place.store(0, 2);
    let segment = first_segment(&dir);
    let below = segment.join("more");
    let in_a_store = format!("the file lies in the store {}\n", dir.display());
    for path in [&segment, &dir.join("store"), &below] {
        let named = if *path == below { &segment } else { path };
        for command in ["check", "dump", "repair"] {
            let (code, text) = mqstore(&[command], path);
            assert!(text.contains(&format!("{} is a file. Give", named.display())), "{text}");
            assert!(code == 2 && text.ends_with(&in_a_store), "{text}");
        }
    }
    let elsewhere = place.dir.join("file");
    fs::write(&elsewhere, "x").expect("our directory");
    let (code, text) = mqstore(&["check"], &elsewhere);
    assert!(code == 2 && text.contains("Give the directory of the store"), "{text}");
    assert!(!text.contains("lies in"), "{text}");
}

#[test]
fn replicas_are_compared_and_left_as_they_are() {
    let place = Place::new("compare");
    let dirs = members(&place, "n", 3, false);
    let all: Vec<&Path> = dirs.iter().map(PathBuf::as_path).collect();
    let before = all_bytes(&place.dir);
    let (code, text) = compare(&all, &[]);
    assert_eq!(code, 0, "{text}");
    for part in [
        "entries 0 to 5, offsets 4096 to ",
        "known as committed before entry 5",
        "entries 0 to 5 are the same (6 entries, ",
        "identical: the common committed prefix, entries 0 to 4",
    ] {
        assert!(text.contains(part), "`{part}` is not in:\n{text}");
    }
    let (code, json) = compare(&all[..2], &["--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((code, &json["groups"][0]["identical"]), (0, &true.into()), "{json}");
    assert_eq!(json["groups"][0]["pairs"][0]["entries"], 6);
    assert!(before == all_bytes(&place.dir), "a file was changed");
}

#[test]
fn what_replicas_do_not_have_alike_is_named_with_its_file() {
    let place = Place::new("differ");
    let dirs = members(&place, "n", 2, true);
    let (code, text) = compare(&[&dirs[0], &dirs[1]], &[]);
    assert_eq!(code, 1, "{text}");
    let file = first_segment(&dirs[1]);
    for part in [
        "COMMITTED ENTRIES DIFFER",
        "entry 4: bytes 0 to 4 of the payload's 7; chain 0x",
        &format!("{}, offset ", file.display()),
        "DIFFERENT: the common committed prefix, entries 0 to 4",
    ] {
        assert!(text.contains(part), "`{part}` is not in:\n{text}");
    }
    let (code, json) = compare(&[&dirs[0], &dirs[1]], &["--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((code, &json["groups"][0]["pairs"][0]["verdict"]), (1, &"differ".into()), "{json}");
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let place = Place::new("refused-compare");
    let ours = members(&place, "n", 1, false).remove(0);
    let theirs = members(&place, "other", 1, false).remove(0);
    let copy = place.dir.join("copy");
    let copied = Command::new("cp").arg("-r").args([&ours, &copy]).status().expect("it runs");
    assert!(copied.success());
    let nothing = place.dir.join("nothing");
    let sharded = place.dir.join("store");
    place.store(0, 2);
    place.store(1, 2);
    for (other, part) in [
        (&theirs, "not of one group"),
        (&copy, "a copy of the other"),
        (&nothing, "holds no store"),
        (&sharded, "shards"),
        (&ours, "is named twice"),
    ] {
        let (code, text) = compare(&[&ours, other], &[]);
        assert!(code == 2 && text.contains(part), "`{part}` is not in:\n{text}");
    }
    assert_eq!(compare(&[&ours], &[]).0, 2);
    let (code, text) = compare(&[&ours, &theirs], &["--log-dir", "x"]);
    assert!(code == 2 && text.contains("--log-dir"), "{text}");
}
