//! The appends of one connection: handed over in the order in which they came, answered in the same.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use futures::StreamExt;
use futures::stream::poll_fn;
use openraft::raft::{AppendEntriesRequest, StreamAppendResult};
use runtime::channel::{Notify, Sender, TrySendError, mpsc};

use super::handler::{Handled, Handler, Results};
use super::in_flight::Place;
use super::outbox::Outbox;
use super::wire::append::put_result;
use super::wire::frame::{self, Kind, Part};
use crate::types::Types;

/// A request that was handed over.
struct Taken {
    id: u64,
    _place: Place,
}

/// Appends on their way through openraft.
///
/// openraft takes a stream of them, and ends it after an entry that does not fit, or a vote that is outdated. What it had
/// taken in behind that gets no answer from it: it gets none of ours either, as whoever sent it has given it up, but a
/// word that says so. What comes later begins a stream of its own.
pub(super) struct Appends {
    capacity: usize,
    to: RefCell<Option<Sender<AppendEntriesRequest<Types>>>>,
    next: RefCell<Option<Results>>,
    taken: RefCell<VecDeque<Taken>>,
    begun: Notify,
}

impl Appends {
    /// With room for so many requests, which is no less than may be in flight.
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            to: RefCell::default(),
            next: RefCell::default(),
            taken: RefCell::default(),
            begun: Notify::new(),
        }
    }

    /// Hands a request over.
    pub(super) fn push(
        &self,
        request: AppendEntriesRequest<Types>,
        id: u64,
        place: Place,
        handler: &Rc<dyn Handler>,
    ) {
        let mut to = self.to.borrow_mut();
        let to = to.get_or_insert_with(|| self.begin(&**handler));
        self.taken.borrow_mut().push_back(Taken { id, _place: place });
        match to.try_send(request) {
            Ok(()) => {}
            // The stream has ended, and so much is about to be noticed: this one is given up with the others.
            Err(TrySendError::Closed(_)) => {}
            Err(TrySendError::Full(_)) => panic!("no more are in flight than there is room for"),
        }
    }

    fn begin(&self, handler: &dyn Handler) -> Sender<AppendEntriesRequest<Types>> {
        let (sender, mut receiver) = mpsc(self.capacity);
        let requests = poll_fn(move |cx| receiver.poll_recv(cx)).boxed_local();
        self.next.replace(Some(handler.append_all(requests)));
        self.begun.notify_one();
        sender
    }

    /// Answers, for ever.
    pub(super) async fn answer_all(&self, outbox: &Outbox) {
        loop {
            let results = self.next.take();
            match results {
                Some(results) => self.answer_stream(results, outbox).await,
                None => self.begun.notified().await,
            }
        }
    }

    /// Answers until the stream ends.
    async fn answer_stream(&self, mut results: Results, outbox: &Outbox) {
        while let Some(result) = results.next().await {
            let goes_on = matches!(result, Ok(Ok(_)));
            let taken = self.taken.borrow_mut().pop_front();
            let Taken { id, _place } = taken.expect("each answer has its request");
            outbox.push(frame_of(id, &result));
            if !goes_on {
                break;
            }
        }
        // Nothing ran since it ended: all that was handed over was handed to it.
        self.to.replace(None);
        let given_up = self.taken.take();
        for Taken { id, _place } in given_up {
            outbox.push(frame::failed(Kind::Append as u8, id, "given up behind one that failed"));
        }
    }
}

fn frame_of(id: u64, result: &Handled<StreamAppendResult<Types>>) -> Vec<u8> {
    match result {
        Ok(result) => frame::encode(Kind::Append as u8, Part::Answer, id, |out| {
            put_result(out, result);
        }),
        Err(why) => frame::failed(Kind::Append as u8, id, why),
    }
}
