//! A collector of traces: takes what comes by OTLP over HTTP, and reads it with the official messages.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

use super::server::Server;

/// What it does with what it gets.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mood {
    /// Takes everything.
    Good,
    /// Takes all but so many spans of each request.
    Picky(i64),
    /// Answers with this status.
    Refusing(u16),
    /// Never answers.
    Hanging,
}

/// The collector; stops when dropped.
pub(crate) struct Collector {
    server: Server,
    requests: Arc<Mutex<Vec<Posted>>>,
}

/// One request as it came.
#[derive(Clone, Debug)]
struct Posted {
    path: String,
    content_type: String,
    body: Bytes,
}

impl Collector {
    pub(crate) async fn start(mood: Mood) -> Self {
        let requests = Arc::default();
        let log = Arc::clone(&requests);
        let server = Server::answering(move |request| take(request, mood, Arc::clone(&log))).await;
        Self { server, requests }
    }

    /// Scheme, host and port.
    pub(crate) fn url(&self) -> String {
        self.server.url()
    }

    /// How many requests it got.
    pub(crate) fn requests(&self) -> usize {
        self.requests.lock().unwrap().len()
    }

    /// Every byte it got, as far as it is text.
    pub(crate) fn text(&self) -> String {
        let requests = self.requests.lock().unwrap();
        let bodies = requests.iter();
        bodies
            .map(|posted| String::from_utf8_lossy(&posted.body).into_owned())
            .collect()
    }

    /// Every span, in the order in which they ended.
    pub(crate) fn spans(&self) -> Vec<Recorded> {
        let requests = self.requests.lock().unwrap();
        let mut spans = Vec::new();
        for posted in requests.iter() {
            assert_eq!(posted.content_type, "application/x-protobuf");
            assert_eq!(posted.path, "/v1/traces");
            let request = ExportTraceServiceRequest::decode(posted.body.clone()).unwrap();
            for of_resource in request.resource_spans {
                let resource = of_resource.resource.unwrap();
                assert_eq!(value_of(&resource.attributes, "service.name"), "wxgate");
                for of_scope in of_resource.scope_spans {
                    spans.extend(of_scope.spans.into_iter().map(Recorded));
                }
            }
        }
        spans
    }
}

/// A span as the collector got it.
#[derive(Clone, Debug)]
pub(crate) struct Recorded(pub(crate) Span);

impl Recorded {
    pub(crate) fn name(&self) -> &str {
        &self.0.name
    }

    pub(crate) fn trace(&self) -> String {
        data_encoding::HEXLOWER.encode(&self.0.trace_id)
    }

    pub(crate) fn id(&self) -> String {
        data_encoding::HEXLOWER.encode(&self.0.span_id)
    }

    /// Empty where the trace begins with it.
    pub(crate) fn parent(&self) -> String {
        data_encoding::HEXLOWER.encode(&self.0.parent_span_id)
    }

    /// The value of an attribute as text; empty where there is none.
    pub(crate) fn attribute(&self, name: &str) -> String {
        value_of(&self.0.attributes, name)
    }

    /// Whether its status is an error.
    pub(crate) fn has_failed(&self) -> bool {
        self.0
            .status
            .as_ref()
            .is_some_and(|status| status.code == 2)
    }
}

fn value_of(attributes: &[KeyValue], name: &str) -> String {
    let found = attributes.iter().find(|pair| pair.key == name);
    let value = found.and_then(|pair| pair.value.clone()?.value);
    match value {
        Some(any_value::Value::StringValue(text)) => text,
        Some(any_value::Value::IntValue(number)) => number.to_string(),
        other => other.map_or_else(String::new, |other| format!("{other:?}")),
    }
}

async fn take(
    request: Request<Incoming>,
    mood: Mood,
    log: Arc<Mutex<Vec<Posted>>>,
) -> Response<Full<Bytes>> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.unwrap_or_default().to_bytes();
    let content_type = parts.headers.get("content-type").map(|kind| kind.to_str());
    log.lock().unwrap().push(Posted {
        path: parts.uri.path().to_owned(),
        content_type: content_type.unwrap().unwrap().to_owned(),
        body,
    });
    let (status, rejected_spans) = match mood {
        Mood::Good => (200, 0),
        Mood::Picky(rejected) => (200, rejected),
        Mood::Refusing(status) => (status, 0),
        Mood::Hanging => std::future::pending().await,
    };
    let answer = ExportTraceServiceResponse {
        partial_success: (rejected_spans > 0).then_some(ExportTracePartialSuccess {
            rejected_spans,
            error_message: String::new(),
        }),
    };
    let mut response = Response::new(Full::from(answer.encode_to_vec()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response
}
