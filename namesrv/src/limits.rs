//! Every limit of the NameServer that is no configuration key, by name.

use std::time::Duration;

/// A broker that has not been heard of for this long is gone, unless it named a time of its own.
pub const BROKER_TIMEOUT: Duration = Duration::from_secs(120);
/// The longest time that a broker can name.
pub const BROKER_TIMEOUT_MAX: Duration = Duration::from_secs(24 * 3600);

/// Broker processes registered at a time.
pub const MAX_BROKERS: usize = 10_000;
/// Topics known at a time.
pub const MAX_TOPICS: usize = 1_000_000;
/// Bytes of the name of a cluster, broker or topic, and of an address.
pub const MAX_NAME: usize = 255;

/// Keys of all namespaces together.
pub const MAX_KV: usize = 100_000;
/// Bytes of one value.
pub const MAX_KV_VALUE: usize = 64 * 1024;

/// Longest configuration file, bytes.
pub const MAX_CONFIG_FILE: usize = 1024 * 1024;
/// How long a stop waits for requests under way. All are answered in the turn they are read.
pub const DRAIN: Duration = Duration::from_secs(1);

const _: () = assert!(BROKER_TIMEOUT.as_secs() < BROKER_TIMEOUT_MAX.as_secs());
