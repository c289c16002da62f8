//! The lives of a shard: its log may be opened more than once.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt, select_biased};
use model::PhysicalOffset;
use runtime::channel::{Promise, PromiseReceiver};
use runtime::fs::LockError;
use storage::OpenError;

use super::super::Shard;
use super::super::identity::Identity;
use super::super::replica::repair;
use super::super::siblings::Mailbox;
use super::{End, Life, Opened, StartError, Started, check_port, live, open};
use crate::config::{Config, GroupLayout};

/// How long a life that follows another one waits for the store's lock: a snapshot for which the disk takes its time may hold it.
const LET_GO: Duration = Duration::from_secs(30);
/// Time between two attempts.
const LET_GO_TRY: Duration = Duration::from_millis(20);

/// A shard whose log may be opened more than once.
pub(super) struct Lives {
    pub config: Arc<Config>,
    pub number: u32,
    pub advertised: IpAddr,
    pub group: Option<GroupLayout>,
    pub mailbox: Rc<Mailbox>,
    /// Until it has served.
    pub ready: Option<Promise<Started>>,
}

impl Lives {
    fn identity(&self) -> Identity {
        Identity::of(&self.config, self.number, self.advertised)
    }

    /// One life after the other, until the last has ended. The log of a member that is damaged is repaired in between, as often as that
    /// brings it on.
    pub async fn run(
        &mut self,
        stop: &mut PromiseReceiver<()>,
        seen: &impl Fn(&Rc<Shard>),
    ) -> Result<End, StartError> {
        let (mut life, mut recovery, mut repaired) = (Life::First, None, BTreeSet::new());
        loop {
            match self.one((&mut life, &mut recovery), stop, seen).await {
                Ok(End::Again) => {}
                Ok(End::Recover(decided)) => recovery = Some(decided),
                Ok(end @ (End::Stopped | End::GivenUp(_))) => return Ok(end),
                Err(error) => {
                    let Some(layout) = &self.group else { return Err(error) };
                    let identity = self.identity();
                    let repairing =
                        repair_once(&self.config, &identity, layout, error, &mut repaired);
                    select_biased! {
                        _ = (&mut *stop).fuse() => return Err(StartError::ToldToStop),
                        done = repairing.fuse() => done?,
                    }
                }
            }
        }
    }

    /// One life.
    async fn one(
        &mut self,
        (life, recovery): (&mut Life, &mut Option<raft::Recovery>),
        stop: &mut PromiseReceiver<()>,
        seen: &impl Fn(&Rc<Shard>),
    ) -> Result<End, StartError> {
        if *life == Life::First {
            check_port(&self.identity()).await?;
        }
        let opening = self.open(*life);
        // A long recovery is given up when the stop comes: nothing was served, the next start begins it again.
        let opened = select_biased! {
            _ = (&mut *stop).fuse() => return Err(StartError::ToldToStop),
            opened = opening.fuse() => opened?,
        };
        seen(&opened.shard);
        let began = std::mem::replace(life, Life::Next);
        let end = live(opened, (began, recovery.clone()), (&mut self.ready, stop)).await?;
        // A life that ends in damage is followed by one that does it once that is repaired.
        *recovery = None;
        Ok(end)
    }

    /// Opens the store; in a further life once whatever the one before has left behind has let go of it.
    async fn open(&self, life: Life) -> Result<Opened, StartError> {
        let began = runtime::now();
        loop {
            let (mailbox, group) = (Rc::clone(&self.mailbox), self.group.clone());
            let opened = open(Arc::clone(&self.config), self.identity(), mailbox, group).await;
            let waits = life == Life::Next && began.elapsed() < LET_GO;
            match opened {
                Err(StartError::Open(OpenError::Locked(LockError::Held { .. }))) if waits => {
                    runtime::sleep(LET_GO_TRY).await;
                }
                opened => return opened,
            }
        }
    }

    /// Says that there is no further life.
    pub fn tell_gone(&self, error: &StartError) {
        let Identity { name, dir, .. } = self.identity();
        tracing::error!(
            shard = %name, store = %dir.display(), %error,
            "shard stopped for good: its log could not be opened again. The other shards of this broker go on. Mend what it says, and start \
             the broker again"
        );
    }
}

/// Repairs a member's log whose start was refused because it is damaged, from the other members. What was `repaired` before is not
/// looked at again.
///
/// # Errors
/// The start was refused for another reason, or nobody has what is damaged: the refusal says so.
async fn repair_once(
    config: &Arc<Config>,
    identity: &Identity,
    layout: &GroupLayout,
    error: StartError,
    repaired: &mut BTreeSet<PhysicalOffset>,
) -> Result<(), StartError> {
    let Some(at) = repair::damaged_at(&error) else { return Err(error) };
    if !repaired.insert(at) {
        return Err(error);
    }
    let done = repair::at_start(config, identity, layout, at).await;
    done.map_err(|why| StartError::NotRepaired { damage: Box::new(error), why })
}
