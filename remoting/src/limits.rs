//! Every limit of the protocol crate, by name.

/// Largest frame in bytes, its four length bytes included. RocketMQ 5.5.0, class
/// NettyServerConfig and NettyClientConfig: a peer closes the connection on a longer one.
pub const MAX_FRAME: usize = 16 * 1024 * 1024;

/// Largest header in bytes. Properties are at most 32,767 bytes, and JSON escapes make at most six
/// bytes of one, so that no honest request comes near this.
pub const MAX_HEADER: usize = 1024 * 1024;

/// Largest number of extension fields in one header. A send has 15.
pub const MAX_EXT_FIELDS: usize = 256;

/// Deepest nesting of JSON objects and arrays, in headers and in bodies.
pub const MAX_JSON_DEPTH: usize = 64;

/// Largest body that a compressed one may inflate to, in bytes: about half a million topics.
pub const MAX_INFLATED: usize = 64 * 1024 * 1024;

/// Largest JSON body of a request that any client may send, in bytes. A short text can become a large
/// value (`{}` a whole subscription), so that the limit of a frame is not enough. A heartbeat with
/// 8,000 subscriptions fits.
pub const MAX_CLIENT_BODY: usize = 2 * 1024 * 1024;

/// Longest piece of a wrong value that an error message repeats, in characters.
pub const MAX_QUOTED_VALUE: usize = 64;

/// Longest text of a JSON parser's error that our own repeats, in characters. It may quote a value too.
pub const MAX_QUOTED_ERROR: usize = 240;

const _: () = assert!(MAX_HEADER < 1 << 24, "the header length has 24 bits");
const _: () = assert!(MAX_HEADER < MAX_FRAME, "a header must fit a frame");
const _: () = assert!(MAX_FRAME <= i32::MAX as usize, "the frame length is an i32");
const _: () = assert!(MAX_FRAME <= MAX_INFLATED, "compression must not shrink what is allowed");
const _: () = assert!(MAX_CLIENT_BODY < MAX_FRAME, "a tighter limit than the frame's");
