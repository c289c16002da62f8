//! Handing requests on, at a member that does not lead.

use std::fmt::Display;
use std::pin::pin;
use std::rc::Rc;

use futures::future::{Either, select};
use futures::{FutureExt, select_biased};
use raft::net::{Forwarded, HandedOn, NoAnswer, Peers};
use raft::{Group, MemberId, Role};
use runtime::Elapsed;

use super::super::super::Shard;
use super::super::super::reply::Refusal;
use super::early::{Early, Word};
use super::{Asker, Waiting, replica_of, rules};
use crate::limits::FORWARD_GRACE;

/// Hands requests on, one after the other, for as long as the shard runs. It does not wait for their answers.
pub async fn run(shard: Rc<Shard>, group: Group, peers: Peers) {
    let (replica, early) = (replica_of(&shard), Early::default());
    loop {
        match replica.forwards.next() {
            Some(waiting) => {
                // While another one is asked to lead it is not known who does.
                let (Ok(()) | Err(Elapsed)) =
                    runtime::timeout(waiting.asker.left(), replica.intake.opened()).await;
                hand_on(&shard, (&group, &peers), waiting, &early).await;
            }
            None => replica.forwards.news.notified().await,
        }
    }
}

/// Hands one on to whoever leads. What came to nothing because somebody else leads by now goes to that one: nobody has it yet.
async fn hand_on(
    shard: &Rc<Shard>,
    (group, peers): (&Group, &Peers),
    waiting: Waiting,
    early: &Early,
) {
    let tried_since = runtime::now();
    let name_of = |leader| replica_of(shard).name_of(leader);
    loop {
        if waiting.asker.is_abandoned() {
            return;
        }
        let Some((leader, term)) = group.follows() else { return waiting.handle(shard) };
        let (origin, left) = (waiting.asker.caller.connection().peer(), waiting.asker.left());
        let request = Forwarded { term, origin, left, request: waiting.frame.clone() };
        let handed_on = select_biased! {
            handed_on = peers.hand_on(leader, &request).fuse() => handed_on,
            _ = group.role_changed(Role::Following(Some(leader))).fuse() => continue,
            () = waiting.asker.abandoned().fuse() => return,
        };
        match handed_on {
            Ok(handed_on) => {
                let word = match waiting.asker.is_told_once() && early.is_possible(term) {
                    true => early.word(term, handed_on, tried_since).await,
                    false => Word::None(handed_on),
                };
                let handed_on = match word {
                    Word::Taken => return,
                    Word::TooEarly => continue,
                    Word::Refused(why) => {
                        let refusal = refusal_of(why, (&shard.identity.name, &name_of(leader)));
                        return waiting.asker.refuse(shard, &refusal);
                    }
                    Word::None(handed_on) => handed_on,
                };
                let (shard, group, asker) = (Rc::clone(shard), group.clone(), waiting.asker);
                let way = (peers.clone(), leader, handed_on);
                runtime::spawn(answer(shard, group, way, asker)).detach();
                return;
            }
            Err(why) => {
                let who = (&*shard.identity.name, &*name_of(leader));
                let refusal = rules::not_handed_on(who, &why);
                return waiting.asker.refuse(shard, &refusal);
            }
        }
    }
}

/// Answers what the leader answers. If somebody else leads meanwhile, the old one is given a moment to say what became of it.
///
/// A request that has no answer in time may still be on its way, and its asker, who is told that nobody knows, goes on: what he gives
/// back late could be what he has got anew meanwhile. So the way ends there, with all that is on it, where the request is one that
/// takes something back; for any other that would only cost those their answers who come behind it.
async fn answer(
    shard: Rc<Shard>,
    group: Group,
    (peers, leader, mut handed_on): (Peers, MemberId, HandedOn),
    asker: Asker,
) {
    let overtaken = pin!(async {
        group.role_changed(Role::Following(Some(leader))).await;
        runtime::sleep(FORWARD_GRACE).await;
    });
    let answering = pin!(handed_on.answer());
    let answered = runtime::timeout(asker.left(), select(answering, overtaken));
    let answered = select_biased! {
        answered = answered.fuse() => answered,
        // Its place, here and there, is another one's now.
        () = asker.abandoned().fuse() => return,
    };
    let patience = asker.patience();
    if answered.is_err() && rules::takes_back(asker.code) && peers.interrupt(leader) {
        let (name, group) = (&shard.identity.name, &replica_of(&shard).layout.name);
        let leader = replica_of(&shard).name_of(leader);
        tracing::debug!(shard = %name, %group, %leader, "no answer in time to what was handed on: the connection ends");
    }
    let (refusal, why): (Refuse, String) = match answered {
        Ok(Either::Left((Ok(_), _))) if asker.caller.is_oneway() => return,
        Ok(Either::Left((Ok(frame), _))) if asker.caller.answer_frame(&frame) => return,
        Ok(Either::Left((Ok(_), _))) => (rules::unknown, "it has none itself".to_owned()),
        Ok(Either::Left((Err(NoAnswer::NotTaken(why)), _))) => (rules::not_handed_on, why),
        Ok(Either::Left((Err(NoAnswer::Lost(why)), _))) => (rules::unknown, why),
        Ok(Either::Right(_)) => (rules::unknown, "it leads no more".to_owned()),
        Err(_) => (rules::unknown, format!("none came within {patience:?}")),
    };
    let name = replica_of(&shard).name_of(leader);
    asker.refuse(&shard, &refusal((&shard.identity.name, &name), &why));
}

/// What someone is told whose request the leader has not taken, or perhaps not.
fn refusal_of(why: NoAnswer, who: (&str, &str)) -> Refusal {
    match why {
        NoAnswer::NotTaken(why) => rules::not_handed_on(who, &why),
        NoAnswer::Lost(why) => rules::unknown(who, &why),
    }
}

type Refuse = fn((&str, &str), &dyn Display) -> Refusal;
