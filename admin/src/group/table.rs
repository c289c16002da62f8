//! A group as text for people and as JSON for programs.

use remoting::body::RaftGroupState;
use serde_json::{Value, json};

use super::survey::{Row, Survey, short};

const HEADS: [&str; 9] = [
    "#Label",
    "#Vote",
    "#Raft address",
    "#Broker address",
    "#Store",
    "#Durable",
    "#Lag",
    "#Heard",
    "#State",
];

/// The group and a line a member.
#[must_use]
pub fn text(survey: &Survey) -> String {
    let best = survey.best();
    let mut out = format!("{}\n", summary(survey));
    let mut lines = vec![HEADS.map(str::to_owned)];
    lines.extend(survey.rows().iter().map(|row| cells(row, best)));
    let widths: Vec<usize> = (0..HEADS.len())
        .map(|column| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0))
        .collect();
    for line in lines {
        let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        let text = cells.collect::<Vec<_>>().join("  ");
        out.push_str(text.trim_end());
        out.push('\n');
    }
    for stranger in survey.strangers() {
        let RaftGroupState { label, broker_addr, store, standing, .. } = stranger;
        out.push_str(&format!(
            "{label} at {broker_addr} (store {}, {}) is no member of the group\n",
            short(store),
            standing.to_lowercase()
        ));
    }
    out.extend(other_times(survey));
    for silent in &survey.silent {
        out.push_str(&format!("{} does not answer: {}\n", silent.addr, silent.why));
    }
    out
}

/// A line about members that wait for different times before they stand for election.
fn other_times(survey: &Survey) -> Option<String> {
    let members = || survey.answers.iter().filter(|answer| answer.election_max_millis > 0);
    let times = |answer: &RaftGroupState| (answer.election_min_millis, answer.election_max_millis);
    let first = times(members().next()?);
    if members().all(|answer| times(answer) == first) {
        return None;
    }
    let each = members().map(|answer| {
        let (min, max) = times(answer);
        format!("{} {min} to {max} ms", answer.label)
    });
    Some(format!(
        "the members' election times differ: {}. One that waits longer keeps its office, and its clients, longer than the others wait \
         for it: give all the same raftElectionMinMillis and raftElectionMaxMillis\n",
        each.collect::<Vec<_>>().join(", ")
    ))
}

/// A line about the group.
fn summary(survey: &Survey) -> String {
    let best = survey.best();
    let RaftGroupState { group, cluster, broker_name, shard, term, committed_index, .. } = best;
    let leader = match survey.leader() {
        Some(leader) if leader.cut_off => {
            format!("{}, of which a majority does not hear", leader.label)
        }
        Some(leader) => leader.label.clone(),
        None => leader_of(survey).unwrap_or_else(|| "nobody that is known".to_owned()),
    };
    let mut line = format!(
        "group {group}  cluster {cluster}  broker {broker_name}  shard {shard}  term {term}  leader {leader}  committed \
         {committed_index}  {}",
        can_lose(best.spare)
    );
    match best.recoveries {
        0 => {}
        1 => line.push_str("  it was recovered by force once"),
        times => {
            line.push_str("  it was recovered by force ");
            line.push_str(&times.to_string());
            line.push_str(" times");
        }
    }
    if let Some(millis) = best.held_millis {
        line.push_str("  leadership is held for ");
        line.push_str(&time(millis));
    }
    if best.changing {
        line.push_str("  a change of the members is under way");
    }
    line
}

/// The leader that did not say so itself.
fn leader_of(survey: &Survey) -> Option<String> {
    let leader = survey.best().leader.as_ref()?;
    let Row { member, own, .. } = survey.member(leader)?;
    let why = match own {
        Some(_) => "which has been elected, and takes office in a moment",
        None => "which was not asked or does not answer",
    };
    Some(format!("{} ({}), {why}", member.label, member.addr))
}

/// What the loss of a node would mean.
#[must_use]
pub fn can_lose(spare: Option<i64>) -> String {
    match spare {
        None => "whether it can lose a node only its leader knows".to_owned(),
        Some(spare) if spare < 0 => "it has no majority".to_owned(),
        Some(0) => "it cannot lose a node now".to_owned(),
        Some(1) => "it can lose 1 node".to_owned(),
        Some(spare) => format!("it can lose {spare} nodes"),
    }
}

fn cells(row: &Row<'_>, best: &RaftGroupState) -> [String; HEADS.len()] {
    let none = || "-".to_owned();
    let member = row.member;
    let is_leader = best.leader.as_ref() == Some(&member.store);
    [
        member.label.clone(),
        member.vote.to_lowercase(),
        member.addr.clone(),
        row.own.map_or_else(none, |own| own.broker_addr.clone()),
        short(&member.store).to_owned(),
        member
            .durable_index
            .filter(|index| *index >= 0)
            .map_or_else(none, |index| index.to_string()),
        lag(row),
        match member.heard_millis_ago {
            Some(_) if is_leader => none(),
            Some(millis) => time(millis),
            None => none(),
        },
        match row.own.and_then(|own| own.disk.as_ref()) {
            Some(disk) => format!("{}; {disk}", state(row, is_leader)),
            None => state(row, is_leader),
        },
    ]
}

/// Entries and bytes that a member lacks.
pub fn lag(row: &Row<'_>) -> String {
    let entries = row.member.behind.map(|behind| match behind {
        1 => "1 entry".to_owned(),
        more => format!("{more} entries"),
    });
    match (entries, row.behind_bytes) {
        (Some(entries), Some(behind)) => format!("{entries}, {}", bytes(behind)),
        (Some(entries), None) => entries,
        (None, Some(behind)) => bytes(behind),
        (None, None) => "-".to_owned(),
    }
}

fn state(row: &Row<'_>, is_leader: bool) -> String {
    match (row.own, &row.member.trouble) {
        (Some(_), _) if is_leader => "leads".to_owned(),
        (Some(_), None) if row.member.vote == "LEARNER" => "learns".to_owned(),
        (Some(_), None) => "follows".to_owned(),
        (Some(_), Some(trouble)) => trouble.clone(),
        (None, Some(trouble)) => format!("does not answer: {trouble}"),
        (None, None) => {
            "was not asked: its broker address is not known, or it does not answer there".to_owned()
        }
    }
}

/// A time in milliseconds, for people: `14 min`.
#[must_use]
pub fn time(millis: i64) -> String {
    match millis {
        0..1000 => format!("{millis} ms"),
        1000..120_000 => format!("{}.{} s", millis / 1000, millis % 1000 / 100),
        _ => format!("{} min", millis / 60_000),
    }
}

/// Bytes for people: `252.0 GiB`.
#[must_use]
pub fn bytes(bytes: i64) -> String {
    #[allow(clippy::cast_precision_loss, reason = "a size for people to look at")]
    let mut size = bytes as f64;
    let mut unit = "B";
    for larger in ["KiB", "MiB", "GiB", "TiB"] {
        if size < 1024.0 {
            break;
        }
        (size, unit) = (size / 1024.0, larger);
    }
    if unit == "B" { format!("{bytes} B") } else { format!("{size:.1} {unit}") }
}

/// The group for programs.
#[must_use]
pub fn json(survey: &Survey) -> Value {
    let best = survey.best();
    let members: Vec<Value> = survey.rows().iter().map(member_json).collect();
    let strangers: Vec<Value> = survey
        .strangers()
        .map(|one| {
            json!({ "label": one.label, "brokerAddr": one.broker_addr, "store": one.store, "standing": one.standing })
        })
        .collect();
    let silent: Vec<Value> = survey
        .silent
        .iter()
        .map(|one| json!({ "brokerAddr": one.addr, "error": one.why }))
        .collect();
    json!({
        "group": best.group,
        "cluster": best.cluster,
        "brokerName": best.broker_name,
        "shard": best.shard,
        "term": best.term,
        "leader": best.leader,
        "leaderCutOff": survey.leader().map(|leader| leader.cut_off),
        "committedIndex": best.committed_index,
        "changing": best.changing,
        "canLose": best.spare,
        "heldMillis": best.held_millis,
        "recoveries": best.recoveries,
        "members": members,
        "strangers": strangers,
        "silent": silent,
    })
}

fn member_json(row: &Row<'_>) -> Value {
    let member = row.member;
    json!({
        "label": member.label,
        "vote": member.vote,
        "store": member.store,
        "raftAddr": member.addr,
        "brokerAddr": row.own.map(|own| &own.broker_addr),
        "answers": row.own.is_some(),
        "role": row.own.map(|own| &own.role),
        "lastIndex": row.own.map(|own| own.last_index),
        "durableIndex": member.durable_index,
        "committedIndex": row.own.map(|own| own.committed_index),
        "behindEntries": member.behind,
        "behindBytes": row.behind_bytes,
        "heardMillisAgo": member.heard_millis_ago,
        "connected": member.connected,
        "trouble": member.trouble,
        "disk": row.own.map(|own| &own.disk),
        "heldMillis": row.own.map(|own| own.held_millis),
        "electionMinMillis": row.own.map(|own| own.election_min_millis),
        "electionMaxMillis": row.own.map(|own| own.election_max_millis),
    })
}

#[cfg(test)]
mod tests {
    use super::super::survey::Silent;
    use super::super::survey::tests::{answer, member};
    use super::*;

    /// n0 leads, n1 lags and answers, n2 is lost.
    fn lost() -> Survey {
        let (mut leader, mut late) = (answer(0), answer(1));
        leader.spare = Some(0);
        leader.members[1].behind = Some(1);
        late.log_end = 3000;
        let gone = &mut leader.members[2];
        (gone.behind, gone.heard_millis_ago) = (Some(40), Some(35_210));
        gone.trouble = Some("refused".to_owned());
        let silent = Silent { addr: "10.0.0.2:10911".into(), why: "no connection".into() };
        Survey::new(vec![leader, late], vec![silent])
    }

    #[test]
    fn a_group_is_a_line_and_a_table() {
        assert_eq!(
            text(&lost()),
            "\
group g  cluster C  broker broker-a  shard 0  term 7  leader n0  committed 99  it cannot lose a node now
#Label  #Vote  #Raft address   #Broker address  #Store    #Durable  #Lag              #Heard  #State
n0      voter  10.0.0.0:40911  10.0.0.0:10911   01000000  99        0 entries, 0 B    -       leads
n1      voter  10.0.0.1:40911  10.0.0.1:10911   02000000  99        1 entry, 2.0 KiB  12 ms   follows
n2      voter  10.0.0.2:40911  -                03000000  99        40 entries        35.2 s  does not answer: refused
10.0.0.2:10911 does not answer: no connection
"
        );
    }

    #[test]
    fn a_member_whose_disk_is_full_is_named() {
        let mut full = answer(1);
        full.disk = Some("the disk has no room for the log's next segment".to_owned());
        let survey = Survey::new(vec![answer(0), full], Vec::new());
        let told = text(&survey);
        let line = told.lines().find(|line| line.starts_with("n1 ")).expect("it has a line");
        assert!(
            line.ends_with("follows; the disk has no room for the log's next segment"),
            "{line}"
        );
        assert!(json(&survey)["members"][1]["disk"].is_string());
    }

    #[test]
    fn election_times_that_differ_are_told() {
        let of = |number: usize, max: i64| {
            let times = (100, max);
            let mut one = answer(number);
            (one.election_min_millis, one.election_max_millis) = times;
            one
        };
        // A member of an older release does not say its times.
        let same = Survey::new(vec![of(0, 180), of(1, 180), answer(2)], Vec::new());
        assert!(!text(&same).contains("election times"), "{}", text(&same));
        let other = Survey::new(vec![of(0, 180), of(1, 360)], Vec::new());
        let told = text(&other);
        assert!(told.contains("differ: n0 100 to 180 ms, n1 100 to 360 ms. One that"), "{told}");
        assert_eq!(json(&other)["members"][1]["electionMaxMillis"], 360);
    }

    #[test]
    fn a_hold_is_shown_with_the_time_that_is_left_of_it() {
        let mut leader = answer(0);
        leader.held_millis = Some(840_000);
        let survey = Survey::new(vec![leader, answer(1)], Vec::new());
        assert!(summary(&survey).ends_with("1 node  leadership is held for 14 min"), "{survey:?}");
        let value = json(&survey);
        assert_eq!(
            (&value["heldMillis"], &value["members"][0]["heldMillis"]),
            (&json!(840_000), &json!(840_000))
        );
        assert_eq!(value["members"][1]["heldMillis"], Value::Null);
    }

    #[test]
    fn without_a_leader_that_is_said() {
        let mut one = answer(1);
        one.leader = None;
        one.members = vec![member(0), member(1)];
        let line = summary(&Survey::new(vec![one.clone()], Vec::new()));
        assert!(
            line.contains("leader nobody that is known") && line.contains("only its leader knows"),
            "{line}"
        );
        one.leader = answer(0).leader;
        let line = summary(&Survey::new(vec![one], Vec::new()));
        assert!(line.contains("leader n0 (10.0.0.0:40911), which was not asked"), "{line}");
    }

    #[test]
    fn a_leader_that_has_yet_to_take_office_is_told_as_such_and_nothing_known_as_nothing() {
        let mut elected = answer(0);
        elected.role = "FOLLOWER".to_owned();
        elected.members[1].durable_index = Some(-1);
        let survey = Survey::new(vec![elected, answer(1)], Vec::new());
        let line = summary(&survey);
        assert!(line.contains("which has been elected, and takes office in a moment"), "{line}");
        let told = text(&survey);
        let line = told.lines().find(|line| line.starts_with("n1 ")).expect("it has a line");
        assert!(!line.contains("-1"), "{line}");
    }

    #[test]
    fn programs_get_what_is_known_and_null() {
        let value = json(&lost());
        assert_eq!(value["canLose"], 0);
        assert_eq!(value["recoveries"], 0);
        let mut recovered = answer(0);
        recovered.recoveries = 2;
        let recovered = Survey::new(vec![recovered], Vec::new());
        assert_eq!(json(&recovered)["recoveries"], 2);
        assert_eq!(value["members"][1]["behindBytes"], 2000);
        assert_eq!(value["members"][2]["behindBytes"], Value::Null);
        assert_eq!(value["members"][2]["answers"], false);
        assert_eq!(value["silent"][0]["brokerAddr"], "10.0.0.2:10911");
    }

    #[test]
    fn sizes_and_times_are_for_people() {
        assert_eq!([0, 1023, 1536, 3 << 30].map(bytes), ["0 B", "1023 B", "1.5 KiB", "3.0 GiB"]);
        assert_eq!([5, 1_250, 125_000].map(time), ["5 ms", "1.2 s", "2 min"]);
    }
}
