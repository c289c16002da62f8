//! From the bytes of a JSON header to a [`CommandRef`].

use std::borrow::Cow;

use crate::command::scan::{Failed, Scanner, Value};
use crate::command::{CommandRef, DecodeError, ExtRef, Flags, Language};
use crate::limits::MAX_EXT_FIELDS;
use crate::quote;

/// Room for the fields of a send, the most frequent request, without growing.
const USUAL_EXT_FIELDS: usize = 16;

/// The header's own fields while they come in.
#[derive(Default)]
struct Partial<'a> {
    code: Option<i32>,
    opaque: Option<i32>,
    flag: i32,
    version: i32,
    language: Option<Language>,
    remark: Option<Cow<'a, str>>,
    ext: ExtRef<'a>,
}

pub(super) fn decode_json(header: &[u8]) -> Result<CommandRef<'_>, DecodeError> {
    let text = std::str::from_utf8(header)
        .map_err(|error| DecodeError::NotUtf8 { at: error.valid_up_to() })?;
    let head = read(text).map_err(|failed| *failed)?;
    Ok(CommandRef {
        code: head.code.ok_or(DecodeError::Missing { field: "code" })?,
        flag: Flags(head.flag),
        opaque: head.opaque.ok_or(DecodeError::Missing { field: "opaque" })?,
        version: head.version,
        // Java's own default when the field is absent.
        language: head.language.unwrap_or(Language::Java),
        remark: head.remark,
        ext: head.ext,
    })
}

/// Reads the header's object.
fn read(text: &str) -> Result<Partial<'_>, Failed> {
    let mut scan = Scanner::new(text);
    let mut head = Partial::default();
    scan.expect(b'{', "`{`")?;
    if !scan.take(b'}') {
        loop {
            let name = scan.member_name()?;
            member(&mut scan, &name, &mut head)?;
            if !scan.more_members()? {
                break;
            }
        }
    }
    scan.expect_end()?;
    Ok(head)
}

/// Reads the value of the header field `name`.
fn member<'a>(scan: &mut Scanner<'a>, name: &str, head: &mut Partial<'a>) -> Result<(), Failed> {
    if name == "extFields" && scan.take(b'{') {
        return ext_fields(scan, &mut head.ext);
    }
    let value = scan.value()?;
    match name {
        "code" => head.code = number("code", &value)?,
        "opaque" => head.opaque = number("opaque", &value)?,
        "flag" => head.flag = number("flag", &value)?.unwrap_or_default(),
        "version" => head.version = number("version", &value)?.unwrap_or_default(),
        "language" => head.language = language(&value),
        "remark" => head.remark = text(value),
        _ => {}
    }
    Ok(())
}

/// Reads the members of `extFields`, whose brace is taken. Values that are no strings keep their
/// JSON text; `null` means that the field is absent.
fn ext_fields<'a>(scan: &mut Scanner<'a>, ext: &mut ExtRef<'a>) -> Result<(), Failed> {
    *ext = ExtRef::with_capacity(USUAL_EXT_FIELDS);
    if scan.take(b'}') {
        return Ok(());
    }
    // Counted as written, not as kept: a name given again costs a search too.
    for fields in 0..MAX_EXT_FIELDS {
        assert!(ext.len() <= fields);
        let name = scan.member_name()?;
        if let Some(value) = scan.plain_string(b',') {
            ext.insert(name, value);
            continue;
        }
        if let Some(value) = text(scan.value()?) {
            ext.insert(name, value);
        }
        if !scan.more_members()? {
            return Ok(());
        }
    }
    Err(Box::new(DecodeError::TooManyFields))
}

fn text(value: Value<'_>) -> Option<Cow<'_, str>> {
    match value {
        Value::Text(text) => Some(text),
        Value::Raw(raw) => Some(Cow::Borrowed(raw)),
        Value::Null => None,
    }
}

/// A 32-bit number, quoted or not.
fn number(field: &'static str, value: &Value<'_>) -> Result<Option<i32>, Failed> {
    let digits = match value {
        Value::Text(text) => text.as_ref(),
        Value::Raw(raw) => raw,
        Value::Null => return Ok(None),
    };
    match digits.parse() {
        Ok(number) => Ok(Some(number)),
        Err(_) => {
            let value = quote::value(digits);
            Err(Box::new(DecodeError::BadNumber { field, value }))
        }
    }
}

/// A language by name, as everybody writes it, or by number, as an enum may be written.
fn language(value: &Value<'_>) -> Option<Language> {
    match value {
        Value::Text(name) => Some(Language::from_name(name)),
        Value::Raw(raw) => Some(raw.parse().map_or(Language::Unknown, Language::from_byte)),
        Value::Null => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::SerializeType;

    fn fails(json: &str) -> DecodeError {
        CommandRef::decode(SerializeType::Json, json.as_bytes()).unwrap_err()
    }

    fn decode(json: &str) -> CommandRef<'_> {
        CommandRef::decode(SerializeType::Json, json.as_bytes()).unwrap()
    }

    #[test]
    fn a_header_as_java_writes_it() {
        let json = r#"{"code":310,"extFields":{"a":"pg","e":"3","i":"K\u0001v\u0002","m":"false"},"flag":0,"language":"JAVA","opaque":7,"serializeTypeCurrentRPC":"JSON","version":513}"#;
        let head = decode(json);
        assert_eq!((head.code, head.opaque, head.version), (310, 7, 513));
        assert_eq!((head.flag, head.language), (Flags::REQUEST, Language::Java));
        assert_eq!(head.remark, None);
        assert_eq!(head.ext.get("i"), Some("K\u{1}v\u{2}"));
        let all: Vec<_> = head.ext.iter().map(|(name, _)| name).collect();
        assert_eq!(all, ["a", "e", "i", "m"]);
    }

    #[test]
    fn order_space_unknown_keys_and_absence_are_tolerated() {
        let head =
            decode(" { \"x\" : {\"y\":[1,{\"z\":\"}\\\"\"}]} ,\n\"opaque\":-1,\"code\":\"11\" } ");
        assert_eq!((head.code, head.opaque, head.version), (11, -1, 0));
        assert_eq!((head.flag, head.language), (Flags(0), Language::Java));
        assert!(head.ext.is_empty());
    }

    #[test]
    fn ext_fields_may_be_null_empty_or_hold_other_kinds() {
        assert!(decode(r#"{"code":1,"opaque":1,"extFields":null}"#).ext.is_empty());
        assert!(decode(r#"{"code":1,"opaque":1,"extFields":{ }}"#).ext.is_empty());
        let head = decode(r#"{"code":1,"opaque":1,"extFields":{"a":4,"b":true,"c":null,"d":[1]}}"#);
        let all: Vec<_> = head.ext.iter().collect();
        assert_eq!(all, [("a", "4"), ("b", "true"), ("d", "[1]")]);
    }

    #[test]
    fn languages_nobody_knows_do_no_harm() {
        for text in ["\"COBOL\"", "99", "1000", "{}"] {
            let json = format!(r#"{{"code":1,"opaque":1,"language":{text}}}"#);
            assert_eq!(decode(&json).language, Language::Unknown, "{text}");
        }
        assert_eq!(decode(r#"{"code":1,"opaque":1,"language":9}"#).language, Language::Go);
        assert_eq!(decode(r#"{"code":1,"opaque":1,"language":null}"#).language, Language::Java);
    }

    #[test]
    fn escapes_become_characters() {
        let json = r#"{"code":1,"opaque":1,"remark":"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00\ud83d\u0041\udc00"}"#;
        let remark = decode(json).remark.unwrap();
        assert_eq!(remark, "\"\\/\u{8}\u{c}\n\r\t\u{e9}\u{1f600}\u{fffd}A\u{fffd}");
    }

    #[test]
    fn broken_headers_are_typed_errors_with_the_position() {
        let json = |at, expected| DecodeError::Json { at, expected };
        assert_eq!(fails(""), json(0, "`{`"));
        assert_eq!(fails("{"), json(1, "a field name"));
        assert_eq!(fails(r#"{"code""#), json(7, "`:`"));
        assert_eq!(fails(r#"{"code":}"#), json(8, "a value"));
        assert_eq!(fails(r#"{"code":1 2}"#), json(10, "`,` or `}`"));
        assert_eq!(fails(r#"{"remark":"abc"#), json(14, "the closing quote"));
        assert_eq!(fails(r#"{"remark":"\x"}"#), json(12, "an escape of JSON"));
        assert_eq!(fails(r#"{"remark":"\u12g4"}"#), json(15, "four hex digits"));
        assert_eq!(fails(r#"{"code":1,"opaque":1}x"#), json(21, "the end of the header"));
        assert_eq!(fails(r#"{"code":1}"#), DecodeError::Missing { field: "opaque" });
        assert_eq!(fails(r#"{"opaque":1}"#), DecodeError::Missing { field: "code" });
        let value = "2147483648".to_owned();
        assert_eq!(
            fails(r#"{"opaque":2147483648,"code":1}"#),
            DecodeError::BadNumber { field: "opaque", value }
        );
    }

    #[test]
    fn limits_hold() {
        let deep = format!(r#"{{"x":{}"#, "[".repeat(100_000));
        assert_eq!(fails(&deep), DecodeError::TooDeep { at: 70 });
        let many = |n: usize| {
            let fields: Vec<_> = (0..n).map(|i| format!(r#""{i}":"""#)).collect();
            format!(r#"{{"code":1,"opaque":1,"extFields":{{{}}}}}"#, fields.join(","))
        };
        assert_eq!(decode(&many(MAX_EXT_FIELDS)).ext.len(), MAX_EXT_FIELDS);
        assert_eq!(fails(&many(MAX_EXT_FIELDS + 1)), DecodeError::TooManyFields);
    }

    #[test]
    fn bytes_that_are_no_text_and_binary_headers_are_refused() {
        let error = CommandRef::decode(SerializeType::Json, b"{\"\xff").unwrap_err();
        assert_eq!(error, DecodeError::NotUtf8 { at: 2 });
        let serialize = SerializeType::RocketMq;
        let error = CommandRef::decode(serialize, &[0, 10]).unwrap_err();
        assert_eq!(error, DecodeError::UnsupportedSerialization { serialize });
    }
}
