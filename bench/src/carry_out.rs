//! From a command to its result.

use serde_json::Value;

use crate::answer::{Answered, answer};
use crate::args::{Command, Mode};
use crate::error::BenchError;
use crate::failover::{Outages, failover};
use crate::report::Summary;
use crate::study::{Session, Study, compare, feed, floor, limit, mixed, topics};

/// What a command has come to.
pub enum Findings {
    /// One run.
    Run(Box<Summary>),
    /// Several.
    Study(Box<Study>),
    /// The first answer of a broker.
    Answer(Answered),
    /// Faults and their windows.
    Outages(Box<Outages>),
}

impl Findings {
    /// One line of JSON.
    #[must_use]
    pub fn json(&self) -> String {
        match self {
            Findings::Run(run) => run.json(),
            Findings::Study(study) => study.json(),
            Findings::Answer(answered) => answered.json(),
            Findings::Outages(outages) => outages.json(),
        }
    }

    /// Text for people.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Findings::Run(run) => run.to_string(),
            Findings::Study(study) => study.to_string(),
            Findings::Answer(answered) => answered.to_string(),
            Findings::Outages(outages) => outages.to_string(),
        }
    }

    /// The same as JSON, for the page.
    ///
    /// # Panics
    /// Never: its parts are plain values.
    #[must_use]
    pub fn value(&self) -> Value {
        let value = match self {
            Findings::Run(run) => serde_json::to_value(run),
            Findings::Study(study) => serde_json::to_value(study),
            Findings::Answer(answered) => serde_json::to_value(answered),
            Findings::Outages(outages) => serde_json::to_value(outages),
        };
        value.expect("plain values")
    }

    /// Why it counts as failed, if it does.
    #[must_use]
    pub fn verdict(&self) -> Option<String> {
        match self {
            Findings::Run(run) => run.verdict(),
            Findings::Study(study) => study.verdict(),
            Findings::Answer(_) => None,
            Findings::Outages(outages) => outages.verdict(),
        }
    }
}

/// Does what a command says, from within an executor.
///
/// # Errors
/// [`BenchError`].
///
/// # Panics
/// With [`Command::Report`], which needs no executor.
pub async fn carry_out(session: &Session, command: &Command) -> Result<Findings, BenchError> {
    let run = async |mode| session.load("", &mode).await.map(|run| Findings::Run(Box::new(run)));
    let study = match command {
        Command::Produce(args) => return run(Mode::Produce(args.clone())).await,
        Command::Consume(args) => return run(Mode::Consume(args.clone())).await,
        Command::Answer(args) => return answer(session, args).await.map(Findings::Answer),
        Command::Failover(args) => {
            let outages = failover(session, args).await?;
            return Ok(Findings::Outages(Box::new(outages)));
        }
        Command::Mixed(args) => mixed(session, args).await?,
        Command::Topics(args) => topics(session, args).await?,
        Command::Limit(args) => limit(session, args).await?,
        Command::Feed(args) => feed(session, args).await?,
        Command::Floor(args) => floor(session, args).await?,
        Command::Compare(args) => compare(session, args).await?,
        Command::Report(_) => unreachable!("a page of results is made without an executor"),
    };
    Ok(Findings::Study(Box::new(study)))
}
