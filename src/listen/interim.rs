//! Interim answers on their way to a client of HTTP/1.1: hyper's server has no way to send them.
//!
//! They are written when hyper flushes its empty buffer, so never in the middle of an earlier answer; and the final answer is
//! held back until they are written, so never after it.

use std::future::poll_fn;
use std::io::{self, Write};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use http::{HeaderMap, StatusCode};
use tokio::io::AsyncWrite;

/// A client that reads nothing must not make us keep more than this many bytes for it.
const MOST_WAITING: usize = 64 * 1024;

/// The interim answers of one connection that are not written yet.
#[derive(Debug, Default)]
pub struct Interim {
    /// Tells without a lock what is nearly always the case: nothing.
    waiting: AtomicBool,
    /// Locked for a few lines by one task only, so never contended.
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    bytes: Vec<u8>,
    written: usize,
    /// Who holds the final answer back.
    waker: Option<Waker>,
}

impl Interim {
    /// Sends a head before the final answer, in the task that serves the connection. Dropped where the client is so slow that
    /// 64 KiB of them wait: they are hints.
    pub fn send(&self, status: StatusCode, headers: &HeaderMap) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let before = queue.bytes.len();
        write_head(&mut queue.bytes, status, headers);
        if queue.bytes.len() > MOST_WAITING {
            queue.bytes.truncate(before);
        } else {
            self.waiting.store(true, Ordering::Relaxed);
        }
    }

    /// Whether something is not written yet.
    pub(super) fn is_waiting(&self) -> bool {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Waits until everything is written, which [`poll_write`](Self::poll_write) does when the task is polled again.
    pub(super) async fn sent(&self) {
        poll_fn(|context| {
            if !self.is_waiting() {
                return Poll::Ready(());
            }
            let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
            queue.waker = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Writes what waits. Call it only where nothing else is being written.
    pub(super) fn poll_write(
        &self,
        mut stream: Pin<&mut impl AsyncWrite>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let Queue { bytes, written, .. } = &mut *queue;
        while let Some(left @ [_, ..]) = bytes.get(*written..) {
            match ready!(stream.as_mut().poll_write(context, left))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => *written += count,
            }
        }
        let waker = std::mem::take(&mut *queue).waker;
        self.waiting.store(false, Ordering::Relaxed);
        if let Some(waker) = waker {
            waker.wake();
        }
        Poll::Ready(Ok(()))
    }
}

fn write_head(bytes: &mut Vec<u8>, status: StatusCode, headers: &HeaderMap) {
    let reason = status.canonical_reason().unwrap_or("Interim");
    // Writing into a vector cannot fail.
    let _ = write!(bytes, "HTTP/1.1 {} {reason}\r\n", status.as_u16());
    for (name, value) in headers {
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"\r\n");
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use http::HeaderValue;
    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn a_slow_client_gets_every_byte_once_and_the_answer_waits() {
        let interim = Interim::default();
        let headers = HeaderMap::from_iter([(
            http::header::LINK,
            HeaderValue::from_static("</a.css>; rel=preload"),
        )]);
        interim.send(StatusCode::EARLY_HINTS, &headers);
        interim.send(StatusCode::PROCESSING, &HeaderMap::new());
        let (mut ours, mut theirs) = tokio::io::duplex(7);

        let writing = poll_fn(|context| interim.poll_write(Pin::new(&mut ours), context));
        let reading = async {
            let mut heard = vec![0; 84];
            theirs.read_exact(&mut heard).await.unwrap();
            String::from_utf8(heard).unwrap()
        };
        let (written, (), heard) = tokio::join!(writing, interim.sent(), reading);

        written.unwrap();
        assert_eq!(
            heard,
            "HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n"
        );
        assert!(!interim.is_waiting());
    }

    #[test]
    fn what_waits_for_a_client_is_bounded() {
        let interim = Interim::default();
        let large = HeaderValue::from_bytes(&[b'x'; 10_000]).unwrap();
        let headers = HeaderMap::from_iter([(http::header::LINK, large)]);

        for _ in 0..100 {
            interim.send(StatusCode::EARLY_HINTS, &headers);
        }

        assert!(interim.queue.lock().unwrap().bytes.len() <= MOST_WAITING);
    }
}
