//! The body a client sends: streamed, counted, with a limit and a deadline for progress.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::HeaderName;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};

/// Why a request body ended early.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The client sent more than the limit. Its fault; 413.
    #[error("body is larger than {limit} bytes")]
    TooLarge {
        /// The limit that applied.
        limit: u64,
    },
    /// Nothing arrived for the whole deadline. The client's fault or its network's; 408.
    #[error("body made no progress for {} s", .0.as_secs())]
    Stalled(Duration),
    /// The client went away or broke the framing.
    #[error("body ended early")]
    Broken(#[source] hyper::Error),
}

/// Says whether a trailer of the client may pass.
pub type TrailerFilter = Arc<dyn Fn(&HeaderName) -> bool + Send + Sync>;

/// A request body on its way from the client.
///
/// Trailers are dropped unless a filter was set: no header may enter behind the scrub.
pub struct RequestBody {
    incoming: Option<Incoming>,
    limit: u64,
    patience: Duration,
    /// Armed while we wait for the client; made at the first wait.
    timer: Option<Pin<Box<Sleep>>>,
    received: Option<Arc<AtomicU64>>,
    seen: u64,
    trailers: Option<TrailerFilter>,
}

impl fmt::Debug for RequestBody {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RequestBody")
            .field("limit", &self.limit)
            .field("seen", &self.seen)
            .finish_non_exhaustive()
    }
}

impl RequestBody {
    /// Nothing at all; used for requests of our own.
    pub fn empty() -> Self {
        Self {
            incoming: None,
            limit: u64::MAX,
            patience: Duration::MAX,
            timer: None,
            received: None,
            seen: 0,
            trailers: None,
        }
    }

    /// What a client sends. `patience` is how long it may pause.
    pub fn new(incoming: Incoming, patience: Duration) -> Self {
        let incoming = (!incoming.is_end_stream()).then_some(incoming);
        Self {
            incoming,
            patience,
            ..Self::empty()
        }
    }

    /// Sets the most bytes that may come.
    pub fn set_limit(&mut self, limit: Option<u64>) {
        self.limit = limit.unwrap_or(u64::MAX);
    }

    /// Sets how long the client may pause.
    pub fn set_patience(&mut self, patience: Duration) {
        self.patience = patience;
    }

    /// Lets those trailers pass that the filter accepts.
    pub fn forward_trailers(&mut self, filter: TrailerFilter) {
        self.trailers = Some(filter);
    }

    /// Whether any trailers may pass.
    pub fn forwards_trailers(&self) -> bool {
        self.trailers.is_some()
    }

    /// Whether the client announced more than `limit` bytes.
    pub fn announces_more_than(&self, limit: Option<u64>) -> bool {
        limit.is_some_and(|limit| self.size_hint().lower() > limit)
    }

    /// Counts bytes as they pass; the count stays readable after the body is gone.
    pub fn count(&mut self) -> Arc<AtomicU64> {
        Arc::clone(self.received.get_or_insert_default())
    }

    /// Whether there is no body.
    pub fn is_empty(&self) -> bool {
        self.incoming.is_none()
    }

    /// Reads the whole body, at most `limit` bytes.
    pub async fn collect(mut self, limit: u64) -> Result<Bytes, BodyError> {
        self.limit = self.limit.min(limit);
        let mut collected = BytesMut::new();
        while let Some(frame) = self.frame().await {
            if let Ok(piece) = frame?.into_data() {
                collected.extend_from_slice(&piece);
            }
        }
        Ok(collected.freeze())
    }

    fn filtered_trailers(&self, frame: Frame<Bytes>) -> Option<Frame<Bytes>> {
        let filter = self.trailers.as_ref()?;
        let trailers = frame.into_trailers().ok()?;
        let kept: http::HeaderMap = trailers
            .iter()
            .filter(|(name, _)| filter(name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        (!kept.is_empty()).then(|| Frame::trailers(kept))
    }

    /// Whether the client was patient enough to be waited for.
    fn poll_patience(&mut self, context: &mut Context<'_>) -> Poll<BodyError> {
        let patience = self.patience;
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        ready!(timer.as_mut().poll(context));
        Poll::Ready(BodyError::Stalled(patience))
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        loop {
            let Some(incoming) = &mut self.incoming else {
                return Poll::Ready(None);
            };
            let polled = Pin::new(incoming).poll_frame(context);
            let frame = match polled {
                Poll::Pending => {
                    let error = ready!(self.poll_patience(context));
                    self.incoming = None;
                    return Poll::Ready(Some(Err(error)));
                }
                Poll::Ready(frame) => frame,
            };
            let data = match frame {
                None => return Poll::Ready(None),
                Some(Err(error)) => return Poll::Ready(Some(Err(BodyError::Broken(error)))),
                Some(Ok(frame)) => frame.into_data(),
            };
            let data = match data {
                Ok(data) => data,
                Err(frame) => match self.filtered_trailers(frame) {
                    Some(trailers) => return Poll::Ready(Some(Ok(trailers))),
                    None => continue,
                },
            };
            self.seen = self.seen.saturating_add(data.len() as u64);
            if let Some(received) = &self.received {
                received.store(self.seen, Ordering::Relaxed);
            }
            if self.seen > self.limit {
                let limit = self.limit;
                self.incoming = None;
                return Poll::Ready(Some(Err(BodyError::TooLarge { limit })));
            }
            let patience = self.patience;
            if let Some(timer) = &mut self.timer {
                timer.as_mut().reset(Instant::now() + patience);
            }
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        match &self.incoming {
            None => SizeHint::with_exact(0),
            Some(incoming) => incoming.size_hint(),
        }
    }
}
