//! The topics there are, are those that were created and not deleted, with as many queues.

use crate::model::Model;
use crate::observe::Seen;

pub fn check(model: &Model, seen: &Seen) -> Result<(), String> {
    let due: Vec<&String> = model.topics.keys().collect();
    let found: Vec<&String> = seen.topics.iter().collect();
    if due != found {
        return Err(format!("the topics are {found:?}, {due:?} were due"));
    }
    for (name, topic) in &model.topics {
        let queues = seen.queues.keys().filter(|(of, _)| of == name).count();
        if queues != topic.queues.len() {
            return Err(format!("{name} has {queues} queues, {} were due", topic.queues.len()));
        }
    }
    Ok(())
}
