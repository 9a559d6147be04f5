//! Where the body of an answer comes from: the same questions to three kinds of connections.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;

use super::bare::Bare;
use super::fault::Fault;
use super::http2::Stream;
use super::wire::Wire;

/// Where the body of an answer comes from.
pub(super) enum Source {
    /// A connection on which we speak ourselves; `None` when it has ended or went back to the pool.
    Bare(Option<Box<Bare>>),
    /// PERF: boxed, because few answers come this way and all would carry its size around.
    Hyper(Box<ByHyper>),
    /// A stream of a connection that others share; `None` when it has ended.
    Http2(Option<Box<Stream>>),
}

/// A body that hyper reads.
pub(super) struct ByHyper {
    pub(super) incoming: Incoming,
    /// The connection; `None` when it has ended or went back to the pool.
    pub(super) wire: Option<Box<Wire>>,
}

impl Source {
    pub(super) fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        match self {
            Self::Bare(Some(bare)) => bare.poll_frame(context),
            Self::Http2(Some(stream)) => stream.poll_frame(context),
            Self::Bare(None) | Self::Http2(None) => Poll::Ready(None),
            Self::Hyper(by_hyper) => by_hyper.poll_frame(context).map_err(Fault::Hyper),
        }
    }

    pub(super) fn may_have_trailers(&self) -> bool {
        match self {
            Self::Bare(bare) => bare.as_ref().is_some_and(|bare| bare.may_have_trailers()),
            Self::Hyper(_) | Self::Http2(_) => true,
        }
    }

    /// Whether nothing more comes.
    pub(super) fn is_ended(&self) -> bool {
        match self {
            Self::Bare(bare) => bare.as_ref().is_none_or(|bare| bare.is_ended()),
            Self::Hyper(by_hyper) => by_hyper.incoming.is_end_stream(),
            Self::Http2(stream) => stream.as_ref().is_none_or(|stream| stream.is_ended()),
        }
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        match self {
            Self::Bare(Some(bare)) => bare.size_hint(),
            Self::Http2(Some(stream)) => stream.size_hint(),
            Self::Bare(None) | Self::Http2(None) => SizeHint::with_exact(0),
            Self::Hyper(by_hyper) => by_hyper.incoming.size_hint(),
        }
    }

    pub(super) fn expect_progress(&mut self, within: Duration) {
        match self {
            Self::Bare(Some(bare)) => bare.expect_progress(within),
            Self::Hyper(by_hyper) => {
                if let Some(wire) = &mut by_hyper.wire {
                    wire.expect_progress(within);
                }
            }
            Self::Http2(Some(stream)) => stream.expect_progress(within),
            Self::Bare(None) | Self::Http2(None) => {}
        }
    }

    pub(super) fn poll_stalled(&mut self, context: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Bare(Some(bare)) => bare.poll_stalled(context),
            Self::Hyper(by_hyper) => match &mut by_hyper.wire {
                Some(wire) => wire.poll_stalled(context),
                None => Poll::Pending,
            },
            Self::Http2(Some(stream)) => stream.poll_stalled(context),
            Self::Bare(None) | Self::Http2(None) => Poll::Pending,
        }
    }

    /// Closes the connection.
    pub(super) fn close(&mut self) {
        match self {
            Self::Bare(bare) => *bare = None,
            Self::Hyper(by_hyper) => by_hyper.wire = None,
            Self::Http2(stream) => *stream = None,
        }
    }
}

impl ByHyper {
    fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let mut polled = Pin::new(&mut self.incoming).poll_frame(context);
        if polled.is_pending()
            && let Some(wire) = &mut self.wire
        {
            let open = wire.drive(context);
            polled = Pin::new(&mut self.incoming).poll_frame(context);
            if !open {
                self.wire = None;
            }
        }
        polled
    }
}
