//! A gateway with a model for each cell, between two mock providers.

use std::fmt::Write as _;

use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::{NamedTempFile, TempDir};
use vx11_testing::{Answer, Running, eventually};

use super::PROMPT;
use super::cell::Ledger;
use super::row::{Kind, Plan, Row};
use crate::app::mock_provider;

const TOKEN: &str = "test";

/// The gateway and its providers.
#[derive(Debug)]
pub(super) struct Stage {
    gateway: Running,
    first: Running,
    spare: Running,
    /// The whole answer.
    pub(super) answer: String,
    _data: TempDir,
}

impl Stage {
    /// With models for `rows`; the providers speak the wires of `kinds`.
    pub(super) async fn start(rows: &[Row], kinds: (Kind, Kind)) -> Self {
        Self::of(|first, spare| config(rows, (first, kinds.0), (spare, kinds.1))).await
    }

    /// With the configuration that `config` writes for the two providers.
    pub(super) async fn of(config: impl FnOnce(&Running, &Running) -> String) -> Self {
        let (first, spare) = (mock_provider(), mock_provider());
        let (file, data) = (NamedTempFile::new().unwrap(), tempfile::tempdir().unwrap());
        std::fs::write(file.path(), config(&first, &spare)).unwrap();
        let variables =
            [("VX11_TOKEN", TOKEN), ("VX11_HTTP__WORKERS", "1"), ("VX11_DATA_DIR", data.path().to_str().unwrap())];
        let gateway = Running::start(Some(file.path()), &variables, vx11_switch::serve);
        let asked = json!({"model": "mock", "messages": [{"role": "user", "content": PROMPT}]});
        let answer = Answer::of(first.request(Method::POST, "/v1/chat/completions").json(&asked)).await.text();
        Self { gateway, first, spare, answer, _data: data }
    }

    /// The model of a cell.
    pub(super) fn model(row: &Row, stream: bool) -> String {
        let words: Vec<&str> = row.name.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
        format!("{}-{}", words.join("-"), if stream { "stream" } else { "json" })
    }

    /// What so many tokens cost, as the ledger writes it: a dollar for a million tokens read, ten for a million
    /// written.
    pub(super) fn price(read: u64, written: u64) -> String {
        let micros = format!("0.{:06}", read + 10 * written);
        micros.trim_end_matches('0').trim_end_matches('.').to_owned()
    }

    /// Has the providers do what `row` says from now on.
    pub(super) async fn set(&self, row: &Row) {
        for (mock, plan) in [(&self.first, row.first), (&self.spare, row.spare)] {
            let rules = match plan {
                Plan::Never => Vec::new(),
                Plan::Once(plan) => vec![rule(plan, Some(1))],
                Plan::InTurn(plans) => plans.iter().map(|plan| rule(plan, Some(1))).collect(),
                Plan::Always(plan) => vec![rule(plan, None)],
            };
            set(mock, &rules).await;
        }
    }

    /// Has the first provider do one of these to each of the next calls, and be well afterwards.
    pub(super) async fn set_in_turn(&self, plans: &[&str]) {
        let rules: Vec<Value> = plans.iter().map(|plan| rule(plan, Some(1))).collect();
        set(&self.first, &rules).await;
    }

    /// Waits until the breaker of a provider is in this state.
    pub(super) async fn breaker_is(&self, provider: &str, state: &str) {
        let is = async || {
            let list = Answer::of(self.gateway.request(Method::GET, "/switch/providers").bearer_auth(TOKEN)).await;
            let rows = list["providers"].as_array().unwrap();
            rows.iter().any(|row| row["name"] == provider && row["breaker"]["state"] == state)
        };
        eventually(&format!("{provider} is {state}"), is).await;
    }

    /// Asks the gateway.
    pub(super) async fn ask(&self, path: &str, body: String, correlation_id: &str) -> Answer {
        let request = self.gateway.request(Method::POST, path).bearer_auth(TOKEN).body(body);
        Answer::of(request.header("x-correlation-id", correlation_id)).await
    }

    /// When the first provider and the spare one were asked for a request, by the one clock that they have.
    pub(super) async fn asked(&self, correlation_id: &str) -> (Vec<Timestamp>, Vec<Timestamp>) {
        let times = async |mock: &Running| {
            let log = log(mock, correlation_id).await;
            log.iter().map(|entry| entry["timestamp"].as_str().unwrap().parse().unwrap()).collect()
        };
        (times(&self.first).await, times(&self.spare).await)
    }

    /// Waits until the first provider has seen its caller hang up on each call for a request, before it had answered.
    pub(super) async fn is_given_up(&self, correlation_id: &str) {
        eventually(&format!("the first provider of {correlation_id} is given up"), async || {
            log(&self.first, correlation_id).await.iter().all(|entry| entry["outcome"] == "client_disconnected")
        })
        .await;
    }

    /// The bills, once so many are written.
    pub(super) async fn ledger(&self, requests: u64) -> Ledger {
        let rows = async || {
            let usage = self.gateway.request(Method::GET, "/switch/usage?group_by=model").bearer_auth(TOKEN);
            let rows = Answer::of(usage).await.json()["rows"].as_array().unwrap().clone();
            rows.into_iter().map(|row| (row["group"].as_str().unwrap().to_owned(), row)).collect::<Ledger>()
        };
        eventually("every bill is written", async || {
            rows().await.values().map(|row| row["requests"].as_u64().unwrap()).sum::<u64>() == requests
        })
        .await;
        rows().await
    }
}

/// What a provider does to so many calls.
fn rule(plan: &str, times: Option<u64>) -> Value {
    json!({"plan": plan, "times": times})
}

/// Has a provider follow these rules.
async fn set(mock: &Running, rules: &[Value]) {
    let set = Answer::of(mock.request(Method::PUT, "/admin/faults").json(rules)).await;
    assert_eq!(set.status, 200, "{}", set.body);
}

/// What a provider has written down of the calls for a request.
async fn log(mock: &Running, correlation_id: &str) -> Vec<Value> {
    let log = mock.request(Method::GET, &format!("/admin/requests?correlation_id={correlation_id}"));
    Answer::of(log).await.json().as_array().unwrap().clone()
}

/// The gateway's configuration. Pauses between retries are short, and there is no limit to their number: what one row
/// does to a provider must not be felt in the next. For the same reason no breaker opens.
fn config(rows: &[Row], first: (&Running, Kind), spare: (&Running, Kind)) -> String {
    let mut text = "[switch.retries]\nbase = \"1ms\"\nmin_per_second = 100000\n\
                    [switch.prices]\nmock = { input = 1, output = 10 }\n"
        .to_owned();
    for (name, (mock, kind), limits) in [
        ("first", first, ""),
        ("hasty", first, "timeout = \"1s\"\n"),
        ("restless", first, "timeout = \"1s\"\nttft_timeout = \"20s\"\nstream_idle_timeout = \"1s\"\n"),
        ("spare", spare, ""),
        ("prefilling", spare, "prefill = true\n"),
    ] {
        let (kind, url) = (kind.as_str(), mock.url("/v1"));
        write!(
            text,
            "[switch.providers.{name}]\nkind = \"{kind}\"\nbase_url = \"{url}\"\nmodels = [\"mock\"]\n{limits}\
             breaker = {{ failure_threshold = 1000000 }}\n"
        )
        .unwrap();
    }
    for (row, stream) in rows.iter().flat_map(|row| [(row, true), (row, false)]) {
        let list =
            |providers: &[&str]| providers.iter().map(|name| format!("\"{name}/mock\"")).collect::<Vec<_>>().join(", ");
        let (model, targets, larger) = (Stage::model(row, stream), list(row.targets), list(row.larger.as_slice()));
        write!(text, "[switch.models.\"{model}\"]\ntargets = [{targets}]\ncontext_fallback = [{larger}]\n").unwrap();
    }
    text
}
