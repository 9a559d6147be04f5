//! Something that seldom happens, waited for beside something that often does, in one task.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

/// Polls a future only when that future itself asked for it, not whenever its task is woken.
///
/// PERF: a connection is woken a few times per request; its timer and the stop signal would each time be asked, and the latter
/// takes a lock that all connections share.
#[derive(Debug, Default)]
pub(super) struct Seldom(Option<Arc<Bell>>);

/// Wakes the task, and remembers who wanted it.
#[derive(Debug)]
struct Bell {
    has_rung: AtomicBool,
    task: Waker,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.has_rung.store(true, Ordering::Release);
        self.task.wake_by_ref();
    }
}

impl Seldom {
    /// The future's answer, if it has something new. Always the same future, until it is ready.
    pub(super) fn poll<F: Future>(
        &mut self,
        future: Pin<&mut F>,
        context: &Context<'_>,
    ) -> Poll<F::Output> {
        let known = self.0.as_ref();
        let bell = match known.filter(|bell| bell.task.will_wake(context.waker())) {
            Some(bell) if !bell.has_rung.load(Ordering::Acquire) => return Poll::Pending,
            Some(bell) => Arc::clone(bell),
            None => Arc::new(Bell {
                has_rung: AtomicBool::new(false),
                task: context.waker().clone(),
            }),
        };
        // Before polling: what rings meanwhile must count.
        bell.has_rung.store(false, Ordering::Release);
        let waker = Waker::from(Arc::clone(&bell));
        self.0 = Some(bell);
        future.poll(&mut Context::from_waker(&waker))
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::pin;
    use std::sync::atomic::AtomicU32;

    use tokio::sync::Notify;

    use super::*;

    /// How often a future was polled until it was ready, beside `others` wakes of its task that were not meant for it.
    async fn polls_beside(others: u32) -> u32 {
        let (polls, notify) = (AtomicU32::new(0), Notify::new());
        let mut notified = pin!(notify.notified());
        let mut future = pin!(poll_fn(|context| {
            polls.fetch_add(1, Ordering::Relaxed);
            notified.as_mut().poll(context)
        }));
        let (mut seldom, mut woken) = (Seldom::default(), 0);
        poll_fn(|context| {
            if let Poll::Ready(()) = seldom.poll(future.as_mut(), context) {
                return Poll::Ready(());
            }
            woken += 1;
            match woken {
                _ if woken <= others => context.waker().wake_by_ref(),
                _ => notify.notify_one(),
            }
            Poll::Pending
        })
        .await;
        polls.into_inner()
    }

    #[tokio::test]
    async fn a_seldom_future_is_polled_for_its_own_wakes_only() {
        assert_eq!(polls_beside(0).await, 2);
        assert_eq!(polls_beside(100).await, 2);
    }

    #[tokio::test]
    async fn another_task_is_woken_as_well() {
        let notify = Arc::new(Notify::new());
        let waiting = Arc::clone(&notify);
        let mut seldom = Seldom::default();
        let mut future = Box::pin(async move { waiting.notified().await });
        // Polled here first, then by the task that waits for its end.
        let first = poll_fn(|context| Poll::Ready(seldom.poll(future.as_mut(), context))).await;
        assert!(first.is_pending());

        let task = tokio::spawn(poll_fn(move |context| {
            seldom.poll(future.as_mut(), context)
        }));
        tokio::task::yield_now().await;
        notify.notify_one();

        assert!(task.await.is_ok());
    }
}
