//! Messages are found by their keys, wherever the index has them.

mod support;

use model::{QueueId, Record, UnixMillis};
use storage::KeyQuery;
use support::{Opened, draft, everywhere, open, options};

async fn send(opened: &mut Opened, topic: &str, number: usize, len: usize) {
    let properties = format!("KEYS\x01order-{number} all\x02UNIQ_KEY\x01U{number}\x02");
    let body = vec![b'x'; len];
    let message =
        model::Draft { properties: properties.as_bytes(), ..draft(topic, QueueId(0), &body) };
    while opened.store.append_message(&message).is_err() {
        runtime::sleep(std::time::Duration::from_millis(1)).await;
    }
    opened.collect(1).await;
}

async fn find(opened: &Opened, topic: &str, key: &str, max: usize) -> Vec<u64> {
    let (begin, end) = (UnixMillis(0), UnixMillis(u64::MAX));
    let query = KeyQuery { topic, key, begin, end, max, max_bytes: usize::MAX };
    let found = opened.store.find_by_key(query).await.expect("the index is intact");
    let offset = |bytes| Record::parse(bytes).expect("a record").queue_offset().0;
    found.iter().map(|bytes| offset(bytes)).collect()
}

async fn check(opened: &Opened, count: u64) {
    for number in (0..count).step_by(7) {
        assert_eq!(find(opened, "T", &format!("order-{number}"), 10).await, [number]);
        assert_eq!(find(opened, "T", &format!("U{number}"), 10).await, [number]);
    }
    let newest: Vec<_> = (count - 100..count).rev().collect();
    assert_eq!(find(opened, "T", "all", 100).await, newest);
    assert!(find(opened, "T", "order-", 10).await.is_empty());
    assert!(find(opened, "U", "order-1", 10).await.is_empty());
}

#[test]
fn a_search_ends_when_it_has_found_enough_bytes() {
    everywhere("keys-bytes", |dir| async move {
        let mut opened = open(options(&dir)).await;
        opened.store.append_create_topic("T", 1, b"").expect("room");
        for number in 0..10 {
            send(&mut opened, "T", number, 1000).await;
        }
        let (begin, end) = (UnixMillis(0), UnixMillis(u64::MAX));
        for (max_bytes, expected) in [(0, 1), (1000, 1), (3500, 3), (usize::MAX, 10)] {
            let query = KeyQuery { topic: "T", key: "all", begin, end, max: 100, max_bytes };
            let found = opened.store.find_by_key(query).await.expect("intact");
            assert_eq!(found.len(), expected, "in {max_bytes} bytes");
        }
        opened.stop().await;
    });
}

#[test]
fn a_message_is_found_by_each_of_its_keys() {
    everywhere("keys", |dir| async move {
        let mut opened = open(options(&dir)).await;
        opened.store.append_create_topic("T", 1, b"").expect("room");
        // Over three segments, so that some of the index is in files, and some of those are merged.
        let count = 130;
        for number in 0..count {
            send(&mut opened, "T", number, 100_000).await;
        }
        check(&opened, count as u64).await;
        opened.stop().await;
        let mut opened = open(options(&dir)).await;
        check(&opened, count as u64).await;
        // A topic that is made again does not find what its predecessor had.
        opened.store.append_delete_topic("T").expect("room");
        opened.store.append_create_topic("T", 1, b"").expect("room");
        send(&mut opened, "T", 5, 10).await;
        assert_eq!(find(&opened, "T", "order-5", 10).await, [0]);
        assert!(find(&opened, "T", "order-6", 10).await.is_empty());
        opened.stop().await;
    });
}
