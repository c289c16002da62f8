//! How long a broker takes until it answers: after a start, the time in which nobody is served.

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use client::{Client, ClientError, Options};
use remoting::RequestCode;
use remoting::body::{Body, KvTable};
use serde::Serialize;

use crate::args::Answer;
use crate::error::BenchError;
use crate::limits::ASK_AGAIN;
use crate::study::Session;

/// Where its log begins and ends, as a broker tells tools (code 28). Apache's broker has the same names.
const LOG_BEGIN: &str = "commitLogMinOffset";
const LOG_END: &str = "commitLogMaxOffset";

/// The first answer of a broker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Answered {
    /// `answer`: what this is, among other results.
    pub mode: &'static str,
    /// Milliseconds until the answer was there, from `--since`, else from the first question.
    pub after_ms: u64,
    /// Where the queue ends.
    pub queue_end: i64,
    /// Offset of the first byte of the log that is still there; `None` if the broker does not tell.
    pub log_begin: Option<u64>,
    /// Offset behind the last byte.
    pub log_end: Option<u64>,
}

impl Answered {
    /// One line of JSON.
    ///
    /// # Panics
    /// Never: its parts are plain values.
    #[must_use]
    pub fn json(&self) -> String {
        serde_json::to_string(self).expect("plain values")
    }
}

impl Display for Answered {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let offset =
            |offset: Option<u64>| offset.map_or("-".to_owned(), |offset| offset.to_string());
        let (begin, end) = (offset(self.log_begin), offset(self.log_end));
        writeln!(f, "answer after {} ms: the queue ends at {}", self.after_ms, self.queue_end)?;
        writeln!(f, "log from {begin} to {end}")
    }
}

/// Asks for the end of a queue again and again, whatever goes wrong, until the broker says it or `--wait` is over.
///
/// # Errors
/// [`BenchError::NoAnswer`] with what went wrong last, or [`BenchError::Interrupted`].
pub async fn answer(session: &Session, args: &Answer) -> Result<Answered, BenchError> {
    let client = Client::new(Options { timeout: args.wait, ..Options::new("") });
    let begin = runtime::now();
    let mut last = "it was not asked".to_owned();
    while !session.is_interrupted() {
        let Some(left) =
            args.wait.checked_sub(runtime::now() - begin).filter(|left| !left.is_zero())
        else {
            let (broker, wait) = (args.broker.clone(), args.wait);
            return Err(BenchError::NoAnswer { broker, wait, last });
        };
        let asked = runtime::timeout(left, client.max_offset(&args.broker, &args.topic, 0)).await;
        match asked {
            Ok(Ok(queue_end)) => {
                let after_ms = match args.since {
                    Some(since) => runtime::unix_millis().saturating_sub(since),
                    None => millis(runtime::now() - begin),
                };
                let (log_begin, log_end) = log(&client, &args.broker).await;
                return Ok(Answered { mode: "answer", after_ms, queue_end, log_begin, log_end });
            }
            Ok(Err(error)) => last = error.to_string(),
            Err(_) => "no answer in time".clone_into(&mut last),
        }
        runtime::sleep(ASK_AGAIN).await;
    }
    Err(BenchError::Interrupted)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Where the log begins and ends, if the broker tells.
async fn log(client: &Client, broker: &str) -> (Option<u64>, Option<u64>) {
    let table: Result<KvTable, ClientError> = async {
        let answer = client.ask(broker, RequestCode::GetBrokerRuntimeInfo, &(), &[]).await?;
        let addr = broker.to_owned();
        KvTable::decode(&answer.body).map_err(|error| ClientError::Body { addr, error })
    }
    .await;
    let table = table.map(|info| info.table).unwrap_or_default();
    let offset = |key: &str| table.get(key).and_then(|value| value.parse().ok());
    (offset(LOG_BEGIN), offset(LOG_END))
}
