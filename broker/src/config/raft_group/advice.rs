//! Settings about Raft groups that hardly mean what they say.

use std::net::IpAddr;

use ::config::Settings;

use super::{
    CATCH_UP, ENABLE, GROUP, GroupLayout, Host, PEERS, PREFERRED, RaftGroup, SELF, timing,
};
use crate::config::advice::setting;

/// One log line for each.
pub(in crate::config) fn advice(settings: &Settings) -> Vec<String> {
    if !settings.bool(ENABLE) {
        return without_a_group(settings);
    }
    let mut lines = decided_by_election(settings);
    if settings.is_set("flushDiskType") && settings.one_of("flushDiskType") == "ASYNC_FLUSH" {
        lines.push(format!(
            "{} has no effect in a Raft group: a member flushes before it acknowledges, because one that forgets what it has \
             acknowledged could elect a leader without it",
            setting(settings, "flushDiskType")
        ));
    }
    // What is wrong with the keys is told when the configuration is made of them.
    if let Ok(Some(group)) = RaftGroup::of(settings, "-") {
        lines.extend(number_of_members(settings, &group));
        lines.extend(bound_elsewhere(settings, &group));
    }
    lines
}

/// Keys of a group that is not asked for.
fn without_a_group(settings: &Settings) -> Vec<String> {
    let keys = [GROUP, PEERS, SELF, PREFERRED, CATCH_UP].into_iter().chain(timing::KEYS);
    let default = |key| settings.table().find(key).map_or("", |key| key.default);
    let set = keys.filter(|key| settings.text(key) != default(key));
    set.map(|key| format!("{} has no effect without `{ENABLE} = true`", setting(settings, key)))
        .collect()
}

/// Apache's broker sets both itself in this mode, too.
fn decided_by_election(settings: &Settings) -> Vec<String> {
    let id = (settings.int::<i64>("brokerId") != 0).then_some("brokerId");
    let role = (settings.one_of("brokerRole") != "ASYNC_MASTER").then_some("brokerRole");
    let line = |key| {
        format!(
            "{} has no effect with `{ENABLE} = true`: who leads is elected, and registers as brokerId 0",
            setting(settings, key)
        )
    };
    id.into_iter().chain(role).map(line).collect()
}

fn number_of_members(settings: &Settings, group: &RaftGroup) -> Option<String> {
    let members = group.peers.len();
    let what = match members {
        1 => "a group of one has one copy of each message".to_owned(),
        even if even % 2 == 0 => format!(
            "a group of {even} members goes on without {} of them, as one of {} would: an even number gains nothing",
            even - group.majority(),
            even - 1
        ),
        _ => return None,
    };
    Some(format!("`{PEERS}` ({}): {what}", settings.place(PEERS)))
}

/// A group whose other members dial an address on which nobody listens.
fn bound_elsewhere(settings: &Settings, group: &RaftGroup) -> Option<String> {
    let bind: IpAddr = settings.text("bindAddress").parse().ok()?;
    let own = &group.peers[group.own];
    let Host::Ip(ip @ IpAddr::V4(_)) = own.host else { return None };
    (!bind.is_unspecified() && bind != ip).then(|| {
        format!(
            "{}: the other members of the group dial {ip}, as `{PEERS}` ({}) has it in `{own}`, and reach this one only if \
             something passes that on to {bind}",
            setting(settings, "bindAddress"),
            settings.place(PEERS),
        )
    })
}

impl GroupLayout {
    /// What an operator should hear of the addresses. That of shard 0 speaks for all.
    #[must_use]
    pub fn advice(&self) -> Option<String> {
        let own = (self.own(), self.own_addr().ip());
        let of_this_machine = own.1.is_loopback();
        let mut known = self.others().filter_map(|other| Some((other, other.addr?.ip())));
        let mixed = known.find(|(_, ip)| ip.is_loopback() != of_this_machine)?;
        let (far, near) = if of_this_machine { (mixed, own) } else { (own, mixed) };
        Some(format!(
            "`{PEERS}`: `{}` is {} here, which is another one's own machine wherever it is dialled, and `{}` is {}: members \
             on several machines need addresses that mean the same on each (an entry in /etc/hosts may give a name a \
             loopback address)",
            near.0.configured, near.1, far.0.configured, far.1
        ))
    }
}

#[cfg(test)]
mod tests {
    use ::config::Source;

    use super::*;
    use crate::config::{KEYS, of_text};

    fn lines(text: &str) -> Vec<String> {
        let mut settings = Settings::defaults(&KEYS);
        settings.load(&Source::file("f"), text.as_bytes()).expect("the file loads");
        advice(&settings)
    }

    fn group(peers: &str, more: &str) -> String {
        format!("dLegerPeers={peers}\ndLegerSelfId=n0\nenableDLegerCommitLog=true\n{more}")
    }

    const THREE: &str = "n0-10.0.0.1:1;n1-10.0.0.2:1;n2-10.0.0.3:1";

    #[test]
    fn three_members_that_flush_need_no_advice() {
        assert_eq!(lines(&group(THREE, "")), Vec::<String>::new());
        let more =
            "flushDiskType=SYNC_FLUSH\nbrokerId=0\nbrokerRole=ASYNC_MASTER\nbindAddress=10.0.0.1";
        assert_eq!(lines(&group(THREE, more)), Vec::<String>::new());
    }

    #[test]
    fn keys_of_a_group_that_is_not_asked_for_are_named() {
        assert_eq!(
            lines("dLegerGroup=g\ndLegerPeers=\nraftHeartbeatMillis=30\nraftElectionMinMillis=90"),
            [
                "`dLegerGroup = g` (f:1) has no effect without `enableDLegerCommitLog = true`",
                "`raftElectionMinMillis = 90` (f:4) has no effect without `enableDLegerCommitLog = true`",
            ]
        );
    }

    #[test]
    fn who_is_master_is_not_the_files_to_say() {
        assert_eq!(
            lines(&group(THREE, "brokerId=2\nbrokerRole=SLAVE")),
            [
                "`brokerId = 2` (f:4) has no effect with `enableDLegerCommitLog = true`: who leads is elected, and registers \
                 as brokerId 0",
                "`brokerRole = SLAVE` (f:5) has no effect with `enableDLegerCommitLog = true`: who leads is elected, and \
                 registers as brokerId 0",
            ]
        );
    }

    #[test]
    fn members_flush_whatever_the_file_says() {
        let found = lines(&group(THREE, "flushDiskType=ASYNC_FLUSH"));
        assert_eq!(found.len(), 1);
        assert!(
            found[0].starts_with("`flushDiskType = ASYNC_FLUSH` (f:4) has no effect"),
            "{found:?}"
        );
    }

    #[test]
    fn one_member_and_even_numbers_say_what_they_are_worth() {
        assert_eq!(
            lines(&group("n0-a:1", "")),
            ["`dLegerPeers` (f:1): a group of one has one copy of each message"]
        );
        assert_eq!(
            lines(&group("n0-a:1;n1-b:1;n2-c:1;n3-d:1", "")),
            [
                "`dLegerPeers` (f:1): a group of 4 members goes on without 1 of them, as one of 3 would: an even number gains \
                 nothing"
            ]
        );
        assert!(
            lines(&group("n0-a:1;n1-b:1", ""))[0]
                .contains("goes on without 0 of them, as one of 1")
        );
    }

    #[test]
    fn an_address_on_which_nobody_listens_is_told() {
        assert_eq!(
            lines(&group(THREE, "bindAddress=10.0.0.9")),
            [
                "`bindAddress = 10.0.0.9` (f:4): the other members of the group dial 10.0.0.1, as `dLegerPeers` (f:1) has it \
                 in `n0-10.0.0.1:1`, and reach this one only if something passes that on to 10.0.0.9"
            ]
        );
    }

    #[test]
    fn a_loopback_address_among_others_is_told() {
        let layout = |ips: [&str; 3]| {
            let config = of_text(&group("n0-a:1;n1-b:2;n2-c:3", "")).expect("it fits");
            let ips = ips.map(|ip| Some(ip.parse().expect("an address")));
            let group = config.raft_group.as_ref().expect("there is a group");
            group.layouts(&config, &ips).expect("it fits").remove(0).advice()
        };
        assert_eq!(layout(["127.0.0.1", "127.0.0.1", "127.0.0.2"]), None);
        assert_eq!(layout(["10.0.0.1", "10.0.0.2", "10.0.0.3"]), None);
        let own = layout(["127.0.1.1", "10.0.0.2", "10.0.0.3"]).expect("it is told");
        assert!(own.starts_with("`dLegerPeers`: `n0-a:1` is 127.0.1.1 here"), "{own}");
        let other = layout(["10.0.0.1", "10.0.0.2", "127.0.0.1"]).expect("it is told");
        assert!(
            other.contains("`n2-c:3` is 127.0.0.1 here") && other.contains("`n0-a:1` is 10.0.0.1")
        );
    }
}
