//! Who belongs to a cluster on one machine, and at which ports: computed, without I/O.

use std::collections::BTreeMap;

use config::{ConfigErrors, Key, Settings, Source, Table};

use crate::member::Role;

/// Members of a group.
const NODES: u16 = 3;
/// Groups, and NameServers, that there can be.
pub const GROUPS_MAX: u16 = 2;
/// Distance between the ports for clients of two members, as Apache's quick start has it. Those for the group are 1 apart.
const NODE_STEP: u16 = 10;
/// Distance between the ports of two groups.
const GROUP_STEP: u16 = 1000;
/// Clients with `vipChannelEnabled` dial the port so far below a broker's.
const VIP_BELOW: u16 = 2;

/// What the file of a cluster says.
pub static KEYS: Table = Table::new(&[
    Key::int(
        "groups",
        "1",
        1,
        GROUPS_MAX as i64,
        "Groups of three brokers; each comes with a NameServer",
    )
    .ours(),
    Key::int(
        "namesrvPort",
        "9876",
        1,
        65_535,
        "Port of the first NameServer; the next one has the next",
    )
    .ours(),
    Key::int(
        "listenPort",
        "30911",
        1,
        65_535,
        "Port for clients of the first broker; those of its group are 10 apart, groups 1000",
    )
    .ours(),
    Key::int(
        "raftPort",
        "40911",
        1,
        65_535,
        "Port for the group of the first broker; those of its group are 1 apart, groups 1000",
    )
    .ours(),
]);

/// The options that set the keys.
pub const OPTIONS: [(&str, &str); 4] = [
    ("--groups", "groups"),
    ("--namesrv-port", "namesrvPort"),
    ("--listen-port", "listenPort"),
    ("--raft-port", "raftPort"),
];

/// A cluster whose ports are all there and all different.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    groups: u16,
    namesrv_port: u16,
    listen_port: u16,
    raft_port: u16,
}

/// A process of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// What it is called; its folder as well.
    pub name: String,
    /// What it is.
    pub role: Role,
    /// Its group, from 0; of a NameServer its number.
    pub group: u16,
    /// Its number in the group, from 0.
    pub node: u16,
    /// Its port for clients.
    pub port: u16,
    /// Its port for the other members of the group.
    pub raft_port: Option<u16>,
}

impl Layout {
    /// What the settings say.
    ///
    /// # Errors
    /// A port that would be for two, or beyond the last one there is.
    pub fn of(settings: &Settings) -> Result<Self, ConfigErrors> {
        let layout = Self {
            groups: settings.int("groups"),
            namesrv_port: settings.int("namesrvPort"),
            listen_port: settings.int("listenPort"),
            raft_port: settings.int("raftPort"),
        };
        layout.check(settings)?;
        Ok(layout)
    }

    /// As [`Layout::of`], of a file's text, whose name is for messages.
    ///
    /// # Errors
    /// The lines that are wrong.
    pub fn of_text(name: &str, text: &str) -> Result<Self, ConfigErrors> {
        let mut settings = Settings::defaults(&KEYS);
        settings.load(&Source::file(name), text.as_bytes())?;
        Self::of(&settings)
    }

    fn check(&self, settings: &Settings) -> Result<(), ConfigErrors> {
        let step = u32::from(self.groups - 1) * u32::from(GROUP_STEP);
        let nodes = u32::from(NODES - 1);
        for (key, first, reach) in [
            ("namesrvPort", self.namesrv_port, u32::from(self.groups - 1)),
            ("listenPort", self.listen_port, step + nodes * u32::from(NODE_STEP)),
            ("raftPort", self.raft_port, step + nodes),
        ] {
            if u32::from(first) + reach > u32::from(u16::MAX) {
                let allowed = format!(
                    "1 to {}, because ports up to {reach} above it are needed",
                    65_535 - reach
                );
                return Err(settings.bad_value(key, &allowed).into());
            }
        }
        let mut taken: BTreeMap<u16, &str> = BTreeMap::new();
        let processes = self.processes();
        for (port, key) in processes.iter().flat_map(ports_of) {
            if let Some(other) = taken.insert(port, key) {
                assert_ne!(key, other, "ports of one key lie apart");
                let remedy =
                    format!("port {port} would be for two: choose another for one of them");
                return Err(settings.contradiction(other, key, remedy).into());
            }
        }
        Ok(())
    }

    /// All processes: NameServers first.
    pub fn processes(&self) -> Vec<Process> {
        let mut processes = self.name_servers();
        for group in 0..self.groups {
            processes.extend((0..NODES).map(|node| self.broker(group, node)));
        }
        processes
    }

    fn name_servers(&self) -> Vec<Process> {
        let one = |number| Process {
            name: format!("namesrv{number}"),
            role: Role::Namesrv,
            group: number,
            node: 0,
            port: self.namesrv_port + number,
            raft_port: None,
        };
        (0..self.groups).map(one).collect()
    }

    fn broker(&self, group: u16, node: u16) -> Process {
        let step = group * GROUP_STEP;
        Process {
            name: format!("{}-n{node}", group_name(group)),
            role: Role::Broker,
            group,
            node,
            port: self.listen_port + step + node * NODE_STEP,
            raft_port: Some(self.raft_port + step + node),
        }
    }

    /// How many groups there are.
    pub fn groups(&self) -> u16 {
        self.groups
    }

    /// The list of NameServers that brokers and clients are told.
    pub fn namesrv_addr(&self) -> String {
        let addrs = self.name_servers().into_iter().map(|one| format!("127.0.0.1:{}", one.port));
        addrs.collect::<Vec<_>>().join(";")
    }

    /// The members of a group as each of them is told.
    pub fn peers(&self, group: u16) -> String {
        let peer = |node| {
            let port = self.broker(group, node).raft_port.expect("a broker has one");
            format!("n{node}-127.0.0.1:{port}")
        };
        (0..NODES).map(peer).collect::<Vec<_>>().join(";")
    }

    /// The text of its file.
    pub fn text(&self) -> String {
        let Self { groups, namesrv_port, listen_port, raft_port } = self;
        format!(
            "# Made by `turbopump cluster start`, which asks this file who belongs to the cluster.\n\
             groups = {groups}\nnamesrvPort = {namesrv_port}\nlistenPort = {listen_port}\nraftPort = {raft_port}\n"
        )
    }
}

/// The name of a group, of its brokers, and of Apache's first one.
pub fn group_name(group: u16) -> String {
    format!("RaftNode{group:02}")
}

/// The ports that a process listens on, or that clients dial though nobody does, with the key each comes from.
fn ports_of(process: &Process) -> Vec<(u16, &'static str)> {
    match process.raft_port {
        None => vec![(process.port, "namesrvPort")],
        Some(raft) => {
            let vip = process.port.checked_sub(VIP_BELOW).filter(|port| *port > 0);
            let mut ports = vec![(process.port, "listenPort"), (raft, "raftPort")];
            ports.extend(vip.map(|port| (port, "listenPort")));
            ports
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<Layout, String> {
        Layout::of_text("f", text).map_err(|error| error.to_string())
    }

    fn ports(layout: &Layout) -> Vec<(String, u16, Option<u16>)> {
        let processes = layout.processes().into_iter();
        processes.map(|one| (one.name, one.port, one.raft_port)).collect()
    }

    #[test]
    fn one_group_has_the_ports_of_apaches_quick_start() {
        let layout = of("").expect("the defaults fit");
        let broker =
            |node: u16| (format!("RaftNode00-n{node}"), 30911 + 10 * node, Some(40911 + node));
        let expected = [("namesrv0".to_owned(), 9876, None), broker(0), broker(1), broker(2)];
        assert_eq!(ports(&layout), expected);
        assert_eq!(layout.peers(0), "n0-127.0.0.1:40911;n1-127.0.0.1:40912;n2-127.0.0.1:40913");
        assert_eq!(layout.namesrv_addr(), "127.0.0.1:9876");
    }

    #[test]
    fn two_groups_have_two_name_servers_and_no_port_twice() {
        let layout = of("groups = 2").expect("the defaults fit");
        assert_eq!(layout.namesrv_addr(), "127.0.0.1:9876;127.0.0.1:9877");
        assert_eq!(layout.peers(1), "n0-127.0.0.1:41911;n1-127.0.0.1:41912;n2-127.0.0.1:41913");
        let found = ports(&layout);
        assert_eq!(found.len(), 8);
        assert_eq!(found[7], ("RaftNode01-n2".to_owned(), 31931, Some(41913)));
    }

    #[test]
    fn its_file_says_the_same() {
        let layout =
            of("groups=2\nnamesrvPort=1\nlistenPort=20000\nraftPort=21003").expect("it fits");
        assert_eq!(of(&layout.text()), Ok(layout));
    }

    #[test]
    fn ports_beyond_the_last_and_ports_for_two_are_refused() {
        let error = of("listenPort = 65530").unwrap_err();
        assert!(
            error.contains("f:1: `listenPort = 65530`") && error.contains("1 to 65515"),
            "{error}"
        );
        assert!(of("listenPort = 65515\nraftPort=65528").is_ok());
        assert!(of("groups=2\nraftPort=64534").is_err());
        let error = of("namesrvPort = 40912").unwrap_err();
        assert!(error.contains("port 40912 would be for two"), "{error}");
        let error = of("raftPort = 30909").unwrap_err();
        assert!(error.contains("`listenPort = 30911`") && error.contains("30909"), "{error}");
        assert!(of("groups = 3").unwrap_err().contains("1 to 2"));
    }
}
