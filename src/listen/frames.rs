//! HTTP/2 frames that cost us work and bring no request forward.
//!
//! The library answers each PING and SETTINGS, and takes WINDOW_UPDATE and PRIORITY without end. So we read along: only the nine
//! bytes in front of each frame (RFC 9113, section 4.1), and keep an account. A frame that brings nothing costs one; what we
//! send and requests that end well earn some. An honest client never gets near the end of its credit.

use tokio::time::Instant;

/// How much a connection begins with.
const FIRST_CREDIT: i64 = 1000;

/// The most that can be saved up.
const MOST_CREDIT: i64 = 10_000;

/// What a request that was answered completely earns.
pub(super) const PER_REQUEST: i64 = 20;

/// So many bytes that a client took from us earn one: enough for a window update for each small frame of ours, and less than the
/// answers to a flood of pings.
const BYTES_PER_CREDIT: u64 = 32;

/// What a second earns, looked at only when all is spent.
const PER_SECOND: u64 = 50;

/// The bytes every client begins with (RFC 9113, section 3.4).
pub(super) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The bytes in front of each frame.
const FRAME_HEAD: usize = 9;

const DATA: u8 = 0;
const END_STREAM: u8 = 1;

/// The client sends frames that bring nothing forward, faster than any use of the protocol would.
#[derive(Debug, thiserror::Error)]
#[error("too many HTTP/2 frames that bring nothing forward")]
pub(super) struct Flood;

/// Reads along and keeps the account of one connection.
#[derive(Debug)]
pub(super) struct Frames {
    head: [u8; FRAME_HEAD],
    /// How many bytes of `head` have come.
    have: usize,
    /// Bytes to let pass: the preface, then each frame's payload.
    skip: usize,
    credit: i64,
    written: u64,
    refilled: Instant,
}

impl Frames {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            head: [0; FRAME_HEAD],
            have: 0,
            skip: PREFACE.len(),
            credit: FIRST_CREDIT,
            written: 0,
            refilled: now,
        }
    }

    /// Takes the bytes in the order in which they came. `earned` is what requests have earned since the last call.
    pub(super) fn follow(&mut self, mut bytes: &[u8], earned: i64) -> Result<(), Flood> {
        self.earn(earned);
        while !bytes.is_empty() {
            if self.skip > 0 {
                let passed = self.skip.min(bytes.len());
                self.skip -= passed;
                bytes = bytes.get(passed..).unwrap_or_default();
                continue;
            }
            let wanted = FRAME_HEAD - self.have;
            let (now, later) = bytes.split_at(wanted.min(bytes.len()));
            if let Some(place) = self.head.get_mut(self.have..self.have + now.len()) {
                place.copy_from_slice(now);
            }
            self.have += now.len();
            bytes = later;
            if self.have == FRAME_HEAD {
                self.have = 0;
                self.judge()?;
            }
        }
        Ok(())
    }

    /// The client took so many bytes.
    pub(super) fn sent(&mut self, count: usize) {
        self.written += count as u64;
        let credits = self.written / BYTES_PER_CREDIT;
        if credits > 0 {
            self.written %= BYTES_PER_CREDIT;
            self.earn(i64::try_from(credits).unwrap_or(MOST_CREDIT));
        }
    }

    fn earn(&mut self, credits: i64) {
        self.credit = (self.credit + credits).min(MOST_CREDIT);
    }

    fn judge(&mut self) -> Result<(), Flood> {
        let [high, middle, low, kind, flags, ..] = self.head;
        let length = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
        self.skip = length;
        let brings_something = kind == DATA && (length > 0 || flags & END_STREAM != 0);
        if brings_something {
            return Ok(());
        }
        self.credit -= 1;
        if self.credit > 0 {
            return Ok(());
        }
        self.refill(Instant::now())
    }

    fn refill(&mut self, now: Instant) -> Result<(), Flood> {
        let seconds = now.saturating_duration_since(self.refilled).as_secs();
        if seconds == 0 {
            return Err(Flood);
        }
        self.refilled = now;
        let earned = seconds.saturating_mul(PER_SECOND);
        self.credit = i64::try_from(earned)
            .unwrap_or(FIRST_CREDIT)
            .min(FIRST_CREDIT);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    const PING: u8 = 6;

    fn frame(kind: u8, flags: u8, length: u8) -> Vec<u8> {
        let mut frame = vec![0, 0, length, kind, flags, 0, 0, 0, 1];
        frame.extend(std::iter::repeat_n(0xff, length.into()));
        frame
    }

    fn begun() -> Frames {
        let mut frames = Frames::new(Instant::now());
        assert!(frames.follow(PREFACE, 0).is_ok());
        frames
    }

    /// How many of these are let through, at most `most`.
    fn passes(frames: &mut Frames, one: &[u8], most: usize) -> usize {
        (0..most)
            .take_while(|_| frames.follow(one, 0).is_ok())
            .count()
    }

    #[tokio::test(start_paused = true)]
    async fn every_frame_that_brings_nothing_is_counted() {
        for kind in (1..=9).chain([10, 200]) {
            assert_eq!(
                passes(&mut begun(), &frame(kind, 0, 8), 5000),
                999,
                "{kind}"
            );
        }
        assert_eq!(passes(&mut begun(), &frame(DATA, 0, 0), 5000), 999);
    }

    #[tokio::test(start_paused = true)]
    async fn data_is_free() {
        assert_eq!(passes(&mut begun(), &frame(DATA, 0, 1), 5000), 5000);
        assert_eq!(
            passes(&mut begun(), &frame(DATA, END_STREAM, 0), 5000),
            5000
        );
    }

    #[tokio::test(start_paused = true)]
    async fn the_answers_to_pings_do_not_pay_for_them() {
        let mut frames = begun();
        let mut pings = 0;
        while frames.follow(&frame(PING, 0, 8), 0).is_ok() {
            frames.sent(17);
            pings += 1;
            assert!(pings < 5000);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_works_or_rests_is_never_cut() {
        let mut frames = begun();
        for _ in 0..100_000 {
            assert!(frames.follow(&frame(1, 5, 20), PER_REQUEST).is_ok());
            assert!(frames.follow(&frame(8, 0, 4), 0).is_ok());
        }
        let mut frames = begun();
        for _ in 0..100_000 {
            frames.sent(64);
            assert!(frames.follow(&frame(8, 0, 4), 0).is_ok());
        }
        let mut frames = begun();
        for _ in 0..100_000 {
            tokio::time::advance(Duration::from_millis(100)).await;
            assert!(frames.follow(&frame(PING, 0, 8), 0).is_ok());
        }
    }

    proptest! {
        #[test]
        fn frames_are_found_however_the_bytes_arrive(lengths in prop::collection::vec(0..250_u8, 1..40), piece in 1..30_usize) {
            let frames_sent: Vec<u8> = lengths.iter().flat_map(|length| frame(8, 0, *length)).collect();
            let mut frames = Frames::new(Instant::now());
            for piece in [PREFACE.as_slice(), &frames_sent].concat().chunks(piece) {
                prop_assert!(frames.follow(piece, 0).is_ok());
            }
            prop_assert_eq!(frames.credit, FIRST_CREDIT - i64::try_from(lengths.len()).unwrap_or(0));
        }
    }
}
