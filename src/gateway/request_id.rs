//! Ids that no other process makes: a random seed, then a counter.

use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use http::HeaderValue;

use crate::message::RequestId;

/// Digits of a seed.
const SEED: usize = 16;
/// Digits of a counter.
const COUNT: usize = 8;

/// Makes request ids.
#[derive(Debug)]
pub(super) struct RequestIds {
    seed: [u8; SEED],
    next: AtomicU32,
}

impl RequestIds {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            seed: hex(seed),
            next: AtomicU32::new(0),
        }
    }

    pub(super) fn next(&self) -> RequestId {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut text = [0; SEED + COUNT];
        let (seed, count) = text.split_at_mut(SEED);
        seed.copy_from_slice(&self.seed);
        count.copy_from_slice(&hex::<COUNT>(number.into()));
        // PERF: from an owner, because bytes of a vector take a second allocation when they are first cloned.
        let value = HeaderValue::from_maybe_shared(Bytes::from_owner(text));
        value.map_or_else(|_| RequestId::unknown(), RequestId::of_ours)
    }
}

/// The last `N` hexadecimal digits of a number.
fn hex<const N: usize>(number: u64) -> [u8; N] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [b'0'; N];
    let mut left = number;
    for byte in text.iter_mut().rev() {
        *byte = DIGITS[(left & 0xf) as usize];
        left >>= 4;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_ids_differ_and_look_alike() {
        let ids = RequestIds::new(0xabc);

        let made = [ids.next(), ids.next()];

        let made = made.each_ref().map(RequestId::as_str);
        assert_eq!(
            made,
            ["0000000000000abc00000000", "0000000000000abc00000001"]
        );
    }

    #[test]
    fn the_counter_begins_again_after_its_last_number() {
        let ids = RequestIds::new(u64::MAX);
        ids.next.store(u32::MAX, Ordering::Relaxed);

        let made = [ids.next(), ids.next()];

        let made = made.each_ref().map(RequestId::as_str);
        assert_eq!(
            made,
            ["ffffffffffffffffffffffff", "ffffffffffffffff00000000"]
        );
    }
}
