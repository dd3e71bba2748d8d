//! The response cache: what is answered from it, what is not, and one call for all who ask the same.

mod coalescing;
mod reuse;
mod storing;
mod tenants;

use serde_json::Value;

use crate::app::{Answer, App};
use crate::fake::Fake;

const ON: (&str, &str) = ("VX11_SWITCH__CACHE__ENABLED", "true");
const PATH: &str = "/v1/chat/completions";
const BODY: &str = r#"{"model":"m","messages":[{"role":"user","content":"hello"}]}"#;
const STREAM: &str = r#"{"stream":true,"messages":[{"content":"hello","role":"user"}],"model":"m"}"#;
const STREAM_WITH_USAGE: &str = r#"{"stream":true,"stream_options":{"include_usage":true},"messages":[{"content":"hello","role":"user"}],"model":"m"}"#;

async fn caching(provider: &Fake) -> App {
    App::in_front_of(&[&provider.url], &[ON]).await
}

async fn ask(app: &App, body: &'static str) -> Answer {
    Answer::of(app.post(PATH, body)).await
}

/// How the cache was used, and the status.
fn used(got: &Answer) -> (u16, &str) {
    (got.status, got.header("x-vx11-cache"))
}

/// What a streamed answer says.
fn text(got: &Answer) -> String {
    let chunks = got.events().into_iter().filter_map(|data| serde_json::from_str::<Value>(data).ok());
    chunks.filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str().map(str::to_owned)).collect()
}

fn has_usage(got: &Answer) -> bool {
    got.events().iter().any(|data| data.contains(r#""usage":{"#) && data.contains(r#""choices":[]"#))
}

async fn counted(app: &App, outcome: &str) -> f64 {
    app.metric(&format!(r#"vx11_cache_requests_total{{outcome="{outcome}"}}"#)).await
}
