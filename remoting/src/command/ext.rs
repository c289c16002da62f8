//! Extension fields: an ordered list of name and text. Commands have at most a dozen or two, so a
//! list beats a map.

use std::borrow::Cow;

/// Extension fields that may borrow their names and values; [`ExtFields`] is the owned form.
///
/// Names are unique and keep the order in which they first came; the last value of a name wins.
#[derive(Clone, Debug, Default)]
pub struct ExtRef<'a> {
    fields: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// The [`mark`]s of all names: a name whose mark is missing is not there. Saves nearly every
    /// comparison while a header comes in.
    marks: u64,
}

/// One bit of 64, by length and ends of a name. The one-letter names of a send have different ones.
fn mark(name: &str) -> u64 {
    let (first, last) = match name.as_bytes() {
        [] => (0, 0),
        [only] => (*only, 0),
        [first, .., last] => (*first, *last),
    };
    let len = name.len() % 64;
    1 << ((usize::from(first) + 5 * usize::from(last) + 11 * len) % 64)
}

/// Extension fields that borrow nothing.
pub type ExtFields = ExtRef<'static>;

impl<'a> ExtRef<'a> {
    /// No fields, no allocation.
    #[must_use]
    pub const fn new() -> Self {
        Self { fields: Vec::new(), marks: 0 }
    }

    /// No fields, but room for `capacity` of them.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self { fields: Vec::with_capacity(capacity), marks: 0 }
    }

    /// The value of `name`, if it is there.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        if self.marks & mark(name) == 0 {
            return None;
        }
        self.fields.iter().find(|(have, _)| have == name).map(|(_, value)| value.as_ref())
    }

    /// Sets the value of `name`, in place of the one it had.
    pub fn insert(&mut self, name: impl Into<Cow<'a, str>>, value: impl Into<Cow<'a, str>>) {
        let (name, value) = (name.into(), value.into());
        let mark = mark(&name);
        if self.marks & mark != 0
            && let Some((_, old)) = self.fields.iter_mut().find(|(have, _)| *have == name)
        {
            *old = value;
            return;
        }
        self.marks |= mark;
        self.fields.push((name, value));
    }

    /// Number of fields.
    #[must_use]
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// True without fields.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Names and values in the order in which the names first came.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.iter().map(|(name, value)| (name.as_ref(), value.as_ref()))
    }

    /// Copies what is borrowed.
    #[must_use]
    pub fn into_owned(self) -> ExtFields {
        let own = |text: Cow<'a, str>| Cow::Owned(text.into_owned());
        let fields = self.fields.into_iter().map(|(n, v)| (own(n), own(v))).collect();
        ExtRef { fields, marks: self.marks }
    }
}

/// Equal fields are equal in any order: the wire has no order of fields.
impl PartialEq<ExtRef<'_>> for ExtRef<'_> {
    fn eq(&self, other: &ExtRef<'_>) -> bool {
        self.len() == other.len() && self.iter().all(|(name, value)| other.get(name) == Some(value))
    }
}

impl Eq for ExtRef<'_> {}

/// Where extension fields are written to: the send buffer, or a command's [`ExtFields`].
pub trait ExtSink {
    /// Takes a field whose value is text.
    fn text(&mut self, name: &str, value: &str);
    /// Takes a field whose value is a whole number.
    fn number(&mut self, name: &str, value: i64);
}

impl ExtSink for ExtFields {
    fn text(&mut self, name: &str, value: &str) {
        self.insert(name.to_owned(), value.to_owned());
    }

    fn number(&mut self, name: &str, value: i64) {
        self.insert(name.to_owned(), value.to_string());
    }
}

/// What can be written as extension fields: typed headers, lists of pairs, [`ExtRef`], `()`.
pub trait EncodeExt {
    /// Writes every field that has a value, each name once.
    fn encode_ext(&self, sink: &mut dyn ExtSink);
}

impl EncodeExt for () {
    fn encode_ext(&self, _: &mut dyn ExtSink) {}
}

impl EncodeExt for ExtRef<'_> {
    fn encode_ext(&self, sink: &mut dyn ExtSink) {
        for (name, value) in self.iter() {
            sink.text(name, value);
        }
    }
}

impl<const N: usize> EncodeExt for [(&str, &str); N] {
    fn encode_ext(&self, sink: &mut dyn ExtSink) {
        for (name, value) in self {
            sink.text(name, value);
        }
    }
}

impl EncodeExt for [(&str, &str)] {
    fn encode_ext(&self, sink: &mut dyn ExtSink) {
        for (name, value) in self {
            sink.text(name, value);
        }
    }
}

/// Both, the first before the second; their names must differ.
impl<A: EncodeExt, B: EncodeExt> EncodeExt for (A, B) {
    fn encode_ext(&self, sink: &mut dyn ExtSink) {
        self.0.encode_ext(sink);
        self.1.encode_ext(sink);
    }
}

/// What is there.
impl<A: EncodeExt> EncodeExt for Option<A> {
    fn encode_ext(&self, sink: &mut dyn ExtSink) {
        if let Some(some) = self {
            some.encode_ext(sink);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_value_of_a_name_wins_and_keeps_its_place() {
        let mut ext = ExtFields::new();
        ext.insert("a", "1");
        ext.insert("b", "2");
        ext.insert("a", "3");
        assert_eq!(ext.iter().collect::<Vec<_>>(), [("a", "3"), ("b", "2")]);
        assert_eq!(ext.get("a"), Some("3"));
        assert_eq!(ext.get("c"), None);
    }

    #[test]
    fn order_does_not_matter_for_equality() {
        let mut left = ExtFields::new();
        [("a", "1"), ("b", "2")].encode_ext(&mut left);
        let mut right = ExtFields::new();
        [("b", "2"), ("a", "1")].encode_ext(&mut right);
        assert_eq!(left, right);
        right.number("b", 3);
        assert_ne!(left, right);
        right.insert("c", "");
        assert_ne!(left, right);
    }
}
