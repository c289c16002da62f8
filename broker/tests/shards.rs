//! Several shards of one broker.

mod support;

use std::time::Duration;

use broker::shard::siblings::mailboxes;
use remoting::ResponseCode;
use support::{Client, Place, Running, config, in_simulation};

const SHARDS: u16 = 3;

fn port(place: &Place, number: u16) -> Place {
    Place { port: place.port + 100 * number, ..place.clone() }
}

#[test]
fn a_topic_that_a_send_creates_is_on_every_shard() {
    in_simulation(3, |place| async move {
        let config = config(&place, &[("shards", "3")]);
        let mut shards = Vec::new();
        for (number, mailbox) in (0..).zip(mailboxes(SHARDS.into())) {
            shards.push(Running::start_shard(&config, &place, number, mailbox).await);
        }
        let names: Vec<&str> =
            shards.iter().map(|shard| shard.started.identity.name.as_str()).collect();
        assert_eq!(names, ["broker-a", "broker-a-1", "broker-a-2"]);
        let mut clients = Vec::new();
        for number in 0..SHARDS {
            clients.push(Client::connect(port(&place, number).addr()).await);
        }
        clients[1].send("Born", 3, b"x").await;
        runtime::sleep(Duration::from_millis(50)).await;
        for client in &clients {
            let pulled = client.pull("Born", 3, 0).await;
            assert_ne!(pulled.code, ResponseCode::TopicNotExist);
        }
        assert_eq!(
            clients[0].send("Born", 3, b"y").await.offset,
            0,
            "each shard has its own queues"
        );
        // One that is created on purpose is on the shard it was created on.
        clients[2].create_topic("Mine", 1).await;
        runtime::sleep(Duration::from_millis(50)).await;
        assert_eq!(clients[0].pull("Mine", 0, 0).await.code, ResponseCode::TopicNotExist);
        for shard in shards {
            shard.stop().await;
        }
    });
}

/// The number of shards is fixed at the first start.
#[test]
fn another_number_of_shards_is_refused() {
    in_simulation(3, |place| async move {
        let two = config(&place, &[("shards", "2")]);
        let shard = Running::start_shard(&two, &place, 0, mailboxes(2).remove(0)).await;
        shard.stop().await;
        let three = config(&place, &[("shards", "3")]);
        let error = Running::try_start(&three, &place, 0, mailboxes(3).remove(0)).await;
        let error = error.err().expect("it is refused").to_string();
        assert!(error.contains("shards = 2, the configuration says 3"), "{error}");
    });
}
