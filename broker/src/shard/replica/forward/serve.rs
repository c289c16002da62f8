//! Acting on requests that other members have handed on, at the leader.

use std::future::ready;
use std::rc::Rc;

use futures::future::LocalBoxFuture;
use raft::net::{Forwarded, Handled, Office};
use remoting::RequestCode;
use transport::Relayed;

use super::super::super::Shard;
use super::super::super::dispatch::dispatch;
use super::rules;

/// What acts on the requests that other members hand on to this shard's.
#[must_use]
pub fn office(shard: &Rc<Shard>) -> Rc<Office> {
    let shard = Rc::downgrade(shard);
    Rc::new(move |request| match shard.upgrade() {
        Some(shard) => serve(&shard, &request),
        None => Box::pin(ready(Err("it has been stopped".to_owned()))),
    })
}

fn serve(shard: &Rc<Shard>, request: &Forwarded) -> LocalBoxFuture<'static, Handled<Vec<u8>>> {
    match act_on(shard, request) {
        Ok(relayed) => Box::pin(async move { Ok(relayed.answer().await) }),
        Err(why) => Box::pin(ready(Err(why))),
    }
}

/// Has a request handled as if whoever sent it were connected to this node. It is never handed on again.
fn act_on(shard: &Rc<Shard>, request: &Forwarded) -> Result<Relayed, String> {
    let replica = shard.replica.as_ref().expect("it is a member of a group");
    shard.check_office().map_err(|refusal| refusal.remark)?;
    // Of an office that has ended since then: it may have been on its way for long, and been overtaken by what came later.
    if replica.in_office() != Some(request.term) {
        return Err(format!("it leads in another term than {}", request.term));
    }
    let ends = (request.origin, shard.identity.address);
    let relayed = transport::relay(
        &request.request,
        ends,
        &replica.forwards.limits,
        |connection, request, body| match RequestCode::from_code(request.code) {
            Some(code) if rules::is_for_leader(code) => {
                dispatch(shard, connection, &request, body);
            }
            Some(_) | None => transport::not_supported(connection, &request),
        },
    );
    relayed.map_err(|error| error.to_string())
}
