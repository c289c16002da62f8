//! What a consumer group wants of a topic: all of it, or some tags.

use std::collections::HashSet;

use model::tag::tag_hash;
use thiserror::Error;

/// A subscription to one topic, from a heartbeat or from a pull (RocketMQ 5.5.0, SubscriptionData).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// The expression as the client wrote it: `*`, or tags separated by `||`.
    pub text: String,
    /// The client's version of it; a later one replaces an earlier one.
    pub version: i64,
    /// How the expression filters.
    pub filter: Filter,
}

/// How a subscription filters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter {
    /// Everything.
    All,
    /// Messages whose tag has one of these hashes, as the queue index keeps them.
    Tags(HashSet<i64>),
    /// An expression of another type (`SQL92`): not served by this broker.
    Unsupported(String),
}

/// An expression that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the expression `{0}` names no tag: write `*`, or tags separated by `||`")]
pub struct NoTag(pub String);

impl Filter {
    /// Whether a message with this tag hash is wanted. Two tags may share a hash; the client looks at
    /// the tag itself.
    #[must_use]
    pub fn matches(&self, hash: i64) -> bool {
        match self {
            Filter::All => true,
            Filter::Tags(hashes) => hashes.contains(&hash),
            Filter::Unsupported(_) => false,
        }
    }
}

impl Subscription {
    /// Reads an expression (RocketMQ 5.5.0, FilterAPI.buildSubscriptionData): empty and `*` mean all.
    /// `kind` is `TAG`, or absent for it; any other kind is kept as unsupported.
    ///
    /// # Errors
    /// [`NoTag`] when there is something else than `*` but no tag.
    pub fn parse(text: &str, kind: Option<&str>, version: i64) -> Result<Self, NoTag> {
        let filter = match kind {
            Some(kind) if !kind.is_empty() && kind != "TAG" => Filter::Unsupported(kind.to_owned()),
            _ if text.is_empty() || text == "*" => Filter::All,
            _ => {
                let tags = text.split("||").map(str::trim).filter(|tag| !tag.is_empty());
                let hashes: HashSet<i64> = tags.map(tag_hash).collect();
                if hashes.is_empty() {
                    return Err(NoTag(text.to_owned()));
                }
                Filter::Tags(hashes)
            }
        };
        Ok(Self { text: text.to_owned(), version, filter })
    }

    /// A subscription as a heartbeat lists it: with the tag hashes that the client computed.
    #[must_use]
    pub fn listed(text: &str, kind: Option<&str>, version: i64, codes: &[i32]) -> Self {
        let filter = match kind {
            Some(kind) if !kind.is_empty() && kind != "TAG" => Filter::Unsupported(kind.to_owned()),
            _ if text == "*" || codes.is_empty() => Filter::All,
            _ => Filter::Tags(codes.iter().copied().map(i64::from).collect()),
        };
        Self { text: text.to_owned(), version, filter }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_rocketmqs() {
        for all in ["", "*"] {
            let found = Subscription::parse(all, Some("TAG"), 1).expect("an expression");
            assert_eq!(found.filter, Filter::All);
        }
        let two = Subscription::parse(" TagA || TagB ||", None, 1).expect("an expression");
        assert!(two.filter.matches(tag_hash("TagA")) && two.filter.matches(tag_hash("TagB")));
        assert!(!two.filter.matches(tag_hash("TagC")) && !two.filter.matches(0));
        assert_eq!(Subscription::parse("||", None, 1), Err(NoTag("||".into())));
        let sql = Subscription::parse("a > 1", Some("SQL92"), 1).expect("kept");
        assert_eq!(sql.filter, Filter::Unsupported("SQL92".into()));
    }

    #[test]
    fn a_heartbeats_codes_are_the_same_hashes() {
        let parsed = Subscription::parse("TagA", None, 7).expect("an expression");
        assert_eq!(Subscription::listed("TagA", Some("TAG"), 7, &[2_598_919]), parsed);
        assert_eq!(Subscription::listed("*", None, 7, &[]).filter, Filter::All);
    }
}
