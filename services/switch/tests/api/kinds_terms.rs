//! What holds for every kind of provider and for callers of either wire: keys, retries, breakers, limits and the bill.

use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::app::{Answer, App, eventually};
use crate::fake::{Act, Fake, answer, completion};

const CHAT: &str = "/v1/chat/completions";
const MESSAGES: &str = "/v1/messages";
/// A request that either wire understands.
const BODY: &str = r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hello"}]}"#;

/// A kind, and where it wants its key.
const KINDS: [(&str, &str); 4] = [
    ("openai", "authorization: bearer "),
    ("azure-openai", "api-key: "),
    ("anthropic", "x-api-key: "),
    ("gemini", "x-goog-api-key: "),
];

/// A whole answer of a kind, which read 100 tokens, 40 of them from its cache, and wrote 20.
fn whole(kind: &str) -> Act {
    let body = match kind {
        "anthropic" => json!({
            "id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "stop_reason": "end_turn",
            "content": [{"type": "text", "text": "hi"}],
            "usage": {"input_tokens": 60, "cache_read_input_tokens": 40, "cache_creation_input_tokens": 0, "output_tokens": 20},
        }),
        "gemini" => json!({
            "responseId": "r1", "candidates": [{"content": {"parts": [{"text": "hi"}]}, "finishReason": "STOP"}],
            "usageMetadata": {"promptTokenCount": 100, "cachedContentTokenCount": 40, "candidatesTokenCount": 15, "thoughtsTokenCount": 5},
        }),
        _ => json!({
            "id": "c1", "model": "gpt", "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hi"}}],
            "usage": {"prompt_tokens": 100, "prompt_tokens_details": {"cached_tokens": 40}, "completion_tokens": 20},
        }),
    };
    answer(200, "", &body.to_string())
}

/// The same as a stream.
fn streamed(kind: &str) -> Act {
    let events = match kind {
        "anthropic" => vec![
            json!({"type": "message_start", "message": {"id": "msg_1", "model": "claude", "usage": {"input_tokens": 60, "cache_read_input_tokens": 40, "output_tokens": 1}}}),
            json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
            json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hi"}}),
            json!({"type": "content_block_stop", "index": 0}),
            json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 20}}),
            json!({"type": "message_stop"}),
        ],
        "gemini" => vec![json!({
            "responseId": "r1", "candidates": [{"content": {"parts": [{"text": "hi"}]}, "finishReason": "STOP"}],
            "usageMetadata": {"promptTokenCount": 100, "cachedContentTokenCount": 40, "candidatesTokenCount": 15, "thoughtsTokenCount": 5},
        })],
        _ => vec![
            json!({"id": "c1", "choices": [{"index": 0, "delta": {"content": "hi"}, "finish_reason": "stop"}]}),
            json!({"id": "c1", "choices": [], "usage": {"prompt_tokens": 100, "prompt_tokens_details": {"cached_tokens": 40}, "completion_tokens": 20}}),
        ],
    };
    let body: String = events.iter().map(|event| format!("data: {event}\n\n")).collect();
    Act::Say(format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n{body}"))
}

/// An error of a kind.
fn error(kind: &str, status: u16) -> Act {
    let error = json!({"type": "api_error", "message": format!("{kind} says {status}")});
    answer(status, "", &json!({"type": "error", "error": error}).to_string())
}

fn request(stream: bool) -> String {
    BODY.replacen('{', &format!("{{\"stream\":{stream},"), 1)
}

/// The keys of all requests, as they stand in the header of the kind.
fn keys(fake: &Fake, header: &str) -> Vec<String> {
    let key = |request: String| {
        request
            .lines()
            .find_map(|line| line.to_ascii_lowercase().strip_prefix(header).map(str::to_owned))
            .unwrap_or_default()
    };
    fake.requests().into_iter().map(key).collect()
}

#[tokio::test]
async fn a_refused_key_makes_room_for_the_next_whatever_the_kind() {
    for ((kind, header), path) in KINDS.into_iter().flat_map(|kind| [CHAT, MESSAGES].map(|path| (kind, path))) {
        // Gemini says 400 of a key that it does not know.
        let refused = match kind {
            "gemini" => answer(
                400,
                "",
                r#"{"error":{"code":400,"message":"API key not valid","details":[{"reason":"API_KEY_INVALID"}]}}"#,
            ),
            _ => error(kind, 401),
        };
        let fake = Fake::start(move |number| vec![if number == 0 { refused.clone() } else { whole(kind) }]).await;
        let configured = [
            ("VX11_SWITCH__PROVIDERS__A__KIND", kind),
            ("VX11_SWITCH__PROVIDERS__A__API_KEY_ENVS", r#"["FIRST_KEY","SECOND_KEY"]"#),
            ("FIRST_KEY", "sk-first"),
            ("SECOND_KEY", "sk-second"),
        ];
        let app = App::in_front_of(&[&fake.url], &configured).await;
        for _ in 0..2 {
            let got = Answer::of(app.post(path, BODY)).await;
            assert_eq!(got.status, 200, "{kind} at {path}: {}", got.body);
        }
        assert_eq!(keys(&fake, header), ["sk-first", "sk-second", "sk-second"], "{kind} at {path}");
        let row = app.provider("a").await;
        assert_eq!((&row["keys"][0]["state"], &row["breaker"]["failure_count"]), (&json!("dead"), &json!(0)), "{kind}");
        app.stop().await;
    }
}

#[tokio::test]
async fn an_account_without_credit_is_left_for_the_next_key_and_the_next_provider() {
    let out_of_credit = json!({"type": "error", "error": {
        "type": "invalid_request_error",
        "message": "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing.",
    }});
    let broke = answer(400, "", &out_of_credit.to_string());
    let in_a_stream = Act::Say(format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\nevent: error\ndata: {out_of_credit}\n\n"
    ));
    let keys_of_a = [
        ("VX11_SWITCH__PROVIDERS__A__KIND", "anthropic"),
        ("VX11_SWITCH__PROVIDERS__A__API_KEY_ENVS", r#"["FIRST_KEY","SECOND_KEY"]"#),
        ("FIRST_KEY", "sk-first"),
        ("SECOND_KEY", "sk-second"),
    ];
    for (stream, refused) in [(false, broke.clone()), (true, broke), (true, in_a_stream)] {
        let (fake, other) = (Fake::always([refused]).await, Fake::always([completion("hi")]).await);
        let app = App::in_front_of(&[&fake.url, &other.url], &keys_of_a).await;
        let got = Answer::of(app.post(CHAT, request(stream)).header("x-vx11-provider", "a")).await;
        assert_eq!((got.status, got.code()), (502, "upstream_credentials_exhausted"), "{}", got.body);
        assert_eq!(keys(&fake, "x-api-key: "), ["sk-first", "sk-second"]);
        let got = Answer::of(app.post(CHAT, request(false))).await;
        assert_eq!((got.status, got.header("x-vx11-provider")), (200, "b"), "{}", got.body);
        app.stop().await;
    }
}

#[tokio::test]
async fn a_count_that_an_account_without_credit_is_refused_is_estimated() {
    let error = json!({"type": "invalid_request_error", "message": "Your credit balance is too low to access this."});
    let fake = Fake::always([answer(400, "", &json!({"type": "error", "error": error}).to_string())]).await;
    let app = App::in_front_of(&[&fake.url], &[("VX11_SWITCH__PROVIDERS__A__KIND", "anthropic")]).await;
    let got = Answer::of(app.post("/v1/messages/count_tokens", BODY)).await;
    assert_eq!((got.status, fake.requests().len()), (200, 1), "{}", got.body);
    assert!(got.json()["input_tokens"].as_u64().unwrap() > 0, "{}", got.body);
}

#[tokio::test]
async fn what_passes_is_asked_again_and_a_breaker_opens_whatever_the_kind() {
    for ((kind, _), path) in KINDS.into_iter().flat_map(|kind| [CHAT, MESSAGES].map(|path| (kind, path))) {
        let busy = if kind == "anthropic" { 529 } else { 503 };
        let fake = Fake::start(move |number| vec![if number == 0 { error(kind, busy) } else { whole(kind) }]).await;
        let configured = [
            ("VX11_SWITCH__PROVIDERS__A__KIND", kind),
            ("VX11_SWITCH__RETRIES__ATTEMPTS", "1"),
            ("VX11_SWITCH__RETRIES__BASE", "1ms"),
        ];
        let app = App::in_front_of(&[&fake.url], &configured).await;
        let got = Answer::of(app.post(path, BODY)).await;
        assert_eq!((got.status, got.header("x-vx11-attempts")), (200, "2"), "{kind} at {path}: {}", got.body);
        app.stop().await;

        let (bad, good) = (Fake::always([error(kind, 500)]).await, Fake::always([completion("hi")]).await);
        let threshold = ("VX11_SWITCH__PROVIDERS__A__BREAKER__FAILURE_THRESHOLD", "2");
        let app = App::in_front_of(&[&bad.url, &good.url], &[configured[0], threshold]).await;
        for attempts in ["2", "2", "1"] {
            let got = Answer::of(app.post(path, BODY)).await;
            assert_eq!((got.status, got.header("x-vx11-attempts")), (200, attempts), "{kind} at {path}");
        }
        assert_eq!(app.provider("a").await["breaker"]["state"], "open", "{kind} at {path}");
        app.stop().await;
    }
}

/// A gateway in front of one provider of a kind, whose model `m` costs a dollar per million tokens read, ten cents from
/// its cache, and ten dollars per million written, with a key `alice`.
async fn priced(provider: &Fake, kind: &str, key: &str) -> App {
    let file = NamedTempFile::new().unwrap();
    let text = format!(
        "[switch.providers.a]\nkind = \"{kind}\"\nbase_url = \"{}/v1\"\nmodels = [\"m\"]\n\
         [switch.prices]\nm = {{ input = 1, output = 10, cached_input = 0.1, cache_write = 1.25, cache_write_1h = 2 }}\n\
         [switch.keys.alice]\nsecret_env = \"ALICE_SECRET\"\n{key}",
        provider.url,
    );
    std::fs::write(file.path(), text).unwrap();
    App::start_with(Some(file.path()), &[("ALICE_SECRET", "sk-alice")]).await
}

async fn usage(app: &App) -> Vec<Value> {
    Answer::of(app.get("/switch/usage?group_by=key")).await.json()["rows"].as_array().unwrap().clone()
}

#[tokio::test]
async fn what_was_spent_is_billed_whatever_the_kind_and_the_wire() {
    for ((kind, _), path) in KINDS.into_iter().flat_map(|kind| [CHAT, MESSAGES].map(|path| (kind, path))) {
        for stream in [false, true] {
            let fake = Fake::always([if stream { streamed(kind) } else { whole(kind) }]).await;
            let app = priced(&fake, kind, "").await;
            let body = request(stream);
            let got = Answer::of(app.stranger(path).header("x-api-key", "sk-alice").body(body)).await;
            let why = format!("{kind} at {path}, stream {stream}: {}", got.body);
            assert_eq!(got.status, 200, "{why}");
            // 60 x 1 + 40 x 0.1 + 20 x 10 dollars per million.
            assert_eq!(got.header("x-vx11-cost-usd"), if stream { "" } else { "0.000264" }, "{why}");
            eventually("the row is written", async || usage(&app).await.len() == 1).await;
            let row = &usage(&app).await[0];
            let sums = ["prompt_tokens", "cached_tokens", "completion_tokens", "estimated_requests"]
                .map(|sum| row[sum].as_u64().unwrap());
            assert_eq!(
                (sums, &row["cost_usd"], &row["group"]),
                ([100, 40, 20, 0], &json!("0.000264"), &json!("alice")),
                "{why}"
            );
            app.stop().await;
        }
    }
}

#[tokio::test]
async fn what_a_provider_puts_into_its_cache_has_its_own_price() {
    let usage_of = json!({
        "input_tokens": 50, "cache_read_input_tokens": 20, "cache_creation_input_tokens": 30, "output_tokens": 10,
        "cache_creation": {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 10},
    });
    let body = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "stop_reason": "end_turn",
        "content": [{"type": "text", "text": "hi"}], "usage": usage_of,
    });
    for path in [CHAT, MESSAGES] {
        let fake = Fake::always([answer(200, "", &body.to_string())]).await;
        let app = priced(&fake, "anthropic", "").await;
        let got = Answer::of(app.stranger(path).header("x-api-key", "sk-alice").body(BODY)).await;
        // 50 x 1 + 20 x 0.1 + 20 x 1.25 + 10 x 2 + 10 x 10 dollars per million.
        assert_eq!((got.status, got.header("x-vx11-cost-usd")), (200, "0.000197"), "{path}: {}", got.body);
        eventually("the row is written", async || usage(&app).await.len() == 1).await;
        let row = &usage(&app).await[0];
        assert_eq!(
            (&row["prompt_tokens"], &row["cached_tokens"], &row["cache_written_tokens"]),
            (&json!(100), &json!(20), &json!(30)),
            "{path}"
        );
        app.stop().await;
    }
}

#[tokio::test]
async fn limits_hold_for_anthropics_clients_in_their_own_words() {
    let fake = Fake::always([whole("anthropic")]).await;
    let app = priced(&fake, "anthropic", "requests_per_day = 1\nmodels = [\"m\"]").await;
    let ask = async |body: String| Answer::of(app.stranger(MESSAGES).header("x-api-key", "sk-alice").body(body)).await;
    let other = ask(BODY.replace("\"m\"", "\"a/m\"")).await;
    assert_eq!((other.status, &other.json()["error"]["type"]), (403, &json!("permission_error")), "{}", other.body);
    let got = ask(BODY.to_owned()).await;
    assert_eq!((got.status, got.header("x-ratelimit-remaining-requests")), (200, "0"), "{}", got.body);
    let got = ask(BODY.to_owned()).await;
    assert_eq!((got.status, &got.json()["error"]["type"]), (429, &json!("rate_limit_error")), "{}", got.body);
    assert!(got.header("retry-after").parse::<u64>().unwrap() >= 1);
    assert_eq!(fake.requests().len(), 1);
}

#[tokio::test]
async fn counting_tokens_costs_nothing() {
    let fake = Fake::always([answer(200, "", r#"{"input_tokens":42}"#)]).await;
    let app = priced(&fake, "anthropic", "").await;
    let path = "/v1/messages/count_tokens";
    let got = Answer::of(app.stranger(path).header("x-api-key", "sk-alice").body(BODY)).await;
    assert_eq!(got.json(), json!({"input_tokens": 42}));
    eventually("the row is written", async || usage(&app).await.len() == 1).await;
    let row = &usage(&app).await[0];
    assert_eq!((&row["cost_usd"], &row["prompt_tokens"]), (&json!("0"), &json!(0)), "{row}");
}

#[tokio::test]
async fn what_a_request_asks_of_the_gateway_holds_for_messages() {
    let (bad, good) = (Fake::always([error("openai", 503)]).await, Fake::always([completion("hi")]).await);
    let app = App::in_front_of(&[&bad.url, &good.url], &[]).await;
    let off = Answer::of(app.post(MESSAGES, BODY).header("x-vx11-fallback", "off")).await;
    assert_eq!((off.status, &off.json()["error"]["type"]), (503, &json!("overloaded_error")), "{}", off.body);
    assert_eq!(good.requests().len(), 0);
    let pinned = Answer::of(app.post(MESSAGES, BODY).header("x-vx11-provider", "b")).await;
    assert_eq!((pinned.status, pinned.header("x-vx11-attempts")), (200, "1"), "{}", pinned.body);
    let elsewhere = Answer::of(app.post(MESSAGES, BODY).header("x-vx11-model", "b/any-thing")).await;
    assert_eq!((elsewhere.status, elsewhere.header("x-vx11-model")), (200, "any-thing"), "{}", elsewhere.body);
}

#[tokio::test]
async fn embeddings_and_text_completions_go_to_kinds_that_have_them() {
    let fake = Fake::always([whole("anthropic")]).await;
    let app = App::in_front_of(&[&fake.url], &[("VX11_SWITCH__PROVIDERS__A__KIND", "anthropic")]).await;
    let got = Answer::of(app.post("/v1/embeddings", r#"{"model":"m","input":"hello"}"#)).await;
    assert_eq!((got.status, got.json()["error"]["param"].as_str()), (400, Some("model")), "{}", got.body);
    let got = Answer::of(app.post("/v1/completions", r#"{"model":"m","prompt":"hello"}"#)).await;
    assert_eq!((got.status, got.json()["choices"][0]["text"].as_str()), (200, Some("hi")), "{}", got.body);
    let got = Answer::of(app.post("/v1/responses", r#"{"model":"m","input":"hello"}"#)).await;
    assert_eq!((got.status, &got.json()["output"][0]["content"][0]["text"]), (200, &json!("hi")), "{}", got.body);

    let vectors = answer(
        200,
        "",
        r#"{"object":"list","data":[{"index":0,"embedding":[0.5]}],"usage":{"prompt_tokens":1,"total_tokens":1}}"#,
    );
    let azure = Fake::always([vectors]).await;
    let app = App::in_front_of(&[&azure.url], &[("VX11_SWITCH__PROVIDERS__A__KIND", "azure-openai")]).await;
    let got = Answer::of(app.post("/v1/embeddings", r#"{"model":"m","input":"hello"}"#)).await;
    assert_eq!(got.status, 200, "{}", got.body);
    assert!(azure.requests()[0].starts_with("POST /v1/openai/deployments/m-a/embeddings?api-version="));
}
