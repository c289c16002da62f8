//! How members are set up: small segments, so that histories meet many of them.

use std::path::Path;
use std::time::Duration;

use raft::net::{Constants, Facts};
use raft::{MemberId, Times};
use storage::{Flush, FlushMethod, Options, Scale};

pub const TIMES: Times = Times {
    heartbeat: Duration::from_millis(30),
    election: (Duration::from_millis(100), Duration::from_millis(180)),
};

/// What members of this seed's history are configured with. It makes no difference to what they promise: odd seeds have what is
/// usual, with which nothing is durable before it is flushed.
pub fn flush_of(seed: u64) -> Flush {
    match seed % 2 {
        0 => Flush::Sync,
        _ => Flush::Async { interval: Duration::from_millis(500) },
    }
}

pub fn options(dir: &Path, flush: Flush) -> Options {
    let mut options = Options {
        dir: dir.to_owned(),
        log_dir: dir.join("log"),
        segment_size: 0,
        flush,
        method: FlushMethod::Fdatasync,
        max_batch: 64 * 1024,
        tail_budget: 64 * 1024,
        cache_size: 4 * 1024 * 1024,
        max_queued: 1024 * 1024,
        max_request: 64 * 1024,
        shard: 0,
        shards: 1,
        scale: Scale { interval: 200_000, ..Scale::default() },
    };
    options.segment_size = options.smallest_segment();
    options
}

pub fn facts(store: MemberId, segment_size: u64) -> Facts {
    Facts {
        store,
        cluster: "DefaultCluster".into(),
        known_as: "b".into(),
        group: "RaftNode00-s0".into(),
        shard: 0,
        constants: Constants::new(segment_size),
    }
}
