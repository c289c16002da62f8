//! A stop that comes while a shard still reads its log.

mod support;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use broker::config::Config;
use broker::shard::siblings::mailboxes;
use broker::shard::{Start, StartError};
use runtime::channel::promise;
use support::{Client, Place, Running, config, in_simulation};

const MESSAGES: usize = 100;

/// Starts the shard, and tells it to stop after `delay`. True when it gave its recovery up.
async fn told_after(config: &Arc<Config>, place: &Place, delay: Duration) -> bool {
    let ((ready, is_ready), (stop, stopped)) = (promise(), promise());
    let start = Start {
        config: Arc::clone(config),
        number: 0,
        advertised: IpAddr::V4(place.ip),
        group: None,
        mailbox: mailboxes(1).remove(0),
        ready,
        stop: stopped,
    };
    let shard = runtime::spawn(broker::shard::run(start));
    runtime::sleep(delay).await;
    stop.fulfil(()).expect("it runs");
    let told = runtime::now();
    let ended = shard.await;
    assert!(told.elapsed() < Duration::from_secs(1), "it ends soon");
    match ended {
        Ok(()) => false,
        Err(StartError::ToldToStop) => {
            assert!(is_ready.await.is_err(), "it has not served");
            true
        }
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn a_recovery_is_given_up_at_any_time_and_nothing_is_lost() {
    in_simulation(31, |place| async move {
        let config = config(&place, &[]);
        let shard = Running::start(&config, &place).await;
        let client = Client::connect(place.addr()).await;
        for _ in 0..MESSAGES {
            client.send("T", 0, &[7; 10_000]).await;
        }
        shard.stop().await;
        // From the first look at the store until it serves.
        let (mut given_up, mut delay) = (0, Duration::ZERO);
        while told_after(&config, &place, delay).await {
            given_up += 1;
            delay = delay * 3 / 2 + Duration::from_micros(100);
            assert!(delay < Duration::from_secs(10), "it never comes to serving");
        }
        assert!(given_up > 5, "only {given_up} stops fell into the recovery");
        let shard = Running::start(&config, &place).await;
        let client = Client::connect(place.addr()).await;
        let max = client.max_offset("T", 0).await;
        assert_eq!(usize::try_from(max), Ok(MESSAGES));
        shard.stop().await;
    });
}
