//! Streams side by side: how long until each has its first chunk with something in it. The chunk that only names the
//! role does not count: nobody sees it, and a gateway that means to fail over unseen holds it back until there is a
//! token.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::load::{self, Target};
use crate::report::median;

/// Longest wait for a whole stream.
const PATIENCE: Duration = Duration::from_secs(30);

/// Opens `count` streams at once over connections that are there already, and reads each to its end.
pub(crate) async fn median_first_chunk_ms(target: &Target, count: usize) -> anyhow::Result<f64> {
    let mut connections = Vec::with_capacity(count);
    for _ in 0..count {
        connections.push(load::connect(&target.address).await?);
    }
    // Whoever is behind the target opens its own connections now.
    let mut medians = Vec::new();
    for round in 0..3 {
        let streams = connections.into_iter().enumerate().map(|(number, connection)| {
            let request = target.request((round * count + number) as u64);
            tokio::spawn(tokio::time::timeout(PATIENCE, one(connection, request)))
        });
        let streams: Vec<_> = streams.collect();
        let (mut kept, mut firsts) = (Vec::with_capacity(count), Vec::with_capacity(count));
        for stream in streams {
            let (connection, first) = stream.await?.context("a stream took too long")??;
            kept.push(connection);
            firsts.push(first);
        }
        connections = kept;
        medians.push(median(firsts));
    }
    // The first round opened connections; the best of the others is the least disturbed.
    Ok(medians[1].min(medians[2]))
}

fn has_text(seen: &[u8]) -> bool {
    const TEXT: &[u8] = br#""content":""#;
    seen.windows(TEXT.len() + 1).any(|window| window.starts_with(TEXT) && !window.ends_with(b"\""))
}

async fn one(mut connection: tokio::net::TcpStream, request: Vec<u8>) -> anyhow::Result<(tokio::net::TcpStream, f64)> {
    let begun = Instant::now();
    connection.write_all(&request).await?;
    let (mut seen, mut first) = (Vec::with_capacity(16 * 1024), None);
    while !seen.ends_with(b"0\r\n\r\n") {
        if connection.read_buf(&mut seen).await? == 0 {
            bail!("a stream was closed: {}", String::from_utf8_lossy(&seen));
        }
        if first.is_none() && has_text(&seen) {
            first = Some(begun.elapsed().as_secs_f64() * 1000.0);
        }
    }
    if !seen.windows(12).any(|end| end == b"data: [DONE]") {
        bail!("a stream is not whole: {}", String::from_utf8_lossy(&seen));
    }
    Ok((connection, first.context("a stream without a token")?))
}
