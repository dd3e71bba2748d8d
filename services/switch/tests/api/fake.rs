//! A provider that does to the byte what a test says: raw TCP, because a real server would tidy up.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// One thing that the provider does after it has read a request.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// Writes this.
    Say(String),
    /// Does nothing until the caller closes the connection.
    Wait,
    /// Does nothing until it is told to go on; who waits first goes first.
    Until(Arc<Notify>),
    /// Closes the connection with a reset.
    Reset,
}

/// A provider that follows a script; after it the connection is closed.
pub(crate) struct Fake {
    pub(crate) url: String,
    requests: Arc<Mutex<Vec<String>>>,
    hung_up: Arc<AtomicUsize>,
}

impl Fake {
    /// Does the same for every request.
    pub(crate) async fn always(acts: impl Into<Vec<Act>>) -> Self {
        let acts = acts.into();
        Self::start(move |_| acts.clone()).await
    }

    /// Does what `script` says for the request of this number, counted from 0.
    pub(crate) async fn start(script: impl Fn(usize) -> Vec<Act> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests: Arc<Mutex<Vec<String>>> = Arc::default();
        let hung_up: Arc<AtomicUsize> = Arc::default();
        let script = Arc::new(script);
        let (seen, gone) = (requests.clone(), hung_up.clone());
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(serve(connection, script.clone(), seen.clone(), gone.clone()));
            }
        });
        Self { url, requests, hung_up }
    }

    /// Every request so far: head and body as they came.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    /// How many callers closed the connection during a [`Act::Wait`].
    pub(crate) fn hung_up(&self) -> usize {
        self.hung_up.load(Ordering::SeqCst)
    }
}

async fn serve(
    mut connection: TcpStream,
    script: Arc<impl Fn(usize) -> Vec<Act>>,
    seen: Arc<Mutex<Vec<String>>>,
    gone: Arc<AtomicUsize>,
) {
    let Some(request) = read_request(&mut connection).await else { return };
    let number = {
        let mut seen = seen.lock().unwrap();
        seen.push(request);
        seen.len() - 1
    };
    let acts = script(number);
    for act in acts {
        match act {
            Act::Say(text) => {
                if connection.write_all(text.as_bytes()).await.is_err() {
                    return;
                }
            }
            Act::Wait => {
                let mut rest = Vec::new();
                let _ = connection.read_to_end(&mut rest).await;
                gone.fetch_add(1, Ordering::SeqCst);
            }
            Act::Until(gate) => {
                // A caller that hangs up is not waited for.
                let mut rest = [0; 1];
                tokio::select! {
                    () = gate.notified() => {}
                    _ = connection.read(&mut rest) => {
                        gone.fetch_add(1, Ordering::SeqCst);
                        return;
                    }
                }
            }
            Act::Reset => {
                let _ = connection.set_zero_linger();
                return;
            }
        }
    }
    let _ = connection.shutdown().await;
}

async fn read_request(connection: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let head = head.to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
            if body.len() >= length.unwrap_or(0) {
                return Some(text);
            }
        }
        match connection.read(&mut chunk).await {
            Ok(read @ 1..) => bytes.extend_from_slice(&chunk[..read]),
            _ => return None,
        }
    }
}

/// An answer of this status.
pub(crate) fn answer(status: u16, headers: &str, body: &str) -> Act {
    let length = body.len();
    Act::Say(format!(
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n{body}"
    ))
}

/// A whole completion that says `text`.
pub(crate) fn completion(text: &str) -> Act {
    let body = format!(
        r#"{{"id": "c1","model":"real-model","choices":[{{"index":0,"message":{{"role":"assistant","content":"{text}"}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}}}"#
    );
    answer(200, "x-request-id: req-1\r\n", &body)
}

/// An error as OpenAI's wire has it.
pub(crate) fn error(status: u16, headers: &str) -> Act {
    answer(
        status,
        headers,
        &format!(r#"{{"error":{{"message":"provider says {status}","type":"t","param":null,"code":null}}}}"#),
    )
}

/// The head of a stream whose end is the connection's.
pub(crate) fn stream_head() -> Act {
    Act::Say("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n".to_owned())
}

/// One event of a stream.
pub(crate) fn event(data: &str) -> Act {
    Act::Say(format!("data: {data}\n\n"))
}

/// One chunk that says `text`.
pub(crate) fn chunk(text: &str) -> Act {
    event(&chunk_json(text))
}

/// The payload of [`chunk`].
pub(crate) fn chunk_json(text: &str) -> String {
    format!(
        r#"{{"id":"c1","model":"real-model","choices":[{{"index":0,"delta":{{"content":"{text}"}},"finish_reason":null}}]}}"#
    )
}

/// The payload of the chunk that ends the answer.
pub(crate) const STOP: &str = r#"{"id":"c1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
/// The payload of the chunk that says what was spent.
pub(crate) const USAGE: &str =
    r#"{"id":"c1","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}"#;

/// A whole stream that says `Hello`.
pub(crate) fn whole_stream() -> Vec<Act> {
    vec![stream_head(), chunk("Hel"), chunk("lo"), event(STOP), event(USAGE), event("[DONE]")]
}

/// An address where nobody listens.
pub(crate) async fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}
