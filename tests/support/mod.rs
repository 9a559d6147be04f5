//! What system tests are written with: a gateway with a simulated WeChat, a site behind it, and browsers in front.

mod authority;
mod browser;
mod client;
mod collector;
mod gateway;
mod http;
pub(crate) mod http2;
mod process;
mod program;
mod push;
pub(crate) mod scan;
mod scripted;
mod secure;
mod server;
mod talk;
mod tools;
mod upstream;
mod visitor;
mod wire;

use std::time::Duration;

pub(crate) use authority::{Authority, Issued, SecureSite};
pub(crate) use browser::{Browser, Visit, agents};
pub(crate) use client::{Client, MINI_ID, MOBILE_ID, client_apps};
pub(crate) use collector::{Collector, Mood, Recorded};
pub(crate) use gateway::{APP_ID, APP_SECRET, Setup, TestGateway, open_route};
pub(crate) use http::{KeepAlive, Reply, exchange, get};
pub(crate) use process::{Process, ProcessSetup};
pub(crate) use program::Program;
pub(crate) use push::{PUSH_KEY, PUSH_TOKEN, push_account, push_keys, send_push};
pub(crate) use scripted::{ScriptedSite, echo, event_stream};
pub(crate) use secure::{TestCertificate, TlsClient};
pub(crate) use server::{Server, answer_each};
pub(crate) use talk::Talk;
pub(crate) use tools::{
    Ran, free_address, nginx, project, python, run, run_tool, wxgate, wxgate_after,
};
pub(crate) use upstream::{IDENTITY, Seen, Upstream};
pub(crate) use visitor::{
    end_sessions, log_out, log_out_everywhere, logged_in, logged_in_at_the_door,
};
pub(crate) use wire::{Wire, until_closed};

/// Waits until something that happens by itself has happened, and fails when it takes more than five seconds.
pub(crate) async fn eventually(what: &str, mut has_happened: impl AsyncFnMut() -> bool) {
    for _ in 0..1000 {
        if has_happened().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("never happened: {what}");
}
