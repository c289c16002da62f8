//! Why there is no connection, or no answer.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use runtime::IoError;
use thiserror::Error;

use super::wire::WireError;
use super::wire::hello::{Refusal, RefusalCode};
use crate::lineage::Lineage;
use crate::types::MemberId;

/// Why no connection was made.
#[derive(Clone, Debug, Error)]
pub enum DialError {
    /// Nobody listens there, or the way there is closed.
    #[error("{0}; is the process there running, and is the network between open?")]
    Connect(Rc<IoError>),
    /// No connection in time.
    #[error(
        "no connection to {addr} within {limit:?}; is the machine up, and is the network between open?"
    )]
    Late {
        /// Who was dialled.
        addr: SocketAddr,
        /// How long was waited.
        limit: Duration,
    },
    /// Connected, and then nothing that makes sense.
    #[error(
        "{addr} does not speak as a member of a group: {why}. Is it the port of another program?"
    )]
    Foreign {
        /// Who was dialled.
        addr: SocketAddr,
        /// What is wrong with what it said.
        why: WireError,
    },
    /// Another version of the protocol.
    #[error(
        "{addr} speaks version {found} of the protocol between members, this node speaks {ours}: run the same release on \
         all members"
    )]
    Version {
        /// Who was dialled.
        addr: SocketAddr,
        /// Its version.
        found: u8,
        /// Ours.
        ours: u8,
    },
    /// The connection was lost during the handshake.
    #[error("{addr} closed the connection before it said who it is")]
    Lost {
        /// Who was dialled.
        addr: SocketAddr,
    },
    /// It does not want us.
    #[error("{addr} refuses this node: {refusal}")]
    Refused {
        /// Who was dialled.
        addr: SocketAddr,
        /// Why, in its own words.
        refusal: Refusal,
        /// That of the group which it belongs to.
        lineage: Lineage,
    },
    /// It let us in although it is somebody else.
    #[error(
        "{addr} is {found}, and {expected} is expected there: correct the address of the member"
    )]
    Other {
        /// Who was dialled.
        addr: SocketAddr,
        /// Who should be there.
        expected: MemberId,
        /// Who is.
        found: MemberId,
    },
}

impl DialError {
    /// Whether the machine is there, and nobody listens: the process is gone.
    pub(super) fn is_nobody(&self) -> bool {
        matches!(self, Self::Connect(error) if error.kind() == ErrorKind::ConnectionRefused)
    }

    /// Which group the other one belongs to, if it refuses because that was recovered by force without one of the two.
    pub(super) fn other_lineage(&self) -> Option<Lineage> {
        match self {
            Self::Refused { refusal, lineage, .. } if refusal.code == RefusalCode::Lineage => {
                Some(*lineage)
            }
            _ => None,
        }
    }

    /// Whether the connection came and went: so does one to a process that is just ending.
    pub(super) fn is_loss(&self) -> bool {
        match self {
            Self::Lost { .. } => true,
            Self::Connect(error) => is_reset(error),
            _ => false,
        }
    }

    /// Whether somebody has to correct something first.
    pub(super) fn is_refusal(&self) -> bool {
        match self {
            Self::Refused { .. } | Self::Other { .. } => true,
            Self::Foreign { .. } | Self::Version { .. } => true,
            Self::Connect(_) | Self::Late { .. } | Self::Lost { .. } => false,
        }
    }
}

fn is_reset(error: &IoError) -> bool {
    let kinds = [ErrorKind::ConnectionReset, ErrorKind::ConnectionAborted, ErrorKind::BrokenPipe];
    kinds.contains(&error.kind())
}

/// Why a connection ended.
#[derive(Clone, Debug, Error)]
pub enum CloseReason {
    /// This side stops.
    #[error("this node stops")]
    Ours,
    /// The other side closed it.
    #[error("the other side closed the connection")]
    Peer,
    /// Reading or writing failed: a reset, mostly.
    #[error("{0}")]
    Io(Rc<IoError>),
    /// Bytes that are no frame.
    #[error("the other side sent something that cannot be read: {0}")]
    Frame(WireError),
    /// Nothing came for too long.
    #[error("the other side has said nothing for {0:?}; is the network between cut?")]
    Silent(Duration),
    /// It takes nothing.
    #[error(
        "the other side has taken nothing of {waiting} waiting bytes for {limit:?}; is it stuck?"
    )]
    Stalled {
        /// Bytes that wait.
        waiting: usize,
        /// How long was waited.
        limit: Duration,
    },
    /// This side wants what is under way to come to nothing.
    #[error("this node wants nothing to arrive any more of what was being sent")]
    Interrupted,
    /// It was let in before this side knew of that.
    #[error("the group was recovered by force, without one of the two")]
    KeptOut,
    /// It does what a member never does.
    #[error("the other side breaks the protocol: {0}")]
    Broken(&'static str),
}

impl CloseReason {
    /// Whether the other side's end closed it, as the death of its process does.
    pub(super) fn is_by_peer(&self) -> bool {
        match self {
            Self::Peer => true,
            Self::Io(error) => is_reset(error),
            _ => false,
        }
    }

    /// Whether an operator should see it.
    pub(super) fn is_notable(&self) -> bool {
        match self {
            Self::Ours | Self::Peer | Self::Io(_) | Self::Interrupted => false,
            Self::Frame(_) | Self::Silent(_) | Self::Stalled { .. } => true,
            Self::KeptOut | Self::Broken(_) => true,
        }
    }
}

impl From<IoError> for CloseReason {
    fn from(error: IoError) -> Self {
        Self::Io(Rc::new(error))
    }
}

/// What is, or was, wrong with a peer.
#[derive(Clone, Debug, Error)]
pub enum Trouble {
    /// No connection was made.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// A connection was lost.
    #[error("the {lane} connection to {addr} ended: {reason}")]
    Lost {
        /// What it was for.
        lane: super::facts::Lane,
        /// Where it led to.
        addr: SocketAddr,
        /// Why it ended.
        reason: CloseReason,
    },
    /// This node stops, or does not know the peer any more.
    #[error("the peer is not dialled any more")]
    Stopped,
}

/// Why a call has no answer. Whether the peer acted on it is unknown.
#[derive(Clone, Debug, Error)]
pub(super) enum CallError {
    /// There is no connection, or no more.
    #[error("{0}")]
    Unreachable(Trouble),
    /// No answer in time.
    #[error("no answer within {0:?}")]
    Late(Duration),
    /// The peer says that it cannot.
    #[error("the peer cannot: {0}")]
    Failed(String),
    /// The answer makes no sense.
    #[error("the answer cannot be read: {0}")]
    Answer(WireError),
    /// The answer can be read, and cannot be.
    #[error("the answer contradicts the request: {0}")]
    Contradiction(&'static str),
}
