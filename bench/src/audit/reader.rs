//! Pulls the queues of a run from where they ended before it.

use std::cell::RefCell;

use client::{Pull, PullStatus};
use futures::stream::{self, StreamExt};
use model::{Record, properties};

use super::{Books, Findings, Ledger, Place};
use crate::cluster::{Cluster, Place as BrokerPlace};
use crate::error::BenchError;
use crate::limits::{AUDIT_PULLS, AUDIT_WAIT, TOPIC_POLL};

/// Messages asked for in one pull; brokers give fewer.
const BATCH: i32 = 1024;

/// A queue, and where it ended before the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The broker's name, and its address.
    pub broker: (String, String),
    /// Index of the topic.
    pub topic: u32,
    /// Queue number.
    pub queue: i32,
    /// Offset of the first message that the run may have stored.
    pub from: i64,
}

impl Origin {
    /// The queues of a broker, with the offsets at which they end now.
    #[must_use]
    pub fn of(place: &BrokerPlace, ends: &[i64]) -> Vec<Origin> {
        assert_eq!(place.queues.len(), ends.len(), "every queue has its end");
        let broker = (place.broker.clone(), place.addr.to_string());
        let queues = place.queues.iter().zip(ends);
        queues
            .map(|(queue, from)| Origin {
                broker: broker.clone(),
                topic: queue.topic,
                queue: queue.queue,
                from: *from,
            })
            .collect()
    }
}

/// Reads every queue to its end, and again for [`AUDIT_WAIT`] as long as acknowledged messages are missing.
///
/// # Errors
/// [`BenchError::Broker`] if a queue cannot be read.
pub async fn read_back(
    cluster: &Cluster,
    topics: &[String],
    group: &str,
    origins: &[Origin],
    ledgers: Vec<Ledger>,
) -> Result<Findings, BenchError> {
    let books = RefCell::new(Books::new(ledgers));
    let mut origins = origins.to_vec();
    let mut deadline = None;
    loop {
        let reads = origins.iter().map(|origin| read_queue(cluster, topics, group, origin, &books));
        let ends: Vec<_> = stream::iter(reads).buffered(AUDIT_PULLS).collect().await;
        let mut progress = false;
        for (origin, end) in origins.iter_mut().zip(ends) {
            let end = end?;
            progress |= end != origin.from;
            origin.from = end;
        }
        let now = runtime::now();
        let until = *deadline.get_or_insert(now + AUDIT_WAIT);
        if books.borrow().is_complete() || (now >= until && !progress) {
            return Ok(books.into_inner().findings());
        }
        runtime::sleep(TOPIC_POLL).await;
    }
}

/// Reads one queue to its end; the offset there.
async fn read_queue(
    cluster: &Cluster,
    topics: &[String],
    group: &str,
    origin: &Origin,
    books: &RefCell<Books>,
) -> Result<i64, BenchError> {
    let (broker, addr) = &origin.broker;
    let topic = topics[usize::try_from(origin.topic).expect("an index")].as_str();
    let mut offset = origin.from;
    loop {
        let pull = Pull {
            group,
            topic,
            queue: origin.queue,
            offset,
            max: BATCH,
            tags: Some("*"),
            hold: None,
            commit: None,
        };
        let pulled = cluster.client().pull(addr, &pull).await.map_err(|source| {
            let (broker, addr, source) = (broker.clone(), addr.clone(), Box::new(source));
            BenchError::Broker { broker, addr, source }
        })?;
        let next = pulled.reply.next_begin_offset;
        match pulled.status {
            PullStatus::Found => note(&mut books.borrow_mut(), origin, &pulled.records),
            PullStatus::End => return Ok(offset),
            PullStatus::NothingFits | PullStatus::Moved => {}
        }
        // A broker that leads nowhere ends the read; what is missing then counts as lost.
        if next <= offset {
            return Ok(offset);
        }
        offset = next;
    }
}

fn note(books: &mut Books, origin: &Origin, records: &[u8]) {
    let mut rest = records;
    while !rest.is_empty() {
        let Ok(record) = Record::parse(rest) else { return books.unreadable() };
        rest = &rest[record.bytes().len()..];
        let offset = i64::try_from(record.queue_offset().0).unwrap_or(i64::MAX);
        let place = Place { topic: origin.topic, queue: origin.queue, offset };
        let body = record.check_body().is_ok().then(|| record.body());
        books.found(properties::find(record.properties(), properties::UNIQ_KEY), place, body);
    }
}
