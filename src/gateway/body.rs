//! The body of an answer, and what is noted when it ends.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::journal::Entry;
use crate::proxy::{self, EndSignal};

/// The body of an answer: ours, or streaming from an upstream. Its end, or the client's leaving, ends the journal.
pub struct AnswerBody {
    content: Content,
    /// Ends the body from outside.
    end: Option<EndSignal>,
    entry: Option<Box<Entry>>,
}

#[derive(Debug)]
enum Content {
    Own(Option<Bytes>),
    Upstream(proxy::Body),
}

impl fmt::Debug for AnswerBody {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("AnswerBody")
            .field("content", &self.content)
            .finish_non_exhaustive()
    }
}

impl AnswerBody {
    /// A body of our own.
    pub(super) fn own(bytes: Bytes) -> Self {
        Self {
            content: Content::Own((!bytes.is_empty()).then_some(bytes)),
            end: None,
            entry: None,
        }
    }

    /// The upstream's body, at most until `end`. An end is an orderly one, so only a body that can end anywhere may have it.
    pub(super) fn upstream(body: proxy::Body, end: Option<EndSignal>) -> Self {
        Self {
            content: Content::Upstream(body),
            end,
            entry: None,
        }
    }

    /// Ends the body here; the connection to the upstream closes.
    fn cut(&mut self) {
        self.end = None;
        self.content = Content::Own(None);
        if let Some(entry) = &mut self.entry {
            entry.journal.was_cut = true;
        }
    }

    /// Written when this body ends.
    pub(super) fn set_entry(&mut self, entry: Box<Entry>) {
        self.entry = Some(entry);
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = proxy::BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, proxy::BodyError>>> {
        if let Some(end) = &mut self.end
            && end.as_mut().poll(context).is_ready()
        {
            self.cut();
        }
        let polled = match &mut self.content {
            Content::Own(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Content::Upstream(body) => Pin::new(body).poll_frame(context),
        };
        if let Some(Entry { journal, .. }) = self.entry.as_deref_mut() {
            match &polled {
                Poll::Ready(Some(Ok(frame))) => {
                    if let Some(data) = frame.data_ref() {
                        journal.bytes_out += data.len() as u64;
                    }
                }
                Poll::Ready(Some(Err(_))) => journal.was_cut = true,
                Poll::Ready(None) | Poll::Pending => {}
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Own(bytes) => bytes.is_none(),
            Content::Upstream(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Own(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Content::Upstream(body) => body.size_hint(),
        }
    }
}
