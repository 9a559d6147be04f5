//! A file on this node's disk.
//!
//! One thread writes: it takes all changes that wait, makes them in one transaction, commits it to disk and only then
//! answers, so a hundred changes at once cost one or two flushes. Reading happens where it is asked for, from a snapshot.

use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use redb::Database;
use tokio::sync::{mpsc, oneshot};

use super::Error;
use super::change::Change;

mod file;

use file::{SWEPT_PER_COMMIT, copy_database, keys, open_database, read, write};

/// Changes that may wait for the thread; further callers wait before they hand theirs in.
const MOST_WAITING: usize = 1024;
/// The most changes in one commit.
const MOST_PER_COMMIT: usize = 512;
/// Written by [`Embedded::check`] after a failure.
const CHECK_KEY: &str = "check";
const CHECK_LIFETIME: u64 = 1000;

/// The file, and the thread that writes it.
#[derive(Debug)]
pub(super) struct Embedded {
    shared: Arc<Shared>,
    /// `None` only while dropping.
    work: Option<mpsc::Sender<Request>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    file: PathBuf,
    opened: Mutex<Opened>,
    is_failing: AtomicBool,
}

/// What can be read and written now.
#[derive(Debug, Default)]
struct Opened {
    /// `None` after a failed write: the library wants the file opened anew, and does not even read before.
    file: Option<Arc<Database>>,
    /// From the first failed write until one works: what is on disk, for readers. A full disk logs nobody out and stops nobody who is
    /// logged in.
    copy: Option<Arc<Database>>,
}

#[derive(Debug)]
struct Request {
    work: Work,
    answer: oneshot::Sender<Result<Answer, Error>>,
}

/// One thing to do in a transaction.
#[derive(Debug)]
enum Work {
    Change {
        key: String,
        change: Change,
        now: u64,
    },
    /// Removes some of what expired before `now`.
    Sweep { now: u64 },
}

/// What became of a [`Work`].
#[derive(Debug, Default)]
struct Answer {
    /// The unexpired value from before a change.
    previous: Option<Vec<u8>>,
    /// How many values a sweep removed.
    swept: usize,
}

impl Embedded {
    /// Opens or makes the file and starts the thread.
    pub(super) fn open(file: &Path) -> Result<Self, Error> {
        let shared = Arc::new(Shared {
            file: file.to_owned(),
            opened: Mutex::default(),
            is_failing: AtomicBool::new(false),
        });
        shared.guarded(|| shared.database())?;
        let (sender, receiver) = mpsc::channel(MOST_WAITING);
        let thread_shared = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || write_until_closed(&thread_shared, receiver))
            .map_err(|error| shared.error(error))?;
        Ok(Self {
            shared,
            work: Some(sender),
            thread: Some(thread),
        })
    }

    pub(super) fn get(&self, key: &str, now: u64) -> Result<Option<Vec<u8>>, Error> {
        self.shared.guarded(|| {
            let database = self.shared.readable()?;
            let entry = read(&database, key).map_err(|error| self.shared.error(error))?;
            Ok(entry
                .filter(|entry| entry.is_live(now))
                .map(|entry| entry.value))
        })
    }

    pub(super) fn keys(&self, prefix: &str, most: usize, now: u64) -> Result<Vec<String>, Error> {
        self.shared.guarded(|| {
            let database = self.shared.readable()?;
            keys(&database, prefix, most, now).map_err(|error| self.shared.error(error))
        })
    }

    pub(super) async fn change(
        &self,
        key: &str,
        change: Change,
        now: u64,
    ) -> Result<Option<Vec<u8>>, Error> {
        let key = key.to_owned();
        let answer = self.request(Work::Change { key, change, now }).await?;
        Ok(answer.previous)
    }

    pub(super) async fn sweep(&self, now: u64) -> Result<usize, Error> {
        let mut swept = 0;
        loop {
            let some = self.request(Work::Sweep { now }).await?.swept;
            swept += some;
            if some < SWEPT_PER_COMMIT {
                return Ok(swept);
            }
        }
    }

    pub(super) async fn check(&self, now: u64) -> Result<(), Error> {
        if self.shared.is_failing.load(Ordering::Relaxed) {
            let change = Change::Put {
                value: Vec::new(),
                lifetime: CHECK_LIFETIME,
            };
            self.change(CHECK_KEY, change, now).await?;
        }
        self.get(CHECK_KEY, now)?;
        Ok(())
    }

    async fn request(&self, work: Work) -> Result<Answer, Error> {
        let (answer, answered) = oneshot::channel();
        let sender = self.work.as_ref().ok_or(Error::Closed)?;
        let request = Request { work, answer };
        sender.send(request).await.map_err(|_| Error::Closed)?;
        answered.await.map_err(|_| Error::Closed)?
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        // Without a sender the thread ends after what it has in hand.
        drop(self.work.take());
        if let Some(thread) = self.thread.take() {
            // It catches panics itself; there is nobody left to tell.
            let _ = thread.join();
        }
        self.shared.close();
    }
}

impl Shared {
    /// The open file; opens it where the last failure closed it.
    fn database(&self) -> Result<Arc<Database>, Error> {
        self.open_in(&mut self.opened())
    }

    /// What readers may look at: the copy as long as writing fails.
    fn readable(&self) -> Result<Arc<Database>, Error> {
        let mut opened = self.opened();
        match &opened.copy {
            Some(copy) => Ok(Arc::clone(copy)),
            None => self.open_in(&mut opened),
        }
    }

    fn open_in(&self, opened: &mut Opened) -> Result<Arc<Database>, Error> {
        if let Some(database) = &opened.file {
            return Ok(Arc::clone(database));
        }
        let database = Arc::new(open_database(&self.file).map_err(|error| self.error(error))?);
        opened.file = Some(Arc::clone(&database));
        Ok(database)
    }

    /// Makes all changes, or none.
    fn commit(&self, works: Vec<Work>) -> Result<Vec<Answer>, Error> {
        let answers = self.guarded(|| {
            let database = self.database()?;
            write(&database, works).map_err(|error| self.error(error))
        });
        self.is_failing.store(answers.is_err(), Ordering::Relaxed);
        match &answers {
            Ok(_) => self.opened().copy = None,
            Err(_) => self.fall_back(),
        }
        answers
    }

    /// Lets go of the file and keeps a copy of what it says. Only the thread that writes may call this: nobody else writes
    /// the file, and whoever would open it waits for the same lock.
    fn fall_back(&self) {
        let mut opened = self.opened();
        self.let_go(&mut opened);
        if opened.copy.is_none() {
            let copied = self.guarded(|| {
                let copy = copy_database(&self.file).map_err(|error| self.error(error))?;
                Ok(Arc::new(copy))
            });
            // Where there is none, readers hear what is wrong with the file.
            opened.copy = copied.ok();
        }
    }

    /// Lets go of the file, which writes to it once more.
    fn close(&self) {
        self.let_go(&mut self.opened());
    }

    fn let_go(&self, opened: &mut Opened) {
        let database = opened.file.take();
        // All that matters is on disk already, so there is nothing to tell.
        let _ = self.guarded(|| {
            drop(database);
            Ok(())
        });
    }

    fn opened(&self) -> MutexGuard<'_, Opened> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The library checks much of a file but not everything: what a damaged page makes it panic about is an error, too.
    fn guarded<T>(&self, work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
            let file = self.file.clone();
            Err(Error::Damaged { file })
        })
    }

    fn error(&self, source: impl Into<redb::Error>) -> Error {
        let file = self.file.clone();
        match source.into() {
            redb::Error::DatabaseAlreadyOpen => Error::InUse { file },
            redb::Error::Corrupted(_) => Error::Damaged { file },
            source => Error::File {
                file,
                source: Arc::new(source),
            },
        }
    }
}

fn write_until_closed(shared: &Shared, mut requests: mpsc::Receiver<Request>) {
    let mut batch = Vec::new();
    while requests.blocking_recv_many(&mut batch, MOST_PER_COMMIT) > 0 {
        let (works, answers): (Vec<Work>, Vec<_>) = batch
            .drain(..)
            .map(|request| (request.work, request.answer))
            .unzip();
        // Whoever no longer waits for an answer does not get one; the change is made all the same.
        match shared.commit(works) {
            Ok(made) => {
                for (answer, made) in answers.into_iter().zip(made) {
                    let _ = answer.send(Ok(made));
                }
            }
            Err(error) => {
                for answer in answers {
                    let _ = answer.send(Err(error.clone()));
                }
            }
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    #[tokio::test]
    async fn after_a_failed_write_the_check_writes_and_the_file_is_opened_anew() {
        let folder = tempfile::tempdir().unwrap();
        let store = Embedded::open(&folder.path().join("store.redb")).unwrap();
        let change = Change::Put {
            value: vec![1],
            lifetime: 100,
        };
        store.change("a", change, 0).await.unwrap();
        store.shared.close();
        store.shared.is_failing.store(true, Ordering::Relaxed);

        store.check(0).await.unwrap();

        assert!(!store.shared.is_failing.load(Ordering::Relaxed));
        assert_eq!(store.get("a", 0).unwrap(), Some(vec![1]));
    }

    #[tokio::test]
    async fn what_was_written_before_a_failure_can_be_read_until_writing_works_again() {
        let folder = tempfile::tempdir().unwrap();
        let store = Embedded::open(&folder.path().join("store.redb")).unwrap();
        let put = |value| Change::Put {
            value: vec![value],
            lifetime: 100,
        };
        store.change("a", put(1), 0).await.unwrap();

        store.shared.fall_back();
        // Nobody needs the file for reading, not even when somebody else has it.
        let other = Embedded::open(&store.shared.file).unwrap();
        assert_eq!(store.get("a", 0).unwrap(), Some(vec![1]));
        assert_eq!(store.keys("a", 9, 0).unwrap(), ["a"]);
        assert!(store.change("a", put(2), 0).await.is_err());
        assert_eq!(store.get("a", 0).unwrap(), Some(vec![1]));

        drop(other);
        store.change("a", put(2), 0).await.unwrap();
        assert_eq!(store.get("a", 0).unwrap(), Some(vec![2]));
        assert!(store.shared.opened().copy.is_none());
    }

    #[tokio::test]
    async fn a_check_fails_as_long_as_the_file_cannot_be_opened() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("store.redb");
        let store = Embedded::open(&file).unwrap();
        store.shared.close();
        let other = Embedded::open(&file).unwrap();

        assert!(matches!(store.check(0).await, Err(Error::InUse { .. })));
        drop(other);
        store.check(0).await.unwrap();
    }

    #[tokio::test]
    async fn a_store_whose_thread_is_gone_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Embedded::open(&folder.path().join("store.redb")).unwrap();
        let (sender, _) = mpsc::channel(1);
        store.work = Some(sender);

        let answer = store.change("a", Change::Take, 0).await;

        assert!(matches!(answer, Err(Error::Closed)), "{answer:?}");
    }
}
