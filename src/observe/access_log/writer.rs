//! The thread that writes lines.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::mem;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;

use super::Output;
use crate::observe::Metrics;

/// The most bytes that may wait; what comes then is dropped.
const MOST_WAITING: usize = 8 << 20;
/// So much is worth a write at once.
const BATCH_BYTES: usize = 64 << 10;
/// How long the first line of a batch may wait for others.
const BATCH_DELAY: Duration = Duration::from_millis(50);
/// How long closing waits for an output that does not take anything.
const CLOSE_DEADLINE: Duration = Duration::from_secs(2);

/// Takes lines and has them written by its thread.
#[derive(Debug)]
pub(super) struct Writer {
    shared: Arc<Shared>,
    output: Output,
}

#[derive(Debug)]
struct Shared {
    queue: Mutex<Queue>,
    /// Told when there is something to write, or the end is near.
    filled: Condvar,
    /// Told when the thread has written everything and is gone.
    emptied: Condvar,
    lost_to_a_full_queue: Counter,
    lost_to_write_errors: Counter,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: Vec<u8>,
    /// The thread waits for the first line, without end.
    is_asleep: bool,
    /// Used from the next batch on.
    replacement: Option<File>,
    is_closing: bool,
    is_finished: bool,
}

/// What the thread writes into.
enum Sink {
    Stdout,
    File(File),
}

impl Writer {
    /// Opens the output and starts the thread.
    pub(super) fn start(output: Output, metrics: &Metrics) -> io::Result<Self> {
        let sink = match &output {
            Output::Stdout => Sink::Stdout,
            Output::File(path) => Sink::File(open(path)?),
        };
        let shared = Arc::new(Shared::new(metrics));
        let thread_shared = Arc::clone(&shared);
        thread::Builder::new()
            .name("access-log".to_owned())
            .spawn(move || write_until_closed(&thread_shared, sink))?;
        Ok(Self { shared, output })
    }

    /// Takes one line with its line end, or counts it as lost.
    pub(super) fn append(&self, line: &[u8]) {
        let mut queue = self.shared.lock();
        let before = queue.waiting.len();
        if before + line.len() > MOST_WAITING || queue.is_closing {
            drop(queue);
            self.shared.lost_to_a_full_queue.inc();
            return;
        }
        queue.waiting.extend_from_slice(line);
        let after = queue.waiting.len();
        let was_asleep = mem::take(&mut queue.is_asleep);
        drop(queue);
        // PERF: waking a thread costs more than appending a line. Only a full batch does, and the first line after a quiet time.
        if was_asleep || (before < BATCH_BYTES && after >= BATCH_BYTES) {
            self.shared.filled.notify_one();
        }
    }

    /// Opens the file again.
    pub(super) fn reopen(&self) -> io::Result<()> {
        if let Output::File(path) = &self.output {
            let file = open(path)?;
            self.shared.lock().replacement = Some(file);
        }
        Ok(())
    }

    /// Has the thread write what is left, and waits for it.
    pub(super) fn close(&self) {
        let mut queue = self.shared.lock();
        queue.is_closing = true;
        self.shared.filled.notify_one();
        // A pipe that nobody reads must not keep the process alive: past the deadline the lines are lost.
        let _ = self
            .shared
            .emptied
            .wait_timeout_while(queue, CLOSE_DEADLINE, |queue| !queue.is_finished)
            .unwrap_or_else(PoisonError::into_inner);
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    fn new(metrics: &Metrics) -> Self {
        Self {
            queue: Mutex::new(Queue::default()),
            filled: Condvar::new(),
            emptied: Condvar::new(),
            lost_to_a_full_queue: metrics.log_lines_dropped("full"),
            lost_to_write_errors: metrics.log_lines_dropped("write"),
        }
    }

    /// Nothing panics while the lock is held, and a queue is never half changed.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for as long as the first line of a batch may wait for others.
    fn wait_for_full_batch<'q>(&self, queue: MutexGuard<'q, Queue>) -> MutexGuard<'q, Queue> {
        let is_filling = |queue: &mut Queue| queue.waiting.len() < BATCH_BYTES && !queue.is_closing;
        let (queue, _) = self
            .filled
            .wait_timeout_while(queue, BATCH_DELAY, is_filling)
            .unwrap_or_else(PoisonError::into_inner);
        queue
    }
}

fn write_until_closed(shared: &Shared, mut sink: Sink) {
    let mut batch = Vec::new();
    loop {
        let is_last = wait_for_batch(shared, &mut batch, &mut sink);
        if let Err(lost) = sink.write(&batch) {
            shared.lost_to_write_errors.inc_by(lost);
        }
        batch.clear();
        // One burst must not keep its memory for ever.
        batch.shrink_to(2 * BATCH_BYTES);
        if is_last {
            break;
        }
    }
    shared.lock().is_finished = true;
    shared.emptied.notify_all();
}

/// Swaps what is waiting into `batch`. Says whether it is the last batch.
fn wait_for_batch(shared: &Shared, batch: &mut Vec<u8>, sink: &mut Sink) -> bool {
    let mut queue = shared.wait_for_full_batch(shared.lock());
    if queue.waiting.is_empty() && !queue.is_closing {
        queue.is_asleep = true;
        let woken = shared
            .filled
            .wait_while(queue, |queue| queue.is_asleep && !queue.is_closing)
            .unwrap_or_else(PoisonError::into_inner);
        queue = shared.wait_for_full_batch(woken);
    }
    mem::swap(&mut queue.waiting, batch);
    if let Some(file) = queue.replacement.take() {
        *sink = Sink::File(file);
    }
    queue.is_closing
}

impl Sink {
    /// Writes whole lines. A failure loses the batch and nothing else: the number of lines in it.
    fn write(&mut self, batch: &[u8]) -> Result<(), u64> {
        let written = match self {
            Self::Stdout => {
                let mut stdout = io::stdout().lock();
                stdout.write_all(batch).and_then(|()| stdout.flush())
            }
            Self::File(file) => file.write_all(batch),
        };
        written.map_err(|_| batch.iter().filter(|byte| **byte == b'\n').count() as u64)
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_full_disk_loses_lines_and_counts_them() {
        let metrics = Metrics::new();
        let writer = Writer::start(Output::File("/dev/full".into()), &metrics).unwrap();

        writer.append(b"one\n");
        writer.append(b"two\n");
        writer.close();

        assert_eq!(metrics.log_lines_dropped("write").get(), 2);
    }

    #[test]
    fn lines_beyond_the_bound_are_dropped_and_counted_without_waiting() {
        let metrics = Metrics::new();
        // No thread takes anything, as if it hung in a write.
        let shared = Shared::new(&metrics);
        shared.lock().is_finished = true;
        let writer = Writer {
            shared: Arc::new(shared),
            output: Output::Stdout,
        };
        let line = vec![b'x'; MOST_WAITING / 4];

        for _ in 0..6 {
            writer.append(&line);
        }

        assert_eq!(metrics.log_lines_dropped("full").get(), 2);
        assert_eq!(writer.shared.lock().waiting.len(), MOST_WAITING);
    }

    #[test]
    fn lines_after_closing_are_counted_as_lost() {
        let metrics = Metrics::new();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        let writer = Writer::start(Output::File(path.clone()), &metrics).unwrap();

        writer.append(b"one\n");
        writer.close();
        writer.append(b"two\n");
        writer.close();

        assert_eq!(fs::read_to_string(path).unwrap(), "one\n");
        assert_eq!(metrics.log_lines_dropped("full").get(), 1);
    }
}
