//! A server that does to the byte what a test says: raw TCP, because a real one would tidy up.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// One thing that the server does after it has read a request.
#[derive(Clone, Debug)]
pub enum Act {
    /// Writes this.
    Say(String),
    /// Does nothing until it is given a permit, or the caller closes the connection; who waits first goes first.
    Gate(Arc<Semaphore>),
    /// Does nothing until the caller closes the connection.
    Wait,
    /// Closes the connection.
    Close,
    /// Closes the connection with a reset.
    Reset,
}

/// A server that follows a script. After it the connection is closed where the answer said `connection: close`, and
/// takes the next request where it did not.
#[derive(Debug)]
pub struct Scripted {
    /// Where it listens.
    pub url: String,
    seen: Arc<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    requests: Mutex<Vec<String>>,
    connections: AtomicUsize,
    hung_up: AtomicUsize,
    cut_short: AtomicUsize,
}

impl Scripted {
    /// Answers every request with `ok`.
    ///
    /// # Panics
    /// When there is no port.
    pub async fn well() -> Self {
        Self::always([Act::Say("HTTP/1.1 200 X\r\ncontent-length: 2\r\n\r\nok".to_owned())]).await
    }

    /// Does the same for every request.
    ///
    /// # Panics
    /// When there is no port.
    pub async fn always(acts: impl Into<Vec<Act>>) -> Self {
        let acts = acts.into();
        Self::start(move |_| acts.clone()).await
    }

    /// Does what `script` says for the request of this number, counted from 0.
    ///
    /// # Panics
    /// When there is no port.
    pub async fn start(script: impl Fn(usize) -> Vec<Act> + Send + Sync + 'static) -> Self {
        Self::run(move |number, _| script(number)).await
    }

    /// Does what `script` says for a request, which it is shown as it came.
    ///
    /// # Panics
    /// When there is no port.
    pub async fn replying(script: impl Fn(&str) -> Vec<Act> + Send + Sync + 'static) -> Self {
        Self::run(move |_, request| script(request)).await
    }

    async fn run(script: impl Fn(usize, &str) -> Vec<Act> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let seen: Arc<Seen> = Arc::default();
        let (script, shared) = (Arc::new(script), seen.clone());
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                shared.connections.fetch_add(1, Ordering::SeqCst);
                // What is said is sent, and does not wait for the answer to what was said before.
                let _ = connection.set_nodelay(true);
                tokio::spawn(serve(connection, script.clone(), shared.clone()));
            }
        });
        Self { url, seen }
    }

    /// Every request so far: head and body as they came.
    ///
    /// # Panics
    /// When the server did.
    pub fn requests(&self) -> Vec<String> {
        self.seen.requests.lock().expect("no panic").clone()
    }

    /// The last request.
    ///
    /// # Panics
    /// When there was none.
    pub fn last(&self) -> String {
        self.requests().pop().expect("a request has come")
    }

    /// The values of one header of the last request.
    ///
    /// # Panics
    /// When there was none.
    pub fn header(&self, name: &str) -> Vec<String> {
        let request = self.last();
        let head = request.split("\r\n\r\n").next().unwrap_or_default();
        let fields = head.lines().filter_map(|line| line.split_once(": "));
        fields.filter(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned()).collect()
    }

    /// How often somebody connected.
    pub fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }

    /// How many callers closed the connection within their request.
    pub fn cut_short(&self) -> usize {
        self.seen.cut_short.load(Ordering::SeqCst)
    }

    /// How many callers closed the connection during an [`Act::Wait`] or at an [`Act::Gate`].
    pub fn hung_up(&self) -> usize {
        self.seen.hung_up.load(Ordering::SeqCst)
    }
}

/// A gate that is shut, and the act of waiting before it.
pub fn gate() -> (Arc<Semaphore>, Act) {
    let gate = Arc::new(Semaphore::new(0));
    (gate.clone(), Act::Gate(gate))
}

/// An address where nobody listens, and nobody will.
///
/// # Panics
/// When there is no port.
#[must_use]
pub fn nobody() -> String {
    format!("http://127.0.0.1:{}", vx11_testing_servers::lasting_port())
}

async fn serve(mut connection: TcpStream, script: Arc<impl Fn(usize, &str) -> Vec<Act>>, seen: Arc<Seen>) {
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
            let mut requests = seen.requests.lock().expect("no panic");
            requests.push(request.clone());
            requests.len() - 1
        };
        let acts = script(number, &request);
        let says_close = |act: &Act| matches!(act, Act::Say(text) if text.contains("\r\nconnection: close\r\n"));
        let is_last = acts.iter().any(says_close);
        for act in acts {
            if perform(act, &mut connection, &seen).await == Then::Hangup {
                return;
            }
        }
        if is_last {
            let _ = connection.shutdown().await;
            return;
        }
    }
}

/// What follows an act.
#[derive(PartialEq, Eq)]
enum Then {
    GoOn,
    Hangup,
}

async fn perform(act: Act, connection: &mut TcpStream, seen: &Seen) -> Then {
    match act {
        Act::Say(text) => match connection.write_all(text.as_bytes()).await {
            Ok(()) => Then::GoOn,
            Err(_) => Then::Hangup,
        },
        Act::Gate(gate) => {
            let mut next = [0; 1];
            tokio::select! {
                permit = gate.acquire() => {
                    permit.expect("it is never closed").forget();
                    Then::GoOn
                }
                _ = connection.peek(&mut next) => {
                    seen.hung_up.fetch_add(1, Ordering::SeqCst);
                    Then::Hangup
                }
            }
        }
        Act::Wait => {
            let mut rest = Vec::new();
            let _ = connection.read_to_end(&mut rest).await;
            seen.hung_up.fetch_add(1, Ordering::SeqCst);
            Then::Hangup
        }
        Act::Close => Then::Hangup,
        Act::Reset => {
            let _ = connection.set_zero_linger();
            Then::Hangup
        }
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
