//! `mqstore check`.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};
use storage::inspect::{Checked, Finding, MOST_STORES, Severity, Start, Tally, View};

use crate::output::{Closed, Gauge, Lines};
use crate::time::Utc;
use crate::{Failure, Outcome, compare, places};

#[derive(Args)]
pub struct CheckArgs {
    /// Directory of the store, as storePathRootDir says
    #[arg(required_unless_present = "compare", conflicts_with = "compare")]
    dir: Option<PathBuf>,

    /// Compares the stores of replicas of one group, each stopped: is what was committed the same, byte for byte
    #[arg(long, value_name = "DIR", num_args = 2..=MOST_STORES)]
    compare: Vec<PathBuf>,

    /// Directory of the log, as storePathCommitLog says; without it `log` in the store's. With --compare once for each DIR
    #[arg(long, value_name = "DIR")]
    log_dir: Vec<PathBuf>,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub async fn run(args: &CheckArgs) -> Result<Outcome, Failure> {
    let Some(dir) = &args.dir else {
        return compare::run(&args.compare, &args.log_dir, args.json).await;
    };
    let log_dir = match &args.log_dir[..] {
        [] => None,
        [one] => Some(one.as_path()),
        more => return Err(Failure::LogDirs { given: more.len(), dirs: 1 }),
    };
    let (mut out, mut outcome) = (Lines::new(), Outcome::Intact);
    let mut stores = Vec::new();
    for place in places(dir, log_dir).await? {
        let view = View::open(&place).await?;
        let checked = look(&view).await?;
        if !checked.intact() {
            outcome = Outcome::Damaged;
        }
        match args.json {
            true => stores.push(json(&view, &checked)),
            false => text(&mut out, &view, &checked)?,
        }
    }
    if args.json {
        out.line(json!({ "stores": stores }))?;
    }
    out.flush()?;
    Ok(outcome)
}

/// Checks a store, and shows on a terminal how far it is.
pub async fn look(view: &View) -> Result<Checked, Failure> {
    let mut gauge = Gauge::new();
    let checked = view.check(&mut |progress| gauge.show(progress)).await;
    gauge.clear();
    Ok(checked?)
}

fn text(out: &mut Lines, view: &View, checked: &Checked) -> Result<(), Closed> {
    out.line(format_args!("store {}", view.dir().display()))?;
    for finding in &checked.findings {
        out.line(finding)?;
    }
    if checked.unlisted > 0 {
        out.line(format_args!("{} more findings", checked.unlisted))?;
    }
    out.line("")?;
    let stopped = if checked.clean { "stopped in order" } else { "not stopped in order" };
    out.line(format_args!(
        "log: {}, {} topics, {stopped}",
        describe(&checked.log),
        checked.topics
    ))?;
    if checked.damaged_at().is_some() {
        out.line(format_args!("behind the first damage: {}", describe(&checked.behind)))?;
    }
    let worst = checked.findings.iter().map(|finding| finding.severity).max();
    let verdict = match worst {
        _ if checked.intact() => "intact",
        Some(Severity::Error) => "damaged",
        _ => "not all is as it should be",
    };
    out.line(format_args!("{verdict}; {}", checked.start))
}

/// A stretch of the log in a few words.
pub fn describe(tally: &Tally) -> String {
    let mut text = format!(
        "{} entries with {} messages, {} bytes",
        tally.entries, tally.messages, tally.bytes
    );
    if let Some((first, end)) = tally.range {
        text += &format!(", offsets {first} to {end}");
    }
    if let Some((oldest, newest)) = tally.times {
        text += &format!(", {} to {}", Utc(oldest), Utc(newest));
    }
    text
}

fn json(view: &View, checked: &Checked) -> Value {
    let (starts, why) = match &checked.start {
        Start::From(offset) => (true, json!({ "from": offset.0 })),
        Start::Refused { why } => (false, json!({ "why": why })),
    };
    json!({
        "dir": view.dir().display().to_string(),
        "id": view.id().to_string(),
        "intact": checked.intact(),
        "starts": starts,
        "start": why,
        "clean": checked.clean,
        "torn": checked.torn,
        "end": checked.end.map(|end| end.0),
        "damagedAt": checked.damaged_at().map(|at| at.0),
        "ofGroup": checked.of_group,
        "topics": checked.topics,
        "log": tally(&checked.log),
        "behindDamage": tally(&checked.behind),
        "findings": checked.findings.iter().map(finding).collect::<Vec<_>>(),
        "unlisted": checked.unlisted,
    })
}

fn finding(finding: &Finding) -> Value {
    json!({
        "severity": finding.severity.to_string(),
        "file": finding.file.display().to_string(),
        "byte": finding.at,
        "offset": finding.offset.map(|offset| offset.0),
        "what": finding.what,
        "means": finding.means,
        "remedy": finding.remedy,
    })
}

fn tally(tally: &Tally) -> Value {
    json!({
        "entries": tally.entries,
        "messages": tally.messages,
        "bytes": tally.bytes,
        "first": tally.range.map(|(first, _)| first.0),
        "end": tally.range.map(|(_, end)| end.0),
        "oldest": tally.times.map(|(oldest, _)| oldest.0),
        "newest": tally.times.map(|(_, newest)| newest.0),
        "topics": tally.topics,
    })
}
