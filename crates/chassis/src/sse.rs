//! Server-sent events, written and read (WHATWG HTML, section 9.2).

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use serde::Serialize;

/// The content type of an event stream.
pub const CONTENT_TYPE: &str = "text/event-stream";

/// A comment that keeps proxies from closing an idle stream.
pub const HEARTBEAT: Bytes = Bytes::from_static(b": heartbeat\n\n");

/// Writes one event. `data` is JSON, so it has no line breaks.
pub fn event(id: Option<i64>, name: Option<&str>, data: &impl Serialize) -> Bytes {
    let mut out = Vec::with_capacity(128);
    if let Some(id) = id {
        out.extend_from_slice(format!("id: {id}\n").as_bytes());
    }
    if let Some(name) = name {
        out.extend_from_slice(format!("event: {name}\n").as_bytes());
    }
    out.extend_from_slice(b"data: ");
    // Our own types have string keys and no failing serialisers; an empty event would be skipped by readers.
    let _ = serde_json::to_writer(&mut out, data);
    out.extend_from_slice(b"\n\n");
    Bytes::from(out)
}

/// One event as it came over the wire.
#[derive(Clone, Debug)]
pub struct Frame {
    /// The bytes, blank line included, for passing on.
    pub raw: Bytes,
    data: Range<usize>,
    joined: Option<Bytes>,
    event: Option<Range<usize>>,
}

impl Frame {
    /// An event of our own making, as it would have come over the wire.
    pub fn of(data: &impl Serialize) -> Self {
        parse(event(None, None, data))
    }

    /// Whether nothing is in it, not even a comment.
    pub fn is_blank(&self) -> bool {
        self.raw.trim_ascii().is_empty()
    }

    /// The payload; several `data:` lines are joined by line breaks. Empty for a comment.
    pub fn data(&self) -> &[u8] {
        self.joined.as_deref().unwrap_or(&self.raw[self.data.clone()])
    }

    /// The `event:` field, where it is UTF-8.
    pub fn event(&self) -> Option<&str> {
        std::str::from_utf8(&self.raw[self.event.clone()?]).ok()
    }
}

/// A frame grew beyond the parser's limit without ending.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event is longer than {0} bytes")]
pub struct FrameTooLong(pub usize);

/// Splits a byte stream into frames, wherever its chunks begin and end.
#[derive(Debug)]
pub struct Parser {
    buffer: BytesMut,
    scanned: usize,
    limit: usize,
}

impl Parser {
    /// A parser that holds at most `limit` bytes of an unfinished frame.
    pub fn new(limit: usize) -> Self {
        Self { buffer: BytesMut::new(), scanned: 0, limit }
    }

    /// Takes in the next chunk.
    pub fn push(&mut self, chunk: &[u8]) {
        self.buffer.extend_from_slice(chunk);
    }

    /// The next whole frame, if there is one.
    ///
    /// # Errors
    /// When an unfinished frame is longer than the limit.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FrameTooLong> {
        match blank_line(&self.buffer, self.scanned) {
            Some(end) => {
                self.scanned = 0;
                Ok(Some(parse(self.buffer.split_to(end).freeze())))
            }
            None if self.buffer.len() > self.limit => Err(FrameTooLong(self.limit)),
            None => {
                // A terminator has at most four bytes; all but the last three of these were looked at.
                self.scanned = self.buffer.len().saturating_sub(3);
                Ok(None)
            }
        }
    }

    /// The stream has ended: what is left is a frame too, blank line or not. Where nothing was, that frame is blank.
    pub fn end(&mut self) {
        self.push(b"\n\n");
    }
}

/// The end of the first blank line at or after `from`. A stream may end its lines with LF or CR LF, and some mix them.
fn blank_line(bytes: &[u8], from: usize) -> Option<usize> {
    memchr::memchr_iter(b'\n', &bytes[from..]).map(|at| from + at).find_map(|at| match bytes.get(at + 1..) {
        Some([b'\n', ..]) => Some(at + 2),
        Some([b'\r', b'\n', ..]) => Some(at + 3),
        _ => None,
    })
}

fn parse(raw: Bytes) -> Frame {
    // Nearly every event has one line of data; those of more are joined.
    let (mut data, mut more): (Option<Range<usize>>, Vec<Range<usize>>) = (None, Vec::new());
    let mut event = None;
    let mut start = 0;
    while start < raw.len() {
        let end = memchr::memchr(b'\n', &raw[start..]).map_or(raw.len(), |at| start + at);
        let line_end = if end > start && raw[end - 1] == b'\r' { end - 1 } else { end };
        if let Some(value) = field(&raw, start..line_end, b"data:") {
            if data.is_none() {
                data = Some(value);
            } else {
                more.push(value);
            }
        } else if let Some(value) = field(&raw, start..line_end, b"event:") {
            event = Some(value);
        }
        start = end + 1;
    }
    let data = data.unwrap_or(0..0);
    let joined = (!more.is_empty()).then(|| {
        let lines: Vec<&[u8]> = std::iter::once(&data).chain(&more).map(|range| &raw[range.clone()]).collect();
        Bytes::from(lines.join(&b'\n'))
    });
    Frame { data, joined, event, raw }
}

/// The value of a line that begins with `name`, less the one space that may follow the colon.
fn field(raw: &[u8], line: Range<usize>, name: &[u8]) -> Option<Range<usize>> {
    let rest = raw[line.clone()].strip_prefix(name)?;
    let space = usize::from(rest.first() == Some(&b' '));
    Some(line.start + name.len() + space..line.end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read_all(chunks: &[&[u8]]) -> Vec<(Option<String>, String)> {
        let mut parser = Parser::new(1 << 20);
        let mut seen = Vec::new();
        let mut take = |parser: &mut Parser| {
            while let Some(frame) = parser.next_frame().expect("within the limit") {
                let data = String::from_utf8_lossy(frame.data()).into_owned();
                seen.extend((!frame.is_blank()).then(|| (frame.event().map(str::to_owned), data)));
            }
        };
        for chunk in chunks {
            parser.push(chunk);
            take(&mut parser);
        }
        parser.end();
        take(&mut parser);
        seen
    }

    const STREAM: &[u8] =
        b"event: a\ndata: {\"x\":1}\n\ndata:two\r\ndata: lines\r\n\r\n: comment\n\ndata: [DONE]\n\ndata: cut";

    #[test]
    fn frames_are_read_with_either_line_end() {
        let expected = [
            (Some("a".to_owned()), "{\"x\":1}".to_owned()),
            (None, "two\nlines".to_owned()),
            (None, String::new()),
            (None, "[DONE]".to_owned()),
            (None, "cut".to_owned()),
        ];
        assert_eq!(read_all(&[STREAM]), expected);
    }

    #[test]
    fn an_endless_frame_is_refused() {
        let mut parser = Parser::new(8);
        parser.push(b"data: 123456789");
        assert_eq!(parser.next_frame().expect_err("too long"), FrameTooLong(8));
    }

    proptest! {
        #[test]
        fn chunk_boundaries_do_not_matter(cuts in prop::collection::vec(0..STREAM.len(), 0..12)) {
            let mut cuts = cuts;
            cuts.extend([0, STREAM.len()]);
            cuts.sort_unstable();
            let chunks: Vec<&[u8]> = cuts.windows(2).map(|pair| &STREAM[pair[0]..pair[1]]).collect();
            prop_assert_eq!(read_all(&chunks), read_all(&[STREAM]));
        }
    }
}
