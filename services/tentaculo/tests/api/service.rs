//! A service that does to the byte what a test says: raw TCP, because a real server would tidy up.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// One thing that the service does after it has read a request.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// Writes this.
    Say(String),
    /// Does nothing until the test says so.
    Gate(Arc<Semaphore>),
    /// Does nothing until the caller closes the connection.
    Wait,
    /// Closes the connection.
    Close,
    /// Closes the connection with a reset.
    Reset,
}

/// A service that follows a script; after it, the connection takes the next request.
pub(crate) struct Service {
    pub(crate) url: String,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    requests: Mutex<Vec<String>>,
    connections: AtomicUsize,
    hung_up: AtomicUsize,
    cut_short: AtomicUsize,
}

impl Service {
    /// Answers every request with `ok`.
    pub(crate) async fn well() -> Self {
        Self::always([answer(200, "", "ok")]).await
    }

    /// Does the same for every request.
    pub(crate) async fn always(acts: impl Into<Vec<Act>>) -> Self {
        let acts = acts.into();
        Self::start(move |_| acts.clone()).await
    }

    /// Does what `script` says for the request of this number, counted from 0.
    pub(crate) async fn start(script: impl Fn(usize) -> Vec<Act> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen: Arc<Seen> = Arc::default();
        let (script, shared) = (Arc::new(script), seen.clone());
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                shared.connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(connection, script.clone(), shared.clone()));
            }
        });
        Self { url, seen }
    }

    /// Every request so far: head and body as they came.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.seen.requests.lock().unwrap().clone()
    }

    /// The last request.
    pub(crate) fn last(&self) -> String {
        self.requests().pop().expect("a request has come")
    }

    /// The values of one header of the last request.
    pub(crate) fn header(&self, name: &str) -> Vec<String> {
        let request = self.last();
        let head = request.split("\r\n\r\n").next().unwrap_or_default();
        let fields = head.lines().filter_map(|line| line.split_once(": "));
        fields.filter(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned()).collect()
    }

    /// How often somebody connected.
    pub(crate) fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }

    /// How many callers closed the connection within their request.
    pub(crate) fn cut_short(&self) -> usize {
        self.seen.cut_short.load(Ordering::SeqCst)
    }

    /// How many callers closed the connection during an [`Act::Wait`].
    pub(crate) fn hung_up(&self) -> usize {
        self.seen.hung_up.load(Ordering::SeqCst)
    }
}

/// How a connection's next request came in.
enum Read {
    Whole(String),
    /// Its caller closed the connection within it.
    CutShort,
    /// Its caller closed the connection instead.
    None,
}

async fn serve(mut connection: TcpStream, script: Arc<impl Fn(usize) -> Vec<Act>>, seen: Arc<Seen>) {
    loop {
        let request = match read_request(&mut connection).await {
            Read::Whole(request) => request,
            Read::CutShort => {
                seen.cut_short.fetch_add(1, Ordering::SeqCst);
                return;
            }
            Read::None => return,
        };
        let number = {
            let mut requests = seen.requests.lock().unwrap();
            requests.push(request);
            requests.len() - 1
        };
        for act in script(number) {
            match act {
                Act::Say(text) => {
                    if connection.write_all(text.as_bytes()).await.is_err() {
                        return;
                    }
                }
                Act::Gate(gate) => gate.acquire().await.unwrap().forget(),
                Act::Wait => {
                    let mut rest = Vec::new();
                    let _ = connection.read_to_end(&mut rest).await;
                    seen.hung_up.fetch_add(1, Ordering::SeqCst);
                    return;
                }
                Act::Close => return,
                Act::Reset => {
                    let _ = connection.set_zero_linger();
                    return;
                }
            }
        }
    }
}

/// Reads one request, chunked bodies as they stand.
async fn read_request(connection: &mut TcpStream) -> Read {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let head = head.to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
            let is_chunked = head.contains("transfer-encoding: chunked");
            if (is_chunked && body.ends_with("0\r\n\r\n")) || (!is_chunked && body.len() >= length.unwrap_or(0)) {
                return Read::Whole(text.into_owned());
            }
        }
        match connection.read(&mut chunk).await {
            Ok(read @ 1..) => bytes.extend_from_slice(&chunk[..read]),
            _ if bytes.is_empty() => return Read::None,
            _ => return Read::CutShort,
        }
    }
}

/// A gate that is shut, and the act of waiting before it.
pub(crate) fn gate() -> (Arc<Semaphore>, Act) {
    let gate = Arc::new(Semaphore::new(0));
    (gate.clone(), Act::Gate(gate))
}

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

/// An address where nobody listens.
pub(crate) async fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}
