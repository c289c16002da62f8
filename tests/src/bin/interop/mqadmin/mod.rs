//! Suite `mqadmin`: Apache's own command line tool, one check a command.

use tests::harness::check::Check;
use tests::harness::cluster::Spec;
use tests::harness::drivers::Part;
use tests::harness::failure::Verdict;
use tests::harness::lab::Lab;
use tests::harness::servers::Maker;
use tests::harness::table::Table;

mod brokers;
mod messages;
mod tool;
mod topics;

const LIMIT: u64 = 300;

type Command = fn(&mut Lab, Spec) -> Verdict;

const COMMANDS: [(&str, Command); 13] = [
    ("clusterList", brokers::cluster_list),
    ("brokerStatus", brokers::broker_status),
    ("topicList", topics::topic_list),
    ("topicStatus", topics::topic_status),
    ("topicRoute", topics::topic_route),
    ("updateTopic", topics::update_topic),
    ("deleteTopic", topics::delete_topic),
    ("consumerProgress", messages::consumer_progress),
    ("queryMsgById", messages::query_by_id),
    ("queryMsgByKey", messages::query_by_key),
    ("queryMsgByUniqueKey", messages::query_by_unique_key),
    ("sendMessage", messages::send_message),
    ("consumeMessage", messages::consume_message),
];

/// The table of `clusterList` for the cluster at hand.
pub fn cluster_list(lab: &Lab) -> Verdict<Table> {
    brokers::cluster_table(lab)
}

/// The suite.
pub fn checks(against: Maker) -> Vec<Check> {
    COMMANDS
        .into_iter()
        .map(|(name, command)| {
            let parts = [Part::Apache, Part::Java550];
            Check::new(format!("mqadmin/{name}"), against, &parts, LIMIT, move |lab| {
                command(lab, Spec::of(against))
            })
        })
        .collect()
}
