//! The index of the recorded frames says what is in the files, and every file is in it.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use tests::frame::{self, Parsed};
use tests::recording::INDEX_COLUMNS;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/frames")
}

#[test]
fn the_index_describes_every_file() {
    let index = fs::read_to_string(root().join("index.tsv")).unwrap();
    let mut lines = index.lines();
    assert_eq!(lines.next(), Some(INDEX_COLUMNS));
    let mut listed = BTreeSet::new();
    for line in lines {
        let columns: Vec<&str> = line.split('\t').collect();
        let [file, client, peer, direction, kind, code, request_code, bytes, _what] = columns[..]
        else {
            panic!("nine columns, not {line}");
        };
        assert!(listed.insert(file.to_owned()), "{file} is listed twice");
        assert!(file.starts_with(client), "{file} lies in the folder of {client}");
        assert!(["namesrv", "broker"].contains(&peer), "{line}");
        assert!(["to-server", "to-client"].contains(&direction), "{line}");
        let content = fs::read(root().join(file)).unwrap();
        assert_eq!(content.len().to_string(), bytes, "{file}");
        let whole = frame::read(&mut &content[..]).unwrap().expect("one frame");
        assert_eq!(whole.len(), content.len(), "{file} holds one frame and nothing else");
        let parsed = Parsed::of(&whole).unwrap();
        assert_eq!(parsed.code.to_string(), code, "{file}");
        assert_eq!(parsed.is_reply(), kind == "reply", "{file}");
        assert_eq!(request_code != "-", kind == "reply", "{file}: a reply names its request");
    }
    assert_eq!(listed, files());
}

fn files() -> BTreeSet<String> {
    let mut files = BTreeSet::new();
    for folder in entries(&root()).into_iter().filter(|path| path.is_dir()) {
        for path in entries(&folder) {
            let file = path.strip_prefix(root()).expect("it was found below the root");
            files.insert(file.to_str().expect("the recorder writes ASCII names").to_owned());
        }
    }
    files
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("the fixtures are in the repository");
    entries.map(|entry| entry.expect("a directory that can be read").path()).collect()
}

#[test]
fn every_client_and_every_kind_was_recorded() {
    let index = fs::read_to_string(root().join("index.tsv")).unwrap();
    for client in ["java-5.5.0", "java-4.9.8", "go-2.1.2", "mqadmin-5.5.0", "broker-5.5.0"] {
        for kind in ["request", "reply"] {
            let wanted = index.lines().filter(|line| {
                let columns: Vec<&str> = line.split('\t').collect();
                columns[1] == client && columns[4] == kind
            });
            assert!(wanted.count() >= 3, "{kind} frames of {client}");
        }
    }
}
