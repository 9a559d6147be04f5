//! Upstreams that lead back here: a request to one would go round until every connection is taken.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::servers;
use crate::config::code::Code;
use crate::config::file::File;
use crate::config::place::Place;
use crate::config::problem::Problem;
use crate::config::read::Reader;
use crate::config::values::Item;
use crate::listen;
use crate::proxy::Address;

/// Reports each server that is a listener of ours, the one for operators included.
pub(super) fn check(
    file: &File,
    listeners: &[Item<listen::Settings>],
    admin: Option<SocketAddr>,
    reader: &mut Reader<'_>,
) {
    let public = listeners.iter().map(|item| item.value.address);
    let own: Vec<SocketAddr> = public.chain(admin).collect();
    for (text, place) in servers_in(file) {
        let Some(Address::Tcp { host, port }) = servers::address(text) else {
            continue;
        };
        if let Some(address) = own.iter().find(|own| is_reached(**own, &host, port)) {
            let what = format!("= \"{text}\" is the gateway itself, which listens on {address}");
            let hint = "write the address of your application";
            reader.report(Problem::new(Code::LeadsBack, place, what).hint(hint));
        }
    }
}

/// Every server that is written somewhere.
fn servers_in(file: &File) -> impl Iterator<Item = (&str, &Place)> {
    let named = file.upstreams.value.entries.iter();
    let named = named.flat_map(|(_, item)| item.value.servers.value.iter().flatten());
    let named = named.map(|item| (item.value.as_str(), &item.place));
    let routes = file.routes.value.iter().flatten();
    let of_routes = routes.filter_map(|item| {
        let upstream = &item.value.upstream;
        Some((upstream.value.as_deref()?, &upstream.place))
    });
    named.chain(of_routes)
}

fn is_reached(own: SocketAddr, host: &str, port: u16) -> bool {
    let host = match host {
        "localhost" => Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        other => other.parse::<IpAddr>().ok().map(|ip| ip.to_canonical()),
    };
    let Some(host) = host.filter(|_| port == own.port()) else {
        return false;
    };
    let own = own.ip().to_canonical();
    own == host || (own.is_unspecified() && (host.is_loopback() || host.is_unspecified()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_is_found_by_every_address_that_surely_leads_to_it() {
        let table = [
            ("127.0.0.1:9500", "127.0.0.1", 9500, true),
            ("127.0.0.1:9500", "localhost", 9500, true),
            ("127.0.0.1:9500", "::ffff:127.0.0.1", 9500, true),
            ("127.0.0.1:9500", "127.0.0.1", 9501, false),
            ("127.0.0.1:9500", "127.0.0.2", 9500, false),
            ("0.0.0.0:9500", "127.0.0.1", 9500, true),
            ("[::]:9500", "127.0.0.1", 9500, true),
            ("[::]:9500", "::1", 9500, true),
            // Another machine may have the same port.
            ("0.0.0.0:9500", "10.0.0.5", 9500, false),
            ("10.0.0.5:9500", "10.0.0.5", 9500, true),
            ("10.0.0.5:9500", "app.internal", 9500, false),
        ];
        for (own, host, port, expected) in table {
            let own: SocketAddr = own.parse().unwrap_or_else(|_| panic!("{own}"));
            assert_eq!(is_reached(own, host, port), expected, "{own} {host}:{port}");
        }
    }
}
