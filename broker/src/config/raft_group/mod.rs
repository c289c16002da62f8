//! The Raft groups of a broker's shards, as configured. Apache calls this mode DLedger, and so are its keys.
//!
//! All of it is computed from the settings. [`RaftGroup`] is what they say; with the addresses of the members' hosts it
//! gives a [`GroupLayout`] for each shard.

mod advice;
mod layout;
mod peer;
mod ports;
mod timing;

#[cfg(test)]
mod quickstart_tests;

use ::config::{ConfigError, ConfigErrors, Place, Settings};

pub(super) use advice::advice;
pub use layout::{GroupLayout, LayoutError, Member};
pub use peer::{Host, Peer, PeerError, is_label};
pub(super) use ports::check as check_ports;
pub use ports::{PortUse, Purpose};
pub use timing::RaftTiming;

use super::load::name;
use crate::limits::MAX_MEMBERS;

/// The key that asks for groups.
pub(super) const ENABLE: &str = "enableDLegerCommitLog";
const GROUP: &str = "dLegerGroup";
const PEERS: &str = "dLegerPeers";
const SELF: &str = "dLegerSelfId";
const PREFERRED: &str = "preferredLeaderId";
const CATCH_UP: &str = "raftCatchUpRate";

/// The groups that the shards of this broker belong to: one a shard, all with the same members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RaftGroup {
    /// Name of shard 0's (`dLegerGroup`); that of shard k has `-k` behind it.
    pub name: String,
    /// The members, 1 to [`MAX_MEMBERS`], in the order of their labels: the same on each node, however its file lists
    /// them. No label and no address stands there twice.
    pub peers: Vec<Peer>,
    /// Which of them this node is (`dLegerSelfId`).
    pub own: usize,
    /// Which of them should lead (`preferredLeaderId`), in the order as configured, for shard 0, 1, … and so on from the
    /// start; never empty.
    pub preferred: Vec<usize>,
    /// How fast it notices that a leader is gone.
    pub timing: RaftTiming,
    /// Bytes a second that learners get (`raftCatchUpRate`); not 0.
    pub catch_up: u64,
    /// Where `enableDLegerCommitLog` was set.
    pub asked_at: Place,
}

impl RaftGroup {
    /// What the settings say; `None` without `enableDLegerCommitLog`. An empty name is that of the broker.
    ///
    /// # Errors
    /// All that is wrong with the keys by themselves; [`check_ports`] looks at what surrounds them.
    pub(super) fn of(settings: &Settings, broker_name: &str) -> Result<Option<Self>, ConfigErrors> {
        if !settings.bool(ENABLE) {
            return Ok(None);
        }
        let mut errors = Vec::new();
        if settings.bool("enableControllerMode") {
            let remedy =
                "either a group elects its leader or a controller the master: take one out";
            errors.push(settings.contradiction(ENABLE, "enableControllerMode", remedy));
        }
        // Without a name it has the host's, which is another one at each member.
        if settings.text("brokerName").is_empty() && !settings.text(GROUP).is_empty() {
            let remedy = "clients know all members of a group as one broker, and without a brokerName each has the name of its host: \
                          set brokerName, to the same at all members";
            errors.push(settings.contradiction(GROUP, "brokerName", remedy));
        }
        let name = keep(name(settings, GROUP, broker_name), &mut errors);
        let timing = keep(RaftTiming::of(settings), &mut errors);
        let members = keep(members(settings), &mut errors);
        let own = members.as_deref().map(|peers| own(settings, peers));
        let own = own.and_then(|own| keep(own, &mut errors));
        let preferred = members.as_deref().map(|peers| preferred(settings, peers));
        let preferred = preferred.and_then(|preferred| keep(preferred, &mut errors));
        match (name, timing, members, own, preferred) {
            (Some(name), Some(timing), Some(peers), Some(own), Some(preferred))
                if errors.is_empty() =>
            {
                let asked_at = settings.place(ENABLE).clone();
                let catch_up = settings.size(CATCH_UP);
                Ok(Some(Self { name, peers, own, preferred, timing, catch_up, asked_at }))
            }
            _ => Err(ConfigErrors(errors)),
        }
    }

    /// How many members have an entry before it is committed.
    #[must_use]
    pub fn majority(&self) -> usize {
        self.peers.len() / 2 + 1
    }
}

/// The value, or its error with the others.
fn keep<T>(result: Result<T, ConfigError>, errors: &mut Vec<ConfigError>) -> Option<T> {
    result.map_err(|error| errors.push(error)).ok()
}

/// The members in the order of their labels.
fn members(settings: &Settings) -> Result<Vec<Peer>, ConfigError> {
    let syntax = "`label-host:port`, several separated by `;`";
    let wrong = |why: String| settings.bad_value(PEERS, &format!("{syntax}{why}"));
    let texts = settings.list(PEERS);
    if texts.is_empty() {
        return Err(wrong(format!(", for a broker with `{ENABLE} = true`")));
    }
    if texts.len() > MAX_MEMBERS {
        return Err(wrong(format!(", at most {MAX_MEMBERS} of them, and not {}", texts.len())));
    }
    let mut peers: Vec<Peer> = Vec::with_capacity(texts.len());
    for text in texts {
        let peer: Peer = text.parse().map_err(|why| wrong(format!("; `{text}` is none: {why}")))?;
        if let Some(other) = peers.iter().find(|other| other.label == peer.label) {
            let why =
                format!("; `{other}` and `{peer}` have one label, and each member has its own");
            return Err(wrong(why));
        }
        let same_address = |other: &&Peer| other.host == peer.host && other.port == peer.port;
        if let Some(other) = peers.iter().find(same_address) {
            let why =
                format!("; `{other}` and `{peer}` have one address, and each member has its own");
            return Err(wrong(why));
        }
        peers.push(peer);
    }
    // `n2` comes before `n10`.
    peers.sort_by(|a, b| (a.label.len(), &a.label).cmp(&(b.label.len(), &b.label)));
    Ok(peers)
}

/// Which of the members this node is.
fn own(settings: &Settings, peers: &[Peer]) -> Result<usize, ConfigError> {
    position(peers, settings.text(SELF)).ok_or_else(|| {
        let allowed = format!("the label of this node in {}", known(settings, peers));
        settings.bad_value(SELF, &allowed)
    })
}

/// Who should lead, shard by shard: whom the operator names, or each of them in turn.
fn preferred(settings: &Settings, peers: &[Peer]) -> Result<Vec<usize>, ConfigError> {
    let named = settings.list(PREFERRED);
    if named.is_empty() {
        return Ok((0..peers.len()).collect());
    }
    let positions: Option<Vec<usize>> = named.iter().map(|label| position(peers, label)).collect();
    positions.ok_or_else(|| {
        let allowed = format!("labels in {}, several separated by `;`", known(settings, peers));
        settings.bad_value(PREFERRED, &allowed)
    })
}

fn position(peers: &[Peer], label: &str) -> Option<usize> {
    peers.iter().position(|peer| peer.label == label)
}

/// "`dLegerPeers` (broker.conf:9), which has n0, n1, n2".
fn known(settings: &Settings, peers: &[Peer]) -> String {
    let labels: Vec<&str> = peers.iter().map(|peer| peer.label.as_str()).collect();
    format!("`{PEERS}` ({}), which has {}", settings.place(PEERS), labels.join(", "))
}

#[cfg(test)]
mod tests {
    use ::config::Source;

    use super::super::KEYS;
    use super::*;

    const THREE: &str = "enableDLegerCommitLog=true\ndLegerSelfId=n0\n\
                         dLegerPeers=n0-127.0.0.1:40911;n1-127.0.0.1:40912;n2-127.0.0.1:40913\n";

    fn group(text: &str) -> Result<Option<RaftGroup>, Vec<String>> {
        let mut settings = Settings::defaults(&KEYS);
        settings.load(&Source::file("f"), text.as_bytes()).expect("the file loads");
        RaftGroup::of(&settings, "broker-a")
            .map_err(|errors| errors.0.iter().map(ToString::to_string).collect())
    }

    fn three(more: &str) -> RaftGroup {
        group(&format!("{THREE}{more}")).expect("it fits").expect("there is a group")
    }

    #[track_caller]
    fn assert_wrong(text: &str, messages: &[&str]) {
        assert_eq!(group(text).expect_err("it does not fit"), messages);
    }

    #[test]
    fn without_the_switch_there_is_no_group() {
        assert_eq!(group(&THREE.replace("true", "false")), Ok(None));
        assert_eq!(group("dLegerPeers=nonsense"), Ok(None));
    }

    #[test]
    fn an_everyday_file_says_it_all() {
        let group = three("dLegerGroup=RaftNode00\nbrokerName=RaftNode00\n");
        assert_eq!((group.name.as_str(), group.own, group.majority()), ("RaftNode00", 0, 2));
        assert_eq!(group.preferred, [0, 1, 2]);
        assert_eq!(group.asked_at.to_string(), "f:1");
        assert_eq!(three("").name, "broker-a");
        assert_eq!(three("brokerName=b\ndLegerGroup=suzhou@broker").name, "suzhou@broker");
    }

    #[test]
    fn members_of_one_group_need_one_name_for_clients() {
        assert_wrong(
            &format!("{THREE}dLegerGroup=g\n"),
            &[
                "`dLegerGroup = g` (f:4) is not possible together with `brokerName = ` (default); clients know all members of a group \
               as one broker, and without a brokerName each has the name of its host: set brokerName, to the same at all members",
            ],
        );
    }

    #[test]
    fn the_order_of_members_is_that_of_their_labels() {
        let listed = "enableDLegerCommitLog=true\ndLegerSelfId=n2\n\
                      dLegerPeers = n10-h:1; n2-h:2 ;n1-h:3;\n";
        let group = group(listed).unwrap().unwrap();
        let labels: Vec<&str> = group.peers.iter().map(|peer| peer.label.as_str()).collect();
        assert_eq!(labels, ["n1", "n2", "n10"]);
        assert_eq!(group.own, 1);
    }

    #[test]
    fn those_who_should_lead_are_taken_as_named() {
        assert_eq!(three("preferredLeaderId=n2").preferred, [2]);
        assert_eq!(three("preferredLeaderId=n2;n0;").preferred, [2, 0]);
        assert_wrong(
            &format!("{THREE}preferredLeaderId=n3"),
            &[
                "f:4: `preferredLeaderId = n3` is not possible; allowed: labels in `dLegerPeers` (f:3), which has n0, n1, n2, \
               several separated by `;`",
            ],
        );
    }

    #[test]
    fn one_member_is_a_group_and_ten_are_none() {
        let of = |count: usize| {
            let peers: Vec<String> = (0..count).map(|n| format!("n{n}-h{n}:1")).collect();
            group(&format!(
                "enableDLegerCommitLog=true\ndLegerSelfId=n0\ndLegerPeers={}",
                peers.join(";")
            ))
        };
        assert_eq!(of(1).unwrap().unwrap().majority(), 1);
        assert_eq!(of(MAX_MEMBERS).unwrap().unwrap().majority(), 5);
        let errors = of(MAX_MEMBERS + 1).unwrap_err();
        assert!(
            errors[0].ends_with("separated by `;`, at most 9 of them, and not 10"),
            "{errors:?}"
        );
    }

    #[test]
    fn what_is_missing_or_wrong_names_the_key() {
        assert_wrong(
            "enableDLegerCommitLog=true",
            &[
                "default: `dLegerPeers = ` is not possible; allowed: `label-host:port`, several separated by `;`, for a broker \
               with `enableDLegerCommitLog = true`",
            ],
        );
        for (text, message) in [
            (
                "n0-127.0.0.1",
                "f:1: `dLegerPeers = n0-127.0.0.1` is not possible; allowed: `label-host:port`, several separated by `;`; \
                 `n0-127.0.0.1` is none: a `:` and the port stand behind the host",
            ),
            (
                "n0-a:1;n0-b:2",
                "f:1: `dLegerPeers = n0-a:1;n0-b:2` is not possible; allowed: `label-host:port`, several separated by `;`; \
                 `n0-a:1` and `n0-b:2` have one label, and each member has its own",
            ),
            (
                "n0-a:1;n1-A:1",
                "f:1: `dLegerPeers = n0-a:1;n1-A:1` is not possible; allowed: `label-host:port`, several separated by `;`; \
                 `n0-a:1` and `n1-a:1` have one address, and each member has its own",
            ),
        ] {
            let text = format!("dLegerPeers={text}\nenableDLegerCommitLog=true\ndLegerSelfId=n0");
            assert_wrong(&text, &[message]);
        }
        for (own, line) in [("n3", "f:2: `dLegerSelfId = n3`"), ("", "f:2: `dLegerSelfId = `")] {
            let message = format!(
                "{line} is not possible; allowed: the label of this node in `dLegerPeers` (f:3), which has n0, n1, n2"
            );
            assert_wrong(&THREE.replace("SelfId=n0", &format!("SelfId={own}")), &[&message]);
        }
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        let errors = group(
            "enableDLegerCommitLog=true\nenableControllerMode=true\ndLegerGroup=a b\nbrokerName=b\nraftHeartbeatMillis=500\n\
             dLegerPeers=n0-a:1\ndLegerSelfId=n1\npreferredLeaderId=n1\n",
        )
        .unwrap_err();
        let about =
            ["enableDLegerCommitLog", "dLegerGroup", "raftElection", "dLegerSelfId", "preferred"];
        assert_eq!(errors.len(), about.len(), "{errors:?}");
        for (error, key) in errors.iter().zip(about) {
            assert!(error.contains(&format!("`{key}")), "{error}");
        }
        assert_eq!(
            errors[0],
            "`enableDLegerCommitLog = true` (f:1) is not possible together with `enableControllerMode = true` (f:2); either \
             a group elects its leader or a controller the master: take one out"
        );
    }
}
