//! Readers of the event stream, who resume wherever it broke off.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, ensure};
use futures_util::StreamExt;
use reqwest::Method;
use tokio::task::AbortHandle;

use super::Report;
use crate::{Caller, wait_until};

/// How long a stream may be silent: its heartbeats come more often.
const SILENCE: Duration = Duration::from_secs(6);
/// Before a stream that broke off is opened again.
const PAUSE: Duration = Duration::from_millis(50);

/// One reader. It stops when it is dropped.
#[derive(Debug)]
pub(super) struct Reader {
    heard: Arc<Mutex<Vec<i64>>>,
    task: AbortHandle,
}

impl Reader {
    /// Reads from the first event on, and resumes at another edge each time; the first is number `first`.
    pub(super) fn begin(edges: &[Caller], first: usize) -> Self {
        let heard = Arc::<Mutex<Vec<i64>>>::default();
        let task = tokio::spawn(read(edges.to_vec(), first, heard.clone())).abort_handle();
        Self { heard, task }
    }

    fn heard(&self) -> Vec<i64> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn read(edges: Vec<Caller>, first: usize, heard: Arc<Mutex<Vec<i64>>>) {
    for edge in edges.iter().cycle().skip(first) {
        let last = heard.lock().unwrap_or_else(PoisonError::into_inner).last().copied().unwrap_or(0);
        let request = edge.request(Method::GET, "/operator/api/events?follow=true").header("last-event-id", last);
        if let Ok(Ok(response)) = tokio::time::timeout(SILENCE, request.send()).await
            && response.status() == 200
        {
            let mut body = response.bytes_stream();
            let mut text = Vec::new();
            while let Ok(Some(Ok(bytes))) = tokio::time::timeout(SILENCE, body.next()).await {
                text.extend_from_slice(&bytes);
                // Of a frame that broke off nothing is heard.
                let Some(end) = text.windows(2).rposition(|two| two == b"\n\n") else { continue };
                let frames = String::from_utf8_lossy(&text[..end]).into_owned();
                text.drain(..end + 2);
                let ids = frames.lines().filter_map(|line| line.strip_prefix("id: ")?.parse::<i64>().ok());
                heard.lock().unwrap_or_else(PoisonError::into_inner).extend(ids);
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Compares what each reader heard with the trail.
pub(super) async fn compare(readers: Vec<Reader>, operators: &[Caller], report: &mut Report) -> anyhow::Result<()> {
    let operator = operators.first().context("an operator")?;
    let newest = page(operator, None).await?.first().copied().unwrap_or(0);
    let kept = trail(operator, newest).await?;
    for (number, reader) in readers.iter().enumerate() {
        wait_until("the reader has heard of the newest", async || {
            reader.heard().last().is_some_and(|last| *last >= newest).then_some(())
        })
        .await;
        let heard = reader.heard();
        for pair in heard.windows(2).filter(|pair| pair[0] >= pair[1]) {
            report.wrong(format!("reader {number} heard of {} after {}", pair[1], pair[0]));
        }
        let heard: BTreeSet<i64> = heard.into_iter().filter(|id| *id <= newest).collect();
        for id in kept.difference(&heard) {
            report.wrong(format!("reader {number} did not hear of {id}"));
        }
        for id in heard.difference(&kept) {
            report.wrong(format!("reader {number} heard of {id}, which is not kept"));
        }
        report.line(format!("events: reader {number} heard of {} of {}", heard.len(), kept.len()));
    }
    Ok(())
}

/// The ids of the whole trail up to `newest`.
async fn trail(operator: &Caller, newest: i64) -> anyhow::Result<BTreeSet<i64>> {
    let mut kept = BTreeSet::new();
    let mut before = newest + 1;
    loop {
        let ids = page(operator, Some(before)).await?;
        let Some(oldest) = ids.last() else { return Ok(kept) };
        before = *oldest;
        kept.extend(ids);
    }
}

/// The newest ids of the trail before `before`, the newest first.
async fn page(operator: &Caller, before: Option<i64>) -> anyhow::Result<Vec<i64>> {
    let before = before.map(|id| format!("&before={id}")).unwrap_or_default();
    let answer = operator.get(&format!("/operator/api/audit?limit=500{before}")).await;
    ensure!(answer.status == 200, "{answer:?}");
    let items = answer.body["data"]["items"].as_array().context("a page")?;
    Ok(items.iter().filter_map(|item| item["id"].as_i64()).collect())
}
