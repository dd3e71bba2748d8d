//! Providers that do not say what they spent on a model whose vocabulary is public: what was read and written is
//! counted, to the token, and marked as an estimate all the same.

use serde_json::{Value, json};

use crate::app::{Answer, App, eventually};
use crate::fake::{Act, Fake, STOP, answer, chunk, error, event, stream_head};

const CHAT: &str = "/v1/chat/completions";
const MESSAGES: &str = "/v1/messages";
/// What the provider writes; nothing that could be counted word by word.
const PARTS: [&str; 3] = ["Donaudampf", "schifffahrtsgesell", "schaft 12345 👩‍👩‍👧"];

/// What is asked, in text that JSON escapes.
fn text(times: usize) -> String {
    "Say \"é\" in\tConstantinople\n\nagain.".repeat(times)
}

fn body(text: &str, stream: bool) -> String {
    json!({"model": "m", "max_tokens": 50, "messages": [{"role": "user", "content": text}], "stream": stream})
        .to_string()
}

/// What tiktoken-rs counts.
fn tokens(text: &str) -> u64 {
    tiktoken_rs::o200k_base_singleton().encode_ordinary(text).len() as u64
}

/// Of a message of one user that says `text`: three around it, one for the role, three before the answer.
fn prompt(text: &str) -> u64 {
    tokens(text) + 3 + 1 + 3
}

async fn app(fake: &Fake) -> App {
    let more = [
        ("VX11_SWITCH__PROVIDERS__A__MODELS", r#"["gpt-4o"]"#),
        ("VX11_SWITCH__MODELS__M__TARGETS", r#"["a/gpt-4o"]"#),
        ("VX11_SWITCH__MODELS__DEFAULT__TARGETS", r#"["a/gpt-4o"]"#),
    ];
    App::in_front_of(&[&fake.url], &more).await
}

fn streamed() -> Vec<Act> {
    [stream_head()].into_iter().chain(PARTS.map(chunk)).collect()
}

/// The ledger's row, of so many requests: read, written, and how many are estimates.
async fn billed(app: &App, requests: u64) -> (Value, Value, Value) {
    let row = async || Answer::of(app.get("/switch/usage")).await.json()["rows"][0].clone();
    eventually("the bill is written", async || row().await["requests"] == requests).await;
    let row = row().await;
    (row["prompt_tokens"].clone(), row["completion_tokens"].clone(), row["estimated_requests"].clone())
}

#[tokio::test]
async fn whole_answers_and_streams_are_counted_and_told_on_every_wire() {
    let message = json!({"role": "assistant", "content": PARTS.concat()});
    let whole = json!({"id": "c", "model": "m", "choices": [{"message": message, "finish_reason": "stop"}]});
    let stream = streamed().into_iter().chain([event(STOP), event("[DONE]")]).collect::<Vec<_>>();
    // The second one goes to the thread, and its caller is told an estimate meanwhile.
    for times in [1, 1000] {
        let (text, wrote) = (text(times), tokens(&PARTS.concat()));
        for (path, acts, stream) in [
            (CHAT, vec![answer(200, "", &whole.to_string())], false),
            (MESSAGES, vec![answer(200, "", &whole.to_string())], false),
            (CHAT, stream.clone(), true),
            (MESSAGES, stream.clone(), true),
        ] {
            let why = format!("{path}, {stream}, {times}");
            let app = app(&Fake::always(acts).await).await;
            let got = Answer::of(app.post(path, body(&text, stream))).await;
            assert_eq!(got.status, 200, "{why}: {}", got.body);
            assert_eq!(billed(&app, 1).await, (prompt(&text).into(), wrote.into(), 1.into()), "{why}");
            // At gpt-4o's price.
            let cost = prompt(&text) as f64 * 2.5e-6 + wrote as f64 * 10e-6;
            let told = match stream {
                false => got.header("x-vx11-cost-usd").to_owned(),
                true => got.body.rsplit_once("x-vx11-cost-usd ").unwrap().1.lines().next().unwrap().to_owned(),
            };
            let close = if times == 1 { 1e-9 } else { cost / 2.0 };
            assert!((told.parse::<f64>().unwrap() - cost).abs() < close, "{why}: {told}, not {cost}");
            if path == MESSAGES && times == 1 {
                let output = format!(r#""output_tokens":{wrote}"#);
                let input = format!(r#""input_tokens":{}"#, prompt(&text));
                assert!(got.body.contains(&output) && got.body.contains(&input), "{why}: {}", got.body);
            }
            app.stop().await;
        }
    }
}

#[tokio::test]
async fn what_a_broken_stream_wrote_is_counted_and_what_a_caller_left_behind() {
    for times in [1, 1000] {
        let text = text(times);
        for (leaves, last) in [(false, Act::Reset), (true, Act::Wait)] {
            let fake = Fake::always(streamed().into_iter().chain([last]).collect::<Vec<_>>()).await;
            let app = app(&fake).await;
            let mut response = app.post(CHAT, body(&text, true)).send().await.unwrap();
            let mut seen = String::new();
            while let Ok(Some(bytes)) = response.chunk().await {
                seen.push_str(&String::from_utf8_lossy(&bytes));
                if leaves && seen.contains("12345") {
                    break;
                }
            }
            drop(response);
            let wrote = tokens(&PARTS.concat());
            assert_eq!(billed(&app, 1).await, (prompt(&text).into(), wrote.into(), 1.into()), "{times}, {leaves}");
            app.stop().await;
        }
    }
}

#[tokio::test]
async fn a_provider_that_was_cut_off_has_read_the_prompt() {
    let fake = Fake::always([Act::Wait]).await;
    let app = app(&fake).await;
    let got = Answer::of(app.post(CHAT, body(&text(1), false)).header("x-vx11-timeout-ms", "100")).await;
    assert_ne!(got.status, 200);
    assert_eq!(billed(&app, 1).await, (prompt(&text(1)).into(), 0.into(), 1.into()));
}

#[tokio::test]
async fn texts_that_are_embedded_are_counted_and_vectors_are_not() {
    let vectors = json!({"data": [{"index": 0, "embedding": vec![0.5; 20_000]}]}).to_string();
    let fake = Fake::always([answer(200, "", &vectors)]).await;
    let app = app(&fake).await;
    let got =
        Answer::of(app.post("/v1/embeddings", json!({"model": "m", "input": [text(1), "one"]}).to_string())).await;
    assert_eq!((got.status, got.body), (200, vectors));
    assert_eq!(billed(&app, 1).await, ((tokens(&text(1)) + 1).into(), 0.into(), 1.into()));
}

#[tokio::test]
async fn tokens_of_a_prompt_are_counted_without_asking_who_does_not_count() {
    let fake = Fake::always([error(500, "")]).await;
    let app = app(&fake).await;
    for times in [1, 1000] {
        let got = Answer::of(app.post("/v1/messages/count_tokens", body(&text(times), false))).await;
        assert_eq!(got.json(), json!({"input_tokens": prompt(&text(times))}));
    }
    assert_eq!(fake.requests().len(), 0);
}
