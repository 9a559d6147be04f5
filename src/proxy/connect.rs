//! New connections to one server.

use std::io;

use tokio::net::{TcpStream, UnixStream};

use super::settings::{Address, Protocol, Server};
use super::tls::TlsFault;
use super::transport::Transport;

/// Why there is no connection.
#[derive(Debug)]
pub(super) enum Failure {
    /// What the system says.
    Connect(io::Error),
    /// Connected, but not safely.
    Tls(TlsFault, io::Error),
}

/// Opens a connection; names are resolved by the system, and each of their addresses is tried. The caller has a deadline;
/// cancelling closes what was opened.
pub(super) async fn open(server: &Server) -> Result<Transport, Failure> {
    let stream = match &server.address {
        Address::Unix(path) => {
            let stream = UnixStream::connect(path).await;
            return stream.map(Transport::Unix).map_err(Failure::Connect);
        }
        Address::Tcp { host, port } => TcpStream::connect((host.as_str(), *port)).await,
    };
    let stream = stream.map_err(Failure::Connect)?;
    stream.set_nodelay(true).map_err(Failure::Connect)?;
    match &server.protocol {
        Protocol::Http => Ok(Transport::Tcp(stream)),
        Protocol::Https { tls, name } => match tls.shake(name.clone(), stream).await {
            Ok(stream) => Ok(Transport::Tls(Box::new(stream))),
            Err((fault, error)) => Err(Failure::Tls(fault, error)),
        },
    }
}
