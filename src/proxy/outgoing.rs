//! A request on its way to a server, and what the waiting side must know about its body.

use std::pin::Pin;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, Request, Uri, request};
use http_body::{Body, Frame, SizeHint};

use crate::message::{BodyError, RequestBody};

/// What hyper or a stream of HTTP/2 reads: the client's body, kept in its [`Upload`] unless it is empty.
#[derive(Debug)]
pub(super) struct Outgoing {
    upload: Option<Arc<Upload>>,
    /// Reads only while nobody was lent the body after it.
    turn: u32,
}

/// A request body, and how far it is.
///
/// The body stays here while it is read elsewhere, so that it can be lent again after an attempt of which the server says that
/// it did not look at it.
#[derive(Debug)]
pub(super) struct Upload {
    /// Locked by one reader at a time, for one frame.
    lent: Mutex<Lent>,
    stage: AtomicU8,
    /// Bytes that a connection shared by others has taken. One of our own counts for itself.
    taken: AtomicU64,
    failure: Mutex<Option<BodyError>>,
}

#[derive(Debug)]
struct Lent {
    body: RequestBody,
    turn: u32,
    /// A frame was read: nobody can have the whole body any more.
    has_begun: bool,
}

/// Who a request body waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The server, which must take what was read.
    Server = 0,
    /// The client, who must send more; [`RequestBody`] has a deadline for it.
    Client = 1,
    /// Nobody: the body was read to its end.
    Done = 2,
}

/// Tells the reader that the body ended early; the reason is in [`Upload`].
#[derive(Debug, thiserror::Error)]
#[error("request body ended early")]
pub(super) struct Cut;

impl Outgoing {
    /// Wraps a body; an empty one is not observed.
    pub(super) fn new(body: RequestBody) -> (Self, Option<Arc<Upload>>) {
        let upload = (!body.is_empty()).then(|| {
            Arc::new(Upload {
                lent: Mutex::new(Lent {
                    body,
                    turn: 0,
                    has_begun: false,
                }),
                stage: AtomicU8::new(Stage::Server as u8),
                taken: AtomicU64::new(0),
                failure: Mutex::new(None),
            })
        });
        let outgoing = Self {
            upload: upload.clone(),
            turn: 0,
        };
        (outgoing, upload)
    }

    /// No body.
    pub(super) fn empty() -> Self {
        Self {
            upload: None,
            turn: 0,
        }
    }
}

impl Upload {
    /// Lends the body to another reader, and nothing more to the one before. `None` when a part of it was read already.
    pub(super) fn lend(self: &Arc<Self>) -> Option<Outgoing> {
        let mut lent = self.lent();
        if lent.has_begun {
            return None;
        }
        lent.turn += 1;
        Some(Outgoing {
            upload: Some(Arc::clone(self)),
            turn: lent.turn,
        })
    }

    /// Who is waited for.
    pub(super) fn stage(&self) -> Stage {
        match self.stage.load(Ordering::Relaxed) {
            0 => Stage::Server,
            1 => Stage::Client,
            _ => Stage::Done,
        }
    }

    /// So many more bytes were taken by the connection.
    pub(super) fn take(&self, bytes: usize) {
        self.taken.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Bytes that the connection has taken.
    pub(super) fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    /// Why the body ended early, once.
    pub(super) fn take_failure(&self) -> Option<BodyError> {
        self.failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    fn enter(&self, stage: Stage) {
        self.stage.store(stage as u8, Ordering::Relaxed);
    }

    fn fail(&self, error: BodyError) {
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }

    fn lent(&self) -> MutexGuard<'_, Lent> {
        self.lent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let Some(upload) = &self.upload else {
            return Poll::Ready(None);
        };
        let mut lent = upload.lent();
        if lent.turn != self.turn {
            return Poll::Ready(Some(Err(Cut)));
        }
        let polled = Pin::new(&mut lent.body).poll_frame(context);
        let ended = lent.body.is_end_stream();
        match polled {
            Poll::Pending => {
                upload.enter(Stage::Client);
                Poll::Pending
            }
            Poll::Ready(Some(Err(error))) => {
                lent.has_begun = true;
                upload.fail(error);
                Poll::Ready(Some(Err(Cut)))
            }
            Poll::Ready(Some(Ok(frame))) => {
                lent.has_begun = true;
                let last = ended || frame.is_trailers();
                upload.enter(if last { Stage::Done } else { Stage::Server });
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(None) => {
                upload.enter(Stage::Done);
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        let upload = self.upload.as_ref();
        upload.is_none_or(|upload| upload.lent().body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        match &self.upload {
            Some(upload) => upload.lent().body.size_hint(),
            None => SizeHint::with_exact(0),
        }
    }
}

/// A request for hyper to send.
pub(super) fn outgoing_request(
    parts: &request::Parts,
    target: &PathAndQuery,
    headers: HeaderMap,
    body: Outgoing,
) -> Box<Request<Outgoing>> {
    let mut request = Box::new(Request::new(body));
    *request.method_mut() = parts.method.clone();
    *request.uri_mut() = Uri::from(target.clone());
    *request.headers_mut() = headers;
    request
}
