//! The body of an answer, and what is noted when it ends.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::journal::Journal;
use crate::proxy;

/// The body of an answer: ours, or streaming from an upstream. Its end, or the client's leaving, ends the journal.
#[derive(Debug)]
pub struct AnswerBody {
    content: Content,
    journal: Option<Box<Journal>>,
}

#[derive(Debug)]
enum Content {
    Own(Option<Bytes>),
    Upstream(proxy::Body),
}

impl AnswerBody {
    /// A body of our own.
    pub(super) fn own(bytes: Bytes) -> Self {
        Self {
            content: Content::Own((!bytes.is_empty()).then_some(bytes)),
            journal: None,
        }
    }

    /// The upstream's body.
    pub(super) fn upstream(body: proxy::Body) -> Self {
        Self {
            content: Content::Upstream(body),
            journal: None,
        }
    }

    /// Written when this body ends.
    pub(super) fn set_journal(&mut self, journal: Box<Journal>) {
        self.journal = Some(journal);
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = proxy::BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, proxy::BodyError>>> {
        let polled = match &mut self.content {
            Content::Own(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Content::Upstream(body) => Pin::new(body).poll_frame(context),
        };
        if let Some(journal) = &mut self.journal {
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
