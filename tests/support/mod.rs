//! What system tests are written with: a gateway with a simulated WeChat, a site behind it, and browsers in front.

mod authority;
mod binary;
mod browser;
mod client;
mod collector;
mod gateway;
mod http;
pub(crate) mod http2;
mod process;
mod programs;
mod push;
pub(crate) mod scan;
mod secure;
mod talk;
mod upstream;
mod visitor;
mod wire;

use std::time::Duration;

pub(crate) use authority::{Authority, Issued, SecureSite};
pub(crate) use binary::Binary;
pub(crate) use browser::{Browser, Visit, agents};
pub(crate) use client::{Client, MINI_ID, MOBILE_ID, client_apps};
pub(crate) use collector::{Collector, Mood, Recorded};
pub(crate) use gateway::{APP_ID, APP_SECRET, Setup, TestGateway, open_route};
pub(crate) use http::{KeepAlive, Reply, exchange, get};
pub(crate) use process::{Process, ProcessSetup, run_to_end};
pub(crate) use programs::{Program, free_address, project, python, run_tool, wxgate};
pub(crate) use push::{PUSH_KEY, PUSH_TOKEN, push_account, push_keys, send_push};
pub(crate) use secure::{TestCertificate, TlsClient};
pub(crate) use talk::{ScriptedSite, Talk, event_stream};
pub(crate) use upstream::{Seen, Upstream};
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
