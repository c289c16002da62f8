//! Telling the members of a group that it has changed (40), and finding clients that fell silent.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use remoting::body::MessageModel;
use remoting::header::client::ConsumerGroupHeader;
use remoting::{Command, RequestCode};
use runtime::channel::Notify;

use super::super::Shard;
use crate::limits::{EXPIRY_TICK, NOTIFY_EVERY};

/// Groups whose members have not heard yet that something changed.
#[derive(Default)]
pub struct Changes {
    groups: RefCell<BTreeSet<String>>,
    wake: Notify,
}

impl Changes {
    /// The group's members shall hear of a change.
    pub fn note(&self, group: &str) {
        self.groups.borrow_mut().insert(group.to_owned());
        self.wake.notify_one();
    }

    /// The groups noted since the last call. Waits until there is one.
    async fn next(&self) -> BTreeSet<String> {
        loop {
            let groups = std::mem::take(&mut *self.groups.borrow_mut());
            if !groups.is_empty() {
                return groups;
            }
            self.wake.notified().await;
        }
    }
}

/// The tasks of this module, for ever.
pub async fn run(shard: Rc<Shard>) {
    futures::join!(tell(Rc::clone(&shard)), expire(shard));
}

/// Tells members, for ever. The first change is told at once; those within [`NOTIFY_EVERY`] after it are
/// told together, however many there are: when a hundred members go at once, the others hear it once.
async fn tell(shard: Rc<Shard>) {
    loop {
        for group in shard.group_changes.next().await {
            tell_group(&shard, &group);
        }
        runtime::sleep(NOTIFY_EVERY).await;
    }
}

/// Whoever joins or leaves, and however: nobody is told against the broker's setting, the group's, or in a group that
/// broadcasts, whose members each have all queues. RocketMQ 5.5.0 looks at the broker's in class
/// DefaultConsumerIdsChangeListener, at the other two in class ConsumerManager, where it leaves out the group's setting
/// when a connection is lost; that would undo what the setting is for.
fn tell_group(shard: &Rc<Shard>, group: &str) {
    let clients = shard.clients.borrow();
    let Some(members) = clients.consumers(group) else { return };
    let enabled = shard.config.notify_consumer_ids_changed
        && shard
            .groups
            .borrow()
            .find(group)
            .is_none_or(|settings| settings.notify_consumer_ids_changed_enable);
    if !enabled || members.mode().message_model == MessageModel::Broadcasting {
        return;
    }
    let header = ConsumerGroupHeader { consumer_group: group };
    let command = Command::oneway(RequestCode::NotifyConsumerIdsChanged).with_ext(&header);
    for client in members.members() {
        if let Err(error) = client.connection.oneway(&command) {
            tracing::debug!(client = %client.id, %error, "a member was not told of a change");
        }
    }
}

/// Closes the connections of clients that have sent no heartbeat for too long, and forgets queue locks
/// that have ended; for ever.
async fn expire(shard: Rc<Shard>) {
    loop {
        runtime::sleep(EXPIRY_TICK).await;
        let now = runtime::now();
        shard.locks.borrow_mut().forget_ended(now);
        let expiry = shard.config.client_expiry;
        let expired = shard.clients.borrow().expired(now, expiry);
        for (client, connection) in expired {
            tracing::info!(
                client = %client,
                peer = %connection.peer(),
                "no heartbeat for {expiry:?}: the client leaves its groups and its connection is closed"
            );
            super::connection_closed(&shard, &connection);
            connection.close();
        }
    }
}
