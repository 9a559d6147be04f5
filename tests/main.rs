//! Every integration test, linked once.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a failed unwrap is a failed test"
)]

mod support;

mod architecture;
mod config;
mod docs;
mod identity;
mod login_in_wechat;
mod quirks;
