//! Frames recorded from real RocketMQ clients and servers: each one must be read, understood and
//! written again without loss. `tests/fixtures/frames/index.tsv` says what each frame is.
#![allow(clippy::unwrap_used)] // in tests, also in the functions that they share
#![allow(clippy::disallowed_methods)] // tests read their fixtures from the disk themselves

mod recorded;
mod typed;

use std::collections::BTreeSet;

use bytes::Bytes;
use recorded::{Recorded, folder, index};
use remoting::{Command, CommandRef, MAX_FRAME, RequestCode, frame};
use typed::Typed;

/// Requests that real clients sent while the frames were recorded and that are not served yet. Only
/// their headers are read. One that gets types leaves this list.
const UNTYPED: &[RequestCode] = &[];

fn command(recorded: &Recorded) -> Command {
    let bytes = recorded.frame();
    assert_eq!(bytes.len(), recorded.bytes, "{}: the index has another length", recorded.file);
    let bytes = Bytes::from(bytes);
    let parts = frame::split(&bytes, MAX_FRAME).unwrap().expect("a whole frame");
    assert_eq!(parts.end(), bytes.len(), "{} is one frame", recorded.file);
    let borrowed = CommandRef::decode(parts.serialize, &bytes[parts.header.clone()]).unwrap();
    let owned = Command::from_frame(&bytes, &parts).unwrap();
    assert_eq!(borrowed.ext, owned.ext);
    owned
}

#[test]
fn every_frame_is_read_and_written_again() {
    for recorded in index() {
        let command = command(&recorded);
        assert_eq!(command.code, recorded.code, "{}", recorded.file);
        let flags = (command.flag.is_response(), command.flag.is_oneway());
        let want = (recorded.kind == "reply", recorded.kind == "oneway");
        assert_eq!(flags, want, "{}", recorded.file);
        let mut out = Vec::new();
        command.encode(&mut out).unwrap();
        let parts = frame::split(&out, MAX_FRAME).unwrap().unwrap();
        let again = Command::from_frame(&Bytes::from(out), &parts).unwrap();
        assert_eq!(again, command, "{}", recorded.file);
    }
}

#[test]
fn every_header_and_body_is_understood_without_loss() {
    let mut findings = Vec::new();
    let mut untyped = BTreeSet::new();
    for recorded in index() {
        let command = command(&recorded);
        let Some(code) = recorded.subject() else {
            findings.push(format!("{}: no request code", recorded.file));
            continue;
        };
        let typed = if recorded.kind == "reply" {
            typed::reply(code, &command)
        } else {
            typed::request(code, &command)
        };
        match typed {
            Ok(Typed::Yes) => {}
            Ok(Typed::No) => drop(untyped.insert(code)),
            Err(finding) => findings.push(format!("{}: {finding}", recorded.file)),
        }
    }
    assert!(findings.is_empty(), "{}", findings.join("\n"));
    let want: BTreeSet<_> = UNTYPED.iter().copied().collect();
    assert_eq!(untyped, want, "requests without types, left, are not the ones listed, right");
}

#[test]
fn the_clients_that_are_promised_are_recorded() {
    let clients: BTreeSet<_> = index().into_iter().map(|recorded| recorded.client).collect();
    for part in ["5.5.0", "4.9.8", "go"] {
        let hit = clients.iter().any(|client| client.contains(part));
        assert!(hit, "no frames of {part} among {clients:?}");
    }
}

#[test]
fn no_file_is_left_out_of_the_index() {
    let listed: BTreeSet<_> =
        index().into_iter().map(|recorded| folder().join(recorded.file)).collect();
    let mut found = BTreeSet::new();
    for client in std::fs::read_dir(folder()).unwrap() {
        let client = client.unwrap().path();
        if client.is_dir() {
            for file in std::fs::read_dir(client).unwrap() {
                found.insert(file.unwrap().path());
            }
        }
    }
    assert_eq!(found, listed);
}
