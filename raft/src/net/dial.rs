//! Dialling a member, and saying who one is.

use std::net::SocketAddr;
use std::rc::Rc;

use runtime::{TcpStream, WriteHalf, timeout};

use super::error::{CloseReason, DialError};
use super::facts::{Facts, Lane, Standing};
use super::frames::Frames;
use super::limits::Limits;
use super::peers::Peers;
use super::wire::hello::{Answer, Hello, PREFIX_LEN, Refusal, RefusalCode, Start, VERSION};
use crate::types::MemberId;

/// A connection that both sides want.
pub(super) struct Dialled {
    pub(super) store: MemberId,
    pub(super) standing: Standing,
    pub(super) frames: Frames,
    pub(super) send: WriteHalf,
}

/// Asks who is at `addr`.
///
/// # Errors
/// Nobody can be reached there, or it is no member of this group. Cancel-safe.
pub async fn who_is(
    addr: SocketAddr,
    facts: &Facts,
    limits: &Limits,
) -> Result<MemberId, DialError> {
    Ok(visit(addr, facts, limits).await?.0)
}

/// As [`who_is`], and whether his store belongs to a group.
pub(super) async fn visit(
    addr: SocketAddr,
    facts: &Facts,
    limits: &Limits,
) -> Result<(MemberId, Standing), DialError> {
    let Dialled { store, standing, .. } = ask(addr, facts, limits, false).await?;
    Ok((store, standing))
}

/// Asks who is at `addr`, to found a group with him. One who belongs to none promises that nobody but the one who asks
/// founds it with him, for as long as his process lives.
///
/// # Errors
/// Nobody can be reached there, it is no member of this group, or somebody else has the promise. Cancel-safe.
pub async fn ask_to_found(
    addr: SocketAddr,
    facts: &Facts,
    limits: &Limits,
) -> Result<(MemberId, Standing), DialError> {
    let Dialled { store, standing, .. } = ask(addr, facts, limits, true).await?;
    Ok((store, standing))
}

async fn ask(
    addr: SocketAddr,
    facts: &Facts,
    limits: &Limits,
    founds: bool,
) -> Result<Dialled, DialError> {
    facts.assert_sound();
    limits.assert_sound();
    // Who asks says nothing more than that, and may be of any lineage.
    let (expected, lane, lineage) = (None, Lane::Urgent, None);
    let hello = Hello { facts: facts.clone(), expected, lane, founds, lineage };
    dial(addr, &hello, limits).await
}

/// Connects, and shakes hands. Cancel-safe.
pub(super) async fn dial(
    addr: SocketAddr,
    hello: &Hello,
    limits: &Limits,
) -> Result<Dialled, DialError> {
    let connecting = timeout(limits.connect, TcpStream::connect(addr)).await;
    let late = |limit| DialError::Late { addr, limit };
    let connected = connecting.map_err(|_| late(limits.connect))?;
    let connect_error = |error| DialError::Connect(Rc::new(error));
    let stream = connected.map_err(connect_error)?;
    stream.set_nodelay(true).map_err(connect_error)?;
    let shaken = timeout(limits.handshake, shake_hands(addr, hello, stream)).await;
    shaken.map_err(|_| late(limits.handshake))?
}

async fn shake_hands(
    addr: SocketAddr,
    hello: &Hello,
    stream: TcpStream,
) -> Result<Dialled, DialError> {
    let (receive, mut send) = stream.into_split();
    let mut frames = Frames::new(receive);
    let lost = |reason| match reason {
        CloseReason::Io(error) => DialError::Connect(error),
        _ => DialError::Lost { addr },
    };
    send.write_all(&hello.encode()).await.map_err(|error| lost(error.into()))?;
    let answer = answer(addr, &mut frames, lost).await?;
    if let Err(refusal) = answer.verdict {
        return Err(DialError::Refused { addr, refusal, lineage: answer.lineage });
    }
    match hello.expected {
        Some(expected) if expected != answer.store => {
            Err(DialError::Other { addr, expected, found: answer.store })
        }
        Some(_) | None => {
            let Answer { store, standing, .. } = answer;
            Ok(Dialled { store, standing, frames, send })
        }
    }
}

async fn answer(
    addr: SocketAddr,
    frames: &mut Frames,
    lost: impl Fn(CloseReason) -> DialError,
) -> Result<Answer, DialError> {
    let foreign = |why| DialError::Foreign { addr, why };
    let prefix = frames.take(PREFIX_LEN).await.map_err(&lost)?;
    let prefix = prefix[..].try_into().expect("so many were taken");
    let start = Start::decode(prefix).map_err(foreign)?;
    if start.version != VERSION {
        return Err(DialError::Version { addr, found: start.version, ours: VERSION });
    }
    let body = frames.take(start.body_len).await.map_err(&lost)?;
    Answer::decode(&start, &body).map_err(foreign)
}

/// The other side of it: reads who has dialled, and says whether it may stay. A refusal is for the operator here.
pub(super) async fn receive(
    peers: &Peers,
    full: bool,
    frames: &mut Frames,
    send: &mut WriteHalf,
) -> Result<Result<Hello, Refusal>, CloseReason> {
    let judged = judge(peers, full, frames).await?;
    let verdict = judged.as_ref().map(drop).map_err(Clone::clone);
    let standing = match &judged {
        Ok(hello) if hello.founds => peers.standing_for(hello.facts.store),
        Ok(_) | Err(_) => peers.standing(),
    };
    let (store, lineage) = (peers.facts().store, peers.lineage().unwrap_or_default());
    send.write_all(&Answer { store, standing, lineage, verdict }.encode()).await?;
    Ok(judged)
}

async fn judge(
    peers: &Peers,
    full: bool,
    frames: &mut Frames,
) -> Result<Result<Hello, Refusal>, CloseReason> {
    let refuse = |code, text| Ok(Err(Refusal { code, text }));
    let prefix = frames.take(PREFIX_LEN).await?;
    // Whoever does not even begin like a member gets no answer.
    let start = Start::decode(prefix[..].try_into().expect("so many were taken"))?;
    if start.version != VERSION {
        let text = format!(
            "you speak version {} of the protocol between members, this node speaks {VERSION}: run the same release on \
             all members",
            start.version
        );
        return refuse(RefusalCode::Version, text);
    }
    let body = frames.take(start.body_len).await?;
    let hello = match Hello::decode(&start, &body) {
        Ok(hello) => hello,
        Err(why) => return refuse(RefusalCode::Unreadable, format!("your handshake: {why}")),
    };
    if full {
        let text =
            "this node has as many connections of members as it takes: find out who holds them";
        return refuse(RefusalCode::Full, text.to_owned());
    }
    let admitted = peers.facts().admits(&hello).and_then(|()| peers.admit_kin(hello.lineage));
    let promised = admitted.and_then(|()| match hello.founds {
        true => peers.promise(hello.facts.store),
        false => Ok(()),
    });
    Ok(promised.map(|()| hello))
}
