//! The lines that wait for standard output, and the thread that writes them.
//!
//! A request must never wait for whoever reads the log: it adds its line to a buffer under a short lock, and a full
//! buffer drops and counts lines. The thread takes all lines of some milliseconds in one system call; waking it for
//! each line cost more than writing them. Lines of the last moment are lost when the process is killed.

use std::io::{ErrorKind, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex, MutexGuard};
use tracing_subscriber::fmt::MakeWriter;

/// How long the first line waits for others.
const GATHER: Duration = Duration::from_millis(5);
/// What may wait, in bytes; some ten thousand lines.
const CAPACITY: usize = 4 << 20;
/// A buffer that a burst made larger than this is given back.
const KEPT: usize = 256 << 10;
/// Longest wait, at the end, for a reader that does not read.
const END_LIMIT: Duration = Duration::from_secs(1);

/// Where lines are put. A clone is the same queue.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lines(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    dropped: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<u8>,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    /// The thread is at work, or will look again by itself.
    #[default]
    Busy,
    /// The thread sleeps until it is told of a line.
    Idle,
    /// What waits is written, and then no more.
    Ending,
    Ended,
}

/// Keeps the thread. Dropping it writes what waits, for a second at most.
#[derive(Debug)]
pub(crate) struct LinesGuard(Lines);

impl Lines {
    /// Starts a thread that writes to `out`.
    pub(crate) fn start(out: impl Write + Send + 'static) -> std::io::Result<(Self, LinesGuard)> {
        let lines = Self::default();
        let thread = lines.clone();
        std::thread::Builder::new().name("log-writer".to_owned()).spawn(move || thread.write_to(out))?;
        Ok((lines.clone(), LinesGuard(lines)))
    }

    /// Lines that found no room, or nobody to write them.
    pub(crate) fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }

    fn push(&self, line: &[u8]) {
        let mut state = self.lock();
        if state.phase == Phase::Ended || state.waiting.len() + line.len() > CAPACITY {
            self.0.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        state.waiting.extend_from_slice(line);
        if state.phase == Phase::Idle {
            state.phase = Phase::Busy;
            drop(state);
            self.0.changed.notify_all();
        }
    }

    fn write_to(&self, mut out: impl Write) {
        let mut taken = Vec::new();
        while self.take(&mut taken) {
            let lost = write_all(&mut out, &taken);
            // A log that cannot be written has nowhere else to say so.
            self.0.dropped.fetch_add(lost, Ordering::Relaxed);
            taken.clear();
            taken.shrink_to(KEPT);
        }
        self.lock().phase = Phase::Ended;
        self.0.changed.notify_all();
    }

    /// Waits for lines and takes all of them; `false` at the end.
    fn take(&self, taken: &mut Vec<u8>) -> bool {
        let mut state = self.lock();
        while state.waiting.is_empty() && state.phase != Phase::Ending {
            state.phase = Phase::Idle;
            self.0.changed.wait(&mut state);
        }
        if state.phase != Phase::Ending {
            let is_open = |state: &mut State| state.phase != Phase::Ending;
            self.0.changed.wait_while_for(&mut state, is_open, GATHER);
        }
        std::mem::swap(&mut state.waiting, taken);
        !taken.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock()
    }
}

/// Writes `lines`, and waits where an output that does not block has no room. Returns how many lines were lost.
fn write_all(out: &mut impl Write, mut lines: &[u8]) -> u64 {
    while !lines.is_empty() {
        match out.write(lines) {
            Ok(written @ 1..) => lines = &lines[written..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(GATHER),
            Ok(0) | Err(_) => return lines.iter().filter(|byte| **byte == b'\n').count() as u64,
        }
    }
    0
}

impl Drop for LinesGuard {
    fn drop(&mut self) {
        let Lines(shared) = &self.0;
        let mut state = self.0.lock();
        if state.phase != Phase::Ended {
            state.phase = Phase::Ending;
        }
        shared.changed.notify_all();
        let is_writing = |state: &mut State| state.phase != Phase::Ended;
        // Nothing is left to be done about a reader that took longer.
        shared.changed.wait_while_for(&mut state, is_writing, END_LIMIT);
    }
}

/// Adds what is written to it as one line.
pub(crate) struct Adding<'a>(&'a Lines);

impl Write for Adding<'_> {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        self.0.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Adding<'a>;

    fn make_writer(&'a self) -> Adding<'a> {
        Adding(self)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Sends on what is written, and waits for leave to return from each write.
    struct Gated {
        written: mpsc::Sender<Vec<u8>>,
        leave: mpsc::Receiver<()>,
    }

    impl Write for Gated {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.written.send(bytes.to_vec()).expect("the test listens");
            // A test that has ended gives leave too.
            let _ = self.leave.recv();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn gated() -> (Gated, mpsc::Receiver<Vec<u8>>, mpsc::Sender<()>) {
        let (written, read) = mpsc::channel();
        let (give_leave, leave) = mpsc::channel();
        (Gated { written, leave }, read, give_leave)
    }

    #[test]
    fn lines_come_out_in_order_and_the_last_ones_at_the_end() {
        let (out, read, give_leave) = gated();
        drop(give_leave);
        let (lines, guard) = Lines::start(out).expect("a thread");
        for number in 0..1000 {
            lines.push(format!("{number}\n").as_bytes());
        }
        drop(guard);
        let text = String::from_utf8(read.iter().flatten().collect()).expect("text");
        assert_eq!(
            text.lines().map(|line| line.parse().expect("a number")).collect::<Vec<u32>>(),
            Vec::from_iter(0..1000)
        );
    }

    #[test]
    fn a_thread_that_sleeps_is_woken_by_the_next_line() {
        let (out, read, give_leave) = gated();
        drop(give_leave);
        let (lines, _guard) = Lines::start(out).expect("a thread");
        for line in ["first\n", "second\n", "third\n"] {
            lines.push(line.as_bytes());
            assert_eq!(read.recv().expect("a write"), line.as_bytes());
        }
    }

    #[test]
    fn an_output_that_fills_up_is_written_to_again_and_one_that_breaks_costs_the_rest() {
        struct Moody(Vec<u8>, u32);
        impl Write for Moody {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                self.1 += 1;
                match self.1 {
                    2 => Err(ErrorKind::WouldBlock.into()),
                    4 => Err(ErrorKind::BrokenPipe.into()),
                    _ => self.0.write(&bytes[..3.min(bytes.len())]),
                }
            }

            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let mut out = Moody(Vec::new(), 0);
        assert_eq!(write_all(&mut out, b"one\ntwo\nsix\n"), 2);
        assert_eq!(out.0, b"one\ntw");
    }

    #[test]
    fn a_reader_that_stands_still_costs_lines_and_not_time() {
        let (out, read, give_leave) = gated();
        let (lines, guard) = Lines::start(out).expect("a thread");
        lines.push(b"written\n");
        read.recv().expect("the thread is in its write");
        let line = vec![b'x'; CAPACITY / 4];
        for _ in 0..6 {
            lines.push(&line);
        }
        assert_eq!(lines.dropped(), 2);
        drop(give_leave);
        drop(guard);
        assert_eq!(read.iter().map(|bytes| bytes.len()).sum::<usize>(), CAPACITY);
    }
}
