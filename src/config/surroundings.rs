//! What a file may refer to outside of itself: environment variables, secret files, lists.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Finds environment variables.
type Variables = Box<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// The machine as the configuration sees it; tests bring their own.
pub struct Surroundings {
    variables: Variables,
    /// Absolute paths of the file are looked up below this folder.
    root: PathBuf,
}

impl fmt::Debug for Surroundings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Surroundings")
            .field("root", &self.root)
            .finish_non_exhaustive()
    }
}

impl Surroundings {
    /// This process's environment and this machine's files.
    pub fn of_process() -> Self {
        Self::new(|name| std::env::var(name).ok(), Path::new("/"))
    }

    /// Variables from a function; absolute paths are looked up below `root`.
    pub fn new(
        variables: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
        root: &Path,
    ) -> Self {
        Self {
            variables: Box::new(variables),
            root: root.to_path_buf(),
        }
    }

    /// The value of a variable.
    pub(super) fn variable(&self, name: &str) -> Option<String> {
        (self.variables)(name)
    }

    /// Where a path of the file is: relative ones below `folder`.
    pub(super) fn locate(&self, folder: &Path, path: &str) -> PathBuf {
        let path = Path::new(path);
        match path.strip_prefix("/") {
            Ok(rest) => self.root.join(rest),
            Err(_) => folder.join(path),
        }
    }
}

/// Why a file cannot be read, for whoever has to fix its owner or mode.
pub(super) fn explain(path: &Path, error: &io::Error) -> String {
    use std::os::unix::fs::MetadataExt;

    let reason = match error.kind() {
        io::ErrorKind::NotFound => "no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        kind => kind.to_string(),
    };
    let mode = std::fs::metadata(path)
        .map(|found| {
            format!(
                ", mode {:04o}, owner {}",
                found.mode() & 0o7777,
                found.uid()
            )
        })
        .unwrap_or_default();
    // Linux shows every process under its own user id.
    let user = std::fs::metadata("/proc/self")
        .map(|found| format!(", we are uid {}", found.uid()))
        .unwrap_or_default();
    format!("`{}`: {reason}{mode}{user}", path.display())
}
