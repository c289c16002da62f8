//! Changes topics and consumer groups, as mqadmin does: one change at a time.

use client::NewTopic;
use remoting::RequestCode;
use remoting::body::{Body, SubscriptionGroupConfig, TopicConfig};
use runtime::random_below;

use super::stock::{Stock, pause};
use crate::content::shard_of;

const PAUSE_MILLIS: u64 = 400;
const TOPICS: [&str; 2] = ["M0", "M1"];
const GROUPS: [&str; 2] = ["SG0", "SG1"];
/// What a group has that nobody has set: a question for one that is not there makes it. The operator sets nothing to that.
const UNSET: i32 = 16;

pub async fn run(stock: Stock) {
    let mut value = 0;
    while !stock.witness.seen().is_over {
        pause(PAUSE_MILLIS).await;
        value += 1 + i32::from(value + 1 == UNSET);
        change(&stock, value).await;
    }
}

async fn change(stock: &Stock, value: i32) -> Option<()> {
    let cluster = stock.bounded(stock.client.cluster_info()).await?.ok()?;
    let brokers: Vec<_> = cluster.broker_addr_table.values().collect();
    if brokers.is_empty() {
        return None;
    }
    let broker = brokers[random_below(brokers.len() as u64) as usize];
    let (shard, addr) = (shard_of(&broker.broker_name), broker.broker_addrs.get(&0)?);
    let which = random_below(2) as usize;
    let is_topic = random_below(2) == 0;
    let name = if is_topic { TOPICS[which] } else { GROUPS[which] };
    stock.witness.seen().settings.of(shard, name).sets(value.into());
    let done = match is_topic {
        true => put_topic(stock, addr, name, value).await,
        false => put_group(stock, addr, name, value).await,
    };
    done?;
    let mut seen = stock.witness.seen();
    seen.settings.of(shard, name).is_set(value.into());
    seen.settings.acknowledged += 1;
    Some(())
}

async fn put_topic(stock: &Stock, addr: &str, name: &str, value: i32) -> Option<()> {
    stock.bounded(stock.client.create_topic(addr, &NewTopic::new(name, value))).await?.ok()
}

async fn put_group(stock: &Stock, addr: &str, name: &str, value: i32) -> Option<()> {
    let group = SubscriptionGroupConfig {
        group_name: name.to_owned(),
        retry_max_times: value,
        ..SubscriptionGroupConfig::default()
    };
    let code = RequestCode::UpdateAndCreateSubscriptiongroup;
    let group = group.encode();
    let put = stock.client.ask(addr, code, &(), &group);
    stock.bounded(put).await?.ok().map(drop)
}

/// What a member says of a topic or a group; `None` without an answer.
pub async fn told(stock: &Stock, addr: &str, name: &str) -> Option<Option<i64>> {
    let is_topic = TOPICS.contains(&name);
    let (code, field) = match is_topic {
        true => (RequestCode::GetTopicConfig, "topic"),
        false => (RequestCode::GetSubscriptiongroupConfig, "group"),
    };
    let asked = [(field, name)];
    let answer = match stock.bounded(stock.client.ask(addr, code, &asked, &[])).await? {
        Ok(answer) => answer,
        Err(error) => return error.refused_with().map(|_| None),
    };
    let value = match is_topic {
        true => TopicConfig::decode(&answer.body).expect("a topic").write_queue_nums,
        false => SubscriptionGroupConfig::decode(&answer.body).expect("a group").retry_max_times,
    };
    let is_set = is_topic || value != UNSET;
    Some(is_set.then_some(value.into()))
}
