//! Every integration test, linked once.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a failed unwrap is a failed test"
)]

mod support;

mod admin;
mod app_tokens;
mod architecture;
mod bearer;
mod callback_attacks;
mod cli;
mod config;
mod contrib;
mod docker;
mod docs;
mod doctor;
mod doctor_network;
mod doctor_on_the_status_page;
mod examples;
mod floods;
mod follow;
mod forward_auth;
mod forwarded_identity;
mod front_proxies;
mod grpc;
mod http2;
mod identity;
mod interim;
mod js_sdk;
mod jwt;
mod limits;
mod login_in_wechat;
mod logs;
mod metrics;
mod mini_program;
mod open_in_wechat;
mod operate;
mod pages;
mod policy;
mod proxy_protocol;
mod proxying;
mod push;
mod quirks;
mod relay;
mod reload;
mod scan;
mod scrub;
mod sessions;
mod sessions_in_store;
mod shutdown;
mod slow_clients;
mod streaming;
mod systemd;
mod targets;
mod tls;
mod traces;
mod upstream_faults;
mod upstream_health;
mod upstream_http2;
mod upstream_tls;
mod website;
mod websocket;
mod wechat_trouble;
