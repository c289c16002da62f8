//! How fast a Raft group notices that its leader is gone.

use std::time::Duration;

use ::config::{ConfigError, Settings};

const HEARTBEAT: &str = "raftHeartbeatMillis";
const ELECTION_MIN: &str = "raftElectionMinMillis";
const ELECTION_MAX: &str = "raftElectionMaxMillis";

/// Keys of this concept.
pub(super) const KEYS: [&str; 3] = [HEARTBEAT, ELECTION_MIN, ELECTION_MAX];

/// Heartbeats that fit into the shortest election timeout: two may come late before anybody stands.
const HEARTBEATS: u64 = 3;

/// The times of a group. `3 × heartbeat <= election_min` and `election_min + heartbeat <= election_max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RaftTiming {
    /// Between two heartbeats of a leader (`raftHeartbeatMillis`).
    pub heartbeat: Duration,
    /// The shortest wait without one before a member stands (`raftElectionMinMillis`).
    pub election_min: Duration,
    /// The longest (`raftElectionMaxMillis`).
    pub election_max: Duration,
}

impl RaftTiming {
    /// What the settings say.
    pub(super) fn of(settings: &Settings) -> Result<Self, ConfigError> {
        let millis = |key| settings.int::<u64>(key);
        let (heartbeat, min, max) = (millis(HEARTBEAT), millis(ELECTION_MIN), millis(ELECTION_MAX));
        let least = HEARTBEATS * heartbeat;
        if min < least {
            let remedy = format!(
                "a member that stands after fewer than three heartbeats elects for each that is late: raise the one to \
                 {least} or lower the other to {}",
                min / HEARTBEATS
            );
            return Err(settings.contradiction(ELECTION_MIN, HEARTBEAT, remedy));
        }
        let least = min + heartbeat;
        if max < least {
            let remedy = format!(
                "members that wait about as long stand against each other, and nobody is elected: a heartbeat lies between \
                 the two at least, so raise it to {least}"
            );
            return Err(settings.contradiction(ELECTION_MAX, ELECTION_MIN, remedy));
        }
        let [heartbeat, election_min, election_max] =
            [heartbeat, min, max].map(Duration::from_millis);
        Ok(Self { heartbeat, election_min, election_max })
    }
}

#[cfg(test)]
mod tests {
    use ::config::Source;

    use super::super::super::KEYS;
    use super::*;

    fn timing(text: &str) -> Result<RaftTiming, String> {
        let mut settings = Settings::defaults(&KEYS);
        settings.load(&Source::file("f"), text.as_bytes()).expect("the file loads");
        RaftTiming::of(&settings).map_err(|error| error.to_string())
    }

    #[test]
    fn the_defaults_fit_each_other() {
        let [heartbeat, election_min, election_max] = [30, 100, 180].map(Duration::from_millis);
        assert_eq!(timing(""), Ok(RaftTiming { heartbeat, election_min, election_max }));
    }

    #[test]
    fn three_heartbeats_fit_into_the_shortest_wait() {
        assert!(timing("raftHeartbeatMillis=33").is_ok());
        assert!(timing("raftElectionMinMillis=90").is_ok());
        assert!(timing("raftElectionMinMillis=89").is_err());
        assert_eq!(
            timing("raftHeartbeatMillis=34").unwrap_err(),
            "`raftElectionMinMillis = 100` (default) is not possible together with `raftHeartbeatMillis = 34` (f:1); a \
             member that stands after fewer than three heartbeats elects for each that is late: raise the one to 102 or \
             lower the other to 33"
        );
    }

    #[test]
    fn a_heartbeat_lies_between_the_waits() {
        assert!(timing("raftElectionMinMillis=150").is_ok());
        assert_eq!(
            timing("raftElectionMinMillis=151").unwrap_err(),
            "`raftElectionMaxMillis = 180` (default) is not possible together with `raftElectionMinMillis = 151` (f:1); \
             members that wait about as long stand against each other, and nobody is elected: a heartbeat lies between the \
             two at least, so raise it to 181"
        );
        assert!(timing("raftElectionMinMillis=300\nraftElectionMaxMillis=200").is_err());
    }
}
