//! The log of the process on its standard output, written by a thread of its own: whoever reads it may be slow, stop
//! reading or go away, and nobody who logs ever waits for that.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

/// Bytes of lines that may wait for the reader; further lines are dropped and counted.
const MAX_WAITING: usize = 1024 * 1024;
/// The longest that the end of the process waits for the reader of the log, and for that of the standard error.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// Bytes that a pipe which takes anything takes at once.
const PIPE_ROOM: usize = 4096;

/// Lines on their way, in order.
#[derive(Debug, Default)]
struct Queue {
    waiting: Vec<u8>,
    /// Lines dropped behind those that wait.
    dropped: u64,
    /// The thread writes what it has taken.
    writing: bool,
}

impl Queue {
    fn push(&mut self, line: &[u8]) {
        if self.dropped > 0 || self.waiting.len() + line.len() > MAX_WAITING {
            self.dropped += 1;
        } else {
            self.waiting.extend_from_slice(line);
        }
    }

    /// Nothing waits, and nothing was dropped that is still to be told.
    fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.dropped == 0
    }

    /// All that waits, and what was dropped behind it.
    fn take(&mut self) -> Vec<u8> {
        let mut taken = std::mem::take(&mut self.waiting);
        match std::mem::take(&mut self.dropped) {
            0 => {}
            dropped => taken.extend_from_slice(
                format!("WARN {dropped} lines were dropped: who reads this log did not keep up\n")
                    .as_bytes(),
            ),
        }
        taken
    }
}

#[derive(Debug, Default)]
struct Lines {
    queue: Mutex<Queue>,
    more: Condvar,
    written: Condvar,
}

static LINES: OnceLock<Lines> = OnceLock::new();

impl Lines {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what comes, for ever.
    fn write(&self, out: &File) {
        let mut lost = 0;
        loop {
            let mut queue = self.lock();
            queue.writing = false;
            self.written.notify_all();
            while queue.is_empty() {
                queue = self.more.wait(queue).unwrap_or_else(PoisonError::into_inner);
            }
            queue.writing = true;
            let batch = queue.take();
            drop(queue);
            if lost > 0 {
                let line =
                    format!("WARN {lost} lines were dropped: the log could not be written\n");
                if write_all(out, line.as_bytes()).is_ok() {
                    lost = 0;
                }
            }
            if write_all(out, &batch).is_err() {
                lost += batch.iter().filter(|byte| **byte == b'\n').count();
            }
        }
    }
}

/// Starts the thread that writes the log, if there is none yet; what makes writers for whole lines. To be called by
/// the main thread, before others log.
///
/// # Errors
/// There can be no thread, or the standard output is closed.
pub fn log_lines() -> io::Result<fn() -> LogLine> {
    if LINES.get().is_none() {
        let out = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        let lines = LINES.get_or_init(Lines::default);
        thread::Builder::new().name("log".to_owned()).spawn(move || lines.write(&out))?;
    }
    Ok(|| LogLine)
}

/// Takes whole lines for the log, one or several a write. Never waits for the reader and never fails: when too much
/// waits, lines are dropped and counted.
#[derive(Debug)]
pub struct LogLine;

impl Write for LogLine {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        if let Some(log) = LINES.get() {
            log.lock().push(lines);
            log.more.notify_one();
        }
        Ok(lines.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Waits until the log is written, at most a second. For the end of the process.
pub fn flush_log() {
    let Some(log) = LINES.get() else { return };
    let queue = log.lock();
    let unwritten = |queue: &mut Queue| queue.writing || !queue.is_empty();
    // Whether it was written in time or not, the process ends.
    drop(log.written.wait_timeout_while(queue, LAST_WORDS, unwritten));
}

/// Puts a line on the standard error, if that takes it within a second: it may be closed, or a pipe that nobody reads.
pub(super) fn last_words(line: &str) {
    let end = line.floor_char_boundary(PIPE_ROOM - 1);
    let stderr = io::stderr();
    if is_writable(stderr.as_fd(), LAST_WORDS) {
        drop(stderr.lock().write_all(format!("{}\n", &line[..end]).as_bytes()));
    }
}

fn write_all(out: &File, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match (&mut &*out).write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // Somebody has made the pipe or terminal non-blocking, for all who have it.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                is_writable(out.as_fd(), LAST_WORDS);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Whether something can be written, now or within `limit`.
fn is_writable(fd: BorrowedFd<'_>, limit: Duration) -> bool {
    let mut wanted = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLOUT, revents: 0 };
    let millis = i32::try_from(limit.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: the kernel reads and writes the one entry that is given.
    let ready = unsafe { libc::poll(&mut wanted, 1, millis) };
    ready == 1 && wanted.revents & libc::POLLOUT != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_counted_and_told_behind_what_did() {
        let mut queue = Queue::default();
        queue.push(b"first\n");
        queue.push(&vec![b'x'; MAX_WAITING - 6]);
        queue.push(b"lost\n");
        queue.push(b"\n");
        let text = String::from_utf8(queue.take()).expect("text");
        assert!(text.starts_with("first\nxx") && text.contains("x"), "all that fitted");
        assert!(text.ends_with("WARN 2 lines were dropped: who reads this log did not keep up\n"));
        queue.push(b"later\n");
        assert_eq!(queue.take(), b"later\n");
    }

    #[test]
    fn a_line_larger_than_the_room_is_counted_and_the_log_goes_on() {
        use std::io::{BufRead, BufReader};
        let (reader, writer) = io::pipe().expect("a pipe");
        let lines: &'static Lines = Box::leak(Box::default());
        let out = File::from(std::os::fd::OwnedFd::from(writer));
        thread::spawn(move || lines.write(&out));
        let mut read = BufReader::new(reader).lines();
        lines.lock().push(&vec![b'x'; MAX_WAITING + 1]);
        lines.more.notify_one();
        let told = read.next().expect("a line").expect("it is text");
        assert!(told.starts_with("WARN 1 lines were dropped"), "{told}");
        lines.lock().push(b"later\n");
        lines.more.notify_one();
        assert_eq!(read.next().expect("a line").expect("it is text"), "later");
    }

    #[test]
    fn a_reader_that_blocks_holds_nobody_up_and_gets_what_fits_later() {
        use std::io::Read;
        let (mut reader, writer) = io::pipe().expect("a pipe");
        let lines: &'static Lines = Box::leak(Box::default());
        let out = File::from(std::os::fd::OwnedFd::from(writer));
        thread::spawn(move || lines.write(&out));
        let line = vec![b'a'; 1023].into_iter().chain([b'\n']).collect::<Vec<_>>();
        for _ in 0..4096 {
            lines.lock().push(&line);
            lines.more.notify_one();
        }
        let mut text = Vec::new();
        let told = |text: &[u8]| String::from_utf8_lossy(text).contains("lines were dropped");
        while !told(&text[text.len().saturating_sub(8192)..]) {
            let mut some = [0; 4096];
            let got = reader.read(&mut some).expect("it is written");
            text.extend_from_slice(&some[..got]);
        }
        let kept = text.iter().filter(|byte| **byte == b'\n').count();
        assert!(kept > 900 && kept < 4096, "{kept}");
    }
}
