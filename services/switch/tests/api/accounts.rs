//! Keys, limits, budgets, costs and the ledger, as callers see them.

use reqwest::RequestBuilder;
use serde_json::Value;
use tempfile::NamedTempFile;

use crate::app::{Answer, App, eventually};
use crate::fake::{Act, Fake, STOP, answer, chunk, completion, error, event, stream_head};

/// The SHA-256 of `sk-alice`.
const ALICE: &str = "099295a3784e1bd368dc348843a7398c1931b6b8ec2504c73e91ed2040bdc46c";

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

#[tokio::test]
async fn who_has_a_budget_is_not_let_to_what_nobody_knows_the_price_of() {
    let fake = Fake::always([completion("hi")]).await;
    let alice = "[switch.keys.alice]\nsecret_env = \"ALICE_SECRET\"\norg = \"acme\"\nteam = \"red\"\n";
    let routes = "free = { input = 0, output = 0 }\n[switch.models.r]\ntargets = [\"a/unpriced\", \"a/m\"]\n";
    for (budget, has_one) in [
        ("tokens_per_day = 100000\n[switch.orgs.acme.teams.red]", false),
        ("budget = { usd = 1 }\n[switch.orgs.acme.teams.red]", true),
        ("[switch.orgs.acme]\nbudget = { usd = 1 }\n[switch.orgs.acme.teams.red]", true),
        ("[switch.orgs.acme.teams.red]\nbudget = { usd = 1, period = \"total\" }", true),
    ] {
        let app = app(&fake, &format!("{routes}{alice}{budget}\n")).await;
        let answered = async |secret: &str, model: &str| {
            let body = format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"x"}}]}}"#);
            Answer::of(ask(&app, secret, &body)).await
        };
        let got = answered("sk-alice", "a/unpriced").await;
        match has_one {
            false => assert_eq!(got.status, 200, "{budget}: {}", got.body),
            true => {
                assert_eq!((got.status, got.code()), (403, "model_not_allowed"), "{budget}: {}", got.body);
                assert!(got.body.contains(r#"switch.prices.\"unpriced\""#), "{budget}: {}", got.body);
            }
        }
        let got = answered("sk-alice", "r").await;
        assert_eq!(got.header("x-vx11-model"), if has_one { "m" } else { "unpriced" }, "{budget}: {}", got.body);
        assert_eq!(answered("sk-alice", "a/free").await.status, 200, "{budget}: nothing is a price");
        assert_eq!(answered("test", "a/unpriced").await.status, 200, "{budget}: the token has no budget");
    }
}

#[tokio::test]
async fn who_has_a_budget_gets_nothing_of_a_provider_that_is_in_no_price() {
    let said = r#"{"type":"message","id":"msg_1","role":"assistant","status":"completed","content":[{"type":"output_text","text":"Hi","annotations":[]}]}"#;
    let usage = r#"{"input_tokens":1,"output_tokens":1,"total_tokens":2}"#;
    let response = format!(
        r#"{{"id":"resp_1","object":"response","created_at":7,"status":"completed","model":"m","output":[{said}],"usage":{usage}}}"#
    );
    let fake = Fake::always([answer(200, "", &response)]).await;
    let keys = "[switch.keys.alice]\nsecret_env = \"ALICE_SECRET\"\nbudget = { usd = 1 }\n\
                [switch.keys.bob]\nsecret_env = \"BOB_SECRET\"\n";
    let app = app_in(&fake, keys, &[("VX11_SWITCH__PROVIDERS__A__RESPONSES", "true")]).await;
    let ask = async |secret: &str, more: &str| {
        let body = format!(r#"{{"model":"m","input":"x"{more}}}"#);
        Answer::of(app.stranger("/v1/responses").bearer_auth(secret).body(body)).await
    };
    for more in [r#","previous_response_id":"resp_0""#, r#","tools":[{"type":"web_search"}]"#] {
        assert_eq!(ask("sk-alice", more).await.status, 400, "{more}");
        assert!(fake.requests().is_empty(), "{more}");
    }
    assert_eq!(ask("sk-alice", "").await.status, 200);
    assert_eq!(ask("sk-bob", r#","previous_response_id":"resp_0""#).await.status, 200);
    assert_eq!(fake.requests().len(), 2);
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
async fn a_key_opens_v1_under_any_of_its_headers_and_nothing_else() {
    let fake = Fake::always([completion("hi")]).await;
    let app = app(&fake, "[switch.keys.alice]\nsecret_env = \"ALICE_SECRET\"").await;
    for (name, value) in [("authorization", "Bearer sk-alice"), ("x-api-key", "sk-alice"), ("x-vx11-token", "sk-alice")]
    {
        let got = Answer::of(app.stranger("/v1/chat/completions").header(name, value).body(BODY)).await;
        assert_eq!(got.status, 200, "{name}: {}", got.body);
    }
    for path in ["/switch/chat", "/switch/usage"] {
        let got = Answer::of(app.stranger(path).bearer_auth("sk-alice").body(BODY)).await;
        assert_eq!(got.status, 403, "{path}");
    }
    let wrong = Answer::of(app.stranger("/v1/chat/completions").bearer_auth("sk-mallory").body(BODY)).await;
    assert_eq!((wrong.status, wrong.code()), (401, "invalid_api_key"));
}

#[tokio::test]
async fn a_key_may_stand_in_the_configuration_as_a_hash() {
    let fake = Fake::always([completion("hi")]).await;
    let app = app(&fake, &format!("[switch.keys.alice]\nsha256 = \"{ALICE}\"")).await;
    assert_eq!(Answer::of(ask(&app, "sk-alice", BODY)).await.status, 200);
    assert_eq!(Answer::of(ask(&app, ALICE, BODY)).await.status, 401, "the hash is no secret");
}

#[tokio::test]
async fn what_a_key_may_not_ask_for_it_is_not_told_of() {
    let fake = Fake::always([completion("hi")]).await;
    let app = app(&fake, "[switch.keys.alice]\nsecret_env = \"ALICE_SECRET\"\nmodels = [\"n\", \"x*\"]").await;
    let unknown = BODY.replace("\"m\"", "\"x-9\"");
    for pinned in ["", "a", "nobody"] {
        let of = async |secret| {
            let request = ask(&app, secret, &unknown);
            let request = if pinned.is_empty() { request } else { request.header("x-vx11-provider", pinned) };
            let got = Answer::of(request).await;
            assert_eq!(got.status, 404, "{}", got.body);
            got.json()["error"]["message"].as_str().unwrap().to_owned()
        };
        let known = |told: String| told.split_once("known: ").map(|(_, known)| known.to_owned()).unwrap_or_default();
        let told = known(of("sk-alice").await);
        assert!(told.is_empty() || told == "n", "{pinned}: {told}");
        let all = known(of("test").await);
        let expected = if pinned == "nobody" { "a" } else { "m" };
        assert!(all.split(", ").any(|name| name == expected), "who may ask for all hears of all: {all}");
    }
}

#[tokio::test]
async fn a_key_asks_for_its_models_only() {
    let fake = Fake::always([completion("hi")]).await;
    let app = app(&fake, "[switch.keys.alice]\nsecret_env = \"ALICE_SECRET\"\nmodels = [\"n\", \"x*\"]").await;
    let got = Answer::of(ask(&app, "sk-alice", BODY)).await;
    assert_eq!((got.status, got.code()), (403, "model_not_allowed"));
    assert_eq!(Answer::of(ask(&app, "sk-alice", &BODY.replace("\"m\"", "\"n\""))).await.status, 200);
    assert_eq!(Answer::of(ask(&app, "test", BODY)).await.status, 200, "the shared token asks for all");

    let get = async |secret, path: &str| Answer::of(app.get_as(secret, path)).await;
    let listed = async |secret| {
        let list = get(secret, "/v1/models").await.json();
        list["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|model| model["id"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(listed("sk-alice").await, ["n"]);
    assert!(listed("test").await.contains(&"m".to_owned()));
    assert_eq!(get("sk-alice", "/v1/models/n").await.status, 200);
    assert_eq!(get("sk-alice", "/v1/models/m").await.status, 404);
}

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
async fn budgets_of_key_team_and_organisation_hold_and_say_so() {
    let fake = Fake::always([spending(r#"{"prompt_tokens":0,"completion_tokens":100}"#)]).await;
    let key = |name: &str, more: &str| {
        format!(
            "[switch.keys.{name}]\nsecret_env = \"{}_SECRET\"\norg = \"acme\"\nteam = \"red\"\n{more}\n",
            name.to_uppercase()
        )
    };
    for (whose, config) in [
        ("key", format!("{}{}[switch.orgs.acme.teams.red]", key("alice", "budget = { usd = 0.003 }"), key("bob", ""))),
        (
            "team",
            format!(
                "{}{}[switch.orgs.acme.teams.red]\nbudget = {{ usd = 0.003, period = \"total\" }}",
                key("alice", ""),
                key("bob", "")
            ),
        ),
        (
            "org",
            format!(
                "{}{}[switch.orgs.acme]\nbudget = {{ usd = 0.003, period = \"day\" }}\n[switch.orgs.acme.teams.red]",
                key("alice", ""),
                key("bob", "")
            ),
        ),
    ] {
        let app = app(&fake, &config).await;
        // Each costs 0.001, and reserves a little more because of its prompt.
        let body = BODY.replace(":10", ":100");
        for _ in 0..2 {
            assert_eq!(Answer::of(ask(&app, "sk-alice", &body)).await.status, 200, "{whose}");
        }
        ledger(&app, 2).await;
        let got = Answer::of(ask(&app, "sk-alice", &body)).await;
        assert_eq!((got.status, got.code()), (429, "insufficient_quota"), "{whose}");
        assert_eq!(got.json()["error"]["type"], "insufficient_quota");
        assert!(
            got.body.contains(&format!("budget of {whose} ")) && !got.header("retry-after").is_empty(),
            "{}",
            got.body
        );
        let shared = if whose == "key" { 200 } else { 429 };
        assert_eq!(Answer::of(ask(&app, "sk-bob", &body)).await.status, shared, "{whose}");
    }
}

#[tokio::test]
async fn a_restart_forgets_no_spending() {
    let fake = Fake::always([spending(r#"{"prompt_tokens":0,"completion_tokens":100}"#)]).await;
    let data = tempfile::tempdir().unwrap();
    let home = [("VX11_DATA_DIR", data.path().to_str().unwrap())];
    let config = "[switch.keys.alice]\nsecret_env = \"ALICE_SECRET\"\nrequests_per_day = 3\nbudget = { usd = 0.0025 }";
    let body = BODY.replace(":10", ":100");
    for run in 0..2 {
        let app = app_in(&fake, config, &home).await;
        let got = Answer::of(ask(&app, "sk-alice", &body)).await;
        assert_eq!((got.status, got.header("x-ratelimit-remaining-requests")), (200, ["2", "1"][run]));
        app.stop().await;
    }
    let app = app_in(&fake, config, &home).await;
    let got = Answer::of(ask(&app, "sk-alice", &body)).await;
    assert_eq!(got.json()["error"]["code"], "insufficient_quota", "two of three thousandths are spent");
    assert_eq!(ledger(&app, 2).await["cost_usd"], "0.002", "an orderly stop loses no row");
}

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
        ("cut", then(Act::Reset), false, 4, 1),
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
async fn the_organisation_of_a_key_is_the_keys_and_not_what_its_holder_says() {
    let fake = Fake::always([completion("hi")]).await;
    let config = "[switch.models.r]\ntargets = [{ target = \"a/n\", when = { org = [\"acme\"] } }, \"a/m\"]\n\
                  [switch.keys.alice]\nsecret_env = \"ALICE_SECRET\"\norg = \"acme\"\n\
                  [switch.keys.bob]\nsecret_env = \"BOB_SECRET\"\n";
    let app = app(&fake, config).await;
    let body = BODY.replace("\"m\"", "\"r\"");
    for (secret, says, expected) in [
        ("sk-alice", None, "n"),
        ("sk-alice", Some("other"), "n"),
        ("sk-bob", Some("acme"), "m"),
        ("test", Some("acme"), "n"),
        ("test", None, "m"),
    ] {
        let request = ask(&app, secret, &body);
        let request = says.into_iter().fold(request, |request, org| request.header("x-vx11-org", org));
        let got = Answer::of(request).await;
        assert_eq!((got.status, got.header("x-vx11-model")), (200, expected), "{secret} says {says:?}: {}", got.body);
    }
}

#[tokio::test]
async fn a_key_is_one_tenant_whatever_its_holder_says() {
    let script = |request: usize| {
        if request == 0 { vec![stream_head(), chunk("Hel"), Act::Wait] } else { vec![completion("hi")] }
    };
    let fake = Fake::start(script).await;
    let config = "[switch.keys.alice]\nsecret_env = \"ALICE_SECRET\"\n[switch.keys.bob]\nsecret_env = \"BOB_SECRET\"\n";
    let one = r#"{initial=1, min=1, max=1, queue=2, queue_timeout="20s"}"#;
    let app = app_in(&fake, config, &[("VX11_SWITCH__PROVIDERS__A__CONCURRENCY", one)]).await;
    let waiting = async |count: u64| {
        eventually("they wait", async || app.provider("a").await["queue"]["normal"].as_u64() == Some(count)).await;
    };
    let first = ask(&app, "sk-alice", &BODY.replacen('{', "{\"stream\":true,", 1)).send().await.unwrap();
    let other = |secret: &str, org: &str, session: &str| {
        let request = ask(&app, secret, BODY).header("x-vx11-org", org).header("x-vx11-session-id", session);
        tokio::spawn(Answer::of(request))
    };
    let one = other("sk-alice", "a", "1");
    waiting(1).await;
    let two = other("sk-alice", "b", "2");
    waiting(2).await;
    let bob = other("sk-bob", "b", "2");
    assert_eq!(two.await.unwrap().status, 503, "the newest of whoever has most gives way");
    drop(first);
    assert_eq!((one.await.unwrap().status, bob.await.unwrap().status), (200, 200));
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
