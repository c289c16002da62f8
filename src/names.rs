//! A NameServer on an executor of its own.

use runtime::channel::{Promise, promise};
use runtime::executor::{JoinError, StartError};
use runtime::{Executor, Placement, Spec};

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// It cannot listen.
    #[error(transparent)]
    Bind(#[from] namesrv::BindError),
    /// The executor.
    #[error(transparent)]
    Executor(#[from] StartError),
    /// Its thread ended without saying why.
    #[error(transparent)]
    Died(#[from] JoinError),
}

/// A NameServer that serves until it is stopped.
pub struct NameServer {
    stop: Promise<()>,
    executor: Executor<Result<(), namesrv::BindError>>,
}

impl NameServer {
    /// Starts it and returns when it listens.
    ///
    /// # Errors
    /// It cannot listen, or there can be no executor.
    pub fn start(config: namesrv::Config) -> Result<Self, Failure> {
        let (ready, is_ready) = promise();
        let (stop, told_to_stop) = promise();
        let spec = Spec { name: "namesrv".to_owned(), placement: Placement::Any, busy_poll: None };
        let executor = runtime::start(spec, move || async move {
            let server = namesrv::start(config).await?;
            if ready.fulfil(()).is_ok() {
                // An error means that the promise was dropped, which is a stop as well.
                told_to_stop.await.unwrap_or(());
            }
            server.stop().await;
            Ok(())
        })?;
        match is_ready.wait() {
            Ok(()) => Ok(Self { stop, executor }),
            Err(_) => Err(executor.join()?.expect_err("it did not become ready").into()),
        }
    }

    /// Stops it and waits until it has ended.
    ///
    /// # Errors
    /// It had ended otherwise before.
    pub fn stop(self) -> Result<(), Failure> {
        if self.stop.fulfil(()).is_err() {
            tracing::debug!("the NameServer had ended before");
        }
        Ok(self.executor.join()??)
    }
}
