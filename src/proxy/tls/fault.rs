//! Whose fault a failed handshake is.

use std::io;

use rustls::{AlertDescription, CertificateError, Error};

/// Whose fault a failed handshake is. For the log; visitors are told nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlsFault {
    /// Set `ca` where the server's authority is a private one.
    #[error("the server's certificate is by an unknown authority")]
    UnknownAuthority,
    /// The server needs a new certificate, or our clock is wrong.
    #[error("the server's certificate has expired")]
    Expired,
    /// Somebody's clock is wrong.
    #[error("the server's certificate is not valid yet")]
    NotValidYet,
    /// Set `server_name` where the name in the URL is not the certificate's.
    #[error("the server's certificate is for another name")]
    OtherName,
    /// Broken, revoked, or not made for servers.
    #[error("the server's certificate is not acceptable")]
    Certificate,
    /// Set `cert` and `key`, or other ones.
    #[error("the server does not accept our certificate, or wants one")]
    OurCertificate,
    /// No version, cipher or protocol in common.
    #[error("the server speaks no TLS or HTTP that we do")]
    NothingInCommon,
    /// A plain HTTP server, perhaps.
    #[error("the server does not speak TLS")]
    NotTls,
    /// The connection broke.
    #[error("the handshake broke off")]
    Broken,
}

/// Finds out from what the TLS library says.
pub(super) fn fault(error: &io::Error) -> TlsFault {
    let source = error.get_ref().and_then(|source| source.downcast_ref());
    match source {
        Some(Error::InvalidCertificate(error)) => match error {
            // Two private authorities often share a name; then the signature tells them apart.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                TlsFault::UnknownAuthority
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                TlsFault::Expired
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                TlsFault::NotValidYet
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                TlsFault::OtherName
            }
            _ => TlsFault::Certificate,
        },
        Some(Error::AlertReceived(alert)) => match alert {
            AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA => TlsFault::OurCertificate,
            AlertDescription::ProtocolVersion
            | AlertDescription::HandshakeFailure
            | AlertDescription::InsufficientSecurity
            | AlertDescription::NoApplicationProtocol => TlsFault::NothingInCommon,
            _ => TlsFault::Broken,
        },
        Some(Error::PeerIncompatible(_)) => TlsFault::NothingInCommon,
        Some(Error::InvalidMessage(_)) => TlsFault::NotTls,
        Some(_) | None => TlsFault::Broken,
    }
}
