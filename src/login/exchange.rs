//! One exchange per code, whoever asks how often: in this process, after a restart, and with a client that went away.
//!
//! WeChat on Android may deliver a callback twice and drop the first connection, so an exchange runs in a task of its own:
//! whoever comes next gets its outcome.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use data_encoding::BASE64URL_NOPAD;
use tokio::sync::watch;
use tracing::Instrument;

use super::attempt::State;
use super::outcome::Failure;
use super::redeem::{Answered, Errand, Redeemer};

/// A hash of app and code.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct CodeKey(String);

impl CodeKey {
    /// Of an app's id and the code as it came.
    pub(super) fn new(app_id: &str, code: &str) -> Self {
        let mut context = Context::new(&SHA256);
        // The length first, so that no other pair of texts runs together into the same bytes.
        context.update(&app_id.len().to_be_bytes());
        context.update(app_id.as_bytes());
        context.update(code.as_bytes());
        Self(BASE64URL_NOPAD.encode(context.finish().as_ref()))
    }

    /// The key in the store.
    pub(super) fn in_store(&self) -> String {
        format!("code:{}", self.0)
    }
}

impl fmt::Debug for CodeKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("CodeKey(…)")
    }
}

/// An exchange that is running now.
#[derive(Debug)]
struct Flight {
    state: State,
    answered: watch::Receiver<Option<Answered>>,
}

type Flights = Arc<DashMap<CodeKey, Flight>>;

/// Takes a flight off the map however its task ends, so that the map cannot grow.
struct Landing {
    flights: Flights,
    key: CodeKey,
}

impl Drop for Landing {
    fn drop(&mut self) {
        self.flights.remove(&self.key);
    }
}

/// Exchanges codes.
#[derive(Debug)]
pub(super) struct Exchange {
    redeemer: Redeemer,
    flights: Flights,
}

impl Exchange {
    /// Nothing is running yet.
    pub(super) fn new(redeemer: Redeemer) -> Self {
        Self {
            redeemer,
            flights: Flights::default(),
        }
    }

    /// The outcome of a code. Cancelling loses nothing: the exchange goes on and the next one who asks gets its outcome.
    pub(super) async fn run(&self, errand: Errand) -> Answered {
        let key = errand.key.clone();
        let state = errand.state.clone();
        let redeemer = self.redeemer.clone();
        let redeem = async move { redeemer.redeem(&errand).await };
        share(&self.flights, key, state, redeem).await
    }
}

/// Runs `work` in a task of its own, unless it runs already for this code; then waits for that.
async fn share(
    flights: &Flights,
    key: CodeKey,
    state: State,
    work: impl Future<Output = Answered> + Send + 'static,
) -> Answered {
    let (mut receiver, has_joined) = match flights.entry(key.clone()) {
        Entry::Occupied(flight) if flight.get().state == state => {
            (flight.get().answered.clone(), true)
        }
        // Somebody else's browser brought the same code: it gets nothing out of it.
        Entry::Occupied(_) => return Answered::failed(Failure::Used),
        Entry::Vacant(place) => {
            let (sender, receiver) = watch::channel(None);
            place.insert(Flight {
                state,
                answered: receiver.clone(),
            });
            take_off(Arc::clone(flights), key, work, sender);
            (receiver, false)
        }
    };
    let landed = receiver.wait_for(Option::is_some).await;
    match landed.ok().and_then(|answered| answered.clone()) {
        Some(answered) if has_joined => Answered::again(answered.outcome),
        Some(answered) => answered,
        // The task is gone without an answer: it panicked.
        None => Answered::failed(Failure::Internal),
    }
}

fn take_off(
    flights: Flights,
    key: CodeKey,
    work: impl Future<Output = Answered> + Send + 'static,
    sender: watch::Sender<Option<Answered>>,
) {
    let landing = Landing { flights, key };
    let flight = async move {
        let answered = work.await;
        sender.send_replace(Some(answered));
        // Only now: whoever asks later finds the outcome in the store.
        drop(landing);
    };
    // Nobody needs the handle: the task ends by the deadlines of its calls.
    drop(tokio::spawn(flight.in_current_span()));
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::future::join_all;
    use futures_util::poll;
    use tokio::sync::Notify;

    use super::*;
    use crate::login::outcome::Outcome;

    #[test]
    fn a_code_is_named_by_its_app_and_itself() {
        let key = CodeKey::new("wx1", "abc");

        assert_eq!(key, CodeKey::new("wx1", "abc"));
        assert_ne!(key, CodeKey::new("wx2", "abc"));
        assert_ne!(key, CodeKey::new("wx1a", "bc"));
        assert_eq!(key.in_store().len(), "code:".len() + 43);
        assert!(!key.in_store().contains("abc"));
        assert_eq!(format!("{key:?}"), "CodeKey(…)");
    }

    fn state(letter: char) -> State {
        crate::login::attempt::tests::state(letter, 1)
    }

    /// An exchange that ends when it is told to.
    fn slow(
        counter: &Arc<AtomicUsize>,
        go: &Arc<Notify>,
    ) -> impl Future<Output = Answered> + use<> {
        let (counter, go) = (Arc::clone(counter), Arc::clone(go));
        async move {
            counter.fetch_add(1, Ordering::Relaxed);
            go.notified().await;
            Answered::first(Outcome::Snapshot)
        }
    }

    #[tokio::test]
    async fn fifty_callbacks_with_one_code_make_one_exchange() {
        let (flights, counter, go) = <(Flights, Arc<AtomicUsize>, Arc<Notify>)>::default();
        let key = CodeKey::new("wx1", "abc");
        let asked = (0..50).map(|_| share(&flights, key.clone(), state('a'), slow(&counter, &go)));
        go.notify_one();

        let answers = join_all(asked).await;

        assert_eq!(counter.load(Ordering::Relaxed), 1);
        assert!(
            answers
                .iter()
                .all(|answer| answer.outcome == Outcome::Snapshot)
        );
        let first = answers.iter().filter(|answer| !answer.is_replay).count();
        assert_eq!(first, 1);
    }

    #[tokio::test]
    async fn an_exchange_survives_the_client_that_began_it() {
        let (flights, counter, go) = <(Flights, Arc<AtomicUsize>, Arc<Notify>)>::default();
        let key = CodeKey::new("wx1", "abc");
        {
            let mut first = pin!(share(
                &flights,
                key.clone(),
                state('a'),
                slow(&counter, &go)
            ));
            assert!(poll!(first.as_mut()).is_pending());
        }

        go.notify_one();
        let answer = share(&flights, key, state('a'), slow(&counter, &go)).await;

        assert_eq!(answer, Answered::again(Outcome::Snapshot));
        assert_eq!(counter.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn another_browser_gets_nothing_out_of_a_running_exchange() {
        let (flights, counter, go) = <(Flights, Arc<AtomicUsize>, Arc<Notify>)>::default();
        let key = CodeKey::new("wx1", "abc");
        let mut first = pin!(share(
            &flights,
            key.clone(),
            state('a'),
            slow(&counter, &go)
        ));
        assert!(poll!(first.as_mut()).is_pending());

        let other = share(&flights, key, state('b'), slow(&counter, &go)).await;

        assert_eq!(other, Answered::failed(Failure::Used));
        go.notify_one();
        assert_eq!(first.await, Answered::first(Outcome::Snapshot));
    }

    #[tokio::test]
    async fn a_flight_leaves_the_map_however_it_ends() {
        let flights = Flights::default();
        let key = CodeKey::new("wx1", "abc");
        let broken = async { panic!("planted") };

        let answer = share(&flights, key.clone(), state('a'), broken).await;
        assert_eq!(answer, Answered::failed(Failure::Internal));
        assert!(flights.is_empty());

        let fine = async { Answered::first(Outcome::Snapshot) };
        let answer = share(&flights, key, state('a'), fine).await;
        assert_eq!(answer, Answered::first(Outcome::Snapshot));
        tokio::task::yield_now().await;
        assert!(flights.is_empty());
    }
}
