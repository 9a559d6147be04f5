//! What programs that take part in a trace tell each other: W3C Trace Context, <https://www.w3.org/TR/trace-context/>.

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue};

/// Names the trace and whoever asks.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// What other tracing systems add; means nothing without the `traceparent` that it came with.
pub const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// The length of a `traceparent` of version 00.
const LENGTH: usize = 55;

/// Flag: whoever asks records this trace.
const SAMPLED: u8 = 1;

/// Names a trace; never zero.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct TraceId(pub(super) [u8; 16]);

/// Names a span within its trace; never zero.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct SpanId(pub(super) [u8; 8]);

/// The span from which a request comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parent {
    pub(super) trace: TraceId,
    pub(super) span: SpanId,
    pub(super) is_sampled: bool,
}

impl fmt::Debug for TraceId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

impl Parent {
    /// Reads the only `traceparent`. `None` where there is none, where there are several, and where it is malformed: then the
    /// trace begins here.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(TRACEPARENT).iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            return None;
        };
        Self::parse(value.as_bytes())
    }

    fn parse(value: &[u8]) -> Option<Self> {
        let [version] = hex(value.get(..2)?)?;
        // Later versions may add fields at the end, and begin like ours.
        let is_whole = match (version, value.get(LENGTH)) {
            (0xff, _) => false,
            (_, None) => value.len() == LENGTH,
            (0, Some(_)) => false,
            (_, Some(next)) => *next == b'-',
        };
        let has_dashes = [2, 35, 52]
            .iter()
            .all(|place| value.get(*place) == Some(&b'-'));
        if !is_whole || !has_dashes {
            return None;
        }
        let trace = TraceId(hex(value.get(3..35)?)?);
        let span = SpanId(hex(value.get(36..52)?)?);
        let [flags] = hex(value.get(53..LENGTH)?)?;
        let is_named = trace != TraceId::default() && span != SpanId::default();
        is_named.then_some(Self {
            trace,
            span,
            is_sampled: flags & SAMPLED != 0,
        })
    }
}

/// The `traceparent` of a request that this span sends.
pub(super) fn traceparent(trace: TraceId, span: SpanId, is_sampled: bool) -> HeaderValue {
    let flags = if is_sampled { SAMPLED } else { 0 };
    let text = format!("00-{trace:?}-{span:?}-{flags:02x}");
    // Hex digits and dashes always fit.
    HeaderValue::from_maybe_shared(bytes::Bytes::from(text))
        .unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// Lower-case hex digits only, as the standard wants.
fn hex<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if digits.len() != 2 * N {
        return None;
    }
    let read = data_encoding::HEXLOWER.decode_mut(digits, &mut bytes);
    read.ok().map(|_| bytes)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    const GIVEN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn headers(values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(TRACEPARENT, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn a_traceparent_is_read_and_written_the_same() {
        let parent = Parent::of(&headers(&[GIVEN])).unwrap();

        assert!(parent.is_sampled);
        let written = traceparent(parent.trace, parent.span, true);
        assert_eq!(written, GIVEN);
    }

    #[test]
    fn later_versions_are_read_as_far_as_they_are_known() {
        let later = GIVEN.replacen("00", "cc", 1);
        for value in [later.clone(), format!("{later}-what-the-future-brings")] {
            assert_eq!(
                Parent::of(&headers(&[&value])),
                Parent::of(&headers(&[GIVEN])),
                "{value}"
            );
        }
    }

    #[test]
    fn other_flags_than_sampled_mean_nothing() {
        for (flags, is_sampled) in [("00", false), ("01", true), ("02", false), ("ff", true)] {
            let value = format!("{}{flags}", &GIVEN[..53]);
            let parent = Parent::of(&headers(&[&value])).unwrap();
            assert_eq!(parent.is_sampled, is_sampled, "{flags}");
        }
    }

    #[test]
    fn malformed_ones_are_no_parents() {
        let bad = [
            String::new(),
            GIVEN.to_uppercase(),
            GIVEN[..54].to_owned(),
            format!("{GIVEN}0"),
            format!("{GIVEN}-more"),
            GIVEN.replacen("00", "ff", 1),
            GIVEN.replacen("00", "cc", 1) + "x",
            GIVEN.replace('-', "_"),
            GIVEN.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            GIVEN.replace("00f067aa0ba902b7", &"0".repeat(16)),
            GIVEN.replace("4bf9", "xyz!"),
            format!(" {GIVEN}"),
        ];
        for value in bad {
            assert_eq!(Parent::of(&headers(&[&value])), None, "{value:?}");
        }
        assert_eq!(Parent::of(&headers(&[])), None);
        assert_eq!(Parent::of(&headers(&[GIVEN, GIVEN])), None);
    }
}
