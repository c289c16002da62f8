//! From a command to the bytes of its frame, straight into the send buffer.

use bytes::BytesMut;

use crate::command::ext::{EncodeExt, ExtSink};
use crate::command::{Command, EncodeError, Flags, Language, SerializeType, version, word};
use crate::frame::{LENGTH_BYTES, PREFIX_BYTES};
use crate::limits::{MAX_FRAME, MAX_HEADER};

/// Bytes that the header of an answer rarely exceeds; reserved in one go.
const USUAL_HEADER: usize = 512;

/// A growable byte buffer that frames can be appended to.
pub trait FrameBuf: sealed::Sealed {
    /// Makes room for at least `bytes` more.
    fn make_room(&mut self, bytes: usize);
    /// Appends bytes.
    fn append(&mut self, bytes: &[u8]);
    /// What is in the buffer.
    fn filled(&mut self) -> &mut [u8];
    /// Drops everything from `len` on.
    fn cut(&mut self, len: usize);
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for Vec<u8> {}
    impl Sealed for bytes::BytesMut {}
}

impl FrameBuf for Vec<u8> {
    fn make_room(&mut self, bytes: usize) {
        self.reserve(bytes);
    }

    fn append(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }

    fn filled(&mut self) -> &mut [u8] {
        self
    }

    fn cut(&mut self, len: usize) {
        self.truncate(len);
    }
}

impl FrameBuf for BytesMut {
    fn make_room(&mut self, bytes: usize) {
        self.reserve(bytes);
    }

    fn append(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }

    fn filled(&mut self) -> &mut [u8] {
        self
    }

    fn cut(&mut self, len: usize) {
        self.truncate(len);
    }
}

/// The head of an answer.
#[derive(Clone, Copy)]
pub struct ResponseHead<'a> {
    /// Response code.
    pub code: i32,
    /// The `opaque` of the request.
    pub opaque: i32,
    /// Text for people; on errors, why and what to do.
    pub remark: Option<&'a str>,
    /// The typed header of the answer; `&()` for none.
    pub ext: &'a dyn EncodeExt,
}

/// The head of a request.
#[derive(Clone, Copy)]
pub struct RequestHead<'a> {
    /// Request code.
    pub code: i32,
    /// The sender's number of the request.
    pub opaque: i32,
    /// True if nobody shall answer.
    pub oneway: bool,
    /// The typed header of the request; `&()` for none.
    pub ext: &'a dyn EncodeExt,
}

/// Appends length prefix and header of an answer; the caller appends the `body_len` bytes of body.
///
/// # Errors
/// [`EncodeError`] if header or frame would be too long; `out` is then as it was.
pub fn encode_response<B: FrameBuf>(
    out: &mut B,
    head: &ResponseHead<'_>,
    body_len: usize,
) -> Result<(), EncodeError> {
    let fields = Fields {
        code: head.code,
        flag: Flags::RESPONSE,
        opaque: head.opaque,
        version: version::OURS,
        language: Language::OURS,
        remark: head.remark,
        ext: head.ext,
    };
    encode(out, &fields, body_len)
}

/// Appends length prefix and header of a request; the caller appends the `body_len` bytes of body.
///
/// # Errors
/// As [`encode_response`].
pub fn encode_request<B: FrameBuf>(
    out: &mut B,
    head: &RequestHead<'_>,
    body_len: usize,
) -> Result<(), EncodeError> {
    let fields = Fields {
        code: head.code,
        flag: if head.oneway { Flags::ONEWAY } else { Flags::REQUEST },
        opaque: head.opaque,
        version: version::OURS,
        language: Language::OURS,
        remark: None,
        ext: head.ext,
    };
    encode(out, &fields, body_len)
}

/// Appends length prefix and header of `command`.
pub(super) fn encode_command<B: FrameBuf>(
    out: &mut B,
    command: &Command,
) -> Result<(), EncodeError> {
    if command.serialize != SerializeType::Json {
        return Err(EncodeError::UnsupportedSerialization { serialize: command.serialize });
    }
    let fields = Fields {
        code: command.code,
        flag: command.flag,
        opaque: command.opaque,
        version: command.version,
        language: command.language,
        remark: command.remark.as_deref(),
        ext: &command.ext,
    };
    encode(out, &fields, command.body.len())
}

/// Every field of a header.
struct Fields<'a> {
    code: i32,
    flag: Flags,
    opaque: i32,
    version: i32,
    language: Language,
    remark: Option<&'a str>,
    ext: &'a dyn EncodeExt,
}

fn encode<B: FrameBuf>(
    out: &mut B,
    fields: &Fields<'_>,
    body_len: usize,
) -> Result<(), EncodeError> {
    let start = out.filled().len();
    out.make_room(USUAL_HEADER);
    let mut pieces = Pieces::new(out);
    pieces.append(&[0; PREFIX_BYTES]);
    write_json(&mut pieces, fields);
    pieces.hand_over();
    let header = out.filled().len() - start - PREFIX_BYTES;
    match prefix(header, body_len) {
        Ok(prefix) => {
            out.filled()[start..start + PREFIX_BYTES].copy_from_slice(&prefix);
            Ok(())
        }
        Err(error) => {
            out.cut(start);
            Err(error)
        }
    }
}

/// Collects the small pieces that a header is made of, so that the buffer behind grows once for many.
struct Pieces<'a> {
    out: &'a mut dyn FrameBuf,
    held: [u8; USUAL_HEADER],
    len: usize,
}

impl<'a> Pieces<'a> {
    fn new(out: &'a mut dyn FrameBuf) -> Self {
        Self { out, held: [0; USUAL_HEADER], len: 0 }
    }

    #[inline]
    fn append(&mut self, bytes: &[u8]) {
        match self.held.get_mut(self.len..self.len + bytes.len()) {
            Some(room) => {
                room.copy_from_slice(bytes);
                self.len += bytes.len();
            }
            None => self.pass(bytes),
        }
    }

    /// Appends what there is no room for here.
    #[cold]
    fn pass(&mut self, bytes: &[u8]) {
        self.hand_over();
        self.out.append(bytes);
    }

    /// Puts what is held into the buffer.
    fn hand_over(&mut self) {
        self.out.append(&self.held[..self.len]);
        self.len = 0;
    }
}

/// Length field and header word.
fn prefix(header: usize, body: usize) -> Result<[u8; PREFIX_BYTES], EncodeError> {
    let bytes = (PREFIX_BYTES + header).saturating_add(body);
    if header > MAX_HEADER {
        return Err(EncodeError::HeaderTooLong { header });
    }
    if bytes > MAX_FRAME {
        return Err(EncodeError::FrameTooLong { bytes });
    }
    let length = u32::try_from(bytes - LENGTH_BYTES).expect("MAX_FRAME fits 32 bits");
    let header = u32::try_from(header).expect("MAX_HEADER fits 24 bits");
    let word = u32::from(SerializeType::Json.byte()) << 24 | header;
    let mut prefix = [0; PREFIX_BYTES];
    prefix[..LENGTH_BYTES].copy_from_slice(&length.to_be_bytes());
    prefix[LENGTH_BYTES..].copy_from_slice(&word.to_be_bytes());
    Ok(prefix)
}

/// The header as JSON, names in alphabetical order as Java writes them.
fn write_json(out: &mut Pieces<'_>, fields: &Fields<'_>) {
    out.append(b"{\"code\":");
    append_number(out, fields.code.into());
    let mut sink = JsonSink { out, open: false };
    fields.ext.encode_ext(&mut sink);
    if sink.open {
        out.append(b"}");
    }
    out.append(b",\"flag\":");
    append_number(out, fields.flag.0.into());
    out.append(b",\"language\":\"");
    out.append(fields.language.name().as_bytes());
    out.append(b"\",\"opaque\":");
    append_number(out, fields.opaque.into());
    if let Some(remark) = fields.remark {
        out.append(b",\"remark\":");
        append_string(out, remark);
    }
    out.append(b",\"serializeTypeCurrentRPC\":\"JSON\",\"version\":");
    append_number(out, fields.version.into());
    out.append(b"}");
}

/// Writes extension fields; the object is opened by its first field.
struct JsonSink<'a, 'b> {
    out: &'a mut Pieces<'b>,
    open: bool,
}

impl JsonSink<'_, '_> {
    fn name(&mut self, name: &str) {
        self.out.append(if self.open { b"," } else { b",\"extFields\":{" });
        self.open = true;
        append_string(self.out, name);
        self.out.append(b":");
    }
}

impl ExtSink for JsonSink<'_, '_> {
    fn text(&mut self, name: &str, value: &str) {
        self.name(name);
        append_string(self.out, value);
    }

    fn number(&mut self, name: &str, value: i64) {
        self.name(name);
        self.out.append(b"\"");
        append_number(self.out, value);
        self.out.append(b"\"");
    }
}

/// Decimal digits, with a sign if negative.
fn append_number(out: &mut Pieces<'_>, value: i64) {
    /// Digits of `u64::MAX`.
    const MOST: usize = 20;
    let mut digits = [0; MOST];
    let mut at = MOST;
    let mut rest = value.unsigned_abs();
    loop {
        at -= 1;
        digits[at] = b'0' + u8::try_from(rest % 10).expect("one digit");
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        out.append(b"-");
    }
    out.append(&digits[at..]);
}

/// A quoted string: quotes, backslashes and control characters are escaped, everything else stays.
fn append_string(out: &mut Pieces<'_>, text: &str) {
    out.append(b"\"");
    if needs_escape(text.as_bytes()) {
        append_escaped(out, text.as_bytes());
    } else {
        out.append(text.as_bytes());
    }
    out.append(b"\"");
}

fn is_special(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// Whether there is a special byte. Longer texts are looked at in eights, the last of which may overlap the one before.
#[inline]
fn needs_escape(bytes: &[u8]) -> bool {
    let Some(last) = bytes.last_chunk() else {
        return bytes.iter().any(|&byte| is_special(byte));
    };
    let (eights, _) = bytes.as_chunks();
    eights.iter().chain([last]).any(|&eight| word::has_special(eight))
}

#[cold]
fn append_escaped(out: &mut Pieces<'_>, text: &[u8]) {
    let mut rest = text;
    while let Some(at) = rest.iter().position(|&byte| is_special(byte)) {
        out.append(&rest[..at]);
        append_escape(out, rest[at]);
        rest = &rest[at + 1..];
    }
    out.append(rest);
}

fn append_escape(out: &mut Pieces<'_>, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    match byte {
        b'"' | b'\\' => out.append(&[b'\\', byte]),
        b'\n' => out.append(b"\\n"),
        b'\r' => out.append(b"\\r"),
        b'\t' => out.append(b"\\t"),
        _ => {
            let (high, low) = (HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]);
            out.append(&[b'\\', b'u', b'0', b'0', high, low]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::ExtFields;
    use crate::frame::split;
    use bytes::Bytes;

    #[test]
    fn an_answer_is_written_byte_for_byte() {
        let mut out = vec![9];
        let head = ResponseHead {
            code: 0,
            opaque: 5,
            remark: None,
            ext: &[("msgId", "7F\u{1}\"\\\n"), ("queueId", "3")],
        };
        encode_response(&mut out, &head, 2).unwrap();
        let json = r#"{"code":0,"extFields":{"msgId":"7F\u0001\"\\\n","queueId":"3"},"flag":1,"language":"JAVA","opaque":5,"serializeTypeCurrentRPC":"JSON","version":513}"#;
        let length = u8::try_from(4 + json.len() + 2).unwrap();
        let header = u8::try_from(json.len()).unwrap();
        assert_eq!(&out[..9], &[9, 0, 0, 0, length, 0, 0, 0, header]);
        assert_eq!(std::str::from_utf8(&out[9..]).unwrap(), json);
    }

    #[test]
    fn no_fields_no_object() {
        let mut out = BytesMut::new();
        let head = RequestHead { code: 34, opaque: -1, oneway: true, ext: &() };
        encode_request(&mut out, &head, 0).unwrap();
        let json = r#"{"code":34,"flag":2,"language":"JAVA","opaque":-1,"serializeTypeCurrentRPC":"JSON","version":513}"#;
        assert_eq!(&out[PREFIX_BYTES..], json.as_bytes());
    }

    #[test]
    fn commands_survive_the_wire() {
        let mut ext = ExtFields::new();
        ext.text("topic", "t\u{e9}\u{1f600}\u{7f}");
        ext.number("offset", i64::MIN);
        let command = Command {
            version: 317,
            language: Language::Go,
            flag: Flags(3),
            ..Command::reply_to(i32::MIN, 17)
                .with_ext(&ext)
                .with_remark("no \u{0} route")
                .with_body("b")
        };
        let mut out = Vec::new();
        command.encode(&mut out).unwrap();
        command.encode(&mut out).unwrap();
        let out = Bytes::from(out);
        let first = split(&out, MAX_FRAME).unwrap().unwrap();
        assert_eq!(Command::from_frame(&out, &first).unwrap(), command);
        let rest = out.slice(first.end()..);
        let second = split(&rest, MAX_FRAME).unwrap().unwrap();
        assert_eq!(Command::from_frame(&rest, &second).unwrap(), command);
        assert_eq!(second.end(), rest.len());
    }

    #[test]
    fn what_nobody_would_read_is_not_written() {
        let mut out = vec![1, 2];
        let head = ResponseHead { code: 0, opaque: 0, remark: None, ext: &() };
        let error = encode_response(&mut out, &head, MAX_FRAME).unwrap_err();
        assert!(matches!(error, EncodeError::FrameTooLong { bytes } if bytes > MAX_FRAME));
        let error = encode_response(&mut out, &head, usize::MAX).unwrap_err();
        assert!(matches!(error, EncodeError::FrameTooLong { .. }));
        let long = "x".repeat(MAX_HEADER);
        let head = ResponseHead { remark: Some(&long), ..head };
        let error = encode_response(&mut out, &head, 0).unwrap_err();
        assert!(matches!(error, EncodeError::HeaderTooLong { header } if header > MAX_HEADER));
        let serialize = SerializeType::RocketMq;
        let binary = Command { serialize, ..Command::request(11) };
        let error = EncodeError::UnsupportedSerialization { serialize };
        assert_eq!(binary.encode(&mut out), Err(error));
        assert_eq!(out, [1, 2]);
    }
}
