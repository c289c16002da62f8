//! What the members of a group say, put together.

use remoting::body::{RaftGroupState, RaftMember};

use crate::error::AdminError;

/// A broker that did not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Silent {
    /// Its address for clients.
    pub addr: String,
    /// Why there is no answer.
    pub why: String,
}

/// What the members of a group said when they were asked. Somebody has answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survey {
    /// What each said, in the order of their labels.
    pub answers: Vec<RaftGroupState>,
    /// Who did not answer.
    pub silent: Vec<Silent>,
}

/// A member, with what it says itself and what its leader says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row<'a> {
    /// As the group's log has it, with what the leader knows.
    pub member: &'a RaftMember,
    /// What it says itself, if it was found and has answered.
    pub own: Option<&'a RaftGroupState>,
    /// Bytes of the leader's log that it does not have, if both have answered.
    pub behind_bytes: Option<i64>,
}

impl Survey {
    /// Of answers, of which there is one at least.
    #[must_use]
    pub fn new(mut answers: Vec<RaftGroupState>, silent: Vec<Silent>) -> Self {
        assert!(!answers.is_empty(), "somebody has answered");
        // `n2` comes before `n10`.
        answers.sort_by(|a, b| (a.label.len(), &a.label).cmp(&(b.label.len(), &b.label)));
        Self { answers, silent }
    }

    /// The group's name.
    #[must_use]
    pub fn group(&self) -> &str {
        &self.answers[0].group
    }

    /// What the leader says: of several who say that they lead, the one of the newest term.
    #[must_use]
    pub fn leader(&self) -> Option<&RaftGroupState> {
        let leaders = self.answers.iter().filter(|answer| answer.role == "LEADER");
        leaders.max_by_key(|answer| answer.term)
    }

    /// Who knows most: the leader, or whoever has the newest log of those that belong to the group.
    #[must_use]
    pub fn best(&self) -> &RaftGroupState {
        let newest = self
            .answers
            .iter()
            .max_by_key(|answer| (!answer.members.is_empty(), answer.committed_index, answer.term));
        self.leader().or(newest).expect("somebody has answered")
    }

    /// Whether nothing is missing: everybody who was asked answers, somebody leads, no change is under way, and the group can do without
    /// as many as its number of voters allows.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let votes = |member: &&RaftMember| member.vote != "LEARNER";
        let is_whole = |leader: &RaftGroupState| {
            let voters = leader.members.iter().filter(votes).count();
            let most = i64::try_from(voters.saturating_sub(1) / 2).expect("a few");
            !leader.cut_off && !leader.changing && leader.spare.is_some_and(|spare| spare >= most)
        };
        self.silent.is_empty() && self.leader().is_some_and(is_whole)
    }

    /// The members, in the order of their labels.
    #[must_use]
    pub fn rows(&self) -> Vec<Row<'_>> {
        let mut members: Vec<&RaftMember> = self.best().members.iter().collect();
        members.sort_by_key(|member| (member.label.len(), &member.label, &member.store));
        members.into_iter().map(|member| self.row(member)).collect()
    }

    fn row<'a>(&'a self, member: &'a RaftMember) -> Row<'a> {
        let own = self.answer_of(&member.store);
        let leader = self.leader();
        let behind_bytes = own.zip(leader).map(|(own, leader)| leader.log_end - own.log_end);
        Row { member, own, behind_bytes: behind_bytes.map(|behind| behind.max(0)) }
    }

    /// What this store says itself.
    #[must_use]
    pub fn answer_of(&self, store: &str) -> Option<&RaftGroupState> {
        self.answers.iter().find(|answer| answer.store == store)
    }

    /// The member with this store.
    #[must_use]
    pub fn member(&self, store: &str) -> Option<Row<'_>> {
        self.rows().into_iter().find(|row| row.member.store == store)
    }

    /// Answers of nodes that do not belong to the group, or not yet.
    pub fn strangers(&self) -> impl Iterator<Item = &RaftGroupState> {
        let members = &self.best().members;
        let is_one =
            |answer: &&RaftGroupState| members.iter().all(|member| member.store != answer.store);
        self.answers.iter().filter(is_one)
    }

    /// The member that is meant by its label, its Raft address, or the first digits of its store's id; `None` if nobody is.
    /// The store `but` is not meant.
    ///
    /// # Errors
    /// Several are.
    pub fn find(&self, text: &str, but: Option<&str>) -> Result<Option<Row<'_>>, AdminError> {
        let rows = self.rows().into_iter().filter(|row| Some(row.member.store.as_str()) != but);
        let rows: Vec<Row<'_>> = rows.collect();
        let named = |row: &&Row<'_>| row.member.label == text || row.member.addr == text;
        let store = |row: &&Row<'_>| text.len() >= 4 && row.member.store.starts_with(text);
        let mut found: Vec<Row<'_>> = rows.iter().filter(named).copied().collect();
        if found.is_empty() {
            found = rows.iter().filter(store).copied().collect();
        }
        if found.len() > 1 {
            return Err(AdminError::Member(format!(
                "group {}: {text} is not one member but {}: {}. Name the one that is meant by the first digits of its store's id",
                self.group(),
                found.len(),
                names(&found)
            )));
        }
        Ok(found.pop())
    }

    /// As [`Survey::find`], of one that must be there.
    ///
    /// # Errors
    /// Nobody is meant, or several.
    pub fn expect(&self, text: &str, but: Option<&str>) -> Result<Row<'_>, AdminError> {
        self.find(text, but)?.ok_or_else(|| {
            AdminError::Member(format!(
                "group {}: nobody is called {text}; its members are {}",
                self.group(),
                self.names()
            ))
        })
    }

    /// All members, for people.
    #[must_use]
    pub fn names(&self) -> String {
        names(&self.rows())
    }
}

fn names(rows: &[Row<'_>]) -> String {
    let name = |row: &Row<'_>| {
        let RaftMember { label, addr, store, .. } = row.member;
        format!("{label} ({addr}, store {})", short(store))
    };
    rows.iter().map(name).collect::<Vec<_>>().join(", ")
}

/// So much of a store's id as people compare.
pub fn short(store: &str) -> &str {
    store.get(..8).unwrap_or(store)
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// The store of the member with this number.
    pub fn store(number: usize) -> String {
        format!("{:032x}", (number as u128 + 1) << 120)
    }

    /// A member's row as the leader n0 has it.
    pub fn member(number: usize) -> RaftMember {
        RaftMember {
            addr: format!("10.0.0.{number}:40911"),
            behind: Some(0),
            connected: Some(true),
            durable_index: Some(99),
            heard_millis_ago: Some(12),
            label: format!("n{number}"),
            store: store(number),
            trouble: None,
            vote: "VOTER".to_owned(),
        }
    }

    /// What the member with this number says in a group of three that n0 leads.
    pub fn answer(number: usize) -> RaftGroupState {
        let role = if number == 0 { "LEADER" } else { "FOLLOWER" };
        RaftGroupState {
            applied_index: 99,
            broker_addr: format!("10.0.0.{number}:10911"),
            broker_name: "broker-a".to_owned(),
            cluster: "C".to_owned(),
            committed_index: 99,
            group: "g".to_owned(),
            label: format!("n{number}"),
            last_index: 99,
            leader: Some(store(0)),
            log_end: 5000,
            members: (0..3).map(member).collect(),
            role: role.to_owned(),
            spare: (number == 0).then_some(1),
            standing: "MEMBER".to_owned(),
            store: store(number),
            term: 7,
            ..RaftGroupState::default()
        }
    }

    #[test]
    fn of_two_who_say_that_they_lead_the_newer_does() {
        let mut old = answer(1);
        (old.role, old.term) = ("LEADER".to_owned(), 6);
        let survey = Survey::new(vec![old, answer(0)], Vec::new());
        assert_eq!(survey.leader().map(|leader| leader.label.as_str()), Some("n0"));
    }

    #[test]
    fn without_a_leader_whoever_has_most_of_the_group_is_believed() {
        let empty = RaftGroupState { label: "n3".into(), group: "g".into(), ..Default::default() };
        let mut late = answer(1);
        late.committed_index = 50;
        let survey = Survey::new(vec![empty, late, answer(2)], Vec::new());
        assert_eq!(survey.leader(), None);
        assert_eq!(survey.best().label, "n2");
        assert_eq!(survey.strangers().map(|one| one.label.as_str()).collect::<Vec<_>>(), ["n3"]);
    }

    #[test]
    fn a_group_is_whole_with_as_many_to_spare_as_it_has_voters_for() {
        let is_whole = |voters: usize, spare: i64, silent: bool| {
            let mut leader = answer(0);
            leader.members = (0..voters).map(member).collect();
            leader.members.push(RaftMember { vote: "LEARNER".to_owned(), ..member(7) });
            leader.spare = Some(spare);
            let gone = || Silent { addr: "h:1".to_owned(), why: "no".to_owned() };
            Survey::new(vec![leader], silent.then(gone).into_iter().collect()).is_whole()
        };
        for (voters, most) in [(1, 0), (2, 0), (3, 1), (4, 1), (5, 2)] {
            assert!(is_whole(voters, most, false), "{voters} are there");
            assert!(!is_whole(voters, most - 1, false), "one of {voters} is missing");
            assert!(!is_whole(voters, most, true), "one that was asked is silent");
        }
        assert!(!Survey::new(vec![answer(1)], Vec::new()).is_whole(), "nobody says that it leads");
    }

    #[test]
    fn members_are_found_by_label_address_and_store() {
        let survey = Survey::new(vec![answer(0)], Vec::new());
        let found = |text: &str| {
            let found = survey.find(text, None).expect("not several");
            found.map(|row| row.member.label.clone())
        };
        assert_eq!(found("n1").as_deref(), Some("n1"));
        assert_eq!(found("10.0.0.2:40911").as_deref(), Some("n2"));
        assert_eq!(found("0300").as_deref(), Some("n2"));
        assert_eq!(found("n7"), None);
        let error = survey.expect("n7", None).unwrap_err().to_string();
        assert!(
            error.starts_with("group g: nobody is called n7; its members are n0 (10."),
            "{error}"
        );
    }

    #[test]
    fn one_that_takes_a_place_under_the_same_label_is_told_apart() {
        let mut leader = answer(0);
        leader.members.push(RaftMember { label: "n1".into(), ..member(5) });
        let survey = Survey::new(vec![leader], Vec::new());
        let error = survey.find("n1", None).unwrap_err().to_string();
        assert!(error.contains("is not one member but 2"), "{error}");
        let found = survey.find("n1", Some(&store(5))).expect("one is not meant");
        assert_eq!(found.map(|row| row.member.store.clone()), Some(store(1)));
    }

    #[test]
    fn bytes_behind_are_known_when_both_have_answered() {
        let mut late = answer(1);
        late.log_end = 3000;
        let survey = Survey::new(vec![answer(0), late], Vec::new());
        let behind: Vec<Option<i64>> = survey.rows().iter().map(|row| row.behind_bytes).collect();
        assert_eq!(behind, [Some(0), Some(2000), None]);
    }
}
