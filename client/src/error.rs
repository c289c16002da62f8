//! Why a call has no result.

use remoting::batch::BatchError;
use remoting::body::BodyError;
use remoting::header::HeaderError;
use runtime::IoError;
use transport::{ConnectError, RequestError};

/// What went wrong, with the address and the request where there are any.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The list of NameServers is empty.
    #[error("no NameServer is given; name one as host:port (option -n, or NAMESRV_ADDR)")]
    NoNameServers,
    /// Not one NameServer could be asked; one line each.
    #[error("no NameServer answered:{}", lines(.tried))]
    NoNameServerAnswered {
        /// Address and error, in the order asked.
        tried: Vec<(String, ClientError)>,
    },
    /// A name has no address.
    #[error("`{name}` has no address: {error}")]
    Resolve {
        /// As given, `host:port`.
        name: String,
        /// Why.
        error: IoError,
    },
    /// No connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// No answer.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The answer is no.
    #[error("{addr} refuses request {request} with code {code}: {remark}")]
    Refused {
        /// Who.
        addr: String,
        /// Code of the request.
        request: i32,
        /// Code of the answer.
        code: i32,
        /// The answer's text.
        remark: String,
    },
    /// The answer lacks fields, or has wrong ones.
    #[error("answer of {addr}: {error}")]
    Header {
        /// Who.
        addr: String,
        /// Which field.
        error: HeaderError,
    },
    /// The answer's body cannot be read.
    #[error("answer of {addr}: {error}")]
    Body {
        /// Who.
        addr: String,
        /// What is wrong.
        error: BodyError,
    },
    /// A batch cannot be written; nothing was sent.
    #[error("a message of the batch cannot be written: {0}")]
    Batch(#[from] BatchError),
    /// A property has a character that separates properties, or there are too many; nothing was sent.
    #[error("property `{name}` contains the bytes 1 or 2, which separate properties")]
    Property {
        /// Its name.
        name: String,
    },
}

impl ClientError {
    /// The code of the answer, if there was one.
    pub fn refused_with(&self) -> Option<i32> {
        match self {
            ClientError::Refused { code, .. } => Some(*code),
            _ => None,
        }
    }
}

fn lines(tried: &[(String, ClientError)]) -> String {
    tried.iter().map(|(addr, error)| format!("\n  {addr}: {error}")).collect()
}
