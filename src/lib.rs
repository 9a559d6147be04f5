//! wxgate puts WeChat login in front of web applications that know nothing of it.
//!
//! It is a reverse proxy. Visitors who are not logged in are sent through WeChat; the others are forwarded with a signed
//! JWT that carries their openid and unionid.

pub mod app;
pub mod cli;
pub mod config;
pub mod demo;

pub mod listen;

pub mod gateway;
pub mod login;
pub mod route;

pub mod admin;
pub mod identity;
pub mod jwt;
pub mod limit;
pub mod pages;
pub mod proxy;
pub mod session;
pub mod simulator;
pub mod wechat;

pub mod clock;
pub mod drain;
pub mod message;
pub mod observe;
pub mod seal;
pub mod secret;
pub mod store;
pub mod target;
