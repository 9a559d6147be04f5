//! What system tests are written with: a gateway with a simulated WeChat, a site behind it, and browsers in front.

mod binary;
mod browser;
mod gateway;
mod http;
mod programs;
mod upstream;
mod wire;

pub(crate) use binary::Binary;
pub(crate) use browser::{Browser, Visit, agents};
pub(crate) use gateway::{APP_ID, APP_SECRET, Setup, TestGateway};
pub(crate) use http::{Reply, exchange, raw};
pub(crate) use programs::{Program, free_address, project, python, run_tool, wxgate};
pub(crate) use upstream::{Seen, Upstream};
pub(crate) use wire::{Wire, until_closed};
