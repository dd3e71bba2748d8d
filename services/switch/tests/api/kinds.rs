//! OpenAI's wire in, and providers that speak another one behind it.

use serde_json::{Value, json};

use crate::app::{Answer, App, mock_provider};
use crate::fake::{Act, Fake, answer, completion, event, stream_head};

/// A gateway whose provider `a` is of this kind and has a key.
async fn app(fake: &Fake, kind: &str, more: &[(&str, &str)]) -> App {
    let mut variables = vec![
        ("VX11_SWITCH__PROVIDERS__A__KIND", kind),
        ("VX11_SWITCH__PROVIDERS__A__API_KEY_ENV", "A_KEY"),
        ("A_KEY", "sk-secret"),
    ];
    variables.extend_from_slice(more);
    App::in_front_of(&[&fake.url], &variables).await
}

async fn ask(app: &App, body: Value) -> Answer {
    Answer::of(app.post("/v1/chat/completions", body.to_string())).await
}

fn hello(more: Value) -> Value {
    let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "hello"}]});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

/// The head in lower case, and the body, of the last request.
fn last(fake: &Fake) -> (String, Value) {
    let request = fake.requests().pop().unwrap();
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    (head.to_lowercase(), serde_json::from_str(body).unwrap())
}

/// What the chunks of a stream say, and why it ended.
fn said(got: &Answer) -> (String, Vec<Value>, Value) {
    let chunks: Vec<Value> =
        got.events().iter().filter(|data| **data != "[DONE]").map(|data| serde_json::from_str(data).unwrap()).collect();
    let content = chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect();
    let reason =
        chunks.iter().map(|chunk| chunk["choices"][0]["finish_reason"].clone()).find(|reason| !reason.is_null());
    (content, chunks, reason.unwrap_or_default())
}

const MESSAGE: &str = r#"{"id":"msg_1","type":"message","role":"assistant","model":"claude","content":[{"type":"text","text":"hi"}],"stop_reason":"end_turn","usage":{"input_tokens":3,"output_tokens":2}}"#;
const CONTENT: &str = r#"{"responseId":"r1","modelVersion":"gemini","candidates":[{"index":0,"content":{"role":"model","parts":[{"text":"hi"}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":2}}"#;

#[tokio::test]
async fn an_anthropic_provider_is_asked_in_its_own_words() {
    let fake = Fake::always([answer(200, "", MESSAGE)]).await;
    let app = app(&fake, "anthropic", &[("VX11_SWITCH__PROVIDERS__A__DEFAULT_MAX_TOKENS", "77")]).await;
    let got = ask(&app, hello(json!({}))).await;
    assert_eq!((got.status, got.json()["choices"][0]["message"]["content"].as_str()), (200, Some("hi")));
    assert_eq!(got.json()["usage"]["total_tokens"], 5);
    assert!(got.json()["created"].as_u64().is_some_and(|created| created > 0));
    let (head, sent) = last(&fake);
    assert!(head.starts_with("post /v1/messages http/1.1"), "{head}");
    assert!(head.contains("x-api-key: sk-secret") && head.contains("anthropic-version: 2023-06-01"), "{head}");
    assert!(!head.contains("authorization"), "{head}");
    let messages = json!([{"role": "user", "content": [{"type": "text", "text": "hello"}]}]);
    assert_eq!(sent, json!({"model": "m-a", "max_tokens": 77, "messages": messages}));
    assert_eq!(app.metric(r#"vx11_tokens_generated_total{model="m-a",provider="a"}"#).await, 2.0);
}

#[tokio::test]
async fn a_gemini_provider_is_asked_in_its_own_words() {
    let fake = Fake::always([answer(200, "", CONTENT)]).await;
    let app = app(&fake, "gemini", &[]).await;
    let got = ask(&app, hello(json!({"temperature": 0.5}))).await;
    assert_eq!((got.status, got.json()["choices"][0]["message"]["content"].as_str()), (200, Some("hi")));
    let (head, sent) = last(&fake);
    assert!(head.starts_with("post /v1/models/m-a:generatecontent http/1.1"), "{head}");
    assert!(head.contains("x-goog-api-key: sk-secret"), "{head}");
    assert_eq!(
        sent,
        json!({"contents": [{"role": "user", "parts": [{"text": "hello"}]}], "generationConfig": {"temperature": 0.5}})
    );
}

#[tokio::test]
async fn an_azure_provider_gets_the_bytes_at_its_own_address() {
    let fake = Fake::always([completion("hi")]).await;
    let app = app(&fake, "azure-openai", &[("VX11_SWITCH__PROVIDERS__A__API_VERSION", "v9")]).await;
    let got = Answer::of(app.post("/v1/chat/completions", r#"{ "model":"m","messages":[],"x":1.50}"#)).await;
    assert_eq!(got.status, 200);
    assert!(got.body.starts_with(r#"{"id": "c1""#), "as it came: {}", got.body);
    let request = fake.requests().pop().unwrap();
    assert!(request.starts_with("POST /v1/openai/deployments/m-a/chat/completions?api-version=v9 "), "{request}");
    assert!(request.contains("api-key: sk-secret") && request.ends_with(r#"{ "model":"m-a","messages":[],"x":1.50}"#));
}

#[tokio::test]
async fn an_anthropic_stream_becomes_chunks() {
    let events = [
        r#"{"type":"message_start","message":{"id":"msg_1","model":"claude","usage":{"input_tokens":3,"output_tokens":1}}}"#,
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hel"}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"lo"}}"#,
        r#"{"type":"content_block_stop","index":0}"#,
        r#"{"type":"message_delta","delta":{"stop_reason":"max_tokens"},"usage":{"output_tokens":2}}"#,
        r#"{"type":"message_stop"}"#,
    ];
    let acts: Vec<Act> = [stream_head()].into_iter().chain(events.map(event)).collect();
    for include_usage in [false, true] {
        let fake = Fake::always(acts.clone()).await;
        let app = app(&fake, "anthropic", &[]).await;
        let got = ask(&app, hello(json!({"stream": true, "stream_options": {"include_usage": include_usage}}))).await;
        let (content, chunks, reason) = said(&got);
        assert_eq!((content.as_str(), &reason), ("Hello", &json!("length")), "{}", got.body);
        assert_eq!(got.events().last(), Some(&"[DONE]"));
        assert!(chunks.iter().all(|chunk| chunk["id"] == "msg_1" && chunk["object"] == "chat.completion.chunk"));
        let silent = chunks.iter().filter(|chunk| chunk["choices"] == json!([])).count();
        assert_eq!(silent, usize::from(include_usage), "{}", got.body);
        assert_eq!(last(&fake).1["stream"], true);
        app.wait_for_metric(r#"vx11_tokens_generated_total{model="m-a",provider="a"}"#, 2.0).await;
    }
    let cut = Fake::always(acts[..4].to_vec()).await;
    let got = ask(&app(&cut, "anthropic", &[]).await, hello(json!({"stream": true}))).await;
    assert!(got.events().last().unwrap().starts_with(r#"{"error":"#) && !got.body.contains("[DONE]"), "{}", got.body);
}

#[tokio::test]
async fn a_gemini_stream_becomes_chunks() {
    let partial = |parts: &str, end: &str| {
        event(&format!(
            r#"{{"responseId":"r1","candidates":[{{"content":{{"parts":[{parts}]}}{end}}}],"usageMetadata":{{"promptTokenCount":3,"candidatesTokenCount":2}}}}"#
        ))
    };
    let call = r#"{"functionCall":{"name":"f","args":{"x":1}}}"#;
    let acts = vec![
        stream_head(),
        partial(r#"{"text":"Hel"}"#, ""),
        partial(r#"{"text":"lo"}"#, ""),
        partial(call, r#","finishReason":"STOP""#),
    ];
    let fake = Fake::always(acts.clone()).await;
    let got = ask(&app(&fake, "gemini", &[]).await, hello(json!({"stream": true}))).await;
    let (content, chunks, reason) = said(&got);
    assert_eq!(
        (content.as_str(), &reason, got.events().last()),
        ("Hello", &json!("tool_calls"), Some(&"[DONE]")),
        "{}",
        got.body
    );
    let calls: Vec<&Value> = chunks
        .iter()
        .map(|chunk| &chunk["choices"][0]["delta"]["tool_calls"])
        .filter(|calls| !calls.is_null())
        .collect();
    assert_eq!(calls[0][0]["function"], json!({"name": "f", "arguments": "{\"x\":1}"}));
    let request = fake.requests().pop().unwrap();
    assert!(request.starts_with("POST /v1/models/m-a:streamGenerateContent?alt=sse "), "{request}");

    let cut = Fake::always(acts[..3].to_vec()).await;
    let got = ask(&app(&cut, "gemini", &[]).await, hello(json!({"stream": true}))).await;
    assert!(got.events().last().unwrap().starts_with(r#"{"error":"#) && !got.body.contains("[DONE]"), "{}", got.body);
}

#[tokio::test]
async fn anthropics_wire_reaches_gemini() {
    let fake = Fake::always([answer(200, "", CONTENT)]).await;
    let app = app(&fake, "gemini", &[]).await;
    let body = r#"{"model":"m","max_tokens":9,"system":"be brief","messages":[{"role":"user","content":"hello"}]}"#;
    let got = Answer::of(app.post("/v1/messages", body)).await;
    assert_eq!((got.status, &got.json()["content"]), (200, &json!([{"type": "text", "text": "hi"}])), "{}", got.body);
    assert_eq!(last(&fake).1["systemInstruction"], json!({"parts": [{"text": "be brief"}]}));
}

#[tokio::test]
async fn what_a_wire_cannot_say_is_refused_by_name_or_said_to_another() {
    let (claude, other) = (Fake::always([answer(200, "", MESSAGE)]).await, Fake::always([completion("hi")]).await);
    let alone = app(&claude, "anthropic", &[]).await;
    for stream in [false, true] {
        let got = ask(&alone, hello(json!({"logprobs": true, "stream": stream}))).await;
        let error = &got.json()["error"];
        assert_eq!(
            (got.status, error["param"].as_str(), error["type"].as_str()),
            (400, Some("logprobs"), Some("invalid_request_error"))
        );
    }
    assert_eq!(alone.provider("a").await["breaker"]["failure_count"], 0);
    assert!(claude.requests().is_empty());

    let app = App::in_front_of(&[&claude.url, &other.url], &[("VX11_SWITCH__PROVIDERS__A__KIND", "anthropic")]).await;
    let got = ask(&app, hello(json!({"logprobs": true}))).await;
    assert_eq!((got.status, got.header("x-vx11-provider"), got.header("x-vx11-attempts")), (200, "b", "1"));
    let skipped = r#"vx11_provider_requests_total{model="m-a",outcome="untranslatable",provider="a"}"#;
    assert_eq!(app.metric(skipped).await, 1.0);
}

#[tokio::test]
async fn errors_of_other_wires_come_in_openais_shape() {
    let anthropics = r#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 9 tokens > 8 maximum"}}"#;
    let fake = Fake::always([answer(400, "", anthropics)]).await;
    let got = ask(&app(&fake, "anthropic", &[]).await, hello(json!({}))).await;
    assert_eq!((got.status, got.code()), (400, "context_length_exceeded"));

    let googles =
        r#"{"error":{"code":429,"message":"quota","status":"RESOURCE_EXHAUSTED","details":[{"retryDelay":"3s"}]}}"#;
    let fake = Fake::always([answer(429, "", googles)]).await;
    let got = ask(&app(&fake, "gemini", &[]).await, hello(json!({}))).await;
    assert_eq!(
        (got.status, got.header("retry-after"), got.json()["error"]["message"].as_str()),
        (429, "3", Some("quota"))
    );

    let bad_key =
        r#"{"error":{"code":400,"message":"API key not valid: sk-secret","details":[{"reason":"API_KEY_INVALID"}]}}"#;
    let fake = Fake::always([answer(400, "", bad_key)]).await;
    let got = ask(&app(&fake, "gemini", &[]).await, hello(json!({}))).await;
    assert_eq!((got.status, got.code()), (502, "upstream_credentials_exhausted"));
    assert!(!got.body.contains("sk-secret"), "{}", got.body);
}

#[tokio::test]
async fn a_schema_with_bounds_is_put_to_anthropic_in_words_that_it_takes() {
    let whole = json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "stop_reason": "end_turn",
        "content": [{"type": "text", "text": "{\"age\":7}"}], "usage": {"input_tokens": 3, "output_tokens": 2}});
    let fake = Fake::always([answer(200, "", &whole.to_string())]).await;
    let app = app(&fake, "anthropic", &[]).await;
    let schema =
        json!({"type": "object", "properties": {"age": {"type": "integer", "minimum": 0}}, "required": ["age"]});
    let format = json!({"type": "json_schema", "json_schema": {"name": "n", "schema": schema}});
    let got = ask(&app, hello(json!({"response_format": format}))).await;
    assert_eq!(got.json()["choices"][0]["message"]["content"], r#"{"age":7}"#, "{}", got.body);
    let expected = json!({
        "type": "object", "properties": {"age": {"type": "integer", "description": "{minimum: 0}"}}, "required": ["age"],
        "additionalProperties": false,
    });
    assert_eq!(last(&fake).1["output_config"]["format"]["schema"], expected);
}

#[tokio::test]
async fn json_of_any_shape_is_an_answer_in_words_from_anthropic_too() {
    let mock = mock_provider();
    let settings = [("VX11_SWITCH__PROVIDERS__A__KIND", "anthropic")];
    let app = App::in_front_of(&[mock.url("").trim_end_matches('/')], &settings).await;
    let shape = json!({"type": "object", "additionalProperties": {"type": "integer"}});
    for format in
        [json!({"type": "json_object"}), json!({"type": "json_schema", "json_schema": {"name": "n", "schema": shape}})]
    {
        let asked = |stream: bool| hello(json!({"model": "a/mock", "response_format": format, "stream": stream}));
        let got = ask(&app, asked(false)).await;
        let choice = got.json()["choices"][0].clone();
        let content = choice["message"]["content"].as_str().unwrap();
        assert!(serde_json::from_str::<Value>(content).unwrap().is_object(), "{}", got.body);
        assert_eq!((&choice["finish_reason"], choice["message"].get("tool_calls")), (&json!("stop"), None));
        let got = ask(&app, asked(true)).await;
        let (text, _, reason) = said(&got);
        assert_eq!((text.as_str(), reason), (content, json!("stop")), "{}", got.body);
        assert!(!got.body.contains("tool_calls"), "{}", got.body);
    }
}
