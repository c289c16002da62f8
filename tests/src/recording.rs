//! The fixtures of recorded frames: one file a frame and an index beside them.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::frame::Parsed;

/// Frames of one client, peer, direction and code that are kept; further shapes say little new.
const SHAPES_PER_CODE: usize = 6;
/// Longer frames are not kept: what they hold is a message body.
const FRAME_KEPT_MAX: usize = 16 * 1024;
/// First line of the index.
pub const INDEX_COLUMNS: &str =
    "file\tclient\tpeer\tdirection\tkind\tcode\trequest_code\tbytes\twhat";

/// Who sent a frame to whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the client that opened the connection.
    ToServer,
    /// To the client that opened the connection.
    ToClient,
}

impl Direction {
    fn name(self) -> &'static str {
        match self {
            Self::ToServer => "to-server",
            Self::ToClient => "to-client",
        }
    }
}

/// Writes each new kind of frame into a directory.
#[derive(Debug)]
pub struct Recording {
    root: PathBuf,
    client: String,
    seen: BTreeSet<String>,
    shapes: HashMap<String, usize>,
    written: usize,
}

/// A frame with what its connection tells about it.
#[derive(Debug)]
pub struct Seen<'a> {
    /// `namesrv` or `broker`: the server end of the connection.
    pub peer: &'a str,
    /// Which way it went.
    pub direction: Direction,
    /// The request that a reply answers.
    pub request_code: Option<i64>,
    /// The frame, length prefix included.
    pub frame: &'a [u8],
}

impl Recording {
    /// Starts a recording of `client` under `root`, where the index may hold other clients already.
    ///
    /// # Errors
    /// If the directory cannot be made.
    pub fn create(root: &Path, client: &str) -> io::Result<Self> {
        fs::create_dir_all(root.join(client))?;
        Ok(Self {
            root: root.to_owned(),
            client: client.to_owned(),
            seen: BTreeSet::new(),
            shapes: HashMap::new(),
            written: 0,
        })
    }

    /// Keeps the frame if there is none of its kind yet.
    ///
    /// # Errors
    /// If a file cannot be written or the frame has no JSON header.
    pub fn keep(&mut self, seen: &Seen<'_>) -> io::Result<()> {
        let parsed = Parsed::of(seen.frame)?;
        let class = class(seen, &parsed);
        if seen.frame.len() > FRAME_KEPT_MAX
            || !self.seen.insert(format!("{class} {}", shape(&parsed)))
        {
            return Ok(());
        }
        let shapes = self.shapes.entry(class).or_insert(0);
        *shapes += 1;
        if *shapes > SHAPES_PER_CODE {
            return Ok(());
        }
        self.written += 1;
        let file = format!("{}/{:03}-{}.bin", self.client, self.written, file_name(seen, &parsed));
        fs::write(self.root.join(&file), seen.frame)?;
        let request = seen.request_code.map_or_else(|| "-".to_owned(), |code| code.to_string());
        let line = format!(
            "{file}\t{}\t{}\t{}\t{}\t{}\t{request}\t{}\t{}\n",
            self.client,
            seen.peer,
            seen.direction.name(),
            kind(&parsed),
            parsed.code,
            seen.frame.len(),
            what(seen, &parsed),
        );
        self.index()?.write_all(line.as_bytes())
    }

    fn index(&self) -> io::Result<fs::File> {
        let path = self.root.join("index.tsv");
        if !path.exists() {
            fs::write(&path, format!("{INDEX_COLUMNS}\n"))?;
        }
        fs::OpenOptions::new().append(true).open(path)
    }
}

fn kind(parsed: &Parsed) -> &'static str {
    match parsed.flag & 3 {
        0 => "request",
        2 => "oneway",
        _ => "reply",
    }
}

fn class(seen: &Seen<'_>, parsed: &Parsed) -> String {
    let request = seen.request_code;
    format!("{} {:?} {} {} {request:?}", seen.peer, seen.direction, kind(parsed), parsed.code)
}

/// Frames that differ only in values have the same shape.
fn shape(parsed: &Parsed) -> String {
    let mut shape = String::new();
    for key in parsed.ext.keys() {
        write!(shape, "{key},").expect("a String takes any text");
    }
    let remark = parsed.remark.is_some();
    write!(shape, " remark={remark} body={:?}", body_keys(&parsed.body))
        .expect("a String takes any text");
    for key in ["f", "m", "sysFlag", "boundaryType", "order", "perm"] {
        write!(shape, " {:?}", parsed.ext.get(key)).expect("a String takes any text");
    }
    shape
}

/// The plain identifiers that stand before a colon in a JSON body; `None` for an empty body.
fn body_keys(body: &[u8]) -> Option<BTreeSet<String>> {
    if body.is_empty() {
        return None;
    }
    let mut keys = BTreeSet::new();
    if body[0] == b'{' {
        let text = String::from_utf8_lossy(body);
        let mut parts = text.split('"').peekable();
        while let Some(part) = parts.next() {
            let colon = parts.peek().is_some_and(|next| next.starts_with(':'));
            let plain = part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_uppercase());
            if colon && plain && part.bytes().any(|b| b.is_ascii_lowercase()) {
                keys.insert(part.to_owned());
            }
        }
    }
    Some(keys)
}

fn file_name(seen: &Seen<'_>, parsed: &Parsed) -> String {
    match (kind(parsed), seen.request_code) {
        ("reply", Some(request)) => format!("{request}-{}-reply-{}", name(request), parsed.code),
        ("reply", None) => format!("unknown-reply-{}", parsed.code),
        (kind, _) => format!("{}-{}-{kind}", parsed.code, name(parsed.code)),
    }
}

fn what(seen: &Seen<'_>, parsed: &Parsed) -> String {
    let keys: Vec<&str> = parsed.ext.keys().map(String::as_str).collect();
    let body = match parsed.body.first() {
        None => "no body".to_owned(),
        Some(b'{' | b'[') => "JSON body".to_owned(),
        Some(_) => format!("body of {} bytes", parsed.body.len()),
    };
    let subject = seen.request_code.map_or_else(|| name(parsed.code), name);
    let remark = parsed.remark.as_deref().map_or(String::new(), |text| {
        format!("; remark {:?}", text.lines().next().unwrap_or_default())
    });
    format!("{subject}; ext [{}]; {body}{remark}", keys.join(" "))
}

/// A readable name for the codes that are recorded.
fn name(code: i64) -> &'static str {
    match code {
        10 => "send-message",
        11 => "pull-message",
        12 => "query-message",
        14 => "query-consumer-offset",
        15 => "update-consumer-offset",
        17 => "update-and-create-topic",
        28 => "get-broker-runtime-info",
        29 => "search-offset-by-timestamp",
        30 => "get-max-offset",
        31 => "get-min-offset",
        32 => "get-earliest-msg-storetime",
        33 => "view-message-by-id",
        34 => "heart-beat",
        35 => "unregister-client",
        36 => "consumer-send-msg-back",
        38 => "get-consumer-list-by-group",
        40 => "notify-consumer-ids-changed",
        41 => "lock-batch-mq",
        42 => "unlock-batch-mq",
        46 => "check-client-config",
        100 => "put-kv-config",
        101 => "get-kv-config",
        102 => "delete-kv-config",
        103 => "register-broker",
        104 => "unregister-broker",
        105 => "get-route-info-by-topic",
        106 => "get-broker-cluster-info",
        200 => "update-and-create-subscription-group",
        202 => "get-topic-stats-info",
        203 => "get-consumer-connection-list",
        204 => "get-producer-connection-list",
        206 => "get-all-topic-list",
        208 => "get-consume-stats",
        215 => "delete-topic-in-broker",
        216 => "delete-topic-in-namesrv",
        300 => "query-topic-consume-by-who",
        310 => "send-message-v2",
        320 => "send-batch-message",
        322 => "query-data-version",
        351 => "get-topic-config",
        400 => "query-assignment",
        901 => "get-broker-member-group",
        904 => "broker-heartbeat",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_a_body_leave_out_what_is_data() {
        let body = br#"{"offsetTable":{{"brokerName":"b:c","queueId":0}:{"maxOffset":3}},"my-topic":{},"T":1}"#;
        let keys: Vec<String> = body_keys(body).unwrap().into_iter().collect();
        assert_eq!(keys, ["brokerName", "maxOffset", "offsetTable", "queueId"]);
        assert_eq!(body_keys(b""), None);
    }
}
