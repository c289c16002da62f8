//! Every limit of the load generator, by name.

use std::time::Duration;

/// Largest body, in bytes: what brokers accept by default (`maxMessageSize`).
pub const BODY_MAX: u64 = 4 * 1024 * 1024;
/// Most connections of one run.
pub const CONNECTIONS_MAX: i64 = 1024;
/// Most requests that wait for an answer on one connection.
pub const IN_FLIGHT_MAX: i64 = 65_536;
/// Most queues of a topic that is created.
pub const QUEUES_MAX: i64 = 16_384;
/// Most topics of one run.
pub const TOPICS_MAX: i64 = 10_000;
/// Highest rate that can be asked for, messages a second.
pub const RATE_MAX: u64 = 10_000_000;
/// Most turns of a study.
pub const WINDOWS_MAX: i64 = 1000;
/// What direct writes are multiples of.
pub const BLOCK: usize = 4096;
/// Largest write that `limit` measures, in bytes.
pub const WRITE_MAX: usize = 8 * 1024 * 1024;
/// Largest file that it writes to, in bytes.
pub const SPAN_MAX: u64 = 64 * 1024 * 1024 * 1024;
/// Most messages asked for in one pull.
pub const BATCH_MAX: i64 = 1024;
/// Longest run, and longest warm-up.
pub const DURATION_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
/// Lowest bar for a window: clocks and rates tell no less.
pub const BAR_MIN: Duration = Duration::from_millis(1);
/// Shortest run: below that, percentiles say nothing.
pub const DURATION_MIN: Duration = Duration::from_millis(100);

/// Bytes that wait to be written on one connection, from which on no more are queued. It bounds memory with
/// large bodies; a single message may go beyond it.
pub const OUTBOX_BYTES: usize = 8 * 1024 * 1024;
/// Bytes asked from the kernel at a time.
pub const READ_CHUNK: usize = 256 * 1024;

/// Time to connect.
pub const CONNECT: Duration = Duration::from_secs(3);
/// Time for an answer to a send; after it the connection is given up.
pub const ANSWER: Duration = Duration::from_secs(30);
/// Time that what is in flight at the end of a run has to be answered.
pub const DRAIN: Duration = Duration::from_secs(5);
/// Pause before a lost connection is dialled again.
pub const RECONNECT: Duration = Duration::from_millis(500);
/// How often a lane looks after what no answer reminds it of: commits, overdue answers.
pub const TICK: Duration = Duration::from_millis(500);
/// How long a created topic has to become known to the NameServer.
pub const TOPIC_WAIT: Duration = Duration::from_secs(10);
/// How often its route is asked for meanwhile.
pub const TOPIC_POLL: Duration = Duration::from_millis(100);

/// How long a broker may hold a pull, as Java's push consumer asks it to.
pub const SUSPEND: Duration = Duration::from_secs(15);
/// How long it may where queues take turns because there are more of them than pulls in flight.
pub const SUSPEND_SHORT: Duration = Duration::from_millis(200);
/// How often progress is stored for the group.
pub const COMMIT_EVERY: Duration = Duration::from_secs(5);
/// How long a queue rests after a pull that failed.
pub const PULL_REST: Duration = Duration::from_secs(1);

/// Pause between two questions to a broker that does not answer yet: what is added to the time it took.
pub const ASK_AGAIN: Duration = Duration::from_millis(2);

/// Highest rate of probes to one group of brokers, a second.
pub const PROBE_RATE_MAX: u64 = 10_000;
/// Most connections to a broker that probes take turns on.
pub const PROBE_CONNECTIONS_MAX: i64 = 64;
/// Least and most time that a probe has to be acknowledged.
pub const PROBE_TIMEOUT_MIN: Duration = Duration::from_millis(1);
/// See [`PROBE_TIMEOUT_MIN`].
pub const PROBE_TIMEOUT_MAX: Duration = Duration::from_secs(10);
/// Most faults of one run.
pub const FAULTS_MAX: i64 = 1000;
/// Most brokers of a group that can be asked for.
pub const MEMBERS_MAX: i64 = 64;
/// Probes of all groups that one run remembers; with them it ends.
pub const PROBES_MAX: usize = 4_000_000;
/// Probes of all groups on their way at the same time; further ones count as failed.
pub const PROBES_ON_THE_WAY: usize = 100_000;
/// Bytes of a probe's body.
pub const PROBE_BYTES: usize = 64;
/// How often the route is read while all is well; after an error it is read at once.
pub const ROUTE_EVERY: Duration = Duration::from_millis(100);
/// From one reading of the route to the next at least.
pub const ROUTE_GAP: Duration = Duration::from_millis(2);
/// Time that a NameServer has to answer.
pub const ROUTE_ANSWER: Duration = Duration::from_secs(1);
/// Longest time that a fault's command may take.
pub const COMMAND_TIME: Duration = Duration::from_secs(60);
/// How often it is looked whether a command has ended, and whether groups have settled.
pub const LOOK_EVERY: Duration = Duration::from_millis(2);
/// Shortest step of the plot of probes over time.
pub const PROBE_STEP: Duration = Duration::from_millis(100);
/// A load generator that sent a probe so late has perhaps made a part of a window itself.
pub const PROBE_LATE_WARN: Duration = Duration::from_millis(20);

/// Shortest wait of a lane for the moment when its next message is due.
pub const PACE_STEP: Duration = Duration::from_micros(10);
/// Messages that were due and could not be sent are put into the histogram in so many groups at most.
pub const UNSENT_GROUPS: u64 = 10_000;
/// Messages of a lane that an audit can keep in mind, a bit each in two maps of 32 MiB; those beyond are not audited.
pub const AUDIT_MAX: u64 = 1 << 28;
/// Queues that an audit reads at the same time.
pub const AUDIT_PULLS: usize = 32;
/// How long acknowledged messages have to become readable.
pub const AUDIT_WAIT: Duration = Duration::from_secs(10);
/// Points of a plot over time; a longer run has coarser points.
pub const POINTS_MAX: usize = 1200;
/// A load generator that uses more than this part of its cores is itself what is measured.
pub const OWN_CPU_WARN: f64 = 0.9;
/// Largest file that `report` reads.
pub const RESULT_MAX: usize = 256 * 1024 * 1024;

/// Kinds of failures told apart; what comes after them is counted together.
pub const FAILURE_KINDS: usize = 64;
/// Characters of a remark that are kept.
pub const REMARK_CHARS: usize = 160;
/// Events that wait for the coordinator.
pub const EVENTS: usize = 1024;
/// Latencies above this count as this.
pub const LATENCY_MAX: Duration = Duration::from_secs(3600);

const _: () = assert!(SUSPEND.as_nanos() < ANSWER.as_nanos(), "a held pull is not overdue");
const _: () = assert!(SUSPEND_SHORT.as_nanos() < SUSPEND.as_nanos());
const _: () = assert!(DURATION_MIN.as_nanos() < DURATION_MAX.as_nanos());
const _: () = assert!(ROUTE_GAP.as_nanos() < ROUTE_EVERY.as_nanos());
const _: () = assert!(PROBE_TIMEOUT_MIN.as_nanos() < PROBE_TIMEOUT_MAX.as_nanos());
