//! What the gateway words itself, in front of servers of OpenAI's wire that do not all know the same words.

use serde_json::{Value, json};

use crate::app::{Answer, App};
use crate::fake::{Fake, completion};

const MODELS: (&str, &str) = ("VX11_SWITCH__PROVIDERS__A__MODELS", r#"["m-a","o3-mini","gpt-5","gpt-4o","llama"]"#);
const AZURE: (&str, &str) = ("VX11_SWITCH__PROVIDERS__A__KIND", "azure-openai");
const CHATS_ONLY: (&str, &str) = ("VX11_SWITCH__PROVIDERS__A__TEXT_COMPLETIONS", "false");

async fn sent(fake: &Fake, app: &App, path: &str, body: Value) -> Value {
    let got = Answer::of(app.post(path, body.to_string())).await;
    assert_eq!(got.status, 200, "{}", got.body);
    let request = fake.requests().pop().unwrap();
    serde_json::from_str(request.split_once("\r\n\r\n").unwrap().1).unwrap()
}

/// Requests of every wire that is translated for a server that chats, each with a limit of nine tokens.
fn requests(model: &str) -> [(&'static str, Value); 3] {
    let messages = json!([{"role": "user", "content": "hello"}]);
    [
        ("/v1/messages", json!({"model": model, "max_tokens": 9, "messages": messages})),
        ("/v1/responses", json!({"model": model, "max_output_tokens": 9, "input": "hello"})),
        ("/v1/completions", json!({"model": model, "max_tokens": 9, "prompt": "hello"})),
    ]
}

#[tokio::test]
async fn the_limit_of_an_answer_has_the_name_that_the_model_knows() {
    let fake = Fake::always([completion("hi")]).await;
    let openai = App::in_front_of(&[&fake.url], &[MODELS, CHATS_ONLY]).await;
    let azure = App::in_front_of(&[&fake.url], &[MODELS, CHATS_ONLY, AZURE]).await;
    for (app, model, name, other) in [
        (&openai, "o3-mini", "max_completion_tokens", "max_tokens"),
        (&openai, "gpt-5", "max_completion_tokens", "max_tokens"),
        (&openai, "llama", "max_tokens", "max_completion_tokens"),
        (&azure, "m-a", "max_completion_tokens", "max_tokens"),
        (&azure, "gpt-4o", "max_tokens", "max_completion_tokens"),
    ] {
        for (path, body) in requests(model) {
            let sent = sent(&fake, app, path, body).await;
            assert_eq!((&sent[name], sent.get(other)), (&json!(9), None), "{model} at {path}: {sent}");
        }
    }
}

#[tokio::test]
async fn a_callers_own_words_are_not_changed() {
    let fake = Fake::always([completion("hi")]).await;
    let app = App::in_front_of(&[&fake.url], &[MODELS]).await;
    let message = json!({"role": "assistant", "content": "so", "reasoning_content": "hm"});
    let body = json!({"model": "o3-mini", "max_tokens": 9, "messages": [message]});
    assert_eq!(sent(&fake, &app, "/v1/chat/completions", body.clone()).await, body);
}
