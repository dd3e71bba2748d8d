//! What a stream says at its end that it has cost.

use super::{app, ledger};
use crate::app::Answer;
use crate::fake::{Fake, chunk, event, stream_head};

/// What the comment in a stream says that it has cost, and what comes after that.
fn cost_in(stream: &str) -> (&str, &str) {
    stream.split_once(": x-vx11-cost-usd ").unwrap().1.split_once("\n\n").unwrap()
}

#[tokio::test]
async fn a_stream_says_at_its_end_what_it_has_cost_on_every_address() {
    let stop = event(r#"{"id":"c1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#);
    let spent = event(r#"{"id":"c1","choices":[],"usage":{"prompt_tokens":100,"completion_tokens":20}}"#);
    let good = Fake::always([stream_head(), chunk("hi"), stop, spent, event("[DONE]")]).await;
    let app = app(&good, "").await;
    let chat = r#"{"model":"m","stream":true,"stream_options":{"include_usage":true},"messages":[]}"#;
    let text = chat.replace("messages", "prompt").replace("[]", "\"x\"");
    let message = r#"{"model":"m","stream":true,"max_tokens":9,"messages":[{"role":"user","content":"x"}]}"#;
    let response = r#"{"model":"m","stream":true,"input":"x"}"#;
    let own = r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"x"}],"session_id":"s","correlation_id":"c"}"#;
    for (path, body, ends_with) in [
        ("/v1/chat/completions", chat, "data: [DONE]\n\n"),
        ("/v1/completions", &text, "data: [DONE]\n\n"),
        ("/v1/messages", message, r#""message_stop"}"#),
        ("/v1/responses", response, r#""cost":0.0003"#),
        ("/switch/chat", own, r#""type":"done""#),
    ] {
        let got = Answer::of(app.post(path, body.to_owned())).await;
        let (cost, end) = cost_in(&got.body);
        assert_eq!((got.status, cost), (200, "0.0003"), "{path}: {}", got.body);
        assert!(end.contains(ends_with), "{path}: {}", got.body);
        assert_eq!(got.body.contains(r#""cost":0.0003"#), path != "/switch/chat", "{path}: {}", got.body);
        assert!(got.header("x-vx11-cost-usd").is_empty(), "{path}");
    }

    let unasked = chat.replace("true}", "false}");
    let got = Answer::of(app.post("/v1/chat/completions", unasked)).await;
    assert!(!got.body.contains("usage") && cost_in(&got.body) == ("0.0003", "data: [DONE]\n\n"), "{}", got.body);
}

#[tokio::test]
async fn the_cost_of_a_stream_has_in_it_what_came_to_nothing() {
    let whole = [
        event(r#"{"id":"c1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#),
        event(r#"{"id":"c1","choices":[],"usage":{"prompt_tokens":100,"completion_tokens":20,"cost":7}}"#),
        event("[DONE]"),
    ];
    let (fault, text) = (vec![stream_head(), chunk("one two")], [stream_head(), chunk("one two three")]);
    let body = r#"{"model":"r","stream":true,"stream_options":{"include_usage":true},"messages":[]}"#;
    for (second, is_whole) in [(text.into_iter().chain(whole).collect(), true), (fault.clone(), false)] {
        let (bad, good) = (Fake::always(fault.clone()).await, Fake::always(second).await);
        let config = format!(
            "[switch.providers.b]\nbase_url = \"{}/v1\"\nmodels = [\"m\"]\n[switch.models.r]\ntargets = [\"a/m\", \"b/m\"]\n",
            good.url,
        );
        let app = app(&bad, &config).await;
        let got = Answer::of(app.post("/v1/chat/completions", body)).await;
        let sums = ledger(&app, 1).await;
        let (cost, end) = cost_in(&got.body);
        assert_eq!((&sums["cost_usd"], end.contains("[DONE]")), (&cost.into(), is_whole), "{}", got.body);
        assert!(cost > "0.000021", "both have read and written: {cost}");
        if is_whole {
            let chunks = got.chunks();
            let usage = &chunks.last().unwrap()["usage"];
            assert_eq!(usage["cost"].to_string(), cost, "{}", got.body);
            for field in ["prompt_tokens", "completion_tokens"] {
                assert_eq!(usage[field], sums[field], "{}", got.body);
            }
        }
    }
}
