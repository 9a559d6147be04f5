//! The proxy between a real client and an origin whose every byte is scripted.

mod faults;
mod heads;
mod http2;
mod http2_frames;
mod names;
mod pooling;
mod retries;
mod room;
mod streaming;
mod support;
mod uploads;
mod websocket;
