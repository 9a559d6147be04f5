//! A file change to a reload.
//!
//! The file is read every two seconds and compared by content. Change notices of the system are a trap: a mounted ConfigMap or
//! secret changes by a swapped link that they do not see (kubernetes/kubernetes#112677).

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::{Interval, MissedTickBehavior, interval};

/// How often the file is looked at.
const EVERY: Duration = Duration::from_secs(2);

/// Watches one file.
#[derive(Debug)]
pub struct Watch {
    path: PathBuf,
    is_wanted: bool,
    /// Begins with the first wait.
    ticks: Option<Interval>,
    /// What was last acted upon.
    content: Option<Vec<u8>>,
    /// What was last seen, if it differs; acted upon when it is seen twice, so that half a file is not.
    candidate: Option<Vec<u8>>,
}

impl Watch {
    /// Takes the file as it is now as known, so it must be made before the file is loaded: what changes after that is told. With
    /// `is_wanted` false, [`changed`](Self::changed) never returns. Blocking file access.
    pub fn new(path: &Path, is_wanted: bool) -> Self {
        Self {
            content: std::fs::read(path).ok(),
            path: path.to_owned(),
            is_wanted,
            ticks: None,
            candidate: None,
        }
    }

    /// Takes the file as it is now as known. Call it before the file is loaded for another reason, so that it is not loaded twice.
    /// Blocking file access.
    pub fn acknowledge(&mut self) {
        if let Ok(content) = std::fs::read(&self.path) {
            self.content = Some(content);
            self.candidate = None;
        }
    }

    /// Waits until the file has changed and has stayed the same for two seconds. Cancelling loses nothing. Needs a Tokio runtime.
    pub async fn changed(&mut self) {
        if !self.is_wanted {
            return std::future::pending().await;
        }
        let ticks = self.ticks.get_or_insert_with(|| {
            let mut ticks = interval(EVERY);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        });
        loop {
            ticks.tick().await;
            // Somebody may be replacing it right now.
            let Ok(content) = tokio::fs::read(&self.path).await else {
                continue;
            };
            if self.content.as_ref() == Some(&content) {
                self.candidate = None;
            } else if self.candidate.as_ref() == Some(&content) {
                self.content = self.candidate.take();
                return;
            } else {
                self.candidate = Some(content);
            }
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_change_is_told_once_and_only_when_it_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        std::fs::write(&path, "a").unwrap();
        let mut watch = Watch::new(&path, true);

        std::fs::write(&path, "b").unwrap();
        watch.changed().await;

        let again = tokio::time::timeout(EVERY * 10, watch.changed()).await;
        assert!(again.is_err(), "told twice");
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_loaded_for_another_reason_is_not_told_and_the_next_change_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        std::fs::write(&path, "a").unwrap();
        let mut watch = Watch::new(&path, true);

        std::fs::write(&path, "b").unwrap();
        // Seen once already: a change is told when it is seen twice.
        let seen = tokio::time::timeout(EVERY / 2, watch.changed()).await;
        assert!(seen.is_err());
        watch.acknowledge();
        let told = tokio::time::timeout(EVERY * 10, watch.changed()).await;
        assert!(told.is_err(), "told although it was loaded");

        std::fs::write(&path, "c").unwrap();
        watch.changed().await;
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_is_told_who_does_not_watch() {
        let mut watch = Watch::new(Path::new("config.toml"), false);

        let told = tokio::time::timeout(EVERY * 10, watch.changed()).await;
        assert!(told.is_err());
    }
}
