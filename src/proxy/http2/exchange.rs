//! Sending a request on a shared connection, and waiting for the head of the answer.

use std::future::{Future as _, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use h2::client::ResponseFuture;
use h2::{Reason, RecvStream, SendStream};
use http::header::{CONNECTION, HOST, TRANSFER_ENCODING};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, response};
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument as _;

use super::{Share, Stream, upload};
use crate::proxy::deadline::{Deadlines, Wait, Watch};
use crate::proxy::interim::{self, Head};
use crate::proxy::outgoing::{Outgoing, Upload};
use crate::proxy::wire::PassOn;

/// The most interim answers before an answer: more are a flood.
const MOST_INTERIM: u32 = 1024;

/// A request to send.
#[derive(Debug)]
pub(in crate::proxy) struct Exchange {
    pub(in crate::proxy) head: Request<()>,
    pub(in crate::proxy) body: Option<(Outgoing, Arc<Upload>)>,
    pub(in crate::proxy) deadlines: Deadlines,
}

/// Why there is no answer.
#[derive(Debug)]
pub(in crate::proxy) enum Failure {
    /// The connection ended before the request was sent, or the server is closing it and says that it did not look at the request.
    Unsent(h2::Error),
    /// The server says that it did not look at the request, and may not do so soon.
    Refused(h2::Error),
    /// The server wants HTTP/1.1 for this request.
    NeedsHttp1 {
        error: h2::Error,
        /// It says that it did not look at the request.
        is_unsent: bool,
    },
    /// The connection broke before the server said anything.
    Silent(h2::Error),
    /// The server gave the stream up, or broke the rules of HTTP/2.
    Broken(h2::Error),
    /// More interim answers than a server has reason to send.
    Interim(u32),
    /// This deadline passed.
    Late(Duration),
}

impl Exchange {
    /// Turns fields written for HTTP/1.1 into a head: what belongs to one connection is left out, and `Host` becomes `:authority`.
    pub(in crate::proxy) fn head(
        method: &Method,
        is_secure: bool,
        target: &PathAndQuery,
        mut headers: HeaderMap,
    ) -> Result<Request<()>, http::Error> {
        let host = headers.remove(HOST);
        headers.remove(CONNECTION);
        headers.remove(TRANSFER_ENCODING);
        let host = host.as_ref().map_or(&b""[..], HeaderValue::as_bytes);
        let scheme = match is_secure {
            true => Scheme::HTTPS,
            false => Scheme::HTTP,
        };
        let uri = Uri::builder()
            .scheme(scheme)
            .authority(Authority::try_from(host)?)
            .path_and_query(target.clone())
            .build()?;
        let mut head = Request::new(());
        *head.method_mut() = method.clone();
        *head.uri_mut() = uri;
        *head.headers_mut() = headers;
        Ok(head)
    }

    /// Sends the request and waits for the head of its answer. Cancelling resets the stream.
    pub(in crate::proxy) async fn run(
        self,
        share: Share,
        pass_on: Option<&PassOn<'_>>,
    ) -> Result<(response::Parts, Box<Stream>), Failure> {
        let mut sender = share.connection().sender.clone();
        let ends = self.body.is_none();
        // An error here says that the connection has ended.
        let begun = sender.send_request(self.head, ends);
        let (mut answer, stream) = begun.map_err(Failure::Unsent)?;
        let (task, observed) = begin_upload(self.body, stream);
        let mut timer = Box::pin(tokio::time::sleep(self.deadlines.head));
        let mut watch = Watch::default();
        let mut interims = 0;
        let answered = poll_fn(|context| {
            if let Poll::Ready(answered) = poll_answer(&mut answer, &mut interims, pass_on, context)
            {
                return Poll::Ready(answered);
            }
            let observed = observed.as_deref();
            let waits_for = Wait::of(
                observed.map(Upload::stage),
                observed.map_or(0, Upload::taken),
            );
            watch
                .poll(timer.as_mut(), waits_for, self.deadlines, context)
                .map(|after| Err(Failure::Late(after)))
        })
        .await;
        if matches!(answered, Err(Failure::Late(_))) {
            share.connection().doubt();
        }
        let (parts, body) = answered?.into_parts();
        Ok((parts, Box::new(Stream::new(body, timer, task, share))))
    }
}

fn begin_upload(
    body: Option<(Outgoing, Arc<Upload>)>,
    stream: SendStream<Bytes>,
) -> (Option<AbortOnDropHandle<()>>, Option<Arc<Upload>>) {
    let Some((body, observed)) = body else {
        return (None, None);
    };
    // Ends with the exchange.
    let sending = upload::send(body, Arc::clone(&observed), stream).in_current_span();
    let task = AbortOnDropHandle::new(tokio::spawn(sending));
    (Some(task), Some(observed))
}

fn poll_answer(
    answer: &mut ResponseFuture,
    interims: &mut u32,
    pass_on: Option<&PassOn<'_>>,
    context: &mut Context<'_>,
) -> Poll<Result<Response<RecvStream>, Failure>> {
    while let Poll::Ready(Some(Ok(interim))) = answer.poll_informational(context) {
        *interims += 1;
        if *interims > MOST_INTERIM {
            return Poll::Ready(Err(Failure::Interim(MOST_INTERIM)));
        }
        let (parts, ()) = interim.into_parts();
        let is_worth_passing = *interims <= interim::MOST && parts.status != StatusCode::CONTINUE;
        if let Some(pass_on) = pass_on.filter(|_| is_worth_passing) {
            pass_on(Head {
                status: parts.status,
                headers: parts.headers,
            });
        }
    }
    Poll::Ready(ready!(Pin::new(answer).poll(context)).map_err(judge))
}

/// RFC 9113, section 8.7: what the server did not look at may be sent again, whatever it is.
fn judge(error: h2::Error) -> Failure {
    if error.is_remote() && error.reason() == Some(Reason::HTTP_1_1_REQUIRED) {
        let is_unsent = error.is_go_away();
        return Failure::NeedsHttp1 { error, is_unsent };
    }
    if error.is_remote() && error.is_go_away() {
        return Failure::Unsent(error);
    }
    match error.reason() {
        Some(Reason::REFUSED_STREAM) if error.is_remote() => Failure::Refused(error),
        Some(_) => Failure::Broken(error),
        None => Failure::Silent(error),
    }
}
