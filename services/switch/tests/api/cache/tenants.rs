//! Whose answers are given to whom, and what a hit costs.

use serde_json::json;

use super::{BODY, PATH, used};
use crate::app::{Answer, App, eventually};
use crate::fake::{Fake, answer};

#[tokio::test]
async fn tenants_never_see_each_others_answers_and_a_hit_costs_a_request_and_nothing_else() {
    let usage = r#"{"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":60,"completion_tokens":30}}"#;
    let fake = Fake::always([answer(200, "", usage)]).await;
    let file = tempfile::NamedTempFile::new().unwrap();
    let key = |name: &str, more: &str| {
        format!("[switch.keys.{name}]\nsecret_env = \"SECRET_{}\"\n{more}\n", name.to_uppercase())
    };
    let config = format!(
        "[switch.providers.a]\nbase_url = \"{}/v1\"\nmodels = [\"m\"]\n[switch.prices]\nm = {{ input = 1, output = 10 }}\n\
         [switch.cache]\nenabled = true\n{}{}{}[switch.orgs.acme]\n",
        fake.url,
        key("alice", "org = \"acme\"\nrequests_per_day = 4\ntokens_per_day = 150"),
        key("bob", "org = \"acme\""),
        key("carol", ""),
    );
    std::fs::write(file.path(), config).unwrap();
    let secrets = [("SECRET_ALICE", "sk-alice"), ("SECRET_BOB", "sk-bob"), ("SECRET_CAROL", "sk-carol")];
    let app = App::start_with(Some(file.path()), &secrets).await;
    let body = BODY.replace("]}", r#"],"max_tokens":50}"#);
    let by = async |secret: &str, org: &'static str| {
        Answer::of(app.stranger(PATH).bearer_auth(secret).header("x-vx11-org", org).body(body.clone())).await
    };
    for (secret, org, outcome) in [
        ("sk-alice", "", "miss"),
        ("sk-bob", "", "hit"),
        ("sk-carol", "acme", "miss"),
        ("test", "", "miss"),
        ("test", "acme", "miss"),
        ("test", "acme", "hit"),
        ("sk-carol", "", "hit"),
    ] {
        assert_eq!(used(&by(secret, org).await), (200, outcome), "{secret} {org}");
    }
    assert_eq!(fake.requests().len(), 4);
    // 90 of 150 tokens are spent: too few are left to ask, but a hit takes none.
    for left in ["2", "1", "0"] {
        let got = by("sk-alice", "").await;
        assert_eq!((used(&got), got.header("x-ratelimit-remaining-requests")), ((200, "hit"), left));
        assert_eq!((got.header("x-ratelimit-remaining-tokens"), got.header("x-vx11-cost-usd")), ("60", "0"));
    }
    assert_eq!(by("sk-alice", "").await.status, 429, "hits are requests");
    let rows = async || {
        let report = Answer::of(app.get("/switch/usage?group_by=key")).await.json();
        report["rows"].as_array().unwrap().clone()
    };
    let all = async || rows().await.iter().map(|row| row["requests"].as_u64().unwrap()).sum::<u64>() == 10;
    eventually("the rows are written", all).await;
    let alice = rows().await.into_iter().find(|row| row["group"] == "alice").unwrap();
    assert_eq!(
        (&alice["requests"], &alice["cache_hits"], &alice["prompt_tokens"], &alice["cost_usd"]),
        (&json!(4), &json!(3), &json!(60), &json!("0.00036"))
    );
}

#[tokio::test]
async fn an_answer_that_is_kept_and_cannot_be_streamed_lets_no_stream_past_the_limits() {
    let usage = r#"{"choices":[{"message":{"content":[{"type":"text","text":"hi"}]},"finish_reason":"stop"}],"usage":{"prompt_tokens":60,"completion_tokens":30}}"#;
    let fake = Fake::always([answer(200, "", usage)]).await;
    let file = tempfile::NamedTempFile::new().unwrap();
    let config = format!(
        "[switch.providers.a]\nbase_url = \"{}/v1\"\nmodels = [\"m\"]\n[switch.cache]\nenabled = true\n\
         [switch.keys.alice]\nsecret_env = \"SECRET_ALICE\"\ntokens_per_day = 150\n",
        fake.url,
    );
    std::fs::write(file.path(), config).unwrap();
    let app = App::start_with(Some(file.path()), &[("SECRET_ALICE", "sk-alice")]).await;
    let ask = async |stream: bool| {
        let body = BODY.replace("]}", &format!(r#"],"max_tokens":50,"stream":{stream}}}"#));
        Answer::of(app.stranger(PATH).bearer_auth("sk-alice").body(body)).await
    };
    assert_eq!([used(&ask(false).await), used(&ask(false).await)], [(200, "miss"), (200, "hit")]);
    // 60 tokens are left, fewer than the request may take.
    let got = ask(true).await;
    assert_eq!((got.status, fake.requests().len()), (429, 1), "{}", got.body);
}
