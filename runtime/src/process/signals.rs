//! Stop signals.

use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::channel::{MailboxReceiver, mailbox};
use crate::error::{IoError, IoOp};
use crate::process::lines::last_words;

/// A wish that the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopSignal {
    /// SIGTERM.
    Terminate,
    /// SIGINT (Ctrl-C).
    Interrupt,
    /// SIGHUP: the terminal is closed.
    HangUp,
}

impl fmt::Display for StopSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            StopSignal::Terminate => "SIGTERM",
            StopSignal::Interrupt => "SIGINT",
            StopSignal::HangUp => "SIGHUP",
        })
    }
}

impl StopSignal {
    fn of(number: i32) -> StopSignal {
        match number {
            SIGINT => StopSignal::Interrupt,
            SIGHUP => StopSignal::HangUp,
            _ => StopSignal::Terminate,
        }
    }
}

/// Signals that may wait to be taken; more say nothing new and are dropped.
const WAITING_MAX: usize = 8;
/// Signals this close to the first are the same wish: some programs signal a process and its group.
const SAME_WISH: Duration = Duration::from_millis(200);

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
    take_over(&[SIGTERM, SIGINT], |_| {})
}

/// As [`stop_signals`], with SIGHUP: for a command that takes back what it has begun, also when its terminal is closed.
pub fn stop_signals_and_hang_up() -> Result<StopSignals, IoError> {
    take_over(&[SIGTERM, SIGINT, SIGHUP], |_| {})
}

/// As [`stop_signals`], but only the first signal is a request: a second one, 200 ms or more after it, ends the process
/// at once with a line on the standard error, and exit code 143 (SIGTERM) or 130 (SIGINT). Nothing is flushed or
/// dropped then. `program` begins the line.
pub fn stop_signals_second_ends(program: &str) -> Result<StopSignals, IoError> {
    let program = program.to_owned();
    let mut first: Option<Instant> = None;
    take_over(&[SIGTERM, SIGINT], move |signal| {
        let since = *first.get_or_insert_with(Instant::now);
        if since.elapsed() >= SAME_WISH {
            end_at_once(&program, signal);
        }
    })
}

fn end_at_once(program: &str, signal: i32) -> ! {
    let name = StopSignal::of(signal);
    last_words(&format!(
        "{program}: {name} for the second time: the process ends at once, not in good order"
    ));
    // SAFETY: takes a plain integer. `exit` would run destructors of threads that are still working.
    unsafe { libc::_exit(128 + signal) }
}

/// Calls `on_signal` for each of these signals, on the thread that receives them, before it is handed on.
fn take_over(
    numbers: &[i32],
    mut on_signal: impl FnMut(i32) + Send + 'static,
) -> Result<StopSignals, IoError> {
    let failed = |error| {
        let names: Vec<String> =
            numbers.iter().map(|one| StopSignal::of(*one).to_string()).collect();
        IoError::name(IoOp::Signal, names.join(" and "), error)
    };
    let mut pending = Signals::new(numbers).map_err(failed)?;
    let (sender, signals) = mailbox(WAITING_MAX);
    let body = move || {
        for signal in pending.forever() {
            on_signal(signal);
            // Full: enough of them are waiting. Closed: nobody wants them any more.
            let (Ok(()) | Err(_)) = sender.try_send(StopSignal::of(signal));
        }
    };
    thread::Builder::new().name("signals".to_owned()).spawn(body).map_err(failed)?;
    Ok(StopSignals { signals })
}
