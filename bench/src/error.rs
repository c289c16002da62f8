//! Why a run could not take place.

use std::net::SocketAddr;

use client::ClientError;
use runtime::IoError;
use runtime::executor::{JoinError, StartError};

/// A run could not begin, or has no result. Each is one line for the operator.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// No NameServer of the list answers, or one answers nonsense.
    #[error("NameServer {namesrv} (-n): {}", one_line(.source))]
    NameServer {
        /// As given.
        namesrv: String,
        /// What is wrong.
        source: Box<ClientError>,
    },
    /// The NameServer knows no broker that could take a topic.
    #[error("NameServer {namesrv} knows no broker; start one and let it register there")]
    NoBroker {
        /// The NameServer.
        namesrv: String,
    },
    /// There is no such topic.
    #[error(
        "topic {topic} does not exist; create it (mqadmin updateTopic, or mqbench produce -t {topic})"
    )]
    NoTopic {
        /// The topic.
        topic: String,
    },
    /// The topic has no queue that may be used for this.
    #[error(
        "topic {topic} has no {what} queue with a master that is up; see mqadmin topicRoute -t {topic}"
    )]
    NoQueue {
        /// The topic.
        topic: String,
        /// "writable" or "readable".
        what: &'static str,
    },
    /// No broker of that name has the topic.
    #[error(
        "broker {broker} (--broker) has no queue of topic {topic}; see mqadmin topicRoute -t {topic}"
    )]
    NoSuchGroup {
        /// The topic.
        topic: String,
        /// As given.
        broker: String,
    },
    /// A group of brokers is away.
    #[error("broker {broker} of topic {topic} has no leader; see mqadmin topicRoute -t {topic}")]
    NoLeader {
        /// The topic.
        topic: String,
        /// The broker name.
        broker: String,
    },
    /// A topic was created and did not appear.
    #[error(
        "topic {topic} was created but has no route yet; do the brokers reach the NameServer {namesrv}?"
    )]
    NoRouteYet {
        /// The topic.
        topic: String,
        /// The NameServer.
        namesrv: String,
    },
    /// The topic is not there, brokers refuse to create it, and they create none on demand.
    #[error("topic {topic} does not exist and broker {broker} does not create it: {}", one_line(.source))]
    TopicRefused {
        /// The topic.
        topic: String,
        /// The broker that said so.
        broker: String,
        /// What it said.
        source: Box<ClientError>,
    },
    /// A broker of the route cannot be used.
    #[error("broker {broker} at {addr}: {}", one_line(.source))]
    Broker {
        /// Its name.
        broker: String,
        /// Its address in the route.
        addr: String,
        /// What is wrong.
        source: Box<ClientError>,
    },
    /// A connection for the load could not be made.
    #[error("no connection to broker {addr}: {reason}")]
    Lane {
        /// The broker's address.
        addr: SocketAddr,
        /// What is wrong.
        reason: String,
    },
    /// A broker did not answer for as long as it was waited for.
    #[error("broker {broker} (--broker) gave no answer within {wait:?}: {last}")]
    NoAnswer {
        /// Its address.
        broker: String,
        /// How long.
        wait: std::time::Duration,
        /// What went wrong the last time.
        last: String,
    },
    /// An executor did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// An executor ended early.
    #[error(transparent)]
    Join(#[from] JoinError),
    /// Somebody stopped it before there was anything to report.
    #[error("interrupted before the run began")]
    Interrupted,
    /// The device or the loopback cannot be measured.
    #[error(
        "cannot measure {what}: {source}; --dir must name a writable directory with direct I/O (not tmpfs) and room"
    )]
    Floor {
        /// The file, or what else.
        what: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// The store that is fed does not work.
    #[error("the store in {}: {reason}; --dir must name a writable directory with direct I/O and 2 GiB of room", .dir.display())]
    Store {
        /// Its directory.
        dir: std::path::PathBuf,
        /// What it says.
        reason: String,
    },
    /// A file of results cannot be written or read.
    #[error("{}: {reason}", .path.display())]
    File {
        /// The file.
        path: std::path::PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Threads of the load cannot give way (`--gives-way`).
    #[error(transparent)]
    Priority(IoError),
    /// Stop signals cannot be taken over.
    #[error(transparent)]
    Signals(IoError),
}

/// What each NameServer said stands in lines of its own, and names the NameServer again.
fn one_line(error: &ClientError) -> String {
    match error {
        ClientError::NoNameServerAnswered { tried } => {
            let said: Vec<String> = tried.iter().map(|(_, error)| one_line(error)).collect();
            said.join("; ")
        }
        error => error.to_string().lines().next().unwrap_or_default().to_owned(),
    }
}
