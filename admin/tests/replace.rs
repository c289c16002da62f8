//! The program `mqadmin` against three brokers in processes of their own: one is killed and replaced by a new node, by a command
//! that is killed itself meanwhile.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test starts processes, makes its own directories and measures time"
)]

mod support;

use std::process::Stdio;
use std::thread::sleep;
use std::time::Duration;

use support::{Lab, mqadmin, read, run, send};

#[test]
fn this_program_is_a_broker_when_it_is_told_so() {
    support::be_a_broker();
}

/// Sends so many messages, each of which must be acknowledged in the end; a number that may have been stored is not used
/// again.
fn send_some(lab: &Lab, next: &mut u32, acknowledged: &mut Vec<u32>) {
    let due = acknowledged.len() + 30;
    lab.until("messages are acknowledged", || {
        while acknowledged.len() < due {
            *next += 1;
            if !send(lab, *next) {
                return false;
            }
            acknowledged.push(*next);
        }
        true
    });
}

#[test]
fn a_killed_node_is_replaced_by_a_new_one() {
    let mut lab = Lab::new();
    let (mut next, mut acknowledged) = (0, Vec::new());
    let names = lab.namesrv();
    let state = format!("groupState -n {names}");
    lab.until("the group is whole", || run(&state).1.contains("it can lose 1 node"));
    send_some(&lab, &mut next, &mut acknowledged);

    lab.nodes[1].kill();
    lab.until("its loss shows", || run(&state).1.contains("it cannot lose a node now"));
    send_some(&lab, &mut next, &mut acknowledged);
    lab.prepare("n3");
    let replace = format!("replaceMember -n {names} --old n1 --new {}", lab.nodes[3].addr());
    let (code, said) = run(&replace);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("the new node's broker does not answer"), "{said}");

    lab.start(3, &[0, 2, 3]);
    let new = format!("groupState -b {}", lab.nodes[3].addr());
    lab.until("the new node runs", || run(&new).0 == 0);
    let mut interrupted = mqadmin(&replace).stdout(Stdio::null()).spawn().expect("mqadmin runs");
    sleep(Duration::from_millis(30));
    interrupted.kill().expect("our child");
    interrupted.wait().expect("our child");
    send_some(&lab, &mut next, &mut acknowledged);
    let (code, said) = run(&replace);
    assert_eq!(code, 0, "{said}\n{}", lab.said());
    let done = said.contains("is replaced by n3") && said.contains("it can lose 1 node");
    let was_done = said.contains("nothing to do, n3 votes"); // it was not interrupted early enough
    assert!(done || was_done, "{said}");
    let (code, said) = run(&replace);
    assert_eq!((code, said.contains("nothing to do, n3 votes")), (0, true), "{said}");

    let (code, said) = run(&format!("transferLeader -n {names} --all-away n0"));
    assert_eq!(code, 0, "{said}\n{}", lab.said());
    // The new node counts: without another one the group goes on, and has all that was acknowledged.
    send_some(&lab, &mut next, &mut acknowledged);
    lab.nodes[0].kill();
    send_some(&lab, &mut next, &mut acknowledged);
    for left in [2, 3] {
        lab.until("it has all that was acknowledged", || {
            let found = read(&lab.nodes[left]);
            let once = |number: &&u32| found.iter().filter(|one| one == number).count() == 1;
            acknowledged.iter().filter(once).count() == acknowledged.len()
        });
    }

    // One of three is lost, and the group goes on; of two, and whoever watches the exit code is told.
    lab.until("its loss shows", || run(&state).1.contains("it cannot lose a node now"));
    assert_eq!(run(&state).0, 0);
    lab.nodes[2].kill();
    lab.until("it has no majority", || {
        let (code, said) = run(&state);
        code == 1 && said.contains("takes no messages")
    });
}

#[test]
fn a_mistake_in_the_command_line_ends_with_2() {
    for words in ["groupState", "bogus", "transferLeader -b a:1", "groupState -b nowhere"] {
        let (code, said) = run(words);
        assert_eq!(code, 2, "{words}: {said}");
    }
    let (code, said) = run("groupState -b 127.0.0.1:1");
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("no broker of -b answers for a Raft group"), "{said}");
}
