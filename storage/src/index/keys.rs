//! What messages can be found by.

use model::properties;

/// Properties that the index notes.
const NAMES: [&str; 3] = [properties::TAGS, properties::KEYS, properties::UNIQ_KEY];

/// What the index notes of a message's properties.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Noted<'a> {
    /// Its tag.
    pub tag: Option<&'a str>,
    keys: Option<&'a str>,
    unique: Option<&'a str>,
}

impl<'a> Noted<'a> {
    /// Reads a property text once. What stands there twice counts the first time, and not at all if it is not UTF-8, as
    /// [`properties::find`] has it.
    pub(super) fn of(text: &'a [u8]) -> Self {
        let (mut tag, mut keys, mut unique) = (None, None, None);
        for (name, value) in properties::pairs(text) {
            let places = [&mut tag, &mut keys, &mut unique];
            let found = NAMES.into_iter().zip(places).find(|(noted, _)| noted.as_bytes() == name);
            if let Some((_, place)) = found {
                place.get_or_insert(value);
            }
        }
        let text = |value: Option<&'a [u8]>| std::str::from_utf8(value?).ok();
        Self { tag: text(tag), keys: text(keys), unique: text(unique) }
    }

    /// The keys that the message can be found by: those in `KEYS`, and the unique one.
    pub(super) fn keys(self) -> impl Iterator<Item = &'a str> {
        let keys = self.keys.unwrap_or_default();
        keys.split(' ').filter(|key| !key.is_empty()).chain(self.unique)
    }
}

/// The keys that a message with these properties can be found by.
pub(crate) fn message_keys(properties: &[u8]) -> impl Iterator<Item = &str> {
    Noted::of(properties).keys()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_those_of_the_message_and_its_unique_one() {
        let text = b"KEYSa b  cTAGStUNIQ_KEYu";
        assert_eq!(message_keys(text).collect::<Vec<_>>(), ["a", "b", "c", "u"]);
        assert_eq!(message_keys(b"TAGSt").count(), 0);
    }

    #[test]
    fn the_first_of_a_name_counts_and_only_as_text() {
        let texts: [&[u8]; 4] = [
            b"TAGS\x01t\x02TAGS\x01u\x02KEYS\x01k\x02",
            b"KEYS\x01\xFF\x02KEYS\x01k\x02UNIQ_KEY\x01u",
            b"\xFF\x01x\x02TAGS\x01\x02TAGS\x01t",
            b"",
        ];
        for text in texts {
            let noted = Noted::of(text);
            assert_eq!(noted.tag, properties::find(text, properties::TAGS));
            assert_eq!(noted.keys, properties::find(text, properties::KEYS));
            assert_eq!(noted.unique, properties::find(text, properties::UNIQ_KEY));
        }
    }
}
