//! Addresses behind the name of a server, looked up again and again.
//!
//! The system resolves names, as it does for every other program of this machine, and does not say for how long an answer is
//! good; so it is asked every [`AGAIN`], and when no address could be reached. What was found last stays in use while nothing better is known.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::Notify;

/// How often names are looked up.
const AGAIN: Duration = Duration::from_secs(10);
/// How long a look-up may take.
const WITHIN: Duration = Duration::from_secs(5);
/// After a failure that made us ask at once, the next one waits this long.
const PAUSE: Duration = Duration::from_secs(1);

/// What a look-up finds.
pub type Found = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;

/// Looks up names.
#[derive(Clone)]
pub struct Resolver(Arc<dyn Fn(String, u16) -> Found + Send + Sync>);

impl Resolver {
    /// Asks the system: its hosts file, search list and name servers.
    pub fn system() -> Self {
        Self::of(|host, port| {
            Box::pin(async move {
                let found = tokio::net::lookup_host((host, port)).await?;
                Ok(found.collect())
            })
        })
    }

    /// Asks this instead.
    pub fn of(look_up: impl Fn(String, u16) -> Found + Send + Sync + 'static) -> Self {
        Self(Arc::new(look_up))
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Resolver").finish_non_exhaustive()
    }
}

/// A name and the addresses that are known for it.
#[derive(Debug)]
pub(super) struct Name {
    host: String,
    port: u16,
    resolver: Resolver,
    known: ArcSwapOption<Vec<SocketAddr>>,
    turn: AtomicUsize,
    /// Somebody could not connect.
    wanted: Notify,
}

/// What came of looking again.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Look {
    Same,
    Changed(Arc<Vec<SocketAddr>>),
}

impl Name {
    pub(super) fn new(host: &str, port: u16, resolver: Resolver) -> Self {
        Self {
            host: host.to_owned(),
            port,
            resolver,
            known: ArcSwapOption::empty(),
            turn: AtomicUsize::new(0),
            wanted: Notify::new(),
        }
    }

    /// Every address, beginning with another one each time. Looks the name up where nothing is known yet.
    pub(super) async fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        if self.known.load().is_none() {
            self.look().await?;
        }
        let known = self.known.load();
        let known = known.as_deref().map_or(&[][..], Vec::as_slice);
        let start = self.turn.fetch_add(1, Ordering::Relaxed) % known.len().max(1);
        Ok([&known[start..], &known[..start]].concat())
    }

    /// No address could be reached: they may have moved.
    pub(super) fn doubt(&self) {
        self.wanted.notify_one();
    }

    /// Waits until it is time to look again.
    pub(super) async fn wait(&self) {
        tokio::time::sleep(PAUSE).await;
        // Nobody minds when both come at once.
        let _ = tokio::time::timeout(AGAIN.saturating_sub(PAUSE), self.wanted.notified()).await;
    }

    /// Looks the name up. A failure, or an answer without addresses, changes nothing.
    pub(super) async fn look(&self) -> io::Result<Look> {
        let looking = (self.resolver.0)(self.host.clone(), self.port);
        let mut found = tokio::time::timeout(WITHIN, looking).await??;
        if found.is_empty() {
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                "name has no address",
            ));
        }
        // Name servers like to answer in another order each time.
        found.sort_unstable();
        found.dedup();
        if self.known.load().as_deref() == Some(&found) {
            return Ok(Look::Same);
        }
        let found = Arc::new(found);
        let before = self.known.swap(Some(Arc::clone(&found)));
        Ok(match before {
            None => Look::Same,
            Some(_) => Look::Changed(found),
        })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use std::sync::Mutex;

    use super::*;

    type Answer = Result<Vec<&'static str>, io::ErrorKind>;

    /// A resolver whose answer can be changed.
    fn scripted() -> (Name, Arc<Mutex<Answer>>) {
        let answer = Arc::new(Mutex::new(Ok(Vec::new())));
        let said = Arc::clone(&answer);
        let resolver = Resolver::of(move |_, _| {
            let said: Answer = said.lock().unwrap().clone();
            Box::pin(async move {
                let said = said?;
                Ok(said
                    .iter()
                    .map(|address| address.parse().unwrap())
                    .collect())
            })
        });
        (Name::new("app.inside", 80, resolver), answer)
    }

    #[tokio::test]
    async fn addresses_take_turns_and_the_last_good_ones_stay() {
        let (name, answer) = scripted();
        assert!(name.addresses().await.is_err(), "no address");
        *answer.lock().unwrap() = Ok(vec!["10.0.0.2:80", "10.0.0.1:80"]);
        let firsts: Vec<_> = [
            name.addresses().await.unwrap(),
            name.addresses().await.unwrap(),
        ]
        .into_iter()
        .map(|addresses| addresses[0].to_string())
        .collect();
        assert_eq!(firsts.len(), 2);
        assert_ne!(firsts[0], firsts[1]);

        for broken in [Err(io::ErrorKind::TimedOut), Ok(Vec::new())] {
            *answer.lock().unwrap() = broken;
            assert!(name.look().await.is_err());
            assert_eq!(name.addresses().await.unwrap().len(), 2);
        }
        *answer.lock().unwrap() = Ok(vec!["10.0.0.1:80", "10.0.0.2:80"]);
        assert_eq!(name.look().await.unwrap(), Look::Same, "another order");
        *answer.lock().unwrap() = Ok(vec!["10.0.0.3:80"]);
        let moved = Arc::new(vec!["10.0.0.3:80".parse().unwrap()]);
        assert_eq!(name.look().await.unwrap(), Look::Changed(moved));
    }

    #[tokio::test(start_paused = true)]
    async fn names_are_looked_up_again_in_time_and_sooner_when_nobody_is_reached() {
        let (name, _) = scripted();
        let began = tokio::time::Instant::now();
        name.wait().await;
        assert_eq!(began.elapsed(), AGAIN);

        let began = tokio::time::Instant::now();
        name.doubt();
        name.wait().await;
        assert_eq!(began.elapsed(), PAUSE);
    }
}
