//! Raft groups: our codes 29002 to 29007. docs/mqadmin.md describes them.
//!
//! `group` is the group that the one who asks means: whoever belongs to another one refuses. A store is named by the 32
//! digits of its id.

use crate::header::header;

header! {
    /// ADD_RAFT_LEARNER (29002).
    pub struct AddLearnerHeader<'a> {
        /// The group.
        pub group: &'a str = "group",
        /// The store that joins.
        pub store: &'a str = "store",
        /// What operators call it.
        pub label: &'a str = "label",
        /// Where the other members reach it, `ip:port`.
        pub addr: &'a str = "addr",
        /// The store of the member whose place it takes: it may have that one's label and address.
        pub instead_of: Option<&'a str> = "insteadOf",
        /// Bytes a second that learners get from now on; absent: as it is.
        pub catch_up_rate: Option<i64> = "catchUpRate",
    }
}

header! {
    /// PROMOTE_RAFT_LEARNER (29003), REMOVE_RAFT_MEMBER (29004).
    pub struct MemberHeader<'a> {
        /// The group.
        pub group: &'a str = "group",
        /// The store of the member.
        pub store: &'a str = "store",
    }
}

header! {
    /// REPLACE_RAFT_MEMBER (29005).
    pub struct ReplaceMemberHeader<'a> {
        /// The group.
        pub group: &'a str = "group",
        /// The store of the member that goes.
        pub old: &'a str = "old",
        /// The store of the learner that votes from then on.
        pub new: &'a str = "new",
    }
}

header! {
    /// TRANSFER_RAFT_LEADER (29006).
    pub struct TransferLeaderHeader<'a> {
        /// The group.
        pub group: &'a str = "group",
        /// The store of the one that is to lead; absent: nothing is handed over.
        pub store: Option<&'a str> = "store",
        /// Milliseconds for which this member, while it leads, does not make place for the one that should lead
        /// (`preferredLeaderId`); absent: as it is.
        pub hold_millis: Option<i64> = "holdMillis",
        /// Whether a hold that lasts longer already stays; absent: no, it is an operator's own word.
        pub at_least: Option<bool> = "atLeast",
        /// The store of the one that leadership is held away from: who makes place meanwhile chooses it last; absent: nobody.
        pub away: Option<&'a str> = "away",
    }
}

header! {
    /// RECOVER_RAFT_GROUP (29007).
    pub struct RecoverGroupHeader<'a> {
        /// The group.
        pub group: &'a str = "group",
        /// The stores of the members that are lost for good, separated by `;`; absent: none.
        pub lost: Option<&'a str> = "lost",
        /// Whether it is to be done; absent: only what it would come to is told.
        pub go_on: Option<bool> = "goOn",
    }
}

header! {
    /// The answers to 29002 to 29006.
    pub struct ChangedHeader {
        /// Whether anything was to do.
        pub changed: bool = "changed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codes::RequestCode;
    use crate::header::{DecodeExt, assert_fields};

    #[test]
    fn headers_round_trip() {
        let add = AddLearnerHeader {
            group: "g",
            store: "0a",
            label: "n3",
            addr: "10.0.0.4:40911",
            instead_of: Some("0b"),
            catch_up_rate: None,
        };
        let ext = assert_fields(
            &add,
            &[
                ("group", "g"),
                ("store", "0a"),
                ("label", "n3"),
                ("addr", "10.0.0.4:40911"),
                ("insteadOf", "0b"),
            ],
        );
        assert_eq!(AddLearnerHeader::decode(RequestCode::AddRaftLearner, &ext), Ok(add));
        let member = MemberHeader { group: "g", store: "0a" };
        assert_eq!(MemberHeader::decode(RequestCode::RemoveRaftMember, &ext), Ok(member));
        let replace = ReplaceMemberHeader { group: "g", old: "0a", new: "0b" };
        let ext = assert_fields(&replace, &[("group", "g"), ("old", "0a"), ("new", "0b")]);
        let code = RequestCode::ReplaceRaftMember;
        assert_eq!(ReplaceMemberHeader::decode(code, &ext), Ok(replace));
        let hold = TransferLeaderHeader {
            group: "g",
            store: None,
            hold_millis: Some(5),
            at_least: Some(true),
            away: Some("0a"),
        };
        let fields = [("group", "g"), ("holdMillis", "5"), ("atLeast", "true"), ("away", "0a")];
        let ext = assert_fields(&hold, &fields);
        let code = RequestCode::TransferRaftLeader;
        assert_eq!(TransferLeaderHeader::decode(code, &ext), Ok(hold));
        let recover = RecoverGroupHeader { group: "g", lost: Some("0a;0b"), go_on: Some(true) };
        let ext = assert_fields(&recover, &[("group", "g"), ("lost", "0a;0b"), ("goOn", "true")]);
        let code = RequestCode::RecoverRaftGroup;
        assert_eq!(RecoverGroupHeader::decode(code, &ext), Ok(recover));
        let changed = ChangedHeader { changed: false };
        let ext = assert_fields(&changed, &[("changed", "false")]);
        assert_eq!(ChangedHeader::decode(code, &ext), Ok(changed));
    }
}
