//! The `version` field: the ordinal of a RocketMQ release in class MQVersion.

/// The version that we emit: RocketMQ 5.5.0.
pub const OURS: i32 = V5_5_0;

/// 3.4.9: older producers do not know `maxReconsumeTimes`.
pub const V3_4_9: i32 = 121;
/// 4.9.4: from here on a client reads a route body in standard JSON.
pub const V4_9_4: i32 = 401;
/// 4.9.8.
pub const V4_9_8: i32 = 409;
/// 5.0.0: from here on a compressed registration carries static topic mappings.
pub const V5_0_0: i32 = 413;
/// 5.5.0.
pub const V5_5_0: i32 = 513;
