//! The other side: it reads what it is sent, and says what a test tells it to.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

/// A server that does nothing by itself.
pub(crate) struct Peer {
    listener: TcpListener,
    accepted: usize,
}

/// One connection to it.
pub(crate) struct Connection(TcpStream);

impl Peer {
    /// On a free port.
    pub(crate) async fn start() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").await.expect("a port"), accepted: 0 }
    }

    pub(crate) fn url(&self) -> Url {
        let address = self.listener.local_addr().expect("an address");
        format!("http://{address}/").parse().expect("a URL")
    }

    /// How many connections there were.
    pub(crate) fn accepted(&self) -> usize {
        self.accepted
    }

    pub(crate) async fn accept(&mut self) -> Connection {
        let accepted = tokio::time::timeout(super::PATIENCE, self.listener.accept()).await;
        self.accepted += 1;
        Connection(accepted.expect("in time").expect("a connection").0)
    }
}

impl Connection {
    /// The lines of the next request's head.
    pub(crate) async fn head(&mut self) -> Vec<String> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.0.read_u8().await.expect("a byte"));
        }
        let head = String::from_utf8(head).expect("UTF-8");
        head.trim_end().lines().map(str::to_owned).collect()
    }

    /// Waits for exactly this.
    pub(crate) async fn hear(&mut self, expected: &str) {
        let mut heard = vec![0; expected.len()];
        self.0.read_exact(&mut heard).await.expect("as much");
        assert_eq!(String::from_utf8_lossy(&heard), expected);
    }

    pub(crate) async fn say(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.expect("written");
    }

    pub(crate) async fn close(mut self) {
        self.0.shutdown().await.expect("closed");
    }

    /// Whether the client closes it; what it still sends is read.
    pub(crate) async fn is_closed(&mut self) -> bool {
        let mut rest = [0; 4096];
        loop {
            match self.0.read(&mut rest).await {
                Ok(0) | Err(_) => return true,
                Ok(_) => {}
            }
        }
    }
}
