//! Health and metrics on a listener of their own, never on the public one.

use std::net::SocketAddr;

use crate::secret::Secret;

/// The admin listener.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Loopback unless there is a token; `None` switches it off.
    pub listen: Option<SocketAddr>,
    /// Asked for as `Authorization: Bearer` where the address is not loopback.
    pub token: Option<Secret<String>>,
}
