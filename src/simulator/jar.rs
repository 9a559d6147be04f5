//! The cookies of one phone for the one site it opens.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cookie::Cookie;

/// The most cookies; the oldest goes first.
const MOST: usize = 50;

/// The longest name and value together.
const LONGEST: usize = 4096;

#[derive(Debug)]
struct Kept {
    name: String,
    value: String,
    path: String,
    expires: Option<SystemTime>,
}

/// Cookies in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Jar {
    kept: Vec<Kept>,
}

impl Jar {
    /// Takes a `Set-Cookie` value as a browser would on the site `host`; what a browser refuses is dropped.
    pub(super) fn store(&mut self, line: &str, host: &str, request_path: &str, now: SystemTime) {
        let Ok(cookie) = Cookie::parse(line) else {
            return;
        };
        let (name, value) = cookie.name_value();
        let foreign = cookie
            .domain()
            .is_some_and(|domain| !domain.eq_ignore_ascii_case(host));
        if foreign || name.len() + value.len() > LONGEST || !keeps_prefix_promise(&cookie) {
            return;
        }
        let path = match cookie.path() {
            Some(path) if path.starts_with('/') => path,
            Some(_) | None => parent(request_path),
        };
        self.kept
            .retain(|kept| kept.name != name || kept.path != path);
        let expires = expiry(&cookie, now);
        if expires.is_some_and(|expires| expires <= now) {
            return;
        }
        if self.kept.len() == MOST {
            self.kept.remove(0);
        }
        self.kept.push(Kept {
            name: name.to_owned(),
            value: value.to_owned(),
            path: path.to_owned(),
            expires,
        });
    }

    /// The `Cookie` value for a path; `None` when there is nothing to send.
    pub(super) fn header(&self, path: &str, now: SystemTime) -> Option<String> {
        let alive = |kept: &&Kept| kept.expires.is_none_or(|expires| expires > now);
        let fits = |kept: &&Kept| covers(&kept.path, path);
        let kept = self.kept.iter().filter(alive).filter(fits);
        let pairs: Vec<String> = kept
            .map(|kept| format!("{}={}", kept.name, kept.value))
            .collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }
}

/// `__Host-` and `__Secure-` are promises that a browser checks.
fn keeps_prefix_promise(cookie: &Cookie<'_>) -> bool {
    let secure = cookie.secure() == Some(true);
    if cookie.name().starts_with("__Host-") {
        secure && cookie.path() == Some("/") && cookie.domain().is_none()
    } else {
        secure || !cookie.name().starts_with("__Secure-")
    }
}

/// `Max-Age` beats `Expires`; neither means "until the browser closes".
fn expiry(cookie: &Cookie<'_>, now: SystemTime) -> Option<SystemTime> {
    let at = |seconds: i64| {
        let seconds = u64::try_from(seconds).unwrap_or(0);
        UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
    };
    if let Some(age) = cookie.max_age() {
        let age = u64::try_from(age.whole_seconds()).unwrap_or(0);
        return now.checked_add(Duration::from_secs(age));
    }
    at(cookie.expires_datetime()?.unix_timestamp())
}

/// The path without its last segment.
fn parent(path: &str) -> &str {
    match path.rfind('/') {
        None | Some(0) => "/",
        Some(end) => path.get(..end).unwrap_or("/"),
    }
}

/// Path matching by whole segments.
fn covers(cookie_path: &str, path: &str) -> bool {
    path.strip_prefix(cookie_path)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || cookie_path.ends_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_800_000_000)
    }

    fn jar(lines: &[&str]) -> Jar {
        let mut jar = Jar::default();
        for line in lines {
            jar.store(line, "127.0.0.1", "/shop/cart", now());
        }
        jar
    }

    #[test]
    fn cookies_are_kept_replaced_and_deleted_as_a_browser_does() {
        let lines = [
            (&["a=1"][..], Some("a=1")),
            (&["a=1; Path=/", "a=2; Path=/"], Some("a=2")),
            (
                &["a=1; Path=/; Secure; HttpOnly", "b=2; Path=/"],
                Some("a=1; b=2"),
            ),
            (&["a=1; Path=/", "a=; Path=/; Max-Age=0"], None),
            (
                &[
                    "a=1; Path=/",
                    "a=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
                ],
                None,
            ),
            (&["a=1; Path=/other"], None),
            (&["a=1; Path=/sho"], None),
            (&["a=1; Domain=evil.example"], None),
            (&["__Host-a=1; Path=/"], None),
            (&["__Host-a=1; Path=/; Secure"], Some("__Host-a=1")),
            (&["__Secure-a=1; Path=/"], None),
        ];
        for (lines, expected) in lines {
            assert_eq!(
                jar(lines).header("/shop/list", now()).as_deref(),
                expected,
                "{lines:?}"
            );
        }
    }

    #[test]
    fn a_cookie_ends_when_its_time_is_over() {
        let jar = jar(&["a=1; Path=/; Max-Age=60"]);

        assert_eq!(
            jar.header("/", now() + Duration::from_secs(59)).as_deref(),
            Some("a=1")
        );
        assert_eq!(jar.header("/", now() + Duration::from_secs(61)), None);
    }

    #[test]
    fn the_jar_does_not_grow_without_end() {
        let mut jar = Jar::default();
        for index in 0..200 {
            jar.store(&format!("c{index}=1"), "127.0.0.1", "/", now());
        }
        jar.store(
            &format!("long={}", "x".repeat(5000)),
            "127.0.0.1",
            "/",
            now(),
        );

        let header = jar.header("/", now()).unwrap_or_default();
        assert_eq!(header.split("; ").count(), MOST);
        assert!(header.ends_with("c199=1"));
    }
}
