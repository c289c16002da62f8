//! Which groups a command means. Members of different brokers may have the same label, and no group knows whose node an operator
//! has in mind: so a command that changes something acts on the groups of the shards of one broker.

use std::collections::BTreeSet;

use super::join::not_running;
use crate::args::Where;
use crate::error::AdminError;
use crate::group::{Finder, Survey, Target, first_name};

/// A group, and where its members may be found.
pub(super) type Found = (Target, Survey);

/// The groups of a command that names members: all that are found, which have to be those of one broker.
pub(super) async fn groups(at: &Where) -> Result<(Finder, Vec<Found>), AdminError> {
    let (finder, groups) = found(at).await?;
    let names = brokers(&groups);
    match names.len() {
        1 => Ok((finder, groups)),
        _ => Err(AdminError::NoGroup(format!(
            "several brokers are found there ({}), and members of each may be called the same: name one of the addresses of the one that \
             is meant with -b, or one group with -g. Nothing was changed",
            listed(names)
        ))),
    }
}

/// The groups of a command about this node, which says itself of which broker it is.
pub(super) async fn groups_of(at: &Where, node: &str) -> Result<(Finder, Vec<Found>), AdminError> {
    let (finder, mut groups) = found(at).await?;
    let names = brokers(&groups);
    if names.len() == 1 {
        return Ok((finder, groups));
    }
    let said = finder.state_of(node).await;
    let own = first_name(&said.map_err(|error| AdminError::Newcomer(not_running(&error)))?);
    groups.retain(|(_, survey)| first_name(survey.best()) == own);
    if groups.is_empty() {
        return Err(AdminError::Newcomer(format!(
            "{node} is called {own}, and the brokers that are found are {}: correct --new, or its brokerName",
            listed(names)
        )));
    }
    Ok((finder, groups))
}

/// All that are found, of which there is one at least.
async fn found(at: &Where) -> Result<(Finder, Vec<Found>), AdminError> {
    let finder = Finder::new(at)?;
    let (mut groups, mut failed) = (Vec::new(), Vec::new());
    for target in finder.targets().await? {
        match finder.survey(&target).await {
            Ok(survey) => groups.extend(survey.map(|survey| (target, survey))),
            Err(error) => failed.push(error),
        }
    }
    unanswered(at, failed, groups.is_empty())?;
    assert!(!groups.is_empty(), "somebody has answered for one that is meant");
    Ok((finder, groups))
}

/// The brokers whose shards have these groups, each by the name of its first shard.
fn brokers(groups: &[Found]) -> BTreeSet<String> {
    groups.iter().map(|(_, survey)| first_name(survey.best())).collect()
}

fn listed(names: BTreeSet<String>) -> String {
    names.into_iter().collect::<Vec<_>>().join(", ")
}

/// What is wrong if nobody of some groups has answered, or none is left that is meant. Where one is named, and was found, the others are
/// nobody's business.
pub(super) fn unanswered(
    at: &Where,
    failed: Vec<AdminError>,
    is_none: bool,
) -> Result<(), AdminError> {
    let failed: Vec<String> = failed.iter().map(ToString::to_string).collect();
    match (failed.is_empty(), is_none) {
        (true, false) => Ok(()),
        (false, false) if at.group.is_some() => Ok(()),
        (true, true) => Err(AdminError::NoGroup(
            "no Raft group of these is the one that is meant: look at -g and -c".to_owned(),
        )),
        (false, _) => Err(AdminError::NoGroup(failed.join("\n"))),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::group::fixtures::answer;
    use super::*;

    fn group(broker_name: &str, shard: i32) -> Found {
        let mut leader = answer(0);
        (leader.broker_name, leader.shard) = (broker_name.to_owned(), shard);
        let (broker_name, addrs) = (broker_name.to_owned(), BTreeSet::new());
        let target = Target { broker_name, shard: u32::try_from(shard).ok(), addrs };
        (target, Survey::new(vec![leader], Vec::new()))
    }

    #[test]
    fn the_shards_of_one_broker_are_told_from_those_of_two() {
        let names = |groups: &[Found]| listed(brokers(groups));
        assert_eq!(names(&[group("a", 0), group("a-1", 1), group("a-2", 2)]), "a");
        assert_eq!(names(&[group("a-1", 1)]), "a", "only that shard is meant");
        assert_eq!(names(&[group("b", 0), group("a", 0), group("a-1", 1)]), "a, b");
        // The name of a first shard may end in a number, too.
        assert_eq!(names(&[group("a", 0), group("a-1", 0)]), "a, a-1");
    }
}
