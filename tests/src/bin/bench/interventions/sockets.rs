//! Ten thousand pilots' screens on one operator: what each takes, and how long until all know of a new request.

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
    /// Of a thousand bytes, where `/proc` counts in 1024.
    pub(crate) const KB_A_SOCKET: f64 = 10.0;
    pub(crate) const PUSH_MS: f64 = 1000.0;
}

pub(crate) async fn run() -> anyhow::Result<()> {
    let more = ["VX11_HTTP__MAX_CONNECTIONS"].map(|name| (name, (4 * SOCKETS).to_string()));
    let operator = Operator::start(&more)?;
    let id = operator.process.id();
    let mut conversation = Conversation::open(&operator.address).await?;
    ensure!(conversation.get("/operator/api/interventions").await? == 200);
    let before = usage::resident_mib(id)?;
    let mut sockets = open(&operator.address).await?;
    let after = usage::resident_mib(id)?;
    let mut pushes = Vec::new();
    for push in 0..PUSHES {
        let body = super::steady::request(&format!("push-{push}"), "high");
        let begun = Instant::now();
        ensure!(conversation.post("/operator/api/interventions", &body).await? == 201);
        // All are ready to read: a socket's turn in the loop is not a wait, what has come lies there.
        let heard = sockets.iter_mut().map(|socket| hears(socket, push));
        tokio::time::timeout(PATIENCE, futures_util::future::try_join_all(heard)).await.context("not all heard")??;
        pushes.push(begun.elapsed().as_secs_f64() * 1000.0);
    }
    println!("\n{SOCKETS} sockets on one operator");
    let kilobytes = (after - before) * f64::from(1 << 20) / 1000.0 / SOCKETS as f64;
    judge("KB of memory a socket", kilobytes, targets::KB_A_SOCKET, Bound::AtMost);
    judge("ms until all know of a new request", median(pushes), targets::PUSH_MS, Bound::AtMost);
    Ok(())
}

async fn open(address: &str) -> anyhow::Result<Vec<TcpStream>> {
    let turns = Arc::new(Semaphore::new(AT_ONCE));
    let opening = (0..SOCKETS).map(|_| {
        let (address, turns) = (address.to_owned(), turns.clone());
        tokio::spawn(async move {
            let _turn = turns.acquire().await?;
            one(&address).await
        })
    });
    let mut sockets = Vec::with_capacity(SOCKETS);
    for socket in opening.collect::<Vec<_>>() {
        sockets.push(socket.await??);
    }
    Ok(sockets)
}

/// One socket, open.
async fn one(address: &str) -> anyhow::Result<TcpStream> {
    let mut stream = TcpStream::connect(address).await?;
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
