//! Server-sent events, whole and as they come.

use reqwest::{RequestBuilder, Response};
use serde_json::Value;
use vx11_testing::PATIENCE;

/// One server-sent event.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Event {
    pub(crate) id: Option<i64>,
    pub(crate) name: String,
    pub(crate) data: Value,
}

/// The events of a text; comments are left out.
pub(crate) fn events(text: &str) -> Vec<Event> {
    text.split_terminator("\n\n").filter_map(event).collect()
}

fn event(block: &str) -> Option<Event> {
    let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name));
    Some(Event {
        id: field("id: ").map(|id| id.parse().expect("a number")),
        name: field("event: ")?.to_owned(),
        data: serde_json::from_str(field("data: ")?).expect("JSON"),
    })
}

/// An event stream that is being read.
pub(crate) struct Reader {
    response: Response,
    buffer: String,
}

impl Reader {
    pub(crate) async fn open(request: RequestBuilder) -> Self {
        let response = request.send().await.expect("an answer");
        assert_eq!(response.status().as_u16(), 200);
        let mut reader = Self { response, buffer: String::new() };
        assert_eq!(reader.block().await.as_deref(), Some(": open"));
        reader
    }

    /// The next event; `None` when the stream has ended.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(found) = event(&self.block().await?) {
                return Some(found);
            }
        }
    }

    /// The next event or comment as it stands.
    pub(crate) async fn block(&mut self) -> Option<String> {
        loop {
            if let Some((block, rest)) = self.buffer.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.buffer = rest;
                return Some(block);
            }
            let chunk = tokio::time::timeout(PATIENCE, self.response.chunk()).await.expect("it goes on or ends");
            self.buffer += std::str::from_utf8(&chunk.expect("the stream is whole")?).expect("UTF-8");
        }
    }
}
