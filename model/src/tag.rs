//! The hash by which a queue's index filters tags.

/// The hash of a message's `TAGS` property: Java's `String.hashCode`, sign-extended; 0 when there is
/// no tag. (RocketMQ 5.5.0, `MessageExtBrokerInner.tagsString2tagsCode`.)
///
/// Two tags may share a hash, so a filter by it may let through a message too many, never one too few.
#[must_use]
pub fn tag_hash(tags: &str) -> i64 {
    let hash = tags
        .encode_utf16()
        .fold(0i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
    i64::from(hash)
}

#[cfg(test)]
mod tests {
    use super::tag_hash;

    #[test]
    fn is_javas_string_hash() {
        assert_eq!(tag_hash(""), 0);
        assert_eq!(tag_hash("TagA"), 2_598_919);
        // "polygenelubricants" is the well-known string whose hash is Integer.MIN_VALUE.
        assert_eq!(tag_hash("polygenelubricants"), i64::from(i32::MIN));
        // One code point outside the basic plane is two UTF-16 units.
        assert_eq!(tag_hash("\u{1F600}"), 1_772_899);
    }
}
