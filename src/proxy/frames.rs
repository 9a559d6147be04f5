//! Where WebSocket frames end, so that a frame of ours can stand between two of theirs (RFC 6455, section 5.2).

/// The close frame for a client: code 1001, "going away" (RFC 6455, section 7.4.1).
pub(super) const CLOSE_CLIENT: [u8; 4] = [0x88, 0x02, 0x03, 0xe9];

/// The same for a server, to whom frames are masked. The mask keeps clients from choosing the bytes on the wire; these nobody
/// chooses, so one mask will do.
pub(super) const CLOSE_SERVER: [u8; 8] =
    [0x88, 0x82, 0x5a, 0x3c, 0xa5, 0xc3, 0x03 ^ 0x5a, 0xe9 ^ 0x3c];

/// The longest head: two bytes, eight of length, four of mask.
const LONGEST_HEAD: usize = 14;

/// Follows one direction of a WebSocket without keeping anything of it.
#[derive(Debug, Default)]
pub(super) struct Frames {
    head: [u8; LONGEST_HEAD],
    /// How much of the next head has come.
    have: usize,
    /// How much of the payload is still to come.
    left: u64,
    is_closed: bool,
}

impl Frames {
    /// Takes note of bytes that were passed on.
    pub(super) fn follow(&mut self, mut bytes: &[u8]) {
        while let Some((byte, rest)) = bytes.split_first() {
            if self.left > 0 {
                let skipped = usize::try_from(self.left).unwrap_or(usize::MAX);
                let skipped = skipped.min(bytes.len());
                self.left -= skipped as u64;
                bytes = &bytes[skipped..];
                continue;
            }
            self.head[self.have] = *byte;
            self.have += 1;
            bytes = rest;
            if self.have == self.head_length() {
                self.is_closed |= self.head[0] & 0x0f == 0x08;
                self.left = self.payload_length();
                self.have = 0;
            }
        }
    }

    /// Whether the last frame has ended and the next one has not begun.
    pub(super) fn is_between(&self) -> bool {
        self.have == 0 && self.left == 0
    }

    /// Whether a close frame has passed.
    pub(super) fn is_closed(&self) -> bool {
        self.is_closed
    }

    fn head_length(&self) -> usize {
        if self.have < 2 {
            return 2;
        }
        let length = match self.head[1] & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let mask = if self.head[1] & 0x80 == 0 { 0 } else { 4 };
        2 + length + mask
    }

    fn payload_length(&self) -> u64 {
        let wide = |bytes: &[u8]| {
            bytes
                .iter()
                .fold(0, |all, byte| all << 8 | u64::from(*byte))
        };
        match self.head[1] & 0x7f {
            126 => wide(&self.head[2..4]),
            127 => wide(&self.head[2..10]),
            short => u64::from(short),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame with this payload length, and whether it is masked.
    fn frame(opcode: u8, length: usize, masked: bool) -> Vec<u8> {
        let mask = if masked { 0x80 } else { 0 };
        let mut frame = vec![0x80 | opcode];
        match length {
            0..126 => frame.push(mask | u8::try_from(length).unwrap_or_default()),
            126..65536 => {
                frame.push(mask | 126);
                frame.extend(u16::try_from(length).unwrap_or_default().to_be_bytes());
            }
            _ => {
                frame.push(mask | 127);
                frame.extend((length as u64).to_be_bytes());
            }
        }
        frame.extend(vec![0x88; if masked { 4 } else { 0 } + length]);
        frame
    }

    #[test]
    fn ends_are_found_however_the_bytes_arrive() {
        let lengths = [0, 1, 125, 126, 127, 65535, 65536, 70000];
        for masked in [false, true] {
            for length in lengths {
                let frame = frame(2, length, masked);
                for piece in [1, 2, 3, 1000, frame.len()] {
                    let mut frames = Frames::default();
                    let mut passed = 0;
                    for bytes in frame.chunks(piece).chain(frame.chunks(piece)) {
                        frames.follow(bytes);
                        passed += bytes.len();
                        let ended = passed % frame.len() == 0;
                        assert_eq!(frames.is_between(), ended, "{length} {masked} {passed}");
                    }
                    assert!(!frames.is_closed(), "a payload was taken for a frame");
                }
            }
        }
    }

    #[test]
    fn a_close_frame_is_seen() {
        for close in [CLOSE_CLIENT.as_slice(), &CLOSE_SERVER] {
            let mut frames = Frames::default();
            frames.follow(&frame(1, 200, true));
            frames.follow(&close[..1]);
            assert!(!frames.is_closed());
            frames.follow(&close[1..]);
            assert!(frames.is_closed() && frames.is_between());
        }
    }

    #[test]
    fn the_masked_close_says_the_same() {
        let [_, _, mask @ .., first, second] = CLOSE_SERVER;
        assert_eq!([first ^ mask[0], second ^ mask[1]], [0x03, 0xe9]);
        assert_eq!(u16::from_be_bytes([0x03, 0xe9]), 1001);
    }
}
