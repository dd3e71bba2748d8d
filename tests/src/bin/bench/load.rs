//! A closed-loop load: each connection sends its next request when the answer to its last is in.
//!
//! It shares the machine with what it measures, so it speaks HTTP/1.1 over plain sockets, with requests made
//! beforehand and only as much of the answer read as its end needs.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use hdrhistogram::Histogram;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use vx11_tests::TOKEN;

/// What is sent, to where.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) address: String,
    /// One whole request; `{n}` in its body stands for eight digits that differ each time.
    pub(crate) head: String,
    pub(crate) body: String,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) answered: u64,
    pub(crate) errors: u64,
    pub(crate) elapsed: Duration,
    /// Microseconds.
    pub(crate) latencies: Histogram<u64>,
}

impl Outcome {
    pub(crate) fn per_second(&self) -> f64 {
        self.answered as f64 / self.elapsed.as_secs_f64()
    }

    pub(crate) fn millis(&self, quantile: f64) -> f64 {
        self.latencies.value_at_quantile(quantile) as f64 / 1000.0
    }
}

impl Target {
    /// A POST of JSON.
    pub(crate) fn post(address: &str, path: &str, token: Option<&str>, body: &str) -> Self {
        let token = token.map(|token| format!("authorization: Bearer {token}\r\n")).unwrap_or_default();
        let length = body.replace("{n}", "00000000").len();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {address}\r\n{token}content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
        );
        Self { address: address.to_owned(), head, body: body.to_owned() }
    }

    /// The bytes of one request.
    pub(crate) fn request(&self, number: u64) -> Vec<u8> {
        let mut bytes = self.head.clone().into_bytes();
        bytes.extend_from_slice(self.body.replace("{n}", &format!("{:08}", number % 100_000_000)).as_bytes());
        bytes
    }
}

/// Loads `target` over `connections` connections for `time`.
pub(crate) async fn run(target: &Target, connections: u64, time: Duration) -> anyhow::Result<Outcome> {
    let begun = Instant::now();
    let end = begun + time;
    let tasks: Vec<_> = (0..connections)
        .map(|connection| tokio::spawn(one_connection(target.clone(), connection * 1_000_003, end)))
        .collect();
    let mut latencies = Histogram::new_with_bounds(1, 60_000_000, 3)?;
    let mut errors = 0;
    for task in tasks {
        let (seen, failed) = task.await??;
        latencies.add(&seen)?;
        errors += failed;
    }
    Ok(Outcome { answered: latencies.len(), errors, elapsed: begun.elapsed(), latencies })
}

async fn one_connection(target: Target, first: u64, end: Instant) -> anyhow::Result<(Histogram<u64>, u64)> {
    let mut latencies = Histogram::new_with_bounds(1, 60_000_000, 3)?;
    let mut errors = 0;
    let mut stream = connect(&target.address).await?;
    let mut buffer = Vec::with_capacity(16 * 1024);
    let mut number = first;
    while Instant::now() < end {
        number += 1;
        let request = target.request(number);
        let begun = Instant::now();
        stream.write_all(&request).await?;
        let status = read_answer(&mut stream, &mut buffer).await?;
        latencies.record(begun.elapsed().as_micros().max(1) as u64)?;
        if status != 200 {
            errors += 1;
        }
    }
    Ok((latencies, errors))
}

/// A connection over which one request follows the other, with the token of all services.
pub(crate) struct Conversation {
    stream: TcpStream,
    address: String,
    buffer: Vec<u8>,
}

impl Conversation {
    pub(crate) async fn open(address: &str) -> anyhow::Result<Self> {
        Ok(Self { stream: connect(address).await?, address: address.to_owned(), buffer: Vec::with_capacity(16 * 1024) })
    }

    /// The status of the answer.
    pub(crate) async fn post(&mut self, path: &str, body: &str) -> anyhow::Result<u16> {
        self.send(&Target::post(&self.address, path, Some(TOKEN), body).request(0)).await
    }

    /// The status of the answer.
    pub(crate) async fn get(&mut self, path: &str) -> anyhow::Result<u16> {
        let request = format!("GET {path} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {TOKEN}\r\n\r\n", self.address);
        self.send(request.as_bytes()).await
    }

    async fn send(&mut self, request: &[u8]) -> anyhow::Result<u16> {
        self.stream.write_all(request).await?;
        read_answer(&mut self.stream, &mut self.buffer).await
    }
}

/// An open connection.
pub(crate) async fn connect(address: &str) -> anyhow::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Reads one answer with a known length, and says its status.
async fn read_answer(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> anyhow::Result<u16> {
    buffer.clear();
    let head = loop {
        if let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(buffer).await? == 0 {
            bail!("the connection was closed before the answer");
        }
    };
    let text = std::str::from_utf8(&buffer[..head])?;
    let status = text.get(9..12).context("no status")?.parse()?;
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    let whole = head + length.context("an answer without a length")?;
    while buffer.len() < whole {
        if stream.read_buf(buffer).await? == 0 {
            bail!("the connection was closed within the answer");
        }
    }
    Ok(status)
}
