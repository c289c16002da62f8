//! Where the Raft group of each shard lies, once the hosts of the members have addresses.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use thiserror::Error;

use super::{Host, Peer, RaftGroup};
use crate::config::Config;
use crate::shard::identity::{shard_name, shard_port};

/// Broker ids of labels that are not a letter and a number begin here, beyond those that are numbered by hand.
const FIRST_OF_LABEL: u32 = 1000;
/// As many as there are of them. Should two labels of a group get the same one, all of its members are counted.
const LABEL_IDS: u32 = 1 << 20;

/// The Raft group of one shard, as this node sees it when it starts. Once a group is founded its own log says who is in
/// it, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupLayout {
    /// The shard.
    pub shard: u32,
    /// The group's name.
    pub name: String,
    /// All members, this one among them, in the order of their labels.
    pub members: Vec<Member>,
    /// Which of them this shard is.
    pub own: usize,
    /// Which of them should lead.
    pub preferred: usize,
    /// Where this shard listens for the others.
    pub listen: SocketAddr,
}

/// One of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// What operators call it.
    pub label: String,
    /// As configured, with the port of shard 0.
    pub configured: Peer,
    /// Where the others reach it; `None` if nobody has said what the name of its host means.
    pub addr: Option<SocketAddr>,
    /// Its port, wherever its host is.
    pub port: u16,
    /// The broker id under which it registers while another one leads, at least 1; a leader registers as 0. No two of a
    /// group have the same.
    pub follower_id: u32,
}

/// Addresses that make no group.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LayoutError {
    /// Two names of one host.
    #[error(
        "`{one}` and `{other}` would both be at {addr}, and each member has an address of its own"
    )]
    SameAddress {
        /// As configured.
        one: String,
        /// As configured.
        other: String,
        /// The address.
        addr: SocketAddr,
    },
    /// This node is at an address of the other kind than those it listens on.
    #[error(
        "`{own}`, this node, is at the IPv6 address {ip}, and listens on {bind} only; give it an IPv4 address, or take \
         bindAddress out"
    )]
    Family {
        /// As configured.
        own: String,
        /// Its address.
        ip: IpAddr,
        /// `bindAddress`.
        bind: Ipv4Addr,
    },
}

impl GroupLayout {
    /// This shard among the members.
    #[must_use]
    pub fn own(&self) -> &Member {
        &self.members[self.own]
    }

    /// Where the others reach this shard.
    #[must_use]
    pub fn own_addr(&self) -> SocketAddr {
        self.own().addr.expect("a node knows its own host before it has a layout")
    }

    /// The member that should lead.
    #[must_use]
    pub fn preferred(&self) -> &Member {
        &self.members[self.preferred]
    }

    /// The other members.
    pub fn others(&self) -> impl Iterator<Item = &Member> {
        let all = self.members.iter().enumerate();
        all.filter(|(at, _)| *at != self.own).map(|(_, member)| member)
    }
}

impl Member {
    /// Where it is, for people: its address, or the name that means none yet.
    #[must_use]
    pub fn place(&self) -> String {
        match (self.addr, &self.configured.host) {
            (Some(addr), _) => addr.to_string(),
            (None, Host::Ip(ip)) => SocketAddr::new(*ip, self.port).to_string(),
            (None, Host::Name(name)) => format!("{name}:{}", self.port),
        }
    }
}

impl RaftGroup {
    /// The group of each shard of `config`, by number, where the hosts of [`RaftGroup::peers`] are at `ips`, in the same order,
    /// as far as that is known.
    ///
    /// # Errors
    /// [`LayoutError`], which names the members.
    ///
    /// # Panics
    /// If there are more or fewer addresses than members, if that of this node is not known, or if this is not the group of
    /// `config`.
    pub fn layouts(
        &self,
        config: &Config,
        ips: &[Option<IpAddr>],
    ) -> Result<Vec<GroupLayout>, LayoutError> {
        assert_eq!(self.peers.len(), ips.len(), "each member was looked for");
        assert_eq!(config.raft_group.as_ref(), Some(self), "its ports were checked");
        let own = ips[self.own].expect("a node that is nowhere does not start");
        let bind = listen_ip(config.bind_address, own).ok_or_else(|| LayoutError::Family {
            own: self.peers[self.own].to_string(),
            ip: own,
            bind: config.bind_address,
        })?;
        let layouts: Vec<GroupLayout> =
            (0..config.shards).map(|shard| self.layout(config, shard, ips, bind)).collect();
        each_has_its_own_address(&layouts)?;
        Ok(layouts)
    }

    fn layout(
        &self,
        config: &Config,
        shard: u32,
        ips: &[Option<IpAddr>],
        bind: IpAddr,
    ) -> GroupLayout {
        let ids = follower_ids(&self.peers);
        let members: Vec<Member> = (self.peers.iter().zip(ips).zip(ids))
            .map(|((peer, ip), follower_id)| {
                let port = shard_port(peer.port, config.shard_port_stride, shard)
                    .expect("the configuration checks the last port of each member");
                let addr = ip.map(|ip| SocketAddr::new(ip, port));
                let (label, configured) = (peer.label.clone(), peer.clone());
                Member { label, configured, addr, port, follower_id }
            })
            .collect();
        let turn = usize::try_from(shard).expect("a small number") % self.preferred.len();
        GroupLayout {
            shard,
            name: shard_name(&self.name, shard),
            listen: SocketAddr::new(bind, members[self.own].port),
            members,
            own: self.own,
            preferred: self.preferred[turn],
        }
    }
}

/// Where a member that the others reach at `own` listens; `None` where it would not hear them.
fn listen_ip(bind: Ipv4Addr, own: IpAddr) -> Option<IpAddr> {
    match own {
        IpAddr::V4(_) => Some(bind.into()),
        IpAddr::V6(_) if bind.is_unspecified() => Some(Ipv6Addr::UNSPECIFIED.into()),
        IpAddr::V6(_) => None,
    }
}

/// Of all groups together: members that share a machine differ in their ports.
fn each_has_its_own_address(layouts: &[GroupLayout]) -> Result<(), LayoutError> {
    let mut taken: HashMap<SocketAddr, &Member> = HashMap::new();
    for member in layouts.iter().flat_map(|layout| &layout.members) {
        let Some(addr) = member.addr else { continue };
        if let Some(other) = taken.insert(addr, member) {
            let (one, other) = (other.configured.to_string(), member.configured.to_string());
            return Err(LayoutError::SameAddress { one, other, addr });
        }
    }
    Ok(())
}

/// The broker ids of followers. Apache's: the number in the label and one, where labels are a letter and a number, and the
/// numbers differ. Otherwise of the label alone: a place in the list would be another one wherever a member was replaced and not
/// all lists are up to date, and two nodes would register as one.
fn follower_ids(peers: &[Peer]) -> Vec<u32> {
    let number = |peer: &Peer| {
        let number = peer.label.strip_prefix(|c: char| c.is_ascii_alphabetic())?;
        number.parse::<u32>().ok()?.checked_add(1).filter(|id| i32::try_from(*id).is_ok())
    };
    let numbers: Option<Vec<u32>> = peers.iter().map(number).collect();
    let differ = |ids: &Vec<u32>| ids.iter().enumerate().all(|(at, id)| !ids[..at].contains(id));
    let of_labels = || Some(peers.iter().map(|peer| id_of_label(&peer.label)).collect());
    let ids = numbers.filter(differ).or_else(of_labels).filter(differ);
    ids.unwrap_or_else(|| (1..).take(peers.len()).collect())
}

/// A number from [`FIRST_OF_LABEL`] on that is always the same for a label.
fn id_of_label(label: &str) -> u32 {
    let sum = label.bytes().fold(0x811C_9DC5, |sum: u32, byte| {
        (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193) // FNV-1a
    });
    FIRST_OF_LABEL + sum % LABEL_IDS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::of_text;

    fn layouts(text: &str, ips: &[&str]) -> Result<Vec<GroupLayout>, LayoutError> {
        let config = of_text(text).expect("the configuration fits");
        let ip = |ip: &&str| Some(ip.parse().expect("an address"));
        let ips: Vec<Option<IpAddr>> = ips.iter().map(ip).collect();
        config.raft_group.as_ref().expect("there is a group").layouts(&config, &ips)
    }

    fn text(peers: &str, own: &str, more: &str) -> String {
        format!("dLegerPeers={peers}\ndLegerSelfId={own}\nenableDLegerCommitLog=true\n{more}")
    }

    #[test]
    fn shard_k_is_a_stride_on_and_prefers_the_next_member() {
        let text = text(
            "n0-a:40911;n1-b:40911;n2-c:40911",
            "n1",
            "shards=4\nbrokerName=east\nbindAddress=0.0.0.0\nshardPortStride=7",
        );
        let found = layouts(&text, &["10.0.0.1", "10.0.0.2", "10.0.0.3"]).unwrap();
        assert_eq!(found.len(), 4);
        let names: Vec<&str> = found.iter().map(|layout| layout.name.as_str()).collect();
        assert_eq!(names, ["east", "east-1", "east-2", "east-3"]);
        let preferred: Vec<&str> =
            found.iter().map(|layout| layout.preferred().label.as_str()).collect();
        assert_eq!(preferred, ["n0", "n1", "n2", "n0"]);
        let third = &found[2];
        let addrs: Vec<String> = third.members.iter().map(Member::place).collect();
        assert_eq!(addrs, ["10.0.0.1:40925", "10.0.0.2:40925", "10.0.0.3:40925"]);
        assert_eq!(third.listen.to_string(), "0.0.0.0:40925");
        assert_eq!((third.shard, third.own().label.as_str()), (2, "n1"));
        let others: Vec<&str> = third.others().map(|member| member.label.as_str()).collect();
        assert_eq!(others, ["n0", "n2"]);
    }

    #[test]
    fn the_operator_says_who_should_lead() {
        let of = |preferred: &str| -> Vec<String> {
            let more = format!("shards=3\npreferredLeaderId={preferred}\n");
            let text = text("n0-a:1;n1-b:1;n2-c:1", "n0", &more);
            let found = layouts(&text, &["10.0.0.1", "10.0.0.2", "10.0.0.3"]).unwrap();
            found.iter().map(|layout| layout.preferred().label.clone()).collect()
        };
        assert_eq!(of("n2"), ["n2", "n2", "n2"]);
        assert_eq!(of("n2;n0"), ["n2", "n0", "n2"]);
    }

    #[test]
    fn followers_register_under_apaches_ids_where_labels_are_apaches() {
        let ids = |peers: &str| {
            let peers: Vec<Peer> = peers.split(';').map(|peer| peer.parse().unwrap()).collect();
            follower_ids(&peers)
        };
        assert_eq!(ids("n0-a:1;n1-b:1;n2-c:1"), [1, 2, 3]);
        assert_eq!(ids("n3-a:1;n7-b:1"), [4, 8]);
        let of_labels = |peers: &str| ids(peers).iter().all(|id| *id >= FIRST_OF_LABEL);
        assert!(of_labels("a1-a:1;b1-b:1") && of_labels("n2147483647-a:1;n1-b:1"));
    }

    /// The lists of the old nodes have one that was replaced, and those of the new one has itself.
    #[test]
    fn a_label_has_its_broker_id_in_every_list() {
        let id = |peers: &str, label: &str| {
            let peers: Vec<Peer> = peers.split(';').map(|peer| peer.parse().unwrap()).collect();
            let at = peers.iter().position(|peer| peer.label == label).expect("it is in the list");
            follower_ids(&peers)[at]
        };
        let (old, new) = ("east-a:1;north-b:1;west-c:1", "far-d:1;north-b:1;east-a:1");
        for label in ["east", "north"] {
            assert_eq!(id(old, label), id(new, label));
        }
        let all = [id(old, "east"), id(old, "west"), id(old, "north"), id(new, "far")];
        assert_eq!(all.iter().collect::<std::collections::HashSet<_>>().len(), all.len());
    }

    #[test]
    fn a_group_of_one_is_a_group() {
        let found = layouts(&text("n0-a:40911", "n0", ""), &["127.0.0.1"]).unwrap();
        assert_eq!((found.len(), found[0].others().count()), (1, 0));
        assert_eq!(found[0].preferred().label, "n0");
    }

    #[test]
    fn names_that_turn_out_to_be_one_machine_are_told_apart_by_port() {
        let text = |ports: [u16; 2]| {
            let peers = format!("n0-a:{};n1-b:{}", ports[0], ports[1]);
            text(&peers, "n0", "shards=2")
        };
        let same = ["10.0.0.1", "10.0.0.1"];
        assert!(layouts(&text([40911, 40912]), &same).is_ok());
        assert_eq!(
            layouts(&text([40911, 40911]), &same).unwrap_err().to_string(),
            "`n0-a:40911` and `n1-b:40911` would both be at 10.0.0.1:40911, and each member has an address of its own"
        );
        let error = layouts(&text([40911, 41011]), &same).unwrap_err().to_string();
        assert!(error.contains("would both be at 10.0.0.1:41011"), "{error}");
    }

    #[test]
    fn a_member_listens_where_the_others_reach_it() {
        let six = text("n0-[2001:db8::1]:40911", "n0", "");
        let found = layouts(&six, &["2001:db8::1"]).unwrap();
        assert_eq!(found[0].listen.to_string(), "[::]:40911");
        let bound = format!("{six}bindAddress=10.0.0.1\n");
        assert_eq!(
            layouts(&bound, &["2001:db8::1"]).unwrap_err().to_string(),
            "`n0-[2001:db8::1]:40911`, this node, is at the IPv6 address 2001:db8::1, and listens on 10.0.0.1 only; give it an \
             IPv4 address, or take bindAddress out"
        );
        let found = layouts(&text("n0-a:40911", "n0", "bindAddress=10.0.0.1"), &["10.0.0.9"]);
        assert_eq!(found.unwrap()[0].listen.to_string(), "10.0.0.1:40911");
    }
}
