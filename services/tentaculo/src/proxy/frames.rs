//! Counts WebSocket messages in a byte stream without holding any of it but why it was closed (RFC 6455, section 5.2).

/// Where in a frame the stream is.
#[derive(Clone, Debug, Default)]
pub(super) struct FrameCounter {
    header: Vec<u8>,
    payload_left: u64,
    /// What a close frame says, as far as it has come: 125 bytes at most.
    close: Option<Vec<u8>>,
}

impl FrameCounter {
    /// Takes in the next bytes, and says how many messages ended their last frame's head within them.
    pub(super) fn push(&mut self, mut bytes: &[u8]) -> u64 {
        let mut messages = 0;
        while !bytes.is_empty() {
            if self.payload_left > 0 {
                let skipped = self.payload_left.min(bytes.len() as u64);
                self.payload_left -= skipped;
                if let Some(close) = &mut self.close {
                    close.extend_from_slice(&bytes[..skipped as usize]);
                }
                bytes = &bytes[skipped as usize..];
                continue;
            }
            self.header.push(bytes[0]);
            bytes = &bytes[1..];
            if let Some((is_last_of_message, payload)) = parse(&self.header) {
                messages += u64::from(is_last_of_message);
                self.payload_left = payload;
                if is_close(&self.header) && payload <= MAX_CONTROL {
                    self.close = Some(Vec::new());
                }
                self.header.clear();
            }
        }
        messages
    }

    /// The code and the reason of a close frame that has come whole, of one that is not masked: a service's.
    pub(super) fn closed_with(&self) -> Option<(u16, &[u8])> {
        let (code, reason) = self.close.as_deref().filter(|_| self.payload_left == 0)?.split_first_chunk()?;
        Some((u16::from_be_bytes(*code), reason))
    }

    /// Whether the stream is between two frames.
    pub(super) fn is_between_frames(&self) -> bool {
        self.header.is_empty() && self.payload_left == 0
    }
}

/// Most bytes of a control frame.
const MAX_CONTROL: u64 = 125;

fn is_close(header: &[u8]) -> bool {
    matches!(header, [first, second, ..] if first & 0x0f == 8 && second & 0x80 == 0)
}

/// Whether a frame ends a data message, and how long its payload is; `None` while its header is incomplete.
fn parse(header: &[u8]) -> Option<(bool, u64)> {
    let [first, second, rest @ ..] = header else { return None };
    let mask = if second & 0x80 == 0 { 0 } else { 4 };
    let (extended, length) = match second & 0x7f {
        126 => (2, u64::from(u16::from_be_bytes(rest.first_chunk().copied()?))),
        127 => (8, u64::from_be_bytes(rest.first_chunk().copied()?)),
        short => (0, u64::from(short)),
    };
    let is_final = first & 0x80 != 0;
    let is_control = first & 0x08 != 0;
    (rest.len() >= extended + mask).then_some((is_final && !is_control, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A text message, a masked ping, a message of 200 bytes in two frames, one of 70 000 bytes, a close.
    fn stream() -> Vec<u8> {
        let mut bytes = b"\x81\x02hi\x89\x81\x01\x02\x03\x04x".to_vec();
        bytes.extend(b"\x02\x7e\x00\x80".iter().chain(&[7; 128]));
        bytes.extend(b"\x80\x48".iter().chain(&[7; 72]));
        bytes.extend(b"\x82\x7f\x00\x00\x00\x00\x00\x01\x11\x70".iter().chain(&[7; 70_000]));
        bytes.extend(b"\x88\x02\x03\xe8");
        bytes
    }

    #[test]
    fn messages_are_counted_wherever_the_bytes_are_cut() {
        let bytes = stream();
        for size in [1, 2, 3, 7, 100, bytes.len()] {
            let mut counter = FrameCounter::default();
            let messages: u64 = bytes.chunks(size).map(|chunk| counter.push(chunk)).sum();
            assert_eq!((messages, counter.is_between_frames()), (3, true), "in chunks of {size}");
            assert_eq!(counter.closed_with(), Some((1000, &b""[..])), "in chunks of {size}");
        }
    }
}
