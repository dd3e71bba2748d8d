//! Keys, limits, budgets, costs and the ledger, as callers see them.

mod budgets;
mod costs;
mod identities;
mod key_limits;
mod keys;
mod limits;
mod made_up;
mod on_behalf;
mod stream_costs;

use reqwest::RequestBuilder;
use serde_json::Value;
use tempfile::NamedTempFile;

use crate::app::{Answer, App, eventually};
use crate::fake::{Act, Fake, answer};

/// A whole answer with this usage.
fn spending(usage: &str) -> Act {
    let body = format!(r#"{{"choices":[{{"message":{{"content":"hi there"}}}}],"usage":{usage}}}"#);
    answer(200, "", &body)
}

/// A gateway in front of `provider`, whose model `m` costs a dollar per million tokens read and ten per million
/// written, with a key `alice` whose secret is `sk-alice`.
async fn app(provider: &Fake, config: &str) -> App {
    app_in(provider, config, &[]).await
}

async fn app_in(provider: &Fake, config: &str, variables: &[(&str, &str)]) -> App {
    let file = NamedTempFile::new().unwrap();
    let text = format!(
        "[switch.providers.a]\nbase_url = \"{}/v1\"\nmodels = [\"m\", \"n\"]\n\
         [switch.prices]\nm = {{ input = 1, output = 10, cached_input = 0.1 }}\nn = {{ input = 1, output = 1000, tiers = {{ priority = 2.5 }} }}\n{config}",
        provider.url,
    );
    std::fs::write(file.path(), text).unwrap();
    let mut all = vec![("ALICE_SECRET", "sk-alice"), ("BOB_SECRET", "sk-bob")];
    all.extend_from_slice(variables);
    App::start_with(Some(file.path()), &all).await
}

fn ask(app: &App, secret: &str, body: &str) -> RequestBuilder {
    app.stranger("/v1/chat/completions").bearer_auth(secret).body(body.to_owned())
}

const BODY: &str = r#"{"model":"m","messages":[{"role":"user","content":"hello"}],"max_tokens":10}"#;

async fn usage(app: &App, query: &str) -> Vec<Value> {
    Answer::of(app.get(&format!("/switch/usage?{query}"))).await.json()["rows"].as_array().unwrap().clone()
}

/// Waits until the ledger has `requests` rows, and gives their sums.
async fn ledger(app: &App, requests: u64) -> Value {
    let sums = async || usage(app, "group_by=model").await;
    eventually("the rows are written", async || {
        sums().await.iter().map(|row| row["requests"].as_u64().unwrap()).sum::<u64>() == requests
    })
    .await;
    sums().await.remove(0)
}
