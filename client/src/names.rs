//! The list of NameServers, and which of them answers.

use std::cell::Cell;

use remoting::command::EncodeExt;
use remoting::{Command, RequestCode};

use crate::client::Client;
use crate::error::ClientError;

/// `host:port` each; the one that answered last is asked first.
#[derive(Debug)]
pub(crate) struct NameServers {
    all: Vec<String>,
    first: Cell<usize>,
}

impl NameServers {
    pub(crate) fn new(all: Vec<String>) -> NameServers {
        NameServers { all, first: Cell::new(0) }
    }

    pub(crate) fn all(&self) -> &[String] {
        &self.all
    }
}

impl Client {
    /// Asks a NameServer, and the next one if it does not answer. The answer and whose it is; an error code counts as an answer.
    ///
    /// # Errors
    /// [`ClientError::NoNameServerAnswered`] with what each said.
    pub async fn ask_names(
        &self,
        code: RequestCode,
        ext: &dyn EncodeExt,
        body: &[u8],
    ) -> Result<(Command, &str), ClientError> {
        let names = self.names();
        if names.all.is_empty() {
            return Err(ClientError::NoNameServers);
        }
        let mut tried = Vec::new();
        for step in 0..names.all.len() {
            let at = (names.first.get() + step) % names.all.len();
            let addr = &names.all[at];
            match self.exchange(addr, code, ext, body).await {
                Ok(answer) => {
                    names.first.set(at);
                    return Ok((answer, addr));
                }
                Err(error) => {
                    tracing::debug!(%addr, %error, "NameServer does not answer");
                    tried.push((addr.clone(), error));
                }
            }
        }
        Err(ClientError::NoNameServerAnswered { tried })
    }
}
