//! What a history came to.

#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Messages that were acknowledged.
    pub acknowledged: u64,
    /// Messages that consumers were given, again or for the first time.
    pub consumed: u64,
    /// Groups, and terms of theirs in which somebody led.
    pub groups: usize,
    pub terms: usize,
    /// Changes of topics and consumer groups that were acknowledged.
    pub settings: u64,
    /// Queues that were locked, again or for the first time.
    pub locks: u64,
    /// Looks at what a NameServer says of a group that has a leader.
    pub looks: u64,
    /// The most messages that one queue has.
    pub longest: u64,
    /// Looks at what a member has come to, where another one was before.
    pub compared: u64,
    /// Sends that were refused because too much waited.
    pub busy: u64,
    /// Files of logs that a node has at the end, the node that has most of them.
    pub segments: usize,
    /// Fingerprint of everything that has happened.
    pub trace: u64,
}
