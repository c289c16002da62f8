//! `mqtune check` as an operator runs it.

// Programs and files are what is tested here.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

use std::process::{Command, Output};

fn mqtune(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_mqtune")).args(args).output().expect("mqtune starts")
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

#[test]
fn the_table_and_the_json_tell_the_same() {
    let dir = std::env::temp_dir().join(format!("mqtune-check-{}", std::process::id()));
    std::fs::create_dir(&dir).unwrap();
    let store = dir.to_str().expect("UTF-8");

    let table = mqtune(&["check", "--store", store]);
    let json = mqtune(&["check", "--store", store, "--json"]);
    let left: Vec<_> = std::fs::read_dir(&dir).unwrap().collect();
    std::fs::remove_dir(&dir).unwrap();
    assert!(left.is_empty(), "it left {left:?}");

    let json: serde_json::Value = serde_json::from_str(&stdout(&json)).expect("JSON");
    let checks = json["checks"].as_array().expect("a list");
    assert!(checks.len() >= 17, "{checks:?}");
    let table_text = stdout(&table);
    for check in checks {
        let name = check["check"].as_str().expect("a name");
        assert!(table_text.contains(name), "{name} is not in:\n{table_text}");
    }
    let errors = json["errors"].as_u64().expect("a number");
    assert_eq!(table.status.code(), Some(if errors == 0 { 0 } else { 1 }), "{table_text}");
    // The tests run where executors run, so this one is known.
    let io_uring = checks.iter().find(|check| check["check"] == "io_uring").expect("it is there");
    assert_eq!(io_uring["severity"], "ok", "{table_text}");
    assert!(table_text.contains("writing a block again does not destroy it"), "{table_text}");
}

#[test]
fn a_file_is_no_place_for_a_store() {
    let file = std::env::temp_dir().join(format!("mqtune-check-file-{}", std::process::id()));
    std::fs::write(&file, "x").unwrap();
    let below = file.join("store");
    for path in [&file, &below] {
        let output = mqtune(&["check", "--store", path.to_str().expect("UTF-8")]);
        let text = stdout(&output);
        assert!(text.contains(&format!("{} is a file", file.display())), "{text}");
        assert!(text.contains("give the directory of the store"), "{text}");
        assert_eq!(output.status.code(), Some(1), "{text}");
    }
    std::fs::remove_file(&file).unwrap();
}

#[test]
fn mistakes_in_the_command_line_have_their_own_exit_code() {
    assert_eq!(mqtune(&["check", "--stor", "/tmp"]).status.code(), Some(2));
    assert_eq!(mqtune(&[]).status.code(), Some(2));
}
