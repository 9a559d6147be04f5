//! What a file may refer to outside of itself: environment variables, secret files, lists.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Finds environment variables.
type Variables = Box<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// The machine as the configuration sees it; tests bring their own.
pub struct Surroundings {
    variables: Variables,
    /// Variables that stand in for keys of the file, and others.
    overrides: Vec<(String, String)>,
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
        let known = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        Self::new(|name| std::env::var(name).ok(), Path::new("/")).with_overrides(known)
    }

    /// Variables from a function; absolute paths are looked up below `root`.
    pub fn new(
        variables: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
        root: &Path,
    ) -> Self {
        Self {
            variables: Box::new(variables),
            overrides: Vec::new(),
            root: root.to_path_buf(),
        }
    }

    /// With these variables as overrides: those whose names begin with `WXGATE__`.
    pub fn with_overrides(mut self, known: impl IntoIterator<Item = (String, String)>) -> Self {
        let ours = |(name, _): &(String, String)| name.starts_with("WXGATE__");
        self.overrides = known.into_iter().filter(ours).collect();
        self
    }

    /// Variables that stand in for keys of the file.
    pub(super) fn overrides(&self) -> &[(String, String)] {
        &self.overrides
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
