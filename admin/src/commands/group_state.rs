//! `groupState`.

use serde_json::Value;

use super::meant::unanswered;
use crate::args::GroupState;
use crate::error::AdminError;
use crate::group::{Finder, Halt, Survey, json, text};
use crate::screen::Screen;

/// Shows the groups. One of which nobody answers, or that takes no messages, is an error, when all are shown: whoever watches a group
/// looks at the exit code.
pub(super) async fn run(command: &GroupState, screen: &dyn Screen) -> Result<(), AdminError> {
    let finder = Finder::new(&command.at)?;
    let (mut found, mut failed) = (Vec::new(), Vec::new());
    for target in finder.targets().await? {
        match finder.survey(&target).await {
            Ok(survey) => found.extend(survey),
            Err(error) => failed.push(error),
        }
    }
    if command.json {
        let all = Value::Array(found.iter().map(json).collect());
        screen.line(&all.to_string());
    } else {
        let texts: Vec<String> = found.iter().map(text).collect();
        screen.line(texts.join("\n").trim_end());
    }
    unanswered(&command.at, failed, found.is_empty())?;
    let halted = found.iter().filter_map(|survey| Some(line(survey, &Halt::of(survey)?)));
    let lines: Vec<String> = halted.collect();
    if lines.is_empty() { Ok(()) } else { Err(AdminError::Halted(lines.join("\n"))) }
}

fn line(survey: &Survey, halt: &Halt) -> String {
    let (group, shard, chapter) = (survey.group(), survey.best().shard, halt.chapter());
    format!("group {group} of shard {shard} {halt}; see \"{chapter}\" in docs/runbook-groups.md")
}
