//! HTTP/2 clients that make work instead of asking: each is cut within seconds, others are served, and memory stays.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::support::http2::{END_HEADERS, END_STREAM, Frames, block, frame, kind, request_to};
use crate::support::{Process, Upstream, exchange, get};

/// Longer than any flood may go on, with a busy machine in mind.
const CUT_WITHIN: Duration = Duration::from_secs(10);

/// How much more memory the program may have used at any time, over all floods.
const MOST_MEMORY: u64 = 32 << 20;

/// What is said again and again, with the number of each round.
type Round = Box<dyn FnMut(u32) -> Vec<u8> + Send>;

fn head(fields: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let fields = fields.iter();
    block(fields.map(|(name, value)| (name.as_slice(), value.as_slice())))
}

fn always(bytes: Vec<u8>) -> Round {
    Box::new(move |_| bytes.clone())
}

/// The stream of each round.
fn stream(round: u32) -> u32 {
    2 * round + 1
}

/// Name, what is said first, and what is said without end.
type Flood = (&'static str, Vec<u8>, Round);

/// Floods of requests that are never finished.
fn floods_of_requests() -> Vec<Flood> {
    let request = head(&request_to("GET", "/slow"));
    let whole = END_HEADERS | END_STREAM;
    let uploading = frame(
        kind::HEADERS,
        END_HEADERS,
        1,
        &head(&request_to("POST", "/slow")),
    );
    let begun = frame(kind::HEADERS, END_STREAM, 1, &request);
    let piece = head(&[(b"x-a".to_vec(), vec![b'x'; 1000])]);
    let (reset_request, cut_request) = (request.clone(), request.clone());
    // One long value in the dynamic table, then thousands of references to it (RFC 7541, section 2.3.2).
    let mut bomb = request;
    bomb.push(0x40);
    bomb.extend([3, b'x', b'-', b'b', 127, 0x9d, 0x1e]);
    bomb.extend([b'x'; 127 + 0x1d + 0x1e * 128]);
    bomb.extend([0x80 | 62; 8000]);
    vec![
        (
            "rapid reset",
            Vec::new(),
            Box::new(move |round| {
                let stream = stream(round);
                let reset = frame(kind::RST_STREAM, 0, stream, &8_u32.to_be_bytes());
                [frame(kind::HEADERS, whole, stream, &reset_request), reset].concat()
            }),
        ),
        (
            "made you reset",
            Vec::new(),
            Box::new(move |round| {
                let stream = stream(round);
                let nothing = frame(kind::WINDOW_UPDATE, 0, stream, &[0; 4]);
                [frame(kind::HEADERS, whole, stream, &cut_request), nothing].concat()
            }),
        ),
        (
            "continuation",
            begun.clone(),
            always(frame(kind::CONTINUATION, 0, 1, &piece)),
        ),
        (
            "empty continuation",
            begun,
            always(frame(kind::CONTINUATION, 0, 1, &[])),
        ),
        (
            "header bomb",
            Vec::new(),
            Box::new(move |round| frame(kind::HEADERS, whole, stream(round), &bomb)),
        ),
        (
            "empty data",
            uploading,
            always(frame(kind::DATA, 0, 1, &[])),
        ),
    ]
}

/// The same with frames that need no request, or one that was answered.
fn floods_of_frames() -> Vec<Flood> {
    let request = head(&request_to("GET", "/"));
    let asked = frame(kind::HEADERS, END_HEADERS | END_STREAM, 1, &request);
    let update = frame(kind::WINDOW_UPDATE, 0, 0, &1_u32.to_be_bytes());
    vec![
        ("ping", Vec::new(), always(frame(kind::PING, 0, 0, &[7; 8]))),
        (
            "settings",
            Vec::new(),
            always(frame(kind::SETTINGS, 0, 0, &[])),
        ),
        (
            "changing settings",
            Vec::new(),
            Box::new(|round| {
                let size = if round % 2 == 0 { 0_u32 } else { 4096 };
                frame(
                    kind::SETTINGS,
                    0,
                    0,
                    &[&[0, 1][..], &size.to_be_bytes()].concat(),
                )
            }),
        ),
        (
            "priority",
            Vec::new(),
            Box::new(|round| frame(kind::PRIORITY, 0, stream(round), &[0, 0, 0, 0, 1])),
        ),
        ("window update", Vec::new(), always(update)),
        (
            "window update of a stream",
            asked,
            always(frame(kind::WINDOW_UPDATE, 0, 1, &1_u32.to_be_bytes())),
        ),
        (
            "unknown frames",
            Vec::new(),
            always(frame(0x42, 0, 0, &[1, 2, 3])),
        ),
        (
            "goaway",
            Vec::new(),
            always(frame(kind::GOAWAY, 0, 0, &[0; 8])),
        ),
        (
            "push promise",
            Vec::new(),
            always(frame(kind::PUSH_PROMISE, END_HEADERS, 1, &[0, 0, 0, 2])),
        ),
    ]
}

/// The real program, with a listener for prior knowledge.
async fn program(site: &Upstream) -> (Process, SocketAddr) {
    let process = Process::with(&site.url(), |setup| {
        setup.sections = "[[server.listeners]]\naddress = \"127.0.0.1:0\"\nh2c = true\n".to_owned();
    })
    .await;
    let address = process.addresses()[1];
    (process, address)
}

#[tokio::test]
async fn every_flood_is_cut_while_others_are_served() {
    let site = Upstream::start().await;
    let (process, address) = program(&site).await;
    assert_eq!(exchange(process.address(), get("/")).await.status, 200);
    assert_eq!(
        Frames::connect(address)
            .await
            .ask(&request_to("GET", "/"))
            .await
            .status(),
        200
    );
    let before = process.peak_memory();

    for (name, first, mut round) in floods_of_requests().into_iter().chain(floods_of_frames()) {
        let mut frames = Frames::connect(address).await;
        frames.say(&first).await.unwrap();
        let began = Instant::now();
        let mut number = 0;
        let flood = frames.flood(|| {
            let mut batch = Vec::new();
            for _ in 0..50 {
                batch.extend(round(number));
                number += 1;
            }
            batch
        });
        let probing = async {
            loop {
                let probe = exchange(process.address(), get("/")).await;
                assert_eq!(probe.status, 200, "during {name}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let cut = async { tokio::time::timeout(CUT_WITHIN, flood).await };
        tokio::select! {
            cut = cut => assert!(cut.is_ok(), "{name}: not cut after {number} in {:?}", began.elapsed()),
            () = probing => unreachable!("probes without end"),
        }
    }

    let grown = process.peak_memory().saturating_sub(before);
    assert!(grown < MOST_MEMORY, "{grown} bytes more");
    assert_eq!(
        Frames::connect(address)
            .await
            .ask(&request_to("GET", "/"))
            .await
            .status(),
        200
    );
}

#[tokio::test]
async fn h2load_finds_no_error() {
    let site = Upstream::start().await;
    let (_process, address) = program(&site).await;
    let mut command = tokio::process::Command::new("h2load");
    command.args(["-n", "3000", "-c", "4", "-m", "50", "-t", "1"]);
    command.args(["-H", ":authority: www.example.test"]);
    command.arg(format!("http://{address}/"));

    let report = crate::support::run_tool(command, "").await;

    let expected = "requests: 3000 total, 3000 started, 3000 done, 3000 succeeded, 0 failed, 0 errored, 0 timeout";
    assert!(report.contains(expected), "{report}");
    assert!(report.contains("status codes: 3000 2xx"), "{report}");
}
