//! The mirror of `config.toml`: every key with its meaning, default and bounds.
//!
//! A comment here is what editors show for the key. The value behind `=` is the default, in TOML.

use self::application::{IdentityHeadersFile, JwtFile};
use self::operation::{
    AccessLogFile, AdminFile, LogFile, PagesFile, RateLimitFile, RelayFile, TracingFile,
};
use self::visitors::{IdentityFile, LoginFile, SessionsFile, StoreFile};
use self::wechat::WechatApiFile;
use super::table::table;
use super::values::{FilePath, Item, Named, Whole};

mod application;
mod operation;
mod routes;
mod server;
mod visitors;
mod wechat;
mod words;

pub(super) use application::{HealthCheckFile, UpstreamFile, UpstreamTlsFile};
pub(super) use operation::RateFile;
pub(super) use routes::{HeaderEditsFile, ListFile, ListReferences, RouteFile};
pub(super) use server::{CertificateFile, ListenerFile, ServerFile, TlsFile};
pub(super) use wechat::{AppFile, PushFile};
pub(super) use words::{
    Balance, IdentityWord, LevelWord, MinimumTls, Preset, ProxyProtocol, PushMode, SessionMode,
    StoreKind, TokenMode,
};

table! {
    /// Configuration of wxgate, format 1.
    File {
        /// Format of this file: 1.
        version: Whole<0, 4_294_967_295>, required;
        /// Where generated keys and the embedded store live. Restart needed.
        state_dir: FilePath = "/var/lib/wxgate";
        /// Public addresses, listeners and limits.
        server: ServerFile = {};
        /// WeChat apps by a name of yours: letters, digits, `_` and `-`.
        wechat: Named<AppFile> = {};
        /// Where WeChat's APIs are.
        wechat_api: WechatApiFile = {};
        /// How a visitor logs in.
        login: LoginFile = {};
        /// Who a person is.
        identity: IdentityFile = {};
        /// How long a login lasts.
        sessions: SessionsFile = {};
        /// What must be remembered.
        store: StoreFile = {};
        /// The signed token that applications receive.
        jwt: JwtFile = {};
        /// The plain headers that applications receive.
        identity_headers: IdentityHeadersFile = {};
        /// Applications by name.
        upstreams: Named<UpstreamFile> = {};
        /// Lists of ids by name, for `allow` and `deny`.
        lists: Named<ListFile> = {};
        /// Which requests go where, and who may pass. The order of routes has no meaning.
        routes: Vec<Item<RouteFile>>, required;
        /// Files at the root of every host, served before any login: name = content. "auto" stands for the part after the last `_`.
        verification_files: Named<String> = {};
        /// One registered callback domain for many sites.
        relay: RelayFile = {};
        /// Pages that visitors see.
        pages: PagesFile = {};
        /// How often things may be done. "none" switches one off.
        rate_limit: RateLimitFile = {};
        /// What is logged.
        log: LogFile = {};
        /// One line per request.
        access_log: AccessLogFile = {};
        /// Health and metrics.
        admin: AdminFile = {};
        /// Traces by OTLP.
        tracing: TracingFile = {};
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use std::path::Path;

    use toml::de::DeValue;

    use super::File;
    use crate::config::overrides::Overlay;
    use crate::config::place::Place;
    use crate::config::read::{FileValue, Node, Reader};
    use crate::config::surroundings::Surroundings;

    /// Reads an empty table, which reads the default of each of its keys.
    fn read_defaults<T: FileValue>() {
        let surroundings = Surroundings::new(|_| None, Path::new("/"));
        let overlay = Overlay::new("", &[]);
        let mut reader = Reader::new(&overlay, Path::new("config.toml"), false, &surroundings);
        let value = DeValue::parse("{}").unwrap();
        let node = Node {
            value: value.get_ref(),
            place: Place::root(),
        };

        assert!(T::read(&node, &mut reader).is_some());

        let missing = |message: &str| message.ends_with("must be given");
        for problem in &reader.problems {
            assert!(missing(&problem.message), "{}", problem.message);
        }
    }

    #[test]
    fn the_default_of_every_key_is_valid() {
        read_defaults::<File>();
        read_defaults::<super::server::ListenerFile>();
        read_defaults::<super::server::TlsFile>();
        read_defaults::<super::server::CertificateFile>();
        read_defaults::<super::wechat::PushFile>();
        read_defaults::<super::wechat::TokenSourceFile>();
        read_defaults::<super::visitors::MiniProgramLinkFile>();
        read_defaults::<super::AppFile>();
        read_defaults::<super::UpstreamFile>();
        read_defaults::<super::HealthCheckFile>();
        read_defaults::<super::ListFile>();
        read_defaults::<super::RouteFile>();
        read_defaults::<super::ListReferences>();
        read_defaults::<super::RateFile>();
    }
}
