//! The tables in the file.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use redb::backends::InMemoryBackend;
use redb::{
    Database, ReadableDatabase, ReadableTable, StorageBackend as _, Table, TableDefinition,
    WriteTransaction,
};

use super::{Answer, Work};
use crate::store::change::{Change, Entry, Next};

/// Key to expiry (8 bytes, big endian milliseconds) and value.
const VALUES: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("values");
/// Expiry and key of everything in [`VALUES`], soonest first.
const EXPIRIES: TableDefinition<'_, (u64, &[u8]), ()> = TableDefinition::new("expiries");

/// Memory for pages of the file; the library's own default is a gigabyte.
const CACHE_BYTES: usize = 4 << 20;
/// The largest file that is copied into memory when it cannot be written.
const MOST_COPIED: u64 = 256 << 20;
/// The most values that one sweep removes at a time, so that other changes get their turn.
pub(super) const SWEPT_PER_COMMIT: usize = 1000;

/// Opens the file, or makes it with its folder, for its owner only.
pub(super) fn open_database(path: &Path) -> Result<Database, redb::Error> {
    let mut database = Database::builder()
        .set_cache_size(CACHE_BYTES)
        .create_file(open_file(path)?)?;
    // Reading does not compare checksums, and a damaged page could undo a logout: all of them are compared once.
    database.check_integrity()?;
    // Readers find both tables from the beginning, and a file of somebody else's is found out now.
    let transaction = database.begin_write()?;
    transaction.open_table(VALUES)?;
    transaction.open_table(EXPIRIES)?;
    transaction.commit()?;
    Ok(database)
}

/// What the file says, in memory: to be read as long as it cannot be written. The caller sees to it that nobody writes meanwhile.
/// Fails for a file of more than [`MOST_COPIED`] bytes.
pub(super) fn copy_database(path: &Path) -> Result<Database, redb::Error> {
    if path.metadata()?.len() > MOST_COPIED {
        return Err(io::Error::from(io::ErrorKind::FileTooLarge).into());
    }
    let bytes = std::fs::read(path)?;
    let copy = InMemoryBackend::new();
    copy.set_len(bytes.len() as u64)?;
    copy.write(0, &bytes)?;
    let mut database = Database::builder()
        .set_cache_size(CACHE_BYTES)
        .create_with_backend(copy)?;
    // As when the file is opened; what a failed write has left half done is undone here.
    database.check_integrity()?;
    Ok(database)
}

fn open_file(path: &Path) -> io::Result<File> {
    let folder = match path.parent() {
        None => Path::new("/"),
        Some(folder) if folder.as_os_str().is_empty() => Path::new("."),
        Some(folder) => folder,
    };
    if !folder.exists() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
    }
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)?;
    // The file may have come out of a backup with other rights.
    file.set_permissions(Permissions::from_mode(0o600))?;
    // A new file's name must survive a power failure as its content does.
    File::open(folder)?.sync_all()?;
    Ok(file)
}

/// What the newest commit says about a key, expired or not.
pub(super) fn read(database: &Database, key: &str) -> Result<Option<Entry>, redb::Error> {
    let table = database.begin_read()?.open_table(VALUES)?;
    entry(&table, key.as_bytes())
}

/// Some keys that begin with `prefix` and have not expired.
pub(super) fn keys(
    database: &Database,
    prefix: &str,
    most: usize,
    now: u64,
) -> Result<Vec<String>, redb::Error> {
    let table = database.begin_read()?.open_table(VALUES)?;
    let mut keys = Vec::new();
    for stored in table.range(prefix.as_bytes()..)? {
        let (key, value) = stored?;
        let key = String::from_utf8_lossy(key.value()).into_owned();
        if keys.len() == most || !key.starts_with(prefix) {
            break;
        }
        if split(value.value())?.0 > now {
            keys.push(key);
        }
    }
    Ok(keys)
}

/// Does everything in one transaction; when this returns, it is on disk. An error means that nothing was done.
pub(super) fn write(database: &Database, works: Vec<Work>) -> Result<Vec<Answer>, redb::Error> {
    let transaction = database.begin_write()?;
    let answers = write_into(&transaction, works)?;
    transaction.commit()?;
    Ok(answers)
}

fn write_into(
    transaction: &WriteTransaction,
    works: Vec<Work>,
) -> Result<Vec<Answer>, redb::Error> {
    let mut tables = Tables {
        values: transaction.open_table(VALUES)?,
        expiries: transaction.open_table(EXPIRIES)?,
    };
    works
        .into_iter()
        .map(|work| match work {
            Work::Change { key, change, now } => tables.change(key.as_bytes(), change, now),
            Work::Sweep { now } => tables.sweep(now),
        })
        .collect()
}

/// Both tables; they change together.
struct Tables<'t> {
    values: Table<'t, &'static [u8], &'static [u8]>,
    expiries: Table<'t, (u64, &'static [u8]), ()>,
}

impl Tables<'_> {
    fn change(&mut self, key: &[u8], change: Change, now: u64) -> Result<Answer, redb::Error> {
        let stored = entry(&self.values, key)?;
        let live = stored.as_ref().filter(|entry| entry.is_live(now));
        match change.apply(live, now) {
            Next::Keep => {}
            Next::Remove => {
                if let Some(stored) = &stored {
                    self.expiries.remove((stored.expires_at, key))?;
                    self.values.remove(key)?;
                }
            }
            Next::Write(next) => {
                if let Some(stored) = &stored {
                    self.expiries.remove((stored.expires_at, key))?;
                }
                self.expiries.insert((next.expires_at, key), ())?;
                self.values.insert(key, encode(&next).as_slice())?;
            }
        }
        Ok(Answer {
            previous: stored
                .filter(|entry| entry.is_live(now))
                .map(|entry| entry.value),
            swept: 0,
        })
    }

    fn sweep(&mut self, now: u64) -> Result<Answer, redb::Error> {
        let mut answer = Answer::default();
        while answer.swept < SWEPT_PER_COMMIT {
            let soonest = self.expiries.first()?.map(|(place, _)| {
                let (expires_at, key) = place.value();
                (expires_at, key.to_vec())
            });
            let Some((expires_at, key)) = soonest.filter(|(expires_at, _)| *expires_at <= now)
            else {
                break;
            };
            self.expiries.remove((expires_at, key.as_slice()))?;
            self.values.remove(key.as_slice())?;
            answer.swept += 1;
        }
        Ok(answer)
    }
}

fn entry(
    table: &impl ReadableTable<&'static [u8], &'static [u8]>,
    key: &[u8],
) -> Result<Option<Entry>, redb::Error> {
    let Some(stored) = table.get(key)? else {
        return Ok(None);
    };
    let (expires_at, value) = split(stored.value())?;
    Ok(Some(Entry {
        value: value.to_vec(),
        expires_at,
    }))
}

/// When a stored value expires, and the value.
fn split(stored: &[u8]) -> Result<(u64, &[u8]), redb::Error> {
    match stored.split_first_chunk() {
        Some((expiry, value)) => Ok((u64::from_be_bytes(*expiry), value)),
        None => Err(redb::Error::Corrupted("value without an expiry".to_owned())),
    }
}

fn encode(entry: &Entry) -> Vec<u8> {
    [&entry.expires_at.to_be_bytes(), entry.value.as_slice()].concat()
}
