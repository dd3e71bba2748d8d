//! What calls cost: in the head of the answer, in the ledger and in the metrics.

use serde_json::Value;

use super::{BODY, app, ask, ledger, spending, usage};
use crate::app::{Answer, eventually};
use crate::fake::{Act, Fake, STOP, answer, chunk, completion, event, stream_head};

#[tokio::test]
async fn what_an_answer_cost_is_in_its_head_in_the_ledger_and_in_the_metrics() {
    let usage_of = r#"{"prompt_tokens":100,"completion_tokens":20,"prompt_tokens_details":{"cached_tokens":40}}"#;
    let fake = Fake::always([spending(usage_of)]).await;
    let app =
        app(&fake, "[switch.keys.alice]\nsecret_env = \"ALICE_SECRET\"\norg = \"acme\"\n[switch.orgs.acme]\n").await;
    let got = Answer::of(ask(&app, "sk-alice", BODY)).await;
    // 60 x 1 + 40 x 0.1 + 20 x 10 dollars per million.
    assert_eq!(got.header("x-vx11-cost-usd"), "0.000264");
    Answer::of(ask(&app, "test", BODY)).await;
    let sums = ledger(&app, 2).await;
    assert_eq!(
        (&sums["cost_usd"], &sums["prompt_tokens"], &sums["cached_tokens"]),
        (&"0.000528".into(), &200.into(), &80.into())
    );
    for (by, groups) in [("key", ["alice", "internal"]), ("org", ["", "acme"])] {
        let rows = usage(&app, &format!("group_by={by}")).await;
        let names: Vec<&str> = rows.iter().map(|row| row["group"].as_str().unwrap()).collect();
        assert_eq!(names, groups);
        assert!(rows.iter().all(|row| row["cost_usd"] == "0.000264"), "{rows:?}");
    }
    assert_eq!(usage(&app, "group_by=day").await.len(), 1);
    assert!(usage(&app, "to=2026-01-01").await.is_empty() && usage(&app, "from=9999-01-01").await.is_empty());
    assert_eq!(app.metric(r#"vx11_cost_usd_total{model="m",provider="a"}"#).await, 0.000528);
    assert_eq!(app.metric(r#"vx11_tokens_total{kind="cached",model="m",provider="a"}"#).await, 80.0);
    for query in ["group_by=colour", "from=yesterday", "colour=red"] {
        assert_eq!(Answer::of(app.get(&format!("/switch/usage?{query}"))).await.status, 422, "{query}");
    }
}

#[tokio::test]
async fn a_call_is_billed_at_the_tier_that_its_answer_names() {
    let usage = r#""usage":{"prompt_tokens":1000,"completion_tokens":1}"#;
    let whole = format!(r#"{{"choices":[{{"message":{{"content":"hi"}}}}],"service_tier":"priority",{usage}}}"#);
    let end = format!(r#"{{"choices":[],"service_tier":"priority",{usage}}}"#);
    let fake = Fake::start(move |number| match number {
        0 => vec![answer(200, "", &whole)],
        _ => vec![stream_head(), chunk("hi"), event(STOP), event(&end), event("[DONE]")],
    })
    .await;
    let app = app(&fake, "[switch.keys.alice]\nsecret_env = \"ALICE_SECRET\"").await;
    for (requests, stream, cost) in [(1, false, "0.005"), (2, true, "0.01")] {
        // What is asked for does not matter.
        let body = format!(r#"{{"model":"n","messages":[],"service_tier":"flex","stream":{stream}}}"#);
        assert_eq!(Answer::of(ask(&app, "sk-alice", &body)).await.status, 200);
        assert_eq!(ledger(&app, requests).await["cost_usd"], cost, "2.5 times 0.002");
    }
}

#[tokio::test]
async fn what_spends_tokens_of_a_model_without_a_price_is_counted() {
    let fake = Fake::always([spending(r#"{"prompt_tokens":10,"completion_tokens":1}"#)]).await;
    let app = app(&fake, "[switch.models.odd]\ntargets = [\"a/odd\"]").await;
    let unpriced = r#"vx11_unpriced_calls_total{model="odd",provider="a"}"#;
    for (model, count) in [("m", 0.0), ("odd", 1.0), ("odd", 2.0)] {
        let got = Answer::of(app.post("/v1/chat/completions", BODY.replace("\"m\"", &format!("\"{model}\"")))).await;
        assert_eq!(got.status, 200, "{}", got.body);
        app.wait_for_metric(unpriced, count).await;
    }
    assert_eq!(app.metric(r#"vx11_unpriced_calls_total{model="m",provider="a"}"#).await, 0.0);
}

#[tokio::test]
async fn what_is_counted_for_the_first_time_is_seen_to_grow() {
    let fake = Fake::always([completion("hi")]).await;
    let app = app(&fake, "").await;
    let metrics = Answer::of(app.get("/metrics")).await.body;
    for series in [
        r#"vx11_limit_refusals_total{limit="money"}"#,
        r#"vx11_limit_refusals_total{limit="requests"}"#,
        r#"vx11_limit_refusals_total{limit="tokens"}"#,
        r#"vx11_unpriced_calls_total{model="m",provider="a"}"#,
        r#"vx11_config_reloads_total{outcome="applied"}"#,
        r#"vx11_config_reloads_total{outcome="refused"}"#,
    ] {
        assert!(metrics.lines().any(|line| line == format!("{series} 0")), "{series}");
    }
}

#[tokio::test]
async fn a_provider_that_reports_nothing_is_estimated() {
    let silent = answer(200, "", r#"{"choices":[{"message":{"content":"one two three four"}}]}"#);
    let fake = Fake::always([silent]).await;
    let app = app(&fake, "").await;
    Answer::of(ask(&app, "test", BODY)).await;
    let sums = ledger(&app, 1).await;
    assert_eq!((&sums["completion_tokens"], &sums["estimated_requests"]), (&4.into(), &1.into()));
    assert!(sums["prompt_tokens"].as_u64().unwrap() > 5);
    assert_eq!(app.metric(r#"vx11_estimated_calls_total{model="m",provider="a"}"#).await, 1.0);
}

#[tokio::test]
async fn what_a_shadow_spends_is_in_the_ledger_and_on_nobodys_meters() {
    let usage_of = r#"{"prompt_tokens":100,"completion_tokens":20}"#;
    let streamed = vec![
        stream_head(),
        chunk("hi"),
        event(r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#),
        event(&format!(r#"{{"choices":[],"usage":{usage_of}}}"#)),
        event("[DONE]"),
    ];
    for (acts, stream) in [(vec![spending(usage_of)], false), (streamed, true)] {
        let (fake, other) = (Fake::always(acts.clone()).await, Fake::always(acts).await);
        let config = format!(
            "other = {{ input = 2, output = 20 }}\n\
             [switch.providers.b]\nbase_url = \"{}/v1\"\nmodels = [\"other\"]\n\
             [switch.models.m]\ntargets = [\"a/m\"]\nshadow = {{ target = \"b/other\" }}\n\
             [switch.keys.alice]\nsecret_env = \"ALICE_SECRET\"\norg = \"acme\"\nrequests_per_day = 9\n",
            other.url,
        );
        let app = app(&fake, &config).await;
        let body = BODY.replacen('{', &format!("{{\"stream\":{stream},"), 1);
        let got = Answer::of(ask(&app, "sk-alice", &body)).await;
        assert_eq!((got.status, got.header("x-ratelimit-remaining-requests")), (200, "8"), "{}", got.body);
        eventually("both rows are written", async || usage(&app, "group_by=key").await.len() == 2).await;
        let spent = async |by: &str| -> Vec<(String, String)> {
            let text = |row: &Value, name: &str| row[name].as_str().unwrap().to_owned();
            let rows = usage(&app, &format!("group_by={by}")).await;
            rows.iter().map(|row| (text(row, "group"), text(row, "cost_usd"))).collect()
        };
        let pair = |group: &str, cost: &str| (group.to_owned(), cost.to_owned());
        assert_eq!(spent("key").await, [pair("alice", "0.0003"), pair("shadow", "0.0006")], "stream {stream}");
        assert_eq!(spent("org").await, [pair("", "0.0006"), pair("acme", "0.0003")], "stream {stream}");
        let counted = app.metric(r#"vx11_cost_usd_total{model="other",provider="b"}"#).await;
        assert!((counted - 0.0006).abs() < 1e-9, "{counted}");
        app.stop().await;
    }
}

#[tokio::test]
async fn what_another_gateway_was_paid_is_not_what_the_answer_cost() {
    let usage = r#""usage":{"prompt_tokens":100,"completion_tokens":20,"cost":7}"#;
    let message = r#"{"message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}"#;
    let whole = answer(200, "x-vx11-cost-usd: 7\r\n", &format!(r#"{{"id":"c1","choices":[{message}],{usage}}}"#));
    let app_of = async |acts: Vec<Act>| app(&Fake::always(acts).await, "").await;
    let got = Answer::of(ask(&app_of(vec![whole]).await, "test", BODY)).await;
    let cost = got.header("x-vx11-cost-usd");
    assert!(cost != "7" && got.body.ends_with(&format!(r#""cost":{cost}}}}}"#)), "{cost}: {}", got.body);

    let theirs = Act::Say(": x-vx11-cost-usd 7\n\n".to_owned());
    let pings = Act::Say(": ping\n\n".to_owned());
    let end = event(&format!(r#"{{"id":"c1","choices":[],{usage}}}"#));
    let acts = vec![stream_head(), chunk("Hi"), pings, event(STOP), end, theirs, event("[DONE]")];
    let got = Answer::of(ask(&app_of(acts).await, "test", &BODY.replace(":10", ":10,\"stream\":true"))).await;
    assert!(got.body.contains(": ping\n"), "{}", got.body);
    let costs: Vec<&str> = got.body.lines().filter(|line| line.contains("cost")).collect();
    assert_eq!(costs, [format!(": x-vx11-cost-usd {cost}")], "{}", got.body);
}
