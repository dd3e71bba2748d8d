//! What a service that does to the byte what a test says can say.

pub(crate) use vx11_testing::{Act, Scripted as Service, gate, nobody};

/// An answer of this status; `headers` are whole lines.
pub(crate) fn answer(status: u16, headers: &str, body: &str) -> Act {
    Act::Say(format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n{headers}\r\n{body}", body.len()))
}

/// The head of an answer in chunks.
pub(crate) fn chunked_head(headers: &str) -> Act {
    Act::Say(format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n{headers}\r\n"))
}

/// One chunk.
pub(crate) fn chunk(text: &str) -> Act {
    Act::Say(format!("{:x}\r\n{text}\r\n", text.len()))
}

/// The end of an answer in chunks.
pub(crate) fn last_chunk() -> Act {
    Act::Say("0\r\n\r\n".to_owned())
}
