//! The frames that were recorded from real clients and servers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use remoting::RequestCode;

/// One line of the index.
#[allow(dead_code)] // each test looks at some of it
pub struct Recorded {
    pub file: String,
    pub client: String,
    pub kind: String,
    pub code: i32,
    pub request: Option<i32>,
    pub bytes: usize,
}

impl Recorded {
    /// What it is a request of, or answers.
    pub fn subject(&self) -> Option<RequestCode> {
        let code = if self.kind == "reply" { self.request } else { Some(self.code) };
        code.and_then(RequestCode::from_code)
    }

    /// The frame's bytes.
    pub fn frame(&self) -> Vec<u8> {
        let path = folder().join(&self.file);
        std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }
}

/// Where the frames are.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/frames")
}

/// The index, which must not be empty.
pub fn index() -> Vec<Recorded> {
    let path = folder().join("index.tsv");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut lines = text.lines();
    let columns: Vec<_> = lines.next().expect("a line with the columns").split('\t').collect();
    let all: Vec<_> = lines.map(|line| recorded(&columns, line)).collect();
    assert!(!all.is_empty(), "{} lists no frames", path.display());
    all
}

fn recorded(columns: &[&str], line: &str) -> Recorded {
    let cells: BTreeMap<_, _> = columns.iter().copied().zip(line.split('\t')).collect();
    let number = |name: &str| cells[name].parse::<i32>().unwrap_or_else(|e| panic!("{line}: {e}"));
    Recorded {
        file: cells["file"].to_owned(),
        client: cells["client"].to_owned(),
        kind: cells["kind"].to_owned(),
        code: number("code"),
        request: (cells["request_code"] != "-").then(|| number("request_code")),
        bytes: cells["bytes"].parse().unwrap(),
    }
}
