//! A request body on its way up, beside the answer.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use h2::{Reason, SendStream};
use http_body::{Body as _, Frame};

use crate::proxy::outgoing::{Cut, Outgoing, Upload};

/// What comes next of a body.
enum Next {
    Frame(Frame<Bytes>),
    End,
    /// The client's body broke; [`Upload`] knows why.
    Cut,
    /// The server wants no more, or the connection is gone.
    Unwanted,
}

/// Sends a body as fast as the client brings it and the server takes it. The waiting side has the deadlines; dropping it resets
/// the stream.
pub(super) async fn send(mut body: Outgoing, upload: Arc<Upload>, mut stream: SendStream<Bytes>) {
    loop {
        match next(&mut body, &mut stream).await {
            Next::Frame(frame) => match frame.into_data() {
                Ok(data) => {
                    let is_last = body.is_end_stream();
                    if !send_data(data, is_last, &upload, &mut stream).await || is_last {
                        return;
                    }
                }
                Err(frame) => {
                    // Whatever is wrong with the stream, its other half is told.
                    let _ = match frame.into_trailers() {
                        Ok(trailers) => stream.send_trailers(trailers),
                        Err(_) => stream.send_data(Bytes::new(), true),
                    };
                    return;
                }
            },
            Next::End => {
                let _ = stream.send_data(Bytes::new(), true);
                return;
            }
            Next::Cut => return stream.send_reset(Reason::CANCEL),
            Next::Unwanted => return,
        }
    }
}

async fn next(body: &mut Outgoing, stream: &mut SendStream<Bytes>) -> Next {
    poll_fn(|context| {
        if stream.poll_reset(context).is_ready() {
            return Poll::Ready(Next::Unwanted);
        }
        Pin::new(&mut *body)
            .poll_frame(context)
            .map(|frame| match frame {
                Some(Ok(frame)) => Next::Frame(frame),
                Some(Err(Cut)) => Next::Cut,
                None => Next::End,
            })
    })
    .await
}

/// Sends a piece as the server opens its window. Says whether the stream is still wanted.
async fn send_data(
    mut data: Bytes,
    is_last: bool,
    upload: &Upload,
    stream: &mut SendStream<Bytes>,
) -> bool {
    if data.is_empty() {
        return !is_last || stream.send_data(data, true).is_ok();
    }
    while !data.is_empty() {
        stream.reserve_capacity(data.len());
        let Some(Ok(room)) = poll_fn(|context| stream.poll_capacity(context)).await else {
            return false;
        };
        let piece = data.split_to(room.min(data.len()));
        upload.take(piece.len());
        let ends = is_last && data.is_empty();
        if !piece.is_empty() && stream.send_data(piece, ends).is_err() {
            return false;
        }
    }
    true
}
