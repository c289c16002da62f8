//! What waits to be sent on a connection, and the task that sends it.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use runtime::channel::Notify;
use runtime::{Instant, WriteHalf, now};

use super::error::CloseReason;
use super::limits::{GATHER, Limits, WRITE_CHUNK};

/// Frames in the order in which they leave. What waits when the last write is done leaves as one write.
pub(super) struct Outbox {
    frames: RefCell<VecDeque<Vec<u8>>>,
    /// Bytes of those, and of what is being written.
    bytes: Cell<usize>,
    /// When the kernel last took something, or there began to be something to take.
    moved: Cell<Instant>,
    sent: Cell<u64>,
    /// Behind the last frame that is more than a sign of life, counted as `sent` is.
    goal: Cell<u64>,
    /// When the kernel last took something on the way there.
    advanced: Cell<Instant>,
    work: Notify,
    room: Notify,
}

impl Outbox {
    pub(super) fn new() -> Self {
        Self {
            frames: RefCell::default(),
            bytes: Cell::new(0),
            moved: Cell::new(now()),
            sent: Cell::new(0),
            goal: Cell::new(0),
            advanced: Cell::new(now()),
            work: Notify::new(),
            room: Notify::new(),
        }
    }

    /// Queues a frame. Whoever is not bounded in another way waits for [`Outbox::room`] first.
    pub(super) fn push(&self, frame: Vec<u8>) {
        self.push_sign(frame);
        self.goal.set(self.sent.get() + self.bytes.get() as u64);
    }

    /// Queues a frame that is a sign of life, and nothing more: that it moves says nothing of what waits for an answer.
    pub(super) fn push_sign(&self, frame: Vec<u8>) {
        if self.bytes.get() == 0 {
            self.moved.set(now());
        }
        self.bytes.set(self.bytes.get() + frame.len());
        self.frames.borrow_mut().push_back(frame);
        self.work.notify_one();
    }

    /// Waits until less than `max` bytes wait. Cancel-safe.
    pub(super) async fn room(&self, max: usize) {
        while self.bytes.get() >= max {
            self.room.notified().await;
        }
    }

    /// Nothing will be sent any more.
    pub(super) fn give_up(&self) {
        self.frames.borrow_mut().clear();
        self.bytes.set(0);
        self.room.notify_all();
    }

    /// Bytes that wait.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.get()
    }

    /// Bytes that the kernel took so far.
    pub(super) fn sent(&self) -> u64 {
        self.sent.get()
    }

    /// When the kernel last took something that is more than a sign of life, or stands before such a thing.
    pub(super) fn advanced(&self) -> Instant {
        self.advanced.get()
    }

    /// Whether the other side takes nothing, for too long.
    pub(super) fn stalled(&self, limits: &Limits) -> Option<CloseReason> {
        let waiting = self.bytes.get();
        let stalled = waiting > 0 && self.moved.get().elapsed() > limits.stall;
        stalled.then_some(CloseReason::Stalled { waiting, limit: limits.stall })
    }

    /// Sends for as long as that works.
    pub(super) async fn send_all(&self, to: &mut WriteHalf) -> CloseReason {
        loop {
            let batch = self.next_batch();
            if batch.is_empty() {
                self.work.notified().await;
                continue;
            }
            for chunk in batch.chunks(WRITE_CHUNK) {
                if let Err(error) = to.write_all(chunk).await {
                    return error.into();
                }
                self.took(chunk.len());
                runtime::yield_now().await;
            }
        }
    }

    fn took(&self, len: usize) {
        let waited = self.bytes.get();
        assert!(waited >= len, "what is sent was counted");
        self.bytes.set(waited - len);
        if self.sent.get() < self.goal.get() {
            self.advanced.set(now());
        }
        self.sent.set(self.sent.get() + len as u64);
        self.moved.set(now());
        self.room.notify_all();
    }

    /// The next frame, with the small ones behind it.
    fn next_batch(&self) -> Vec<u8> {
        let mut frames = self.frames.borrow_mut();
        let mut batch = frames.pop_front().unwrap_or_default();
        while batch.len() < GATHER
            && let Some(next) = frames.front()
            && batch.len() + next.len() <= WRITE_CHUNK
        {
            batch.extend_from_slice(next);
            frames.pop_front();
        }
        batch
    }
}
