//! The proxy between a real client and an origin whose every byte is scripted.

mod faults;
mod heads;
mod http2;
mod pooling;
mod retries;
mod streaming;
mod support;
mod uploads;
mod websocket;
