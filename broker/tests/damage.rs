//! What rots on the disk is told to whoever asks for it, never served, and keeps nobody from what is intact.

mod support;

use std::path::PathBuf;
use std::time::Duration;

use remoting::header::pull::ViewMessageHeader;
use remoting::{RequestCode, ResponseCode};
use runtime::sim::{Disk, Simulation};
use support::{Client, IP, LIMIT, Running, Sent, config, pull_header, simulated};

const MESSAGES: i64 = 8;
/// More than a start takes.
const STARTED: Duration = Duration::from_secs(2);

/// Starts the broker, does `work` and stops it.
async fn with_broker<T>(work: impl AsyncFnOnce(&Client) -> T) -> T {
    let place = simulated();
    let shard = Running::start(&config(&place, &[]), &place).await;
    let client = Client::connect(place.addr()).await;
    let done = work(&client).await;
    shard.stop().await;
    done
}

/// The segment that begins at 0.
fn first_segment(disk: &Disk) -> PathBuf {
    let mut files = disk.files().into_iter().map(|(file, _)| file);
    let name = format!("{:020}", 0);
    files.find(|file| file.file_name().is_some_and(|found| *found == *name)).expect("a segment")
}

fn place_of(sent: &Sent) -> i64 {
    i64::from_str_radix(&sent.id[16..], 16).expect("hex")
}

#[test]
fn messages_before_a_damaged_one_are_delivered_and_it_is_refused() {
    let simulation = Simulation::new(3);
    let node = simulation.node("node", IP);
    let filled = node.start("filled", || async {
        with_broker(async |client: &Client| {
            client.create_topic("T", 1).await;
            let mut sent = Vec::new();
            for _ in 0..MESSAGES {
                sent.push(client.send("T", 0, &[7; 5000]).await);
            }
            sent
        })
        .await
    });
    let sent = simulation.join(filled, LIMIT).expect("it ends");
    node.crash();
    let bad = 5;
    let place = place_of(&sent[bad]);
    let read = node.start("read", move || async move {
        with_broker(async |client: &Client| {
            runtime::sleep(2 * STARTED).await;
            let bad = i64::try_from(bad).expect("small");
            let pulled = client.pull("T", 0, 0).await;
            assert_eq!((pulled.code, pulled.next), (ResponseCode::Success, bad));
            assert_eq!(pulled.bodies.len(), 5, "all before the damaged one");
            let refused = client.request(RequestCode::PullMessage, &pull_header("T", 0, bad)).await;
            assert_eq!(refused.code, ResponseCode::SystemError.code());
            let told = refused.remark.unwrap_or_default();
            assert!(told.contains("damaged on the disk") && told.contains("mqstore"), "{told}");
            let after = client.pull("T", 0, bad + 1).await;
            assert_eq!((after.code, after.bodies.len()), (ResponseCode::Success, 2));
            let header = ViewMessageHeader { topic: None, offset: place };
            let viewed = client.request(RequestCode::ViewMessageById, &header).await;
            assert_ne!(viewed.code, 0, "it is not shown by its id either");
        })
        .await;
    });
    // What it has read at its start was intact.
    simulation.run_for(STARTED);
    let disk = node.disk();
    // The born time: no checksum that RocketMQ's record has covers it.
    let bit = (place.cast_unsigned() + 44) * 8 + 3;
    disk.flip_bit(first_segment(&disk), bit);
    simulation.join(read, LIMIT).expect("it ends");
}
