//! Watching a learner catch up.

use std::time::Duration;

use runtime::{Instant, now, sleep};

use super::join::Joining;
use super::on_leader::look;
use crate::error::AdminError;
use crate::group::{Finder, Row, Survey, Target, bytes, lag};
use crate::screen::Screen;

/// Time between two looks.
const LOOK: Duration = Duration::from_secs(1);
/// One that lacks no more entries than this, and no more bytes than these, has caught up: the rest is what is on its way.
const CAUGHT_UP: i64 = 100;
const CAUGHT_UP_BYTES: i64 = 4 * 1024 * 1024;
/// And it has answered the leader within this time, milliseconds.
const HEARD_MILLIS: i64 = 10_000;
/// One that gets nothing for so long is given up, and stays a learner.
const STUCK: Duration = Duration::from_secs(120);

/// How far it was at a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    at: Instant,
    /// Bytes of its log, if its broker has said so.
    end: Option<i64>,
    /// Entries of its log that the leader knows of.
    durable: Option<i64>,
}

/// Waits until the learner has caught up.
pub(super) async fn watch(
    finder: &Finder,
    target: &Target,
    joining: &Joining,
    screen: &dyn Screen,
) -> Result<(), AdminError> {
    let (began, mut last, mut moved) = (now(), None, now());
    loop {
        let said = look(finder, target).await;
        let mark = said.as_ref().ok().map(|survey| mark(survey, joining));
        if let (Ok(survey), Some(mark)) = (&said, mark) {
            let row = survey.member(&joining.store);
            if row.is_some_and(|row| row.member.vote == "VOTER") {
                return Ok(());
            }
            if let Some(row) = row.filter(|_| survey.leader().is_some()) {
                if has_caught_up(&row) {
                    screen.line(&caught_up(survey, &row, began.elapsed()));
                    return Ok(());
                }
                screen.progress(&progress(survey, &row, rate(last, mark)));
            }
            if last.is_none_or(|last: Mark| (last.end, last.durable) != (mark.end, mark.durable)) {
                moved = now();
            }
            last = Some(mark);
        }
        if moved.elapsed() > STUCK {
            return Err(stuck(&said, joining));
        }
        sleep(LOOK).await;
    }
}

/// Whether it has the log, but for what is on its way. One that the leader has not heard of yet has nothing, however short the
/// log is.
fn has_caught_up(row: &Row<'_>) -> bool {
    let at_most = |value: Option<i64>, most| value.is_some_and(|value| value <= most);
    at_most(row.member.behind, CAUGHT_UP)
        && at_most(row.behind_bytes, CAUGHT_UP_BYTES)
        && at_most(row.member.heard_millis_ago, HEARD_MILLIS)
}

fn mark(survey: &Survey, joining: &Joining) -> Mark {
    let end = survey.answer_of(&joining.store).map(|own| own.log_end);
    let durable = survey.member(&joining.store).and_then(|row| row.member.durable_index);
    Mark { at: now(), end, durable }
}

/// Bytes a second between two looks.
fn rate(last: Option<Mark>, mark: Mark) -> Option<i64> {
    let last = last?;
    let millis = i64::try_from(mark.at.saturating_since(last.at).as_millis()).ok()?;
    let bytes = mark.end? - last.end?;
    (millis > 0 && bytes >= 0).then(|| bytes.saturating_mul(1000) / millis)
}

fn progress(survey: &Survey, row: &Row<'_>, rate: Option<i64>) -> String {
    let mut line = format!("group {}: {} lacks {}", survey.group(), row.member.label, lag(row));
    if let Some(rate) = rate {
        line.push_str(&format!(", gets {} a second", bytes(rate)));
        if let Some(behind) = row.behind_bytes.filter(|behind| rate > 0 && *behind > rate) {
            line.push_str(&format!(", {} to go", time(behind / rate)));
        }
    }
    line
}

/// Seconds for people.
fn time(seconds: i64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        _ => format!("{} h", seconds / 3600),
    }
}

fn caught_up(survey: &Survey, row: &Row<'_>, took: Duration) -> String {
    let (group, label, took) = (survey.group(), &row.member.label, took.as_secs_f64());
    format!("group {group}: {label} has caught up in {took:.1} s, and lacks {}", lag(row))
}

fn stuck(said: &Result<Survey, AdminError>, joining: &Joining) -> AdminError {
    let Joining { label, addr, broker, .. } = joining;
    let why = match said {
        Err(error) => error.to_string(),
        Ok(survey) if survey.leader().is_none() => "nobody that answers leads the group".to_owned(),
        Ok(survey) => {
            let row = survey.member(&joining.store);
            let trouble = row.and_then(|row| row.member.trouble.clone());
            trouble
                .unwrap_or_else(|| "the leader has no trouble with it that it knows of".to_owned())
        }
    };
    AdminError::Stuck(format!(
        "{label} ({addr}, broker {broker}) has got nothing for {STUCK:?}: {why}. It stays a learner: mend that and call again, \
         or remove it"
    ))
}

#[cfg(test)]
mod tests {
    use remoting::body::RaftGroupState;

    use super::super::super::group::fixtures::{answer, store};
    use super::*;

    #[test]
    fn one_that_lacks_little_but_was_not_heard_of_has_not_caught_up() {
        let judged = |change: fn(&mut RaftGroupState, &mut RaftGroupState)| {
            let (mut leader, mut learner) = (answer(0), answer(1));
            change(&mut leader, &mut learner);
            let survey = Survey::new(vec![leader, learner], Vec::new());
            has_caught_up(&survey.member(&store(1)).expect("a member"))
        };
        assert!(judged(|_, _| ()));
        assert!(judged(|leader, _| leader.members[1].behind = Some(CAUGHT_UP)));
        assert!(!judged(|leader, _| leader.members[1].behind = Some(CAUGHT_UP + 1)));
        assert!(!judged(|leader, _| leader.members[1].heard_millis_ago = None));
        // A few entries, and large ones.
        assert!(!judged(|leader, _| leader.log_end += CAUGHT_UP_BYTES + 1));
    }

    #[test]
    fn the_progress_has_lag_rate_and_the_time_to_go() {
        let (mut leader, mut late) = (answer(0), answer(1));
        leader.log_end = 500 << 20;
        leader.members[1].behind = Some(700);
        late.log_end = 100 << 20;
        let survey = Survey::new(vec![leader, late], Vec::new());
        let row = survey.member(&store(1)).expect("a member");
        assert_eq!(
            progress(&survey, &row, Some(64 << 20)),
            "group g: n1 lacks 700 entries, 400.0 MiB, gets 64.0 MiB a second, 6 s to go"
        );
        assert_eq!(progress(&survey, &row, None), "group g: n1 lacks 700 entries, 400.0 MiB");
        assert_eq!([90, 600, 9000].map(time), ["90 s", "10 min", "2 h"]);
    }
}
