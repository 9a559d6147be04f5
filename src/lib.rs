//! wxgate puts WeChat login in front of web applications that know nothing of it.
//!
//! It is a reverse proxy. Visitors who are not logged in are sent through WeChat; the others are forwarded with a signed
//! JWT that carries their openid and unionid. One binary, one TOML file.
//!
//! # The map, in reading order
//!
//! | module | what |
//! |---|---|
//! | [`cli`] | the command line: one file per command group |
//! | [`app`] | puts everything together; publishes, reloads, drains |
//! | [`config`] | `config.toml` to settings; the only module that knows TOML |
//! | [`doctor`] | live diagnosis of a configuration: WeChat, the way here, applications |
//! | [`listen`] | sockets to HTTP requests: deadlines, limits, raw admission |
//! | [`gateway`] | one request to one response: the request path on one screen |
//! | [`route`] | what is allowed: routes, policy, id lists |
//! | [`login`] | getting to know somebody: attempts, callbacks, logout |
//! | [`session`] | who is logged in: sealed cookies, revocation |
//! | [`identity`] | what a person is called: subject forms, plain headers |
//! | [`jwt`] | tokens for upstreams: claims, keys, key set |
//! | [`proxy`] | requests to upstreams: pool, streaming, retries, tunnels |
//! | [`pages`] | what people see, in three languages |
//! | [`wechat`] | client for WeChat's APIs; knows nothing of the gateway |
//! | [`simulator`], [`demo`] | a WeChat to develop and test against; the whole loop in one process |
//! | [`admin`], [`observe`] | health, metrics, logs |
//! | [`limit`], [`store`], [`seal`] | rate limits; bytes with an expiry date; authenticated encryption |
//! | [`target`], [`message`], [`drain`], [`clock`], [`secret`] | the ground |
//!
//! # The life of a request
//!
//! 1. [`listen`] accepts, watches every deadline of the connection, and marks heads that two programs could read differently.
//! 2. [`gateway`] learns who asks for what, parses the one canonical [`target`], and drops every forged header.
//! 3. Our own endpoints are answered by [`login`]; everything else needs a [`route`].
//! 4. [`session`] opens the cookie; [`route::policy`] decides: allow, log in, or refuse.
//! 5. [`identity`] and [`jwt`] say what the application learns; [`proxy`] forwards and streams the answer back.
//! 6. The last byte ends the journal: one line in the access log, and the metrics.
//!
//! A request that needs a login is answered by [`login`] instead of 5: in WeChat a bare redirect to the authorize page, whose
//! callback is checked against the browser's sealed attempts before the code is exchanged, once.
#![doc = ""]
#![doc = include_str!("docs/architecture.md")]
#![doc = ""]
#![doc = include_str!("docs/security.md")]
#![doc = ""]
#![doc = include_str!("docs/metrics.md")]
#![doc = ""]
#![doc = include_str!("docs/reliability.md")]
#![doc = ""]
#![doc = include_str!("docs/quirks.md")]

pub mod app;
pub mod cli;
pub mod config;
pub mod demo;
pub mod doctor;

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
