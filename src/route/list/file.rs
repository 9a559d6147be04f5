//! The text file of a list: one id per line, `#` begins a comment. Read as a whole, changed as a whole.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use super::{Error, Id};

/// Some editors begin a file with it.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A list's file that is being changed: nobody else who uses this changes it meanwhile. Blocking file access everywhere.
#[derive(Debug)]
pub struct ListFile {
    /// Where the text really is, links followed.
    path: PathBuf,
    text: Vec<u8>,
    /// Locked, so that of two changes none is lost. The file itself is another one after each change.
    folder: File,
}

/// Every id, in the order of the lines.
pub(super) fn read(path: &Path) -> Result<Vec<Id>, Error> {
    let text = fs::read(path).map_err(|source| unreadable(path, source))?;
    ids(path, &text)
}

fn ids(path: &Path, text: &[u8]) -> Result<Vec<Id>, Error> {
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    let mut ids = Vec::new();
    for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
        let entry = entry(line);
        if entry.is_empty() {
            continue;
        }
        // Comments may be in any character set, ids are ASCII.
        let id = str::from_utf8(entry).ok().and_then(Id::parse);
        ids.push(id.ok_or_else(|| Error::NotAnId {
            file: path.to_owned(),
            line: index + 1,
        })?);
    }
    Ok(ids)
}

/// What stands before a comment.
fn entry(line: &[u8]) -> &[u8] {
    let entry = line.split(|byte| *byte == b'#').next().unwrap_or_default();
    entry.trim_ascii()
}

fn unreadable(path: &Path, source: io::Error) -> Error {
    Error::Unreadable {
        file: path.to_owned(),
        source,
    }
}

impl ListFile {
    /// Reads the file for a change; waits until nobody else changes it.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let unreadable = |source| unreadable(path, source);
        let path = path.canonicalize().map_err(unreadable)?;
        let folder = path.parent().unwrap_or_else(|| Path::new("/"));
        let folder = File::open(folder).map_err(unreadable)?;
        folder.lock().map_err(unreadable)?;
        let text = fs::read(&path).map_err(unreadable)?;
        ids(&path, &text)?;
        Ok(Self { path, text, folder })
    }

    /// Every id, in the order of the lines.
    pub fn ids(&self) -> Vec<Id> {
        // Whatever was wrong with a line was found when it was read.
        ids(&self.path, &self.text).unwrap_or_default()
    }

    /// Adds what is not there yet at the end, each with this comment, and says how many that are.
    pub fn add(&mut self, wanted: &[Id], comment: Option<&str>) -> usize {
        let line_end: &[u8] = match self.text.ends_with(b"\r\n") {
            true => b"\r\n",
            false => b"\n",
        };
        let mut known = self.ids();
        let before = known.len();
        for id in wanted {
            if known.contains(id) {
                continue;
            }
            if !self.text.is_empty() && !self.text.ends_with(b"\n") {
                self.text.extend_from_slice(line_end);
            }
            self.text.extend_from_slice(id.reveal().as_bytes());
            if let Some(comment) = comment {
                self.text.extend_from_slice(b"  # ");
                self.text.extend_from_slice(comment.as_bytes());
            }
            self.text.extend_from_slice(line_end);
            known.push(id.clone());
        }
        known.len() - before
    }

    /// Removes every line with one of these ids, its comment too, and says how many of the ids there were.
    pub fn remove(&mut self, unwanted: &[Id]) -> usize {
        let known = self.ids();
        let is_unwanted = |line: &[u8]| {
            let line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
            let id = str::from_utf8(entry(line)).ok().and_then(Id::parse);
            id.is_some_and(|id| unwanted.contains(&id))
        };
        let lines = self.text.split_inclusive(|byte| *byte == b'\n');
        let kept: Vec<&[u8]> = lines.filter(|line| !is_unwanted(line)).collect();
        self.text = kept.concat();
        unwanted.iter().filter(|id| known.contains(id)).count()
    }

    /// Replaces the file as a whole, with the same mode and owner: after a crash there is the old one or the new one.
    pub fn save(self) -> io::Result<()> {
        let found = fs::metadata(&self.path)?;
        let mut name = self.path.file_name().unwrap_or_default().to_owned();
        name.push(".new");
        let new = self.path.with_file_name(name);
        // One that is left from a crash is in nobody's way: only the holder of the lock makes it.
        let _ = fs::remove_file(&new);
        let written = self
            .write(&new, &found)
            .and_then(|()| fs::rename(&new, &self.path));
        if written.is_err() {
            // The first error tells more than this one.
            let _ = fs::remove_file(&new);
        }
        written?;
        // The new name, too, must survive a power failure.
        self.folder.sync_all()
    }

    fn write(&self, path: &Path, like: &fs::Metadata) -> io::Result<()> {
        let mut options = OpenOptions::new();
        let mut file = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?;
        let made = file.metadata()?;
        // Whoever reads it today must be able to read it tomorrow.
        if (made.uid(), made.gid()) != (like.uid(), like.gid()) {
            fchown(&file, Some(like.uid()), Some(like.gid()))?;
        }
        file.set_permissions(fs::Permissions::from_mode(like.mode() & 0o777))?;
        file.write_all(&self.text)?;
        file.sync_all()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    fn id(text: &str) -> Id {
        Id::parse(text).unwrap()
    }

    /// What a file holds after a change.
    fn changed(text: &[u8], change: impl FnOnce(&mut ListFile)) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("staff.txt");
        fs::write(&path, text).unwrap();
        let mut file = ListFile::open(&path).unwrap();
        change(&mut file);
        file.save().unwrap();
        let names = fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(names, 1, "something is left");
        fs::read(&path).unwrap()
    }

    #[test]
    fn added_ids_stand_on_lines_of_their_own_and_everything_else_stays() {
        let table: [(&[u8], &[u8]); 4] = [
            (b"", b"openid:new\n"),
            (
                b"# staff\nopenid:a # Alice",
                b"# staff\nopenid:a # Alice\nopenid:new\n",
            ),
            (b"openid:a\r\n", b"openid:a\r\nopenid:new\r\n"),
            (b"openid:new # here\n", b"openid:new # here\n"),
        ];
        for (before, after) in table {
            let text = changed(before, |file| {
                let count = file.add(&[id("openid:new"), id("openid:new")], None);
                assert_eq!(count, usize::from(before != after));
            });
            assert_eq!(text, after);
        }
        let text = changed(b"", |file| {
            file.add(&[id("unionid:u")], Some("张三"));
        });
        assert_eq!(text, "unionid:u  # 张三\n".as_bytes());
    }

    #[test]
    fn removed_ids_take_their_lines_along_and_nothing_else() {
        let before = b"\xef\xbb\xbfopenid:a # Alice\n# openid:a in a comment\nunionid:a\n openid:a\nopenid:ab\n";

        let text = changed(before, |file| {
            let count = file.remove(&[id("openid:a"), id("openid:nobody")]);
            assert_eq!(count, 1);
        });

        assert_eq!(text, b"# openid:a in a comment\nunionid:a\nopenid:ab\n");
    }

    #[test]
    fn mode_and_link_stay() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real"), folder.path().join("link"));
        fs::write(&real, "openid:a\n").unwrap();
        fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();

        let mut file = ListFile::open(&link).unwrap();
        file.add(&[id("openid:b")], None);
        file.save().unwrap();

        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&real).unwrap(), "openid:a\nopenid:b\n");
        assert_eq!(fs::metadata(&real).unwrap().mode() & 0o777, 0o640);
    }

    #[test]
    fn of_many_changes_at_once_none_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("staff.txt");
        fs::write(&path, "").unwrap();

        std::thread::scope(|scope| {
            for number in 0..20 {
                let path = &path;
                scope.spawn(move || {
                    let mut file = ListFile::open(path).unwrap();
                    file.add(&[id(&format!("openid:n{number}"))], None);
                    file.save().unwrap();
                });
            }
        });

        assert_eq!(read(&path).unwrap().len(), 20);
    }

    #[test]
    fn a_broken_file_is_not_changed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("staff.txt");
        fs::write(&path, "openid:a\nnonsense\n").unwrap();

        let error = ListFile::open(&path).unwrap_err();

        assert!(error.to_string().contains("line 2"), "{error}");
        assert!(ListFile::open(&folder.path().join("none")).is_err());
    }
}
