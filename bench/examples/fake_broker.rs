//! A NameServer and broker that only counts: what is left of a measurement is the load generator and the sockets.
//!
//! `cargo run --release -p bench --example fake_broker -- 127.0.0.1:19876`, then `mqbench produce -n 127.0.0.1:19876 -t T`.

#![forbid(unsafe_code)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::net::SocketAddr;

use runtime::{Placement, Spec, process};
use support::{Fake, Fault};

/// Messages kept for each queue, so that there is something to consume.
const KEEP: usize = 50_000;

fn main() {
    let addr: SocketAddr = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:19876".to_owned())
        .parse()
        .expect("an address to listen on, ip:port");
    let mut signals = process::stop_signals().expect("signals");
    let spec = Spec { name: "fake-broker".to_owned(), placement: Placement::Any, busy_poll: None };
    let executor = runtime::start(spec, move || async move {
        let (_server, fake) = Fake::start(addr, KEEP, Fault::None).await;
        println!("listening on {}; Ctrl-C stops it", fake.addr());
        signals.next().await;
    });
    executor.expect("an executor").join().expect("it ends in good order");
}
