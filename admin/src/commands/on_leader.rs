//! Having the leader do something, whoever that comes to be.

use std::time::Duration;

use remoting::RequestCode;
use remoting::command::EncodeExt;
use runtime::{now, sleep};

use crate::error::{AdminError, passes};
use crate::group::{Finder, Survey, Target};

/// So long a leader is looked for that does it.
const PATIENCE: Duration = Duration::from_secs(30);
/// Time between two attempts.
const AGAIN: Duration = Duration::from_millis(500);

/// Asks the leader; whether anything was to do. A leader that makes place meanwhile, or is busy with another change, is
/// waited for: nothing is done twice.
pub(super) async fn on_leader(
    finder: &Finder,
    target: &Target,
    code: RequestCode,
    header: &dyn EncodeExt,
) -> Result<bool, AdminError> {
    let end = now() + PATIENCE;
    loop {
        let error = match look(finder, target).await {
            Err(error) => error,
            Ok(survey) => match survey.leader() {
                None => no_leader(&survey),
                Some(leader) => match finder.change(&leader.broker_addr, code, header).await {
                    Ok(changed) => return Ok(changed),
                    Err(source) => {
                        let (passes, group) = (passes(&source), leader.group.clone());
                        let refused = AdminError::Refused { group, source };
                        if !passes {
                            return Err(refused);
                        }
                        refused
                    }
                },
            },
        };
        if now() >= end {
            return Err(error);
        }
        sleep(AGAIN).await;
    }
}

/// Asks the members of a group that was found before.
pub(super) async fn look(finder: &Finder, target: &Target) -> Result<Survey, AdminError> {
    finder.survey(target).await?.ok_or_else(|| {
        AdminError::NoGroup(format!(
            "broker {} belongs to another group by now",
            target.broker_name
        ))
    })
}

/// Nobody leads who could be asked.
pub(super) fn no_leader(survey: &Survey) -> AdminError {
    let (best, group) = (survey.best(), survey.group());
    let silent: Vec<String> =
        survey.silent.iter().map(|one| format!("\n  {}: {}", one.addr, one.why)).collect();
    let silent = silent.concat();
    let leader = best.leader.as_ref().and_then(|leader| survey.member(leader));
    AdminError::NoLeader(match leader {
        Some(row) => format!(
            "group {group}: {} ({}) leads, and its broker's address is not known, or it does not answer: name it with -b, or a \
             NameServer with -n{silent}",
            row.member.label, row.member.addr
        ),
        None => format!(
            "group {group}: nobody that answers leads it, or knows who does. A majority of its members has to run: {}{silent}",
            survey.names()
        ),
    })
}
