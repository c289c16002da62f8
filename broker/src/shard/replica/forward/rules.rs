//! What is handed on, and what those are told who get no answer of the leader's. No state, no I/O.

use std::fmt::Display;
use std::net::SocketAddr;

use remoting::{RequestCode, ResponseCode};

use super::super::super::reply::Refusal;
use crate::limits::{MAX_FORWARD_BYTES, MAX_FORWARDS};

/// Whether a request stores something.
#[must_use]
pub fn is_send(code: RequestCode) -> bool {
    matches!(
        code,
        RequestCode::SendMessage | RequestCode::SendMessageV2 | RequestCode::SendBatchMessage
    )
}

/// Whether only the leader can act on a request: it goes to the log, or must be answered from what nobody has overtaken.
/// Pulls, and questions for what is committed, are answered by every member. What operators ask of a group goes to the leader they have
/// looked up, and heartbeats to every member.
#[must_use]
pub fn is_for_leader(code: RequestCode) -> bool {
    let is_other = matches!(
        code,
        RequestCode::ConsumerSendMsgBack
            | RequestCode::QueryConsumerOffset
            | RequestCode::UpdateConsumerOffset
            | RequestCode::UpdateAndCreateTopic
            | RequestCode::DeleteTopicInBroker
            | RequestCode::LockBatchMq
            | RequestCode::UnlockBatchMq
            | RequestCode::UpdateAndCreateSubscriptiongroup
            | RequestCode::DeleteSubscriptiongroup
    );
    is_send(code) || is_other
}

/// Whether a request that is acted on late takes back what was acknowledged since: its asker was told that nobody knows, and has gone on. A
/// send that is stored late is one of which that was said, and a queue lock that is taken late ends by itself.
#[must_use]
pub fn takes_back(code: RequestCode) -> bool {
    matches!(
        code,
        RequestCode::UpdateConsumerOffset
            | RequestCode::UnlockBatchMq
            | RequestCode::UpdateAndCreateTopic
            | RequestCode::DeleteTopicInBroker
            | RequestCode::UpdateAndCreateSubscriptiongroup
            | RequestCode::DeleteSubscriptiongroup
    )
}

/// Whether a request waits while it is not clear who will lead, because another member was asked to: consumer offsets, which are told once,
/// and the questions for them, which come behind. Clients try everything else elsewhere.
#[must_use]
pub fn waits_for_leader(code: RequestCode) -> bool {
    matches!(code, RequestCode::UpdateConsumerOffset | RequestCode::QueryConsumerOffset)
}

/// As many as may be are on their way.
#[must_use]
pub fn too_many() -> Refusal {
    let remark = format!(
        "[OVERLOAD]broker busy, {MAX_FORWARDS} requests, or {MAX_FORWARD_BYTES} bytes of them, already wait for the leader's \
         answer at this node, which does not lead; send to the leader, which registers as broker id 0"
    );
    Refusal::new(ResponseCode::SystemBusy, remark)
}

/// Nobody has acted on it. Code 14, which sends a producer to another broker.
#[must_use]
pub fn not_handed_on((broker, leader): (&str, &str), why: &dyn Display) -> Refusal {
    let remark = format!(
        "service not available now. This node of broker {broker} does not lead: {leader} does, and the request was not handed on \
         to it, and not acted on: {why}. Send it again, to the leader or to another broker"
    );
    Refusal::new(ResponseCode::ServiceNotAvailable, remark)
}

/// It was handed on, and there is no answer. Code 14 as well: whether to send again what may be stored is up to the client.
#[must_use]
pub fn unknown((broker, leader): (&str, &str), why: &dyn Display) -> Refusal {
    let remark = format!(
        "service not available now. This node of broker {broker} does not lead. It has handed the request on to {leader}, and has \
         no answer: {why}. Whether it was stored is unknown. Send it again, to the leader or to another broker"
    );
    Refusal::new(ResponseCode::ServiceNotAvailable, remark)
}

/// What the log says of a oneway send that came to nothing, or may have.
#[must_use]
pub fn oneway_text(producer: SocketAddr, refusal: &Refusal) -> String {
    format!(
        "a oneway send from {producer} was not taken by the leader, or perhaps not, and its producer is not told: {}. A producer \
         that must know sends with an answer (send, not sendOneway)",
        refusal.remark.escape_debug(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_any_member_answers_is_not_handed_on() {
        for code in [
            RequestCode::PullMessage,
            RequestCode::LitePullMessage,
            RequestCode::GetMaxOffset,
            RequestCode::ViewMessageById,
            RequestCode::HeartBeat,
            RequestCode::GetRaftGroupState,
            RequestCode::TransferRaftLeader,
            RequestCode::RecoverRaftGroup,
        ] {
            assert!(!is_for_leader(code), "{code:?}");
        }
        assert!(is_for_leader(RequestCode::SendBatchMessage));
    }

    #[test]
    fn late_sends_and_questions_take_nothing_back() {
        use RequestCode::{LockBatchMq, QueryConsumerOffset, SendMessageV2, UnlockBatchMq};
        for code in [SendMessageV2, QueryConsumerOffset, LockBatchMq] {
            assert!(is_for_leader(code) && !takes_back(code), "{code:?}");
        }
        assert!(is_for_leader(UnlockBatchMq) && takes_back(UnlockBatchMq));
    }

    #[test]
    fn producers_send_again_elsewhere_whatever_they_are_told() {
        // Codes upon which RocketMQ's producers try another broker.
        let again = [ResponseCode::ServiceNotAvailable, ResponseCode::SystemBusy];
        let who = ("broker-a", "n1 (10.0.0.2:40911)");
        for refusal in [too_many(), not_handed_on(who, &"x"), unknown(who, &"x")] {
            assert!(again.contains(&refusal.code));
        }
        assert!(unknown(who, &"x").remark.contains("is unknown"));
        assert!(not_handed_on(who, &"x").remark.contains("not acted on"));
    }
}
