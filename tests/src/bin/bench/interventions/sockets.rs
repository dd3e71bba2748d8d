//! Ten thousand pilots' screens on one operator: what each takes beside what any open connection does, and how long until all
//! know of a new request.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use vx11_tests::TOKEN;

use super::Operator;
use crate::load::Conversation;
use crate::report::{Bound, judge, median};
use crate::usage;

const SOCKETS: usize = 10_000;
/// How many open theirs at a time.
const AT_ONCE: usize = 100;
const PUSHES: usize = 5;
/// Longest wait for all of them.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a screen asks for first, and what the answer has in it.
const SUBSCRIBE: &str = r#"{"type":"subscribe"}"#;
const SUBSCRIBED: &[u8] = br#""success":true"#;

mod targets {
    /// Of a thousand bytes, where `/proc` counts in 1024; beyond what the connection takes by itself.
    pub(crate) const KB_A_SUBSCRIBER: f64 = 10.0;
    pub(crate) const PUSH_MS: f64 = 1000.0;
}

pub(crate) async fn run() -> anyhow::Result<()> {
    let connection = Held::open(idle).await?.kilobytes;
    let Held { operator, mut streams, kilobytes } = Held::open(socket).await?;
    let mut conversation = Conversation::open(&operator.address).await?;
    let mut pushes = Vec::new();
    for push in 0..PUSHES {
        let body = super::steady::request(&format!("push-{push}"), "high");
        let begun = Instant::now();
        ensure!(conversation.post("/operator/api/interventions", &body).await? == 201);
        // All are ready to read: a socket's turn in the loop is not a wait, what has come lies there.
        let heard = streams.iter_mut().map(|socket| hears(socket, push));
        tokio::time::timeout(PATIENCE, futures_util::future::try_join_all(heard)).await.context("not all heard")??;
        pushes.push(begun.elapsed().as_secs_f64() * 1000.0);
    }
    println!(
        "\n{SOCKETS} sockets on one operator: {kilobytes:.1} KB each, and {connection:.1} an idle connection, of which"
    );
    println!("eight are the buffers of the HTTP server, for what comes and what goes: the page of each that is in use");
    judge("KB of memory a subscriber", kilobytes - connection, targets::KB_A_SUBSCRIBER, Bound::AtMost);
    judge("ms until all know of a new request", median(pushes), targets::PUSH_MS, Bound::AtMost);
    Ok(())
}

/// An operator with so many open, and what each takes of its memory.
struct Held {
    operator: Operator,
    streams: Vec<TcpStream>,
    kilobytes: f64,
}

impl Held {
    async fn open<F>(one: fn(String) -> F) -> anyhow::Result<Self>
    where
        F: Future<Output = anyhow::Result<TcpStream>> + Send + 'static,
    {
        let operator = Operator::start(&[("VX11_HTTP__MAX_CONNECTIONS", (4 * SOCKETS).to_string())])?;
        let id = operator.process.id();
        let mut conversation = Conversation::open(&operator.address).await?;
        ensure!(conversation.get("/operator/api/interventions").await? == 200);
        let before = usage::resident_mib(id)?;
        let turns = Arc::new(Semaphore::new(AT_ONCE));
        let opening = (0..SOCKETS).map(|_| {
            let (address, turns) = (operator.address.clone(), turns.clone());
            tokio::spawn(async move {
                let _turn = turns.acquire().await?;
                one(address).await
            })
        });
        let mut streams = Vec::with_capacity(SOCKETS);
        for stream in opening.collect::<Vec<_>>() {
            streams.push(stream.await??);
        }
        let kilobytes = (usage::resident_mib(id)? - before) * f64::from(1 << 20) / 1000.0 / SOCKETS as f64;
        Ok(Self { operator, streams, kilobytes })
    }
}

/// A connection that has brought one request, and waits for another.
async fn idle(address: String) -> anyhow::Result<TcpStream> {
    let mut stream = TcpStream::connect(&address).await?;
    stream.write_all(format!("GET /health HTTP/1.1\r\nhost: {address}\r\n\r\n").as_bytes()).await?;
    let mut answer = Vec::new();
    while !answer.windows(4).any(|four| four == b"\r\n\r\n") {
        ensure!(stream.read_buf(&mut answer).await? > 0, "closed: {}", String::from_utf8_lossy(&answer));
    }
    ensure!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    Ok(stream)
}

/// A socket that has subscribed.
async fn socket(address: String) -> anyhow::Result<TcpStream> {
    let mut stream = TcpStream::connect(&address).await?;
    let upgrade = format!(
        "GET /ws/interventions HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {TOKEN}\r\nupgrade: websocket\r\n\
         connection: Upgrade\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(upgrade.as_bytes()).await?;
    let mut head = Vec::new();
    while !head.windows(4).any(|four| four == b"\r\n\r\n") {
        ensure!(stream.read_buf(&mut head).await? > 0, "closed: {}", String::from_utf8_lossy(&head));
    }
    ensure!(head.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&head));
    stream.write_all(&frame(SUBSCRIBE)).await?;
    let mut told = head;
    while !told.windows(SUBSCRIBED.len()).any(|part| part == SUBSCRIBED) {
        ensure!(stream.read_buf(&mut told).await? > 0, "a socket was closed");
    }
    Ok(stream)
}

/// A text as a client's frame (RFC 6455, section 5.2), masked with zeros, which change nothing.
fn frame(text: &str) -> Vec<u8> {
    // FIN and text; masked, with a length below 126.
    let mut frame = vec![0x81, 0x80 | text.len() as u8, 0, 0, 0, 0];
    frame.extend_from_slice(text.as_bytes());
    frame
}

/// Reads until it has heard of `push`.
async fn hears(socket: &mut TcpStream, push: usize) -> anyhow::Result<()> {
    let id = format!("\"push-{push}\"");
    let mut seen = Vec::with_capacity(4096);
    while !seen.windows(id.len()).any(|part| part == id.as_bytes()) {
        ensure!(socket.read_buf(&mut seen).await? > 0, "a socket was closed");
    }
    Ok(())
}
