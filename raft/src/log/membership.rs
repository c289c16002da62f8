//! Who belongs to a group, as an entry of its log says it.
//!
//! `docs/format/membership.md` has the table. All integers little-endian.

use std::collections::{BTreeMap, BTreeSet};
use std::mem::{offset_of, size_of};
use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6};

use openraft::Membership;
use storage::StoreId;

use crate::lineage::Lineage;
use crate::types::{Member, MemberId};

/// First byte of the payload. A lower one is that of a store which is a group of its own (`docs/format/commands.md`).
const VERSION: u8 = 2;
/// The same of a group that was recovered by force; all others are as those know them who know only the version before.
const RECOVERED: u8 = 3;

/// What a payload begins with; that of a group which was recovered by force has the number of its lineage behind it. Only its
/// layout is used.
#[repr(C)]
struct Head {
    version: u8,
    sets: u8,
    members: u16,
    recoveries: u32,
}

/// A member, before its label. Only its layout is used.
#[repr(C)]
struct Row {
    id: u128,
    ip: [u8; 16],
    flow: u32,
    scope: u32,
    port: u16,
    family: u8,
    label_len: u8,
    reserved: u32,
}

const HEAD_LEN: usize = size_of::<Head>();
const ROW_LEN: usize = size_of::<Row>();
const ID_LEN: usize = size_of::<u128>();
const _: () = assert!(HEAD_LEN == 8 && offset_of!(Head, members) == 2);
const _: () = assert!(offset_of!(Head, recoveries) == 4);
const _: () = assert!(ROW_LEN == 48 && offset_of!(Row, flow) == 32 && offset_of!(Row, port) == 40);
const _: () = assert!(offset_of!(Row, family) == 42 && offset_of!(Row, reserved) == 44);

const _: () = assert!(Member::LABEL_MAX <= u8::MAX as usize);

const IPV4: u8 = 4;
const IPV6: u8 = 6;

/// A label of this group that is too long to be written.
pub(super) fn too_long(membership: &Membership<MemberId, Member>) -> Option<&str> {
    let labels = membership.nodes().map(|(_, member)| member.label.as_str());
    labels.into_iter().find(|label| label.len() > Member::LABEL_MAX)
}

/// The payload of an entry that makes this the group, whose labels are not [`too_long`].
///
/// # Panics
/// When its members are not of one lineage.
pub(crate) fn encode(membership: &Membership<MemberId, Member>) -> Vec<u8> {
    if let Some(founder) = alone(membership) {
        return storage::founding_entry(founder.0);
    }
    let sets = membership.get_joint_config();
    let members = membership.nodes().count();
    let lineage = Lineage::of(membership);
    let is_kin = |(_, member): (_, &Member)| member.lineage == lineage;
    assert!(lineage.is_sound() && membership.nodes().all(is_kin), "a group has one lineage");
    let version = if lineage == Lineage::FIRST { VERSION } else { RECOVERED };
    let mut out = vec![version, u8::try_from(sets.len()).expect("a change has two sets at most")];
    out.extend(u16::try_from(members).expect("a group is small").to_le_bytes());
    out.extend(lineage.recoveries.to_le_bytes());
    if version == RECOVERED {
        out.extend(lineage.number.to_le_bytes());
    }
    for set in sets {
        out.extend(u32::try_from(set.len()).expect("a group is small").to_le_bytes());
        set.iter().for_each(|id| out.extend(id.0.0.to_le_bytes()));
    }
    membership.nodes().for_each(|(id, member)| put_member(&mut out, *id, member));
    out
}

/// The store that is a group of its own, as far as its log says.
pub(crate) fn alone(membership: &Membership<MemberId, Member>) -> Option<MemberId> {
    let mut nodes = membership.nodes();
    let (id, member) = nodes.next().filter(|_| nodes.next().is_none())?;
    let is_only_voter = *membership.get_joint_config() == [BTreeSet::from([*id])];
    (member.is_unnamed() && is_only_voter).then_some(*id)
}

fn of_alone(payload: &[u8]) -> Result<Membership<MemberId, Member>, &'static str> {
    let founder = storage::founder_of(payload)
        .map_err(|_| "it is no store's that is a group of its own, and has another version")?;
    let founder = MemberId(founder);
    let nodes = BTreeMap::from([(founder, Member::unnamed())]);
    Ok(Membership::new(vec![[founder].into()], nodes).expect("the one voter is a member"))
}

fn put_member(out: &mut Vec<u8>, id: MemberId, member: &Member) {
    let Member { label, addr, lineage: _ } = member;
    let begin = out.len();
    let (ip, flow, scope, family) = match addr {
        SocketAddr::V4(addr) => (addr.ip().to_ipv6_mapped(), 0, 0, IPV4),
        SocketAddr::V6(addr) => (*addr.ip(), addr.flowinfo(), addr.scope_id(), IPV6),
    };
    out.extend(id.0.0.to_le_bytes());
    out.extend(ip.octets());
    out.extend(flow.to_le_bytes());
    out.extend(scope.to_le_bytes());
    out.extend(addr.port().to_le_bytes());
    out.push(family);
    out.push(u8::try_from(label.len()).expect("labels are not too long"));
    out.extend([0; 4]);
    assert_eq!(out.len() - begin, ROW_LEN);
    out.extend(label.as_bytes());
}

/// Reads such a payload; the error says what is wrong with it. What comes back is encoded to the same bytes.
pub(crate) fn decode(payload: &[u8]) -> Result<Membership<MemberId, Member>, &'static str> {
    if payload.first().is_some_and(|version| *version < VERSION) {
        return of_alone(payload);
    }
    let mut rest = payload;
    let head: [u8; HEAD_LEN] = take(&mut rest)?;
    let lineage = take_lineage(&head, &mut rest)?;
    let members = u16::from_le_bytes([head[2], head[3]]);
    let mut sets = Vec::new();
    for _ in 0..head[offset_of!(Head, sets)] {
        sets.push(take_set(&mut rest)?);
    }
    let mut nodes = BTreeMap::new();
    for _ in 0..members {
        let (id, member) = take_member(&mut rest, lineage)?;
        if nodes.last_key_value().is_some_and(|(last, _)| *last >= id) {
            return Err("its members are not in order");
        }
        nodes.insert(id, member);
    }
    if !rest.is_empty() {
        return Err("something follows its last member");
    }
    let membership = Membership::new(sets, nodes)
        .map_err(|_| "a voter is not among its members, or a set of voters is empty")?;
    match alone(&membership) {
        _ if membership.nodes().next().is_none() && lineage != Lineage::FIRST => {
            Err("it has a lineage and no members")
        }
        Some(_) => Err("it is one store without an address, which is written in another way"),
        None => Ok(membership),
    }
}

fn take_lineage(head: &[u8; HEAD_LEN], rest: &mut &[u8]) -> Result<Lineage, &'static str> {
    let recoveries = head[offset_of!(Head, recoveries)..].try_into().expect("four bytes");
    let recoveries = u32::from_le_bytes(recoveries);
    match head[offset_of!(Head, version)] {
        VERSION if recoveries == 0 => Ok(Lineage::FIRST),
        VERSION => Err("bytes that should be zero are not"),
        RECOVERED => {
            let lineage = Lineage { recoveries, number: u64::from_le_bytes(take(rest)?) };
            let is_one = recoveries > 0 && lineage.is_sound();
            if is_one { Ok(lineage) } else { Err("its lineage is none") }
        }
        _ => Err("it has another version"),
    }
}

fn take_set(rest: &mut &[u8]) -> Result<BTreeSet<MemberId>, &'static str> {
    let mut set = BTreeSet::new();
    for _ in 0..u32::from_le_bytes(take(rest)?) {
        let id = MemberId(StoreId(u128::from_le_bytes(take::<ID_LEN>(rest)?)));
        if set.last().is_some_and(|last| *last >= id) {
            return Err("its voters are not in order");
        }
        set.insert(id);
    }
    Ok(set)
}

fn take_member(rest: &mut &[u8], lineage: Lineage) -> Result<(MemberId, Member), &'static str> {
    let id = MemberId(StoreId(u128::from_le_bytes(take::<ID_LEN>(rest)?)));
    let ip = Ipv6Addr::from(take::<16>(rest)?);
    let (flow, scope) = (u32::from_le_bytes(take(rest)?), u32::from_le_bytes(take(rest)?));
    let port = u16::from_le_bytes(take(rest)?);
    let [family, label_len] = take(rest)?;
    if take::<4>(rest)? != [0; 4] {
        return Err("bytes that should be zero are not");
    }
    let addr = match (family, ip.to_ipv4_mapped()) {
        (IPV4, Some(ip)) if (flow, scope) == (0, 0) => SocketAddr::from((ip, port)),
        (IPV6, _) => SocketAddrV6::new(ip, port, flow, scope).into(),
        _ => return Err("an address is of no known kind"),
    };
    let Some((label, behind)) = rest.split_at_checked(usize::from(label_len)) else {
        return Err("it ends too early");
    };
    *rest = behind;
    let label = std::str::from_utf8(label).map_err(|_| "a label is not UTF-8")?.to_owned();
    Ok((id, Member { label, addr, lineage }))
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], &'static str> {
    let (head, behind) = rest.split_first_chunk().ok_or("it ends too early")?;
    *rest = behind;
    Ok(*head)
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    fn id(number: u128) -> MemberId {
        MemberId(StoreId(number))
    }

    fn sample() -> Membership<MemberId, Member> {
        let v4 = Member::new("n0", SocketAddr::from((Ipv4Addr::LOCALHOST, 40911)));
        let far = SocketAddrV6::new("fe80::7".parse().expect("an address"), 9, 0, 3);
        let mapped: IpAddr = "::ffff:10.0.0.1".parse().expect("an address");
        let nodes = BTreeMap::from([
            (id(1), v4.clone()),
            (id(u128::MAX), Member::new("", far.into())),
            (id(7), Member::new("ü".repeat(100), SocketAddr::new(mapped, 1))),
        ]);
        Membership::new(vec![[id(1), id(7)].into(), [id(7)].into()], nodes).expect("valid")
    }

    /// The same after two recoveries by force.
    fn recovered() -> Membership<MemberId, Member> {
        let lineage = Lineage { recoveries: 2, number: 0x0123_4567_89AB_CDEF };
        let sample = sample();
        let nodes = sample.nodes().map(|(id, member)| (*id, member.clone())).collect();
        Membership::new(sample.get_joint_config().clone(), lineage.adopt(nodes)).expect("valid")
    }

    #[test]
    fn a_group_has_its_lineage_once_it_was_recovered() {
        let (before, after) = (encode(&sample()), encode(&recovered()));
        assert_eq!((before[0], after[0], after.len()), (VERSION, RECOVERED, before.len() + 8));
        assert_eq!((&before[1..4], &before[8..]), (&after[1..4], &after[16..]));
        let mut none = after.clone();
        none[8..16].fill(0);
        assert_eq!(decode(&none), Err("its lineage is none"));
        none[4..8].fill(0);
        assert_eq!(decode(&none), Err("its lineage is none"), "it would have two forms");
    }

    #[test]
    fn a_group_is_read_back() {
        for membership in [sample(), recovered(), Membership::default()] {
            assert_eq!(decode(&encode(&membership)), Ok(membership));
        }
        let bytes = encode(&sample());
        assert_eq!(bytes.len(), HEAD_LEN + 2 * 4 + 3 * ID_LEN + 3 * ROW_LEN + 2 + 200);
    }

    #[test]
    fn a_store_alone_is_a_group_of_one_and_stays_the_same_bytes() {
        let entry = storage::founding_entry(StoreId(9));
        let group = decode(&entry).expect("it is a group");
        assert_eq!(group.voter_ids().collect::<Vec<_>>(), [id(9)]);
        assert_eq!((alone(&group), encode(&group)), (Some(id(9)), entry));
        // Once it has an address it is written as any other group.
        let named = Member { label: "n0".into(), ..Member::unnamed() };
        let nodes = BTreeMap::from([(id(9), named)]);
        let group = Membership::new(vec![[id(9)].into()], nodes).expect("valid");
        let bytes = encode(&group);
        assert_eq!((bytes[0], decode(&bytes)), (VERSION, Ok(group)));
        let mut nameless = bytes;
        nameless.truncate(nameless.len() - "n0".len());
        let label_len = nameless.len() - ROW_LEN + offset_of!(Row, label_len);
        nameless[label_len] = 0;
        assert!(decode(&nameless).is_err(), "there would be two forms of it");
    }

    #[test]
    fn other_bytes_are_refused_or_mean_another_group() {
        let bytes = encode(&sample());
        for bytes in [&bytes, &encode(&recovered())] {
            for at in 0..bytes.len() {
                assert!(decode(&bytes[..at]).is_err(), "cut at {at}");
                for bit in 0..8 {
                    let mut bad = bytes.clone();
                    bad[at] ^= 1 << bit;
                    match decode(&bad) {
                        Ok(other) => {
                            assert_eq!(encode(&other), bad, "byte {at}, bit {bit}: two forms")
                        }
                        Err(why) => assert!(!why.is_empty()),
                    }
                }
            }
        }
        assert_eq!(decode(&[]), Err("it ends too early"));
        assert_eq!(decode(&[4, 0, 0, 0, 0, 0, 0, 0]), Err("it has another version"));
        let nobody = [&[3, 0, 0, 0, 1, 0, 0, 0][..], &[1; 8]].concat();
        assert_eq!(decode(&nobody), Err("it has a lineage and no members"));
        assert!(decode(&[1, 0, 0, 0, 0, 0, 0, 0]).is_err(), "no store's that is alone");
        assert!(decode(&[bytes.as_slice(), &[0]].concat()).is_err(), "something follows");
    }
}
