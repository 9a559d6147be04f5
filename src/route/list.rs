//! Named lists of ids, reloaded when their file changes.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use arc_swap::ArcSwap;

mod file;

pub use file::ListFile;

use crate::identity::Person;
use crate::wechat::{OpenId, UnionId};

/// One entry of a list. `{:?}` hides the id.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Id {
    /// `openid:…`
    OpenId(OpenId),
    /// `unionid:…`
    UnionId(UnionId),
}

impl Id {
    /// Reads `openid:…` or `unionid:…`; `None` for anything else. Ids are compared exactly, so case counts.
    pub fn parse(text: &str) -> Option<Self> {
        match text.split_once(':')? {
            ("openid", id) => OpenId::parse(id).map(Self::OpenId),
            ("unionid", id) => UnionId::parse(id).map(Self::UnionId),
            _ => None,
        }
    }

    /// As a list has it. For lists and those who asked for them only; logs never show it.
    pub fn reveal(&self) -> String {
        match self {
            Self::OpenId(id) => format!("openid:{}", id.as_str()),
            Self::UnionId(id) => format!("unionid:{}", id.as_str()),
        }
    }
}

/// Where ids come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A text file: one id per line; `#` begins a comment, empty lines mean nothing.
    File(PathBuf),
    /// Written in the configuration itself.
    Given(Vec<Id>),
}

impl Source {
    /// Every id, in order; blocking file access.
    pub fn ids(&self) -> Result<Vec<Id>, Error> {
        match self {
            Self::Given(ids) => Ok(ids.clone()),
            Self::File(file) => file::read(file),
        }
    }
}

/// Why a list cannot be used. Names the place, never the id.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read. The operator's to fix.
    #[error("list `{}` cannot be read", file.display())]
    Unreadable {
        /// Which file.
        file: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A line is no id. The operator's to fix.
    #[error("list `{}`, line {line}: neither `openid:...` nor `unionid:...`", file.display())]
    NotAnId {
        /// Which file.
        file: PathBuf,
        /// Counted from 1.
        line: usize,
    },
}

/// The ids of one or more lists. Cheap to clone; sees later changes of the files. Equal when the sources are.
#[derive(Clone, Debug)]
pub struct Ids {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    sources: Vec<Source>,
    members: ArcSwap<Members>,
    /// Of the files, from before they were read.
    marks: Mutex<Vec<Mark>>,
    /// As it was noted last.
    has_failed: AtomicBool,
}

/// Length and time of change; `None` for a file that cannot be looked at.
type Mark = Option<(u64, SystemTime)>;

#[derive(Debug, Default, PartialEq, Eq)]
struct Members {
    openids: HashSet<OpenId>,
    unionids: HashSet<UnionId>,
}

impl Ids {
    /// Reads every source; blocking file access.
    pub fn open(sources: Vec<Source>) -> Result<Self, Error> {
        let marks = Mutex::new(marks(&sources));
        let members = ArcSwap::from_pointee(Members::read(&sources)?);
        Ok(Self {
            shared: Arc::new(Shared {
                sources,
                members,
                marks,
                has_failed: AtomicBool::new(false),
            }),
        })
    }

    /// Whether the person's openid or unionid is in it.
    pub fn contains(&self, person: &Person) -> bool {
        let members = self.shared.members.load();
        members.openids.contains(&person.openid)
            || person
                .unionid
                .as_ref()
                .is_some_and(|unionid| members.unionids.contains(unionid))
    }

    /// Reads the files again and says whether anything changed; blocking file access, for a slow task.
    ///
    /// After an error everything is as before: half a list would let the banned in or lock the staff out.
    pub fn reload(&self) -> Result<bool, Error> {
        let marks = marks(&self.shared.sources);
        *self.marks() = marks;
        let members = Members::read(&self.shared.sources)?;
        if members == **self.shared.members.load() {
            return Ok(false);
        }
        self.shared.members.store(Arc::new(members));
        Ok(true)
    }

    /// Notes whether a [`reload`](Self::reload) failed, and says whether that is news: lists are read again and again.
    pub fn note_outcome(&self, has_failed: bool) -> bool {
        self.shared.has_failed.swap(has_failed, Ordering::Relaxed) != has_failed
    }

    /// Whether a file looks changed since it was read last: quick, and blind for a change that keeps length and time.
    pub fn looks_changed(&self) -> bool {
        let now = marks(&self.shared.sources);
        *self.marks() != now
    }

    fn marks(&self) -> MutexGuard<'_, Vec<Mark>> {
        let marks = &self.shared.marks;
        marks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many different ids there are.
    pub fn len(&self) -> usize {
        let members = self.shared.members.load();
        members.openids.len() + members.unionids.len()
    }

    /// Whether nobody is in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where the ids come from.
    pub fn sources(&self) -> &[Source] {
        &self.shared.sources
    }
}

impl PartialEq for Ids {
    fn eq(&self, other: &Self) -> bool {
        self.shared.sources == other.shared.sources
    }
}

impl Eq for Ids {}

fn marks(sources: &[Source]) -> Vec<Mark> {
    let mark = |source: &Source| match source {
        Source::Given(_) => None,
        Source::File(file) => {
            let about = fs::metadata(file).ok()?;
            Some((about.len(), about.modified().ok()?))
        }
    };
    sources.iter().map(mark).collect()
}

impl Members {
    fn read(sources: &[Source]) -> Result<Self, Error> {
        let mut members = Self::default();
        for source in sources {
            source.ids()?.into_iter().for_each(|id| members.insert(id));
        }
        Ok(members)
    }

    fn insert(&mut self, id: Id) {
        match id {
            Id::OpenId(openid) => self.openids.insert(openid),
            Id::UnionId(unionid) => self.unionids.insert(unionid),
        };
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::wechat::{AppId, AppName};

    fn person(openid: &str, unionid: Option<&str>) -> Person {
        Person {
            app: AppName::parse("main").unwrap(),
            app_id: AppId::parse("wx0123456789abcdef").unwrap(),
            openid: OpenId::parse(openid).unwrap(),
            unionid: unionid.map(|unionid| UnionId::parse(unionid).unwrap()),
            profile: None,
        }
    }

    fn open(file: &Path) -> Result<Ids, Error> {
        Ids::open(vec![Source::File(file.to_owned())])
    }

    #[test]
    fn an_id_needs_its_kind_and_nothing_else() {
        for bad in [
            "",
            "o6_bm",
            "openid:",
            "openid",
            ":o6",
            "OpenID:o6",
            "unionid:a b",
            "unionid:a:b",
            " openid:o6",
            "subject:o6",
            "openid:é",
        ] {
            assert_eq!(Id::parse(bad), None, "{bad:?}");
        }
        let openid = OpenId::parse("o6_bm").unwrap();
        assert_eq!(Id::parse("openid:o6_bm"), Some(Id::OpenId(openid)));
        let unionid = UnionId::parse("o6-bm").unwrap();
        assert_eq!(Id::parse("unionid:o6-bm"), Some(Id::UnionId(unionid)));
    }

    #[test]
    fn files_may_have_comments_blank_lines_a_byte_order_mark_and_any_line_end() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("staff.txt");
        let text = "\u{feff}# 员工\r\n\r\nopenid:alice # since May\r\n  unionid:u-bob\t\n#openid:eve\nopenid:alice";
        fs::write(&file, text).unwrap();

        let ids = open(&file).unwrap();

        assert_eq!(ids.len(), 2);
        assert!(ids.contains(&person("alice", None)));
        assert!(ids.contains(&person("other", Some("u-bob"))));
        assert!(!ids.contains(&person("eve", None)));
    }

    #[test]
    fn an_openid_never_counts_as_a_unionid_and_case_counts() {
        let given = Id::parse("openid:same").unwrap();
        let ids = Ids::open(vec![Source::Given(vec![given])]).unwrap();

        assert!(ids.contains(&person("same", None)));
        assert!(!ids.contains(&person("other", Some("same"))));
        assert!(!ids.contains(&person("Same", None)));
    }

    #[test]
    fn an_error_names_file_and_line_but_not_the_id() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("staff.txt");
        fs::write(&file, "openid:alice\n\no6_secretid\n").unwrap();

        let error = open(&file).unwrap_err();

        assert!(matches!(&error, Error::NotAnId { file: named, line: 3 } if *named == file));
        assert!(error.to_string().contains("staff.txt`, line 3"));
        assert!(!format!("{error} {error:?}").contains("o6_secretid"));
    }

    #[test]
    fn of_failures_in_a_row_only_the_first_is_news() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("staff.txt");
        fs::write(&file, "openid:alice\n").unwrap();
        let ids = open(&file).unwrap();
        let is_news = || ids.note_outcome(ids.reload().is_err());
        assert!(!is_news());

        fs::write(&file, "nonsense\n").unwrap();
        assert_eq!([is_news(), is_news(), is_news()], [true, false, false]);

        fs::write(&file, "openid:alice\n").unwrap();
        assert_eq!([is_news(), is_news()], [true, false]);
    }

    #[test]
    fn a_missing_file_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let error = open(&folder.path().join("gone.txt")).unwrap_err();

        assert!(
            matches!(&error, Error::Unreadable { source, .. } if source.kind() == io::ErrorKind::NotFound)
        );
        assert!(error.to_string().contains("gone.txt"));
    }

    #[test]
    fn reload_is_seen_by_every_copy_and_a_bad_file_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("staff.txt");
        fs::write(&file, "openid:alice\n").unwrap();
        let ids = open(&file).unwrap();
        let copy = ids.clone();

        assert!(!ids.reload().unwrap() && !ids.looks_changed());
        fs::write(&file, "openid:bob\n").unwrap();
        assert!(ids.looks_changed());
        assert!(ids.reload().unwrap() && !ids.looks_changed());

        assert!(copy.contains(&person("bob", None)));
        assert!(!copy.contains(&person("alice", None)));

        fs::write(&file, "openid:eve\nnonsense\n").unwrap();
        ids.reload().unwrap_err();
        fs::remove_file(&file).unwrap();
        ids.reload().unwrap_err();

        assert_eq!(copy.len(), 1);
        assert!(copy.contains(&person("bob", None)));
    }

    #[test]
    fn debug_output_hides_people() {
        let given = Id::parse("openid:o6_secretid").unwrap();
        let ids = Ids::open(vec![Source::Given(vec![given])]).unwrap();

        assert!(!format!("{ids:?}").contains("o6_secretid"));
    }
}
