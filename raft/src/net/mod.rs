//! The network between the members of a group.
//!
//! ```text
//!  openraft ── PeerClient ──▶ Peer ─┬─ lane bulk   ── Link ══ TCP ══▶ Session ── Appends ──▶ Handler: openraft there
//!                                   └─ lane urgent ── Link ══ TCP ══▶ Session ─────────────▶
//! ```
//!
//! Each member dials each other one, for what it asks: two connections a peer. On one go entries and snapshots, on the
//! other what must never wait behind those: votes, heartbeats, a leader that hands over. A connection is dialled when
//! somebody wants to send, begins with a handshake that tells each side whom it talks to ([`Facts`]), and is kept. Requests
//! have numbers; many are under way at a time, and answers name the number. What waits to be sent leaves in one write.
//!
//! A request of a client that only the leader can act on is handed on to it, once, with the client's address ([`Forwarded`]), on
//! the lane for entries: a member that follows sends none there itself.
//!
//! A member whose log is damaged asks others for what it lacks, on the lane for entries: see `repairing`.
//!
//! Entries go out and are handed to openraft in order, on the one connection; their answers come in the same order, because
//! openraft gives them so. All else is answered when it is ready.
//!
//! Nothing is unbounded: [`Limits`] has the bytes that wait for a peer, those that are worked on for one, and the times
//! after which one is given up. A peer that is slow is waited for, by those who send to it alone; one that breaks the
//! protocol is dropped, with a reason that an operator can see ([`Peers::status`], [`Server::refused`]).
//!
//! `docs/format/peer.md` describes the bytes; `wire` has them, without any I/O.

mod appends;
mod client;
mod dial;
mod error;
mod facts;
mod fence;
mod forward;
mod frames;
mod handler;
mod in_flight;
mod lane;
mod limits;
mod link;
mod outbox;
mod pace;
mod peer;
mod peers;
mod pipeline;
mod server;
mod session;
mod snapshot;
mod wire;

pub use client::{Dialler, PeerClient};
pub use dial::{ask_to_found, who_is};
pub use error::{CloseReason, DialError, Trouble};
pub use facts::{Constants, Facts, Lane, Standing};
pub use forward::{Forwarded, HandedOn, NoAnswer, NotSent, Office};
pub use handler::{Handled, Handler, Requests, Results};
pub use limits::Limits;
pub(crate) use limits::MAX_SNAPSHOT;
pub use peer::PeerStatus;
pub(crate) use peers::Testimony;
pub use peers::{AllGone, Gone, Peers};
pub use server::{Server, Visitor};
pub use snapshot::SnapshotBytes;
pub use wire::WireError;
#[doc(hidden)]
pub use wire::fuzz;
pub use wire::hello::{Refusal, RefusalCode};
pub(crate) use wire::repair::Wanted;
