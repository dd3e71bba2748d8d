//! Limits of requests and tokens: reserved before a call, settled after it.

use super::{BODY, app, ask, ledger, spending};
use crate::app::Answer;
use crate::fake::{Act, Fake, answer, chunk, completion, error, event, stream_head};

#[tokio::test]
async fn a_limit_of_requests_is_told_on_every_answer_and_refuses_the_one_too_many() {
    let fake = Fake::always([completion("hi")]).await;
    let app = app(&fake, "[switch.keys.alice]\nsecret_env = \"ALICE_SECRET\"\nrequests_per_day = 2").await;
    for left in ["1", "0"] {
        let got = Answer::of(ask(&app, "sk-alice", BODY)).await;
        assert_eq!((got.status, got.header("x-ratelimit-remaining-requests")), (200, left));
        assert_eq!(got.header("x-ratelimit-limit-requests"), "2");
    }
    let got = Answer::of(ask(&app, "sk-alice", BODY)).await;
    assert_eq!((got.status, got.code()), (429, "rate_limit_exceeded"));
    assert!(got.header("retry-after").parse::<u64>().unwrap() >= 1);
    assert_eq!(got.header("x-ratelimit-remaining-requests"), "0");
    assert!(got.header("x-ratelimit-reset-requests").ends_with('s'));
    assert_eq!(fake.requests().len(), 2, "the refused one reached nobody");
    assert_eq!(app.metric(r#"vx11_limit_refusals_total{limit="requests"}"#).await, 1.0);
    assert_eq!(Answer::of(ask(&app, "test", BODY)).await.header("x-ratelimit-limit-requests"), "");
}

#[tokio::test]
async fn tokens_are_reserved_before_and_settled_after_the_call() {
    let fake = Fake::always([spending(r#"{"prompt_tokens":7,"completion_tokens":3}"#)]).await;
    let app = app(&fake, "[switch.keys.alice]\nsecret_env = \"ALICE_SECRET\"\ntokens_per_day = 1000").await;
    let got = Answer::of(ask(&app, "sk-alice", BODY)).await;
    assert_eq!(got.status, 200, "{}", got.body);
    ledger(&app, 1).await;
    let too_much = Answer::of(ask(&app, "sk-alice", &BODY.replace(":10", ":990"))).await;
    assert_eq!((too_much.status, too_much.header("x-ratelimit-remaining-tokens")), (429, "990"));
    assert_eq!(fake.requests().len(), 1);
}

#[tokio::test]
async fn an_embedding_reserves_no_answer() {
    let embedding = r#"{"object":"list","data":[{"embedding":[0.1]}],"usage":{"prompt_tokens":3,"total_tokens":3}}"#;
    let fake = Fake::always([answer(200, "", embedding)]).await;
    let app = app(&fake, "[switch.keys.alice]\nsecret_env = \"ALICE_SECRET\"\ntokens_per_minute = 500").await;
    let request =
        app.stranger("/v1/embeddings").bearer_auth("sk-alice").body(r#"{"model":"m","input":"one two three"}"#);
    let got = Answer::of(request).await;
    assert_eq!(got.status, 200, "{}", got.body);
}

#[tokio::test]
async fn whatever_becomes_of_a_request_nothing_stays_reserved_and_what_was_spent_is_counted() {
    let text = [stream_head(), chunk("one two three"), chunk(" four")];
    let then = |act: Act| text.iter().cloned().chain([act]).collect::<Vec<_>>();
    let usage_chunk = event(r#"{"choices":[],"usage":{"prompt_tokens":50,"completion_tokens":9}}"#);
    let stop = event(r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#);
    let whole: Vec<Act> = then(stop).into_iter().chain([usage_chunk, event("[DONE]")]).collect();
    let config = "[switch.keys.alice]\nsecret_env = \"ALICE_SECRET\"\ntokens_per_day = 2000\nbudget = { usd = 1 }";
    // What the provider does, whether the client leaves, tokens written, and whether they are an estimate.
    for (name, acts, leaves, written, estimated) in [
        ("whole", whole, false, 9, 0),
        // Asked once more, which is cut as well.
        ("cut", then(Act::Reset), false, 8, 1),
        ("left", then(Act::Wait), true, 4, 1),
        ("refused", vec![error(500, "")], false, 0, 0),
        ("reset", vec![Act::Reset], false, 0, 0),
    ] {
        let fake = Fake::always(acts).await;
        let app = app(&fake, config).await;
        let body = BODY.replace(":10", ":1000,\"stream\":true");
        let mut response = ask(&app, "sk-alice", &body).send().await.unwrap();
        let mut seen = String::new();
        while !(leaves && seen.contains("four")) {
            match response.chunk().await {
                Ok(Some(bytes)) => seen.push_str(std::str::from_utf8(&bytes).unwrap()),
                _ => break,
            }
        }
        drop(response);
        let sums = ledger(&app, 1).await;
        assert_eq!(
            (&sums["completion_tokens"], &sums["estimated_requests"]),
            (&written.into(), &estimated.into()),
            "{name}"
        );
        let spent = sums["prompt_tokens"].as_u64().unwrap() + written;
        assert_eq!(written > 0, spent > written, "{name}: the prompt was read by who wrote something");
        let probe = Answer::of(ask(&app, "sk-alice", &body.replace("1000", "100000"))).await;
        let left = (2000 - spent).to_string();
        assert_eq!((probe.status, probe.header("x-ratelimit-remaining-tokens")), (429, left.as_str()), "{name}");
    }
}
