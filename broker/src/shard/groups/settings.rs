//! A group's settings between the wire and the log.

use model::topic::{NameError, check_group};
use remoting::body::{GroupRetryPolicy, SubscriptionGroupConfig};
use thiserror::Error;

use super::super::commands::SubscriptionGroup;

/// The most queues of a retry topic.
const MAX_RETRY_QUEUES: u32 = 1024;
/// The longest retry policy, bytes of JSON.
const MAX_POLICY: usize = 16 * 1024;
/// The most attributes of a group.
const MAX_ATTRIBUTES: usize = 64;
/// The longest attribute of a group, bytes of its name and value.
const MAX_ATTRIBUTE: usize = 1024;

/// Why settings are refused.
#[derive(Debug, Error)]
pub enum SettingsError {
    /// The name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The number of queues of the retry topic.
    #[error("retryQueueNums is {0}, allowed are 0 to {MAX_RETRY_QUEUES}")]
    RetryQueues(i32),
    /// The retry policy.
    #[error("groupRetryPolicy is {0} bytes long, allowed are {MAX_POLICY}")]
    Policy(usize),
    /// The attributes.
    #[error("{0} attributes, allowed are {MAX_ATTRIBUTES}")]
    Attributes(usize),
    /// One of them.
    #[error("an attribute is {0} bytes long, allowed are {MAX_ATTRIBUTE}")]
    Attribute(usize),
}

/// The settings that request 200 asks for; `before` are those that are there.
///
/// # Errors
/// [`SettingsError`] says which field is wrong.
pub fn from_body(
    body: SubscriptionGroupConfig,
    before: Option<&SubscriptionGroup>,
) -> Result<SubscriptionGroup, SettingsError> {
    check_group(&body.group_name)?;
    let retry_queue_nums = u32::try_from(body.retry_queue_nums)
        .ok()
        .filter(|queues| *queues <= MAX_RETRY_QUEUES)
        .ok_or(SettingsError::RetryQueues(body.retry_queue_nums))?;
    let retry_policy = match &body.group_retry_policy {
        policy if *policy == GroupRetryPolicy::default() => String::new(),
        policy => serde_json::to_string(policy).expect("JSON values can be written as JSON"),
    };
    if retry_policy.len() > MAX_POLICY {
        return Err(SettingsError::Policy(retry_policy.len()));
    }
    let before = before.map_or(&[][..], |group| &group.attributes);
    let attributes = changed_attributes(before, body.attributes);
    if attributes.len() > MAX_ATTRIBUTES {
        return Err(SettingsError::Attributes(attributes.len()));
    }
    let longest = attributes.iter().map(|(name, value)| name.len() + value.len()).max();
    if let Some(longest) = longest.filter(|longest| *longest > MAX_ATTRIBUTE) {
        return Err(SettingsError::Attribute(longest));
    }
    Ok(SubscriptionGroup {
        name: body.group_name,
        consume_enable: body.consume_enable,
        consume_from_min_enable: body.consume_from_min_enable,
        consume_broadcast_enable: body.consume_broadcast_enable,
        consume_message_orderly: body.consume_message_orderly,
        retry_queue_nums,
        retry_max_times: body.retry_max_times,
        retry_policy,
        broker_id: body.broker_id,
        which_broker_when_consume_slowly: body.which_broker_when_consume_slowly,
        notify_consumer_ids_changed_enable: body.notify_consumer_ids_changed_enable,
        group_sys_flag: body.group_sys_flag,
        consume_timeout_minute: body.consume_timeout_minute,
        attributes,
    })
}

/// The attributes after a change: `+key` sets, `-key` drops, a bare key sets (RocketMQ 5.5.0, AttributeUtil).
fn changed_attributes(
    before: &[(String, String)],
    changes: impl IntoIterator<Item = (String, String)>,
) -> Vec<(String, String)> {
    let mut after = before.to_vec();
    for (key, value) in changes {
        let (name, set) = match (key.strip_prefix('-'), key.strip_prefix('+')) {
            (Some(name), _) => (name, false),
            (None, Some(name)) => (name, true),
            (None, None) => (key.as_str(), true),
        };
        after.retain(|(have, _)| have != name);
        if set {
            after.push((name.to_owned(), value));
        }
    }
    after.sort();
    after
}

/// The settings as tools see them.
#[must_use]
pub fn to_body(group: &SubscriptionGroup) -> SubscriptionGroupConfig {
    let policy = serde_json::from_str(&group.retry_policy).unwrap_or_default();
    SubscriptionGroupConfig {
        attributes: group.attributes.iter().cloned().collect(),
        broker_id: group.broker_id,
        consume_broadcast_enable: group.consume_broadcast_enable,
        consume_enable: group.consume_enable,
        consume_from_min_enable: group.consume_from_min_enable,
        consume_message_orderly: group.consume_message_orderly,
        consume_timeout_minute: group.consume_timeout_minute,
        group_name: group.name.clone(),
        group_retry_policy: policy,
        group_sys_flag: group.group_sys_flag,
        notify_consumer_ids_changed_enable: group.notify_consumer_ids_changed_enable,
        retry_max_times: group.retry_max_times,
        retry_queue_nums: i32::try_from(group.retry_queue_nums).expect("checked when it was set"),
        subscription_data_set: None,
        which_broker_when_consume_slowly: group.which_broker_when_consume_slowly,
    }
}

#[cfg(test)]
mod tests {
    use remoting::body::Body;

    use super::*;

    #[test]
    fn the_defaults_of_wire_and_log_are_the_same() {
        let body = SubscriptionGroupConfig { group_name: "G".to_owned(), ..Default::default() };
        let group = from_body(body.clone(), None).expect("settings");
        assert_eq!(group, SubscriptionGroup::new("G"));
        assert_eq!(to_body(&group), body);
    }

    #[test]
    fn a_policy_survives() {
        let text = br#"{"groupName":"G","groupRetryPolicy":{"type":"EXPONENTIAL","exponentialRetryPolicy":{"initial":5000,"max":7200000,"multiplier":2}},"attributes":{"+a":"1","+b":"2"}}"#;
        let body = SubscriptionGroupConfig::decode(text).expect("a body");
        let group = from_body(body, None).expect("settings");
        assert_eq!(to_body(&group).group_retry_policy.kind, "EXPONENTIAL");
        assert!(to_body(&group).group_retry_policy.exponential_retry_policy.is_some());
        let change = br#"{"groupName":"G","attributes":{"-a":"","+c":"3"}}"#;
        let change = SubscriptionGroupConfig::decode(change).expect("a body");
        let group = from_body(change, Some(&group)).expect("settings");
        let names: Vec<&str> = group.attributes.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["b", "c"]);
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        let wrong = |change: fn(&mut SubscriptionGroupConfig)| {
            let mut body =
                SubscriptionGroupConfig { group_name: "G".to_owned(), ..Default::default() };
            change(&mut body);
            from_body(body, None).expect_err("it is wrong")
        };
        assert!(matches!(wrong(|b| b.group_name = "a b".to_owned()), SettingsError::Name(_)));
        assert!(matches!(wrong(|b| b.group_name = String::new()), SettingsError::Name(_)));
        assert!(matches!(wrong(|b| b.retry_queue_nums = -1), SettingsError::RetryQueues(-1)));
        let long = |b: &mut SubscriptionGroupConfig| {
            b.group_retry_policy.kind = "x".repeat(MAX_POLICY);
        };
        assert!(matches!(wrong(long), SettingsError::Policy(_)));
        let long = |b: &mut SubscriptionGroupConfig| {
            b.attributes.insert("+a".to_owned(), "x".repeat(MAX_ATTRIBUTE));
        };
        assert!(matches!(wrong(long), SettingsError::Attribute(1025)));
    }
}
