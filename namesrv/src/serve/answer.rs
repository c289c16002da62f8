//! An answer, and why there is none.

use remoting::body::{Body, BodyError, RegisterError};
use remoting::command::EncodeExt;
use remoting::header::HeaderError;
use remoting::{ExtFields, ResponseCode, ResponseHead};
use transport::Connection;

use crate::kv::KvError;
use crate::routes::Refused;

/// What is sent back.
#[derive(Debug)]
pub(super) struct Answer {
    code: ResponseCode,
    remark: Option<String>,
    ext: ExtFields,
    body: Vec<u8>,
}

impl Answer {
    pub(super) fn ok() -> Answer {
        Answer {
            code: ResponseCode::Success,
            remark: None,
            ext: ExtFields::new(),
            body: Vec::new(),
        }
    }

    pub(super) fn failed(code: ResponseCode, remark: String) -> Answer {
        Answer { code, remark: Some(remark), ..Answer::ok() }
    }

    pub(super) fn with_ext(mut self, header: &impl EncodeExt) -> Answer {
        header.encode_ext(&mut self.ext);
        self
    }

    pub(super) fn with_body(mut self, body: &impl Body) -> Answer {
        self.body = body.encode();
        self
    }

    /// Nothing happens if the request was oneway.
    pub(super) fn send(&self, connection: &Connection, opaque: i32) {
        let head = ResponseHead {
            code: self.code.code(),
            opaque,
            remark: self.remark.as_deref(),
            ext: &self.ext,
        };
        connection.respond(&head, &self.body);
    }
}

/// Why a request is not done.
#[derive(Debug)]
pub(super) enum Failure {
    /// Nobody here serves it.
    NotServed,
    /// The code and the text that say why.
    Answer {
        /// The code.
        code: ResponseCode,
        /// The text.
        remark: String,
    },
}

impl Failure {
    pub(super) fn new(code: ResponseCode, remark: impl Into<String>) -> Failure {
        Failure::Answer { code, remark: remark.into() }
    }

    fn system(error: &dyn std::error::Error) -> Failure {
        Failure::new(ResponseCode::SystemError, error.to_string())
    }
}

macro_rules! system_error {
    ($($error:ty),*) => {$(
        impl From<$error> for Failure {
            fn from(error: $error) -> Failure {
                Failure::system(&error)
            }
        }
    )*};
}
system_error!(HeaderError, BodyError, RegisterError, Refused, KvError);
