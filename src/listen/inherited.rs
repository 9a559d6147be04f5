//! Sockets that the service manager opened for us, so that nobody is refused while one process follows another.

use std::env;
use std::io;
use std::net::{SocketAddr, TcpListener};

use listenfd::ListenFd;

/// Listening sockets given by the service manager (`LISTEN_FDS`, see `sd_listen_fds(3)`), each with its name.
///
/// They stay open as long as this lives: a listener works on a copy.
#[derive(Debug, Default)]
pub struct Inherited {
    sockets: Vec<(String, TcpListener)>,
}

impl Inherited {
    /// None.
    pub fn none() -> Self {
        Self::default()
    }

    /// Takes what was given to this process; nothing where it was started by hand. Must be called once, before threads begin,
    /// for it removes the variables that would mislead programs started by us.
    ///
    /// Fails when something other than TCP sockets was given.
    pub fn from_environment() -> io::Result<Self> {
        let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut names = names.split(':');
        let mut given = ListenFd::from_env();
        let mut sockets = Vec::new();
        for place in 0..given.len() {
            let name = names.next().filter(|name| !name.is_empty());
            let name = name.unwrap_or("unknown").to_owned();
            if let Some(socket) = given.take_tcp_listener(place)? {
                socket.set_nonblocking(true)?;
                sockets.push((name, socket));
            }
        }
        Ok(Self { sockets })
    }

    /// The socket for a listener: one of this name (`FileDescriptorName=`), else one at this address.
    pub fn socket(&self, name: &str, address: SocketAddr) -> io::Result<Option<TcpListener>> {
        let named = self.sockets.iter().find(|(given, _)| given == name);
        let found = named.or_else(|| {
            let is_at = |socket: &TcpListener| socket.local_addr().is_ok_and(|at| at == address);
            self.sockets.iter().find(|(_, socket)| is_at(socket))
        });
        found.map(|(_, socket)| socket.try_clone()).transpose()
    }

    /// Name and address of each socket, for reports.
    pub fn all(&self) -> impl Iterator<Item = (&str, Option<SocketAddr>)> {
        let sockets = self.sockets.iter();
        sockets.map(|(name, socket)| (name.as_str(), socket.local_addr().ok()))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_found_by_its_name_before_its_address() {
        let [one, other] = [0, 1].map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
        let (at_one, at_other) = (one.local_addr().unwrap(), other.local_addr().unwrap());
        let inherited = Inherited {
            sockets: vec![
                ("wxgate.socket".to_owned(), one),
                ("admin".to_owned(), other),
            ],
        };
        let found = |name: &str, address: &str| {
            let socket = inherited.socket(name, address.parse().unwrap()).unwrap();
            socket.map(|socket| socket.local_addr().unwrap())
        };

        assert_eq!(found("admin", "127.0.0.1:1"), Some(at_other));
        assert_eq!(found("listener-1", &at_one.to_string()), Some(at_one));
        assert_eq!(found("admin", &at_one.to_string()), Some(at_other));
        assert_eq!(found("listener-1", "127.0.0.1:1"), None);
    }
}
