//! `groupState`.

use serde_json::Value;

use super::unanswered;
use crate::args::GroupState;
use crate::error::AdminError;
use crate::group::{Finder, json, text};
use crate::screen::Screen;

/// Shows the groups. One of which nobody answers is an error, when the others are shown.
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
    unanswered(&command.at, failed, found.is_empty())
}
