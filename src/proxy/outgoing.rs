//! A request on its way to a server, and what the waiting side must know about its body.

use std::pin::Pin;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, Request, Uri, request};
use http_body::{Body, Frame, SizeHint};

use crate::message::{BodyError, RequestBody};

/// What hyper reads: the client's body, observed by an [`Upload`] unless it is empty.
#[derive(Debug)]
pub(super) struct Outgoing {
    body: RequestBody,
    upload: Option<Arc<Upload>>,
}

/// How far a request body is.
#[derive(Debug, Default)]
pub(super) struct Upload {
    stage: AtomicU8,
    failure: Mutex<Option<BodyError>>,
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

/// Tells hyper that the body ended early; the reason is in [`Upload`].
#[derive(Debug, thiserror::Error)]
#[error("request body ended early")]
pub(super) struct Cut;

impl Outgoing {
    /// Wraps a body; an empty one is not observed.
    pub(super) fn new(body: RequestBody) -> (Self, Option<Arc<Upload>>) {
        let upload = (!body.is_empty()).then(Arc::<Upload>::default);
        let outgoing = Self {
            body,
            upload: upload.clone(),
        };
        (outgoing, upload)
    }
}

impl Upload {
    /// Who is waited for.
    pub(super) fn stage(&self) -> Stage {
        match self.stage.load(Ordering::Relaxed) {
            0 => Stage::Server,
            1 => Stage::Client,
            _ => Stage::Done,
        }
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
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        let ended = self.body.is_end_stream();
        let Some(upload) = &self.upload else {
            return polled.map(|frame| frame.map(|frame| frame.map_err(|_| Cut)));
        };
        match polled {
            Poll::Pending => {
                upload.enter(Stage::Client);
                Poll::Pending
            }
            Poll::Ready(Some(Err(error))) => {
                upload.fail(error);
                Poll::Ready(Some(Err(Cut)))
            }
            Poll::Ready(Some(Ok(frame))) => {
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
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A request without body, to be sent again.
///
/// hyper consumes the head, so there is no cheaper way than a copy: two reference counts per field. It costs far less than
/// the system calls of a request, and only requests on connections from the pool pay it.
pub(super) struct Copy {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
}

impl Copy {
    /// Of a request whose body is empty.
    pub(super) fn of(request: &Request<Outgoing>) -> Self {
        Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            headers: request.headers().clone(),
        }
    }

    /// The request again.
    pub(super) fn into_request(self) -> Request<Outgoing> {
        let (body, _) = Outgoing::new(RequestBody::empty());
        let mut request = Request::new(body);
        *request.method_mut() = self.method;
        *request.uri_mut() = self.uri;
        *request.headers_mut() = self.headers;
        request
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
