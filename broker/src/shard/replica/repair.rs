//! A member that does not start because its log is damaged: what the others have is put in the place of that.

use std::sync::Arc;
use std::time::Duration;

use model::PhysicalOffset;
use raft::net::{Limits, Peers, Standing};
use raft::{MemberId, Unrepaired, repair_at_start};
use storage::{Damaged, Options};

use super::super::identity::Identity;
use super::super::start::StartError;
use super::member;
use super::whereabouts::addr_of;
use crate::config::{Config, GroupLayout};

/// For so long the others are asked: they may be starting themselves.
const PATIENCE: Duration = Duration::from_secs(60);
/// Time between two attempts.
const AGAIN: Duration = Duration::from_secs(2);

/// Where the log is damaged, or seems so, whose start is refused, if that is why: what one of a group may be able to repair.
pub fn damaged_at(error: &StartError) -> Option<PhysicalOffset> {
    match error {
        StartError::Log(error) => error.damaged_at(),
        StartError::Member(error) => error.damaged_at(),
        _ => None,
    }
}

/// Repairs the log of a member whose start was refused because of that damage. The store is opened once more afterwards, and may be
/// damaged elsewhere. Cancel safe.
///
/// # Errors
/// Nobody has what is needed, or nobody is reached; the text says why, member by member. What was not repaired is as it was.
pub async fn at_start(
    config: &Arc<Config>,
    identity: &Identity,
    layout: &GroupLayout,
    at: PhysicalOffset,
) -> Result<(), String> {
    let options =
        config.store_options(identity.dir.clone(), identity.log_dir.clone(), identity.number);
    tracing::warn!(
        shard = %identity.name, offset = %at,
        "the log is damaged, and the start is refused: the other members are asked for what is damaged, for {PATIENCE:?} at most"
    );
    let mut log = opened(&options).await?;
    let facts = member::facts_of(config, identity, layout, MemberId(log.id()));
    let peers = Peers::new(facts, Limits::new(log.largest_payload()));
    let began = runtime::now();
    loop {
        let away = look_for(&peers, layout).await;
        let Unrepaired { why, is_final } = match repair_at_start(&mut log, &peers, at).await {
            Ok(()) => {
                peers.stop();
                return Ok(());
            }
            Err(unrepaired) => unrepaired,
        };
        if is_final || began.elapsed() >= PATIENCE {
            peers.stop();
            return Err([vec![why], away].concat().join("; "));
        }
        runtime::sleep(AGAIN).await;
    }
}

/// The log, once the life before has let go of it.
async fn opened(options: &Options) -> Result<Damaged, String> {
    let began = runtime::now();
    loop {
        match Damaged::open(options).await {
            Ok(log) => return Ok(log),
            Err(error) if began.elapsed() >= PATIENCE => return Err(error.to_string()),
            Err(_) => runtime::sleep(AGAIN).await,
        }
    }
}

/// Gets to know the others, as they are configured. Who cannot be reached, and why.
async fn look_for(peers: &Peers, layout: &GroupLayout) -> Vec<String> {
    let mut away = Vec::new();
    let others = layout.members.iter().enumerate().filter(|(number, _)| *number != layout.own);
    for (_, member) in others {
        let label = &member.label;
        let visited = match addr_of(member).await {
            Ok(addr) => peers.visit(addr).await.map(|who| (addr, who)).map_err(|e| e.to_string()),
            Err(error) => Err(error.to_string()),
        };
        match visited {
            Ok((addr, (id, Standing::Member))) => {
                let known = raft::Member::new(label.clone(), addr);
                peers.know([(&id, &known)]);
            }
            Ok((_, (_, _))) => {
                away.push(format!("{label}: it belongs to no group, or is still reading its log"))
            }
            Err(why) => away.push(format!("{label}: {why}")),
        }
    }
    away
}
