//! Clients that send, pull, commit and lock queues whatever happens to their broker, and what they were answered: that stays true.
//!
//! On both backends: the same clients load a simulated broker and a process.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::future::{Either, select};
use remoting::header::DecodeExt;
use remoting::header::offset::{OffsetReply, QueryOffsetHeader, QueueHeader, UpdateOffsetHeader};
use remoting::{Command, RequestCode, ResponseCode};
use runtime::random_below;
use transport::{Connection, Limits, NoRequests, connect};

use super::turns::{Turns, turn};
use super::{create_header, pull_header, pulled, send_header, sent};

const QUEUES: i32 = 3;
const TOPICS: [&str; 2] = ["A", "B"];
/// Time for one answer; whoever waits longer connects anew.
const PATIENCE: Duration = Duration::from_secs(3);

pub type Queue = (&'static str, i32);

/// What the clients were answered, and what they have tried.
#[derive(Debug, Default)]
pub struct Answers {
    /// The queue of every message that was ever sent, by its number.
    tried: Vec<Queue>,
    /// By queue and offset: what was acknowledged there, or read from there.
    known: BTreeMap<(Queue, u64), u64>,
    /// Messages that were acknowledged.
    pub acknowledged: u64,
    topics: BTreeSet<&'static str>,
    /// By queue: the highest offset that a commit was tried with, and acknowledged or read.
    commits: BTreeMap<Queue, (i64, Option<i64>)>,
    /// Who has a queue to itself.
    pub turns: Turns,
    /// What has happened, for the one who reads of a failure.
    pub diary: Vec<String>,
}

pub type Shared = Arc<Mutex<Answers>>;

pub fn with<T>(shared: &Shared, change: impl FnOnce(&mut Answers) -> T) -> T {
    change(&mut shared.lock().expect("no test thread has panicked"))
}

impl Answers {
    /// Behind the last offset of a queue that is known to have a message.
    fn end(&self, queue: Queue) -> u64 {
        let mut known = self.known.range((queue, 0)..(queue, u64::MAX));
        known.next_back().map_or(0, |((_, offset), _)| offset + 1)
    }

    /// A message is at this place: the one that was always there, if there was one.
    fn learn(&mut self, queue: Queue, offset: u64, number: u64) {
        let before = *self.known.entry((queue, offset)).or_insert(number);
        assert_eq!(before, number, "offset {offset} of {queue:?} was given twice");
    }
}

fn body(number: u64) -> Vec<u8> {
    let mut body = number.to_be_bytes().to_vec();
    let len = if number % 50 == 7 { 300_000 } else { number * 37 % 3000 };
    body.resize(8 + usize::try_from(len).expect("small"), 0xAB);
    body
}

/// The number of the message with this body, which must be one that was sent to the queue.
fn number_of(shared: &Shared, queue: Queue, bytes: &[u8]) -> u64 {
    let number = bytes.first_chunk().map(|bytes| u64::from_be_bytes(*bytes));
    let number = number.expect("a message has at least its number");
    let tried = with(shared, |answers| answers.tried.get(usize::try_from(number).ok()?).copied());
    assert_eq!(tried, Some(queue), "message {number} is in {queue:?}");
    assert!(body(number) == bytes, "message {number} has another body");
    number
}

/// One client, which connects again whenever it has to. Of those of one broker each has a number of its own.
pub async fn client(shared: Shared, number: u64, broker: std::net::SocketAddr) {
    loop {
        let connected = connect(broker, Limits::default(), Rc::new(NoRequests)).await;
        if let Ok(connection) = connected {
            while one_call(&shared, number, &connection).await.is_some() {
                runtime::sleep(Duration::from_micros(random_below(3_000))).await;
            }
        }
        runtime::sleep(Duration::from_millis(20 + random_below(20))).await;
    }
}

pub async fn ask(connection: &Connection, command: Command) -> Option<Command> {
    connection.request(command, PATIENCE).await.ok()
}

fn is_success(answer: &Command) -> bool {
    answer.code == ResponseCode::Success.code()
}

/// Some call; `None` when there was no answer.
async fn one_call(shared: &Shared, client: u64, connection: &Connection) -> Option<()> {
    let topic = TOPICS[usize::try_from(random_below(2)).expect("small")];
    let queue = (topic, i32::try_from(random_below(3)).expect("small"));
    match random_below(20) {
        0 => create_topic(shared, connection, topic).await,
        1..4 => pull(shared, connection, queue).await,
        // The last commit counts, whatever it says: two clients must not commit for one queue.
        4..6 if queue.1.cast_unsigned() == u32::try_from(client).expect("few") => {
            commit(shared, connection, queue).await
        }
        6 => query_beside_others(shared, connection, queue).await,
        7 => turn(shared, client, connection, queue).await,
        _ => send(shared, connection, queue).await,
    }
}

async fn create_topic(shared: &Shared, connection: &Connection, topic: &'static str) -> Option<()> {
    let header = create_header(topic, QUEUES);
    let command = Command::request(RequestCode::UpdateAndCreateTopic).with_ext(&header);
    if is_success(&ask(connection, command).await?) {
        with(shared, |answers| answers.topics.insert(topic));
    }
    Some(())
}

async fn send(shared: &Shared, connection: &Connection, queue: Queue) -> Option<()> {
    let number = with(shared, |answers| {
        answers.tried.push(queue);
        answers.tried.len() as u64 - 1
    });
    let header = send_header(queue.0, queue.1);
    let command = Command::request(RequestCode::SendMessageV2).with_ext(&header);
    let answer = ask(connection, command.with_body(Bytes::from(body(number)))).await?;
    if let Ok(sent) = sent(&answer) {
        assert_eq!(sent.queue, queue.1);
        with(shared, |answers| {
            answers.learn(queue, sent.offset.cast_unsigned(), number);
            answers.acknowledged += 1;
            answers.topics.insert(queue.0);
        });
    }
    Some(())
}

async fn pull(shared: &Shared, connection: &Connection, queue: Queue) -> Option<()> {
    let known = with(shared, |answers| answers.known.range((queue, 0)..(queue, u64::MAX)).count());
    let from = random_below(known as u64 + 1);
    read(shared, connection, queue, from.cast_signed()).await.map(drop)
}

/// Pulls once from an offset; where the queue begins and ends, and where to go on, if there was something.
async fn read(
    shared: &Shared,
    connection: &Connection,
    queue: Queue,
    from: i64,
) -> Option<Option<(i64, i64)>> {
    let header = pull_header(queue.0, queue.1, from);
    let command = Command::request(RequestCode::PullMessage).with_ext(&header);
    let end = with(shared, |answers| answers.end(queue));
    let answer = ask(connection, command).await?;
    if !is_success(&answer) {
        check_where_to(&answer, from, end);
        return Some(None);
    }
    let pulled = pulled(&answer);
    let mut due = from.cast_unsigned();
    for (offset, bytes) in pulled.offsets.iter().zip(&pulled.bodies) {
        assert_eq!(*offset, due, "{queue:?} has a gap");
        let number = number_of(shared, queue, bytes);
        with(shared, |answers| answers.learn(queue, *offset, number));
        due += 1;
    }
    Some(Some((due.cast_signed(), pulled.max)))
}

/// A consumer goes where an answer without messages sends it, and commits that. It must not get again what was served before: `end`
/// is behind all that was known when it asked.
fn check_where_to(answer: &Command, from: i64, end: u64) {
    let code = ResponseCode::from_code(answer.code);
    let empty = [ResponseCode::PullNotFound, ResponseCode::PullRetryImmediately];
    if code == Some(ResponseCode::PullOffsetMoved) {
        let next = pulled(answer).next;
        assert!(next >= end.cast_signed(), "sent back from {from} to {next}, and {end} were known");
    } else if code.is_some_and(|code| empty.contains(&code)) {
        let next = pulled(answer).next;
        assert!(next >= from, "sent back from {from} to {next}");
    }
}

async fn commit(shared: &Shared, connection: &Connection, queue: Queue) -> Option<()> {
    let offset = with(shared, |answers| {
        let tried = &mut answers.commits.entry(queue).or_default().0;
        *tried += 1;
        *tried
    });
    let header = UpdateOffsetHeader {
        consumer_group: "G",
        topic: queue.0,
        queue_id: queue.1,
        commit_offset: offset,
    };
    let command = Command::request(RequestCode::UpdateConsumerOffset).with_ext(&header);
    if is_success(&ask(connection, command).await?) {
        with(shared, |answers| told(answers, queue, offset));
    }
    Some(())
}

fn told(answers: &mut Answers, queue: Queue, offset: i64) {
    let highest = &mut answers.commits.entry(queue).or_default().1;
    *highest = (*highest).max(Some(offset));
}

/// Asks for an offset, which may take long, and goes on meanwhile.
async fn query_beside_others(shared: &Shared, connection: &Connection, queue: Queue) -> Option<()> {
    let (asked, others) =
        (pin!(query(shared, connection, queue)), pin!(goes_on(shared, connection, queue)));
    let (Either::Left((done, _)) | Either::Right((done, _))) = select(asked, others).await;
    done
}

/// Sends and pulls until there is no answer.
async fn goes_on(shared: &Shared, connection: &Connection, queue: Queue) -> Option<()> {
    loop {
        match random_below(2) {
            0 => pull(shared, connection, queue).await?,
            _ => send(shared, connection, queue).await?,
        }
        runtime::sleep(Duration::from_micros(random_below(3_000))).await;
    }
}

async fn query(shared: &Shared, connection: &Connection, queue: Queue) -> Option<()> {
    let header = QueryOffsetHeader {
        consumer_group: "G",
        topic: queue.0,
        queue_id: queue.1,
        set_zero_if_not_found: Some(false),
    };
    let before = with(shared, |answers| answers.commits.get(&queue).and_then(|tried| tried.1));
    let command = Command::request(RequestCode::QueryConsumerOffset).with_ext(&header);
    let answer = ask(connection, command).await?;
    if !is_success(&answer) {
        // A consumer of 4.9.8 takes any refusal for "no offset", and begins at the end of the queue.
        assert_eq!(before, None, "the offset of {queue:?} is lost: code {}", answer.code);
        assert_eq!(answer.code, ResponseCode::QueryNotFound.code(), "{:?}", answer.remark);
    }
    if is_success(&answer) {
        let reply = OffsetReply::decode(RequestCode::QueryConsumerOffset, &answer.ext);
        let offset = reply.expect("an offset").offset;
        let tried = with(shared, |answers| answers.commits.get(&queue).map(|tried| tried.0));
        assert!(Some(offset) >= before, "{queue:?}: {offset} after {before:?}");
        assert!(Some(offset) <= tried, "{queue:?}: {offset}, and none above {tried:?} was tried");
        with(shared, |answers| told(answers, queue, offset));
    }
    Some(())
}

/// All that is there, compared with all that was answered. No client may be at work meanwhile. How many questions for offsets
/// were not answered: only one that leads its group answers them.
pub async fn check_all(shared: Shared, broker: std::net::SocketAddr) -> usize {
    let connected = connect(broker, Limits::default(), Rc::new(NoRequests)).await;
    let connection = connected.expect("it listens");
    let mut unanswered = 0;
    for topic in with(&shared, |answers| answers.topics.clone()) {
        for queue in (0..QUEUES).map(|queue| (topic, queue)) {
            let header = QueueHeader { topic, queue_id: queue.1 };
            let command = Command::request(RequestCode::GetMaxOffset).with_ext(&header);
            let answer = ask(&connection, command).await.expect("an answer");
            assert!(is_success(&answer), "{queue:?} is lost: {:?}", answer.remark);
            let mut at = 0;
            while let Some((next, max)) =
                read(&shared, &connection, queue, at).await.expect("it answers")
            {
                assert!(next > at, "a pull that found something goes on");
                at = next;
                if at == max {
                    break;
                }
            }
            let due = with(&shared, |answers| answers.end(queue));
            assert_eq!(at.cast_unsigned(), due, "{queue:?} ends too early");
            unanswered += usize::from(query(&shared, &connection, queue).await.is_none());
        }
    }
    let numbers: Vec<u64> = with(&shared, |answers| answers.known.values().copied().collect());
    let once: BTreeSet<u64> = numbers.iter().copied().collect();
    assert_eq!(once.len(), numbers.len(), "a message is stored twice");
    unanswered
}
