//! Stop signals.

use std::thread;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::channel::{MailboxReceiver, mailbox};
use crate::error::{IoError, IoOp};

/// A wish that the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopSignal {
    /// SIGTERM.
    Terminate,
    /// SIGINT (Ctrl-C).
    Interrupt,
}

/// Signals that may wait to be taken; more say nothing new and are dropped.
const WAITING_MAX: usize = 8;

/// The stop signals of this process, in order.
pub struct StopSignals {
    signals: MailboxReceiver<StopSignal>,
}

impl StopSignals {
    /// Waits on an executor for the next signal. `None` only if the thread that receives them has died.
    pub async fn next(&mut self) -> Option<StopSignal> {
        self.signals.recv().await
    }

    /// Blocks a plain thread until the next signal. `None` only if the thread that receives them has died.
    pub fn wait(&mut self) -> Option<StopSignal> {
        self.signals.recv_blocking()
    }
}

/// Takes over SIGTERM and SIGINT, for ever: from now on they do not end the process by themselves. Every caller gets
/// every signal.
pub fn stop_signals() -> Result<StopSignals, IoError> {
    let failed = |error| IoError::name(IoOp::Signal, "SIGTERM and SIGINT", error);
    let mut pending = Signals::new([SIGTERM, SIGINT]).map_err(failed)?;
    let (sender, signals) = mailbox(WAITING_MAX);
    let body = move || {
        for signal in pending.forever() {
            let stop = if signal == SIGINT { StopSignal::Interrupt } else { StopSignal::Terminate };
            // Full: enough of them are waiting. Closed: nobody wants them any more.
            let (Ok(()) | Err(_)) = sender.try_send(stop);
        }
    };
    thread::Builder::new().name("signals".to_owned()).spawn(body).map_err(failed)?;
    Ok(StopSignals { signals })
}
