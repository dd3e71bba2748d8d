//! The response cache: what is answered from it, what is not, and one call for all who ask the same.

use std::time::Duration;

use serde_json::{Value, json};

use crate::app::{Answer, App, eventually};
use crate::fake::{Act, Fake, STOP, USAGE, answer, chunk, completion, error, event, stream_head, whole_stream};

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

#[tokio::test]
async fn without_being_asked_for_there_is_none() {
    let fake = Fake::always([completion("hi")]).await;
    let app = App::in_front_of(&[&fake.url], &[]).await;
    for _ in 0..2 {
        assert_eq!(used(&ask(&app, BODY).await), (200, ""), "nothing is said of it");
    }
    assert_eq!(fake.requests().len(), 2);
    assert_eq!(counted(&app, "bypass").await, 0.0);
}

#[tokio::test]
async fn the_same_request_is_answered_once_however_it_is_written() {
    let fake = Fake::always([completion("hi")]).await;
    let app = caching(&fake).await;
    let first = ask(&app, BODY).await;
    assert_eq!((used(&first), first.header("age"), first.header("x-vx11-attempts")), ((200, "miss"), "", "1"));
    let again = r#" { "messages": [ {"content":"h\u0065llo", "role":"user"} ], "model": "m", "stream": false, "metadata": {"a":"b"} } "#;
    let second = Answer::of(app.post(PATH, again)).await;
    assert_eq!((used(&second), &second.body), ((200, "hit"), &first.body));
    assert_eq!(
        (second.header("age"), second.header("x-vx11-attempts"), second.header("x-vx11-cost-usd")),
        ("0", "0", "0")
    );
    assert_eq!((second.header("x-vx11-provider"), second.header("x-vx11-model")), ("a", "m-a"));
    for other in [
        BODY.replace("hello", "Hello"),
        BODY.replace("]}", r#"],"user":"u"}"#),
        BODY.replace("]}", r#"],"temperature":0}"#),
        BODY.replace(r#""m""#, r#""any-m""#),
    ] {
        assert_eq!(used(&Answer::of(app.post(PATH, other.clone())).await), (200, "miss"), "{other}");
    }
    assert_eq!(fake.requests().len(), 5);
    assert_eq!([counted(&app, "hit").await, counted(&app, "miss").await], [1.0, 5.0]);
    assert_eq!(app.metric("vx11_cache_entries").await, 5.0);
    assert!(app.metric("vx11_cache_bytes").await > 5.0 * first.body.len() as f64);
}

#[tokio::test]
async fn a_kept_answer_comes_in_the_form_that_is_asked_for() {
    for streamed_first in [false, true] {
        let acts = if streamed_first { whole_stream() } else { vec![completion("Hello")] };
        let fake = Fake::always(acts).await;
        let app = caching(&fake).await;
        let first = ask(&app, if streamed_first { STREAM } else { BODY }).await;
        assert_eq!(used(&first), (200, "miss"));
        assert!(!has_usage(&first) || !streamed_first, "it was not asked for: {}", first.body);
        let whole = ask(&app, BODY).await;
        assert_eq!(used(&whole), (200, "hit"), "{}", whole.body);
        let whole = whole.json();
        assert_eq!(whole["choices"][0]["message"], json!({ "role": "assistant", "content": "Hello" }));
        assert_eq!(
            (&whole["usage"]["total_tokens"], &whole["choices"][0]["finish_reason"]),
            (&json!(5), &json!("stop"))
        );
        for (body, usage) in [(STREAM, false), (STREAM_WITH_USAGE, true)] {
            let stream = ask(&app, body).await;
            assert_eq!((used(&stream), text(&stream).as_str()), ((200, "hit"), "Hello"), "{}", stream.body);
            assert_eq!((stream.events().last(), has_usage(&stream)), (Some(&"[DONE]"), usage), "{}", stream.body);
            assert_eq!(stream.header("content-type"), "text/event-stream");
        }
        assert_eq!(fake.requests().len(), 1);
    }
}

#[tokio::test]
async fn other_addresses_use_it_too() {
    const VECTORS: &str = r#"{"object":"list","data":[{"index":0,"embedding":[0.1]}],"usage":{"prompt_tokens":7}}"#;
    let vectors = Fake::always([answer(200, "", VECTORS)]).await;
    let app = caching(&vectors).await;
    for outcome in ["miss", "hit"] {
        let got = Answer::of(app.post("/v1/embeddings", r#"{"model":"m","input":["a"]}"#)).await;
        assert_eq!((used(&got), got.body.as_str()), ((200, outcome), VECTORS));
    }
    let fake = Fake::always(whole_stream()).await;
    let app = caching(&fake).await;
    assert_eq!(used(&ask(&app, STREAM).await), (200, "miss"));
    // The same conversation in another wire is the same to the provider.
    for stream in [false, true] {
        let body = json!({ "model": "m", "input": "hello", "stream": stream, "store": false });
        let got = Answer::of(app.post("/v1/responses", body.to_string())).await;
        assert!(got.body.contains("Hello") && got.status == 200, "{}", got.body);
        let again = Answer::of(app.post("/v1/responses", body.to_string())).await;
        assert_eq!(used(&again), (200, "hit"));
    }
    let texts = Fake::always([answer(
        200,
        "",
        r#"{"object":"text_completion","choices":[{"index":0,"text":"Hey","finish_reason":"stop"}]}"#,
    )])
    .await;
    let app = caching(&texts).await;
    for (stream, outcome) in [(false, "miss"), (true, "hit"), (false, "hit")] {
        let body = json!({ "model": "m", "prompt": "x", "stream": stream });
        let got = Answer::of(app.post("/v1/completions", body.to_string())).await;
        assert_eq!(used(&got), (200, outcome));
        assert!(got.body.contains(r#""text":"Hey""#), "{}", got.body);
    }
}

#[tokio::test]
async fn messages_are_kept_as_they_came_each_form_by_itself() {
    const ANTHROPIC: (&str, &str) = ("VX11_SWITCH__PROVIDERS__A__KIND", "anthropic");
    const MESSAGE: &str = r#"{"id":"msg_1","type":"message","role":"assistant","model":"claude","content":[{"type":"thinking","thinking":"h","signature":"s"},{"type":"text","text":"Hello"}],"stop_reason":"end_turn","usage":{"input_tokens":3,"output_tokens":2}}"#;
    let named = |data: &str| {
        let kind = serde_json::from_str::<Value>(data).unwrap()["type"].as_str().unwrap().to_owned();
        Act::Say(format!("event: {kind}\ndata: {data}\n\n"))
    };
    let events = [
        r#"{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude","content":[],"usage":{"input_tokens":3,"output_tokens":1}}}"#,
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hello"}}"#,
        r#"{"type":"content_block_stop","index":0}"#,
        r#"{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":2}}"#,
        r#"{"type":"message_stop"}"#,
    ];
    let streamed: Vec<Act> = [stream_head()].into_iter().chain(events.iter().map(|data| named(data))).collect();
    let body = |stream: bool| {
        json!({ "model": "m", "max_tokens": 9, "stream": stream, "messages": [{ "role": "user", "content": "hello" }] })
            .to_string()
    };
    for (acts, stream) in [(vec![answer(200, "", MESSAGE)], false), (streamed, true)] {
        let fake = Fake::always(acts).await;
        let app = App::in_front_of(&[&fake.url], &[ON, ANTHROPIC]).await;
        let first = Answer::of(app.post("/v1/messages", body(stream))).await;
        let second = Answer::of(app.post("/v1/messages", body(stream))).await;
        assert_eq!((used(&first), used(&second)), ((200, "miss"), (200, "hit")), "{}", second.body);
        assert_eq!(first.body, second.body);
        assert!(stream || first.body == MESSAGE, "{}", first.body);
        let newer = app.post("/v1/messages", body(stream)).header("anthropic-version", "2099-01-01");
        assert_eq!(used(&Answer::of(newer).await), (200, "miss"));
    }
    // A provider of another wire.
    let fake = Fake::always([completion("Hello")]).await;
    let app = caching(&fake).await;
    for outcome in ["miss", "hit"] {
        let got = Answer::of(app.post("/v1/messages", body(false))).await;
        assert_eq!((used(&got), &got.json()["content"][0]["text"]), ((200, outcome), &json!("Hello")));
    }
}

#[tokio::test]
async fn a_request_says_whether_it_wants_the_cache() {
    let fake = Fake::start(|number| vec![completion(&format!("answer {number}"))]).await;
    let app = caching(&fake).await;
    let with = async |name: &'static str, value: &'static str| {
        let got = Answer::of(app.post(PATH, BODY).header(name, value)).await;
        let said = got.json()["choices"][0]["message"]["content"].as_str().unwrap_or_default().to_owned();
        (got.header("x-vx11-cache").to_owned(), said)
    };
    let expect = |outcome: &str, said: &str| (outcome.to_owned(), said.to_owned());
    assert_eq!(with("cache-control", "no-store").await, expect("bypass", "answer 0"));
    assert_eq!(with("x-vx11-cache", "off").await, expect("bypass", "answer 1"));
    assert_eq!(with("x-vx11-cache", "on").await, expect("miss", "answer 2"));
    assert_eq!(with("accept", "*/*").await, expect("hit", "answer 2"));
    assert_eq!(with("cache-control", "no-cache").await, expect("miss", "answer 3"));
    assert_eq!(with("cache-control", "max-age=600").await, expect("hit", "answer 3"));
    assert_eq!(with("cache-control", "max-age=0").await, expect("miss", "answer 4"));
    assert_eq!(with("cache-control", "no-store").await, expect("bypass", "answer 5"));
    assert_eq!(with("accept", "*/*").await, expect("hit", "answer 4"));
    assert_eq!(counted(&app, "bypass").await, 3.0);
    let odd = Answer::of(app.post(PATH, BODY).header("x-vx11-cache", "maybe")).await;
    assert_eq!(odd.status, 400);
    let acting = BODY.replace("]}", r#"],"tools":[{"type":"web_search"}]}"#);
    for _ in 0..2 {
        assert_eq!(used(&Answer::of(app.post(PATH, acting.clone())).await), (200, "bypass"));
    }
}

#[tokio::test]
async fn an_answer_is_kept_for_its_time_and_within_the_bytes() {
    let fake = Fake::always([completion("hi")]).await;
    let app = App::in_front_of(&[&fake.url], &[ON, ("VX11_SWITCH__CACHE__TTL", "50ms")]).await;
    ask(&app, BODY).await;
    eventually("it is asked anew", async || used(&ask(&app, BODY).await) == (200, "miss")).await;
    let bounds = [ON, ("VX11_SWITCH__CACHE__MAX_BYTES", "4000"), ("VX11_SWITCH__CACHE__MAX_ANSWER_BYTES", "1000")];
    let app = App::in_front_of(&[&fake.url], &bounds).await;
    for number in 0..40 {
        let body = BODY.replace("hello", &number.to_string());
        assert_eq!(used(&Answer::of(app.post(PATH, body)).await), (200, "miss"));
    }
    let (entries, bytes) = (app.metric("vx11_cache_entries").await, app.metric("vx11_cache_bytes").await);
    assert!(entries >= 1.0 && bytes <= 4000.0, "{entries} entries of {bytes} bytes");
    let long = Fake::always([completion(&"x".repeat(2000))]).await;
    let app = App::in_front_of(&[&long.url], &bounds).await;
    for _ in 0..2 {
        assert_eq!(used(&ask(&app, BODY).await), (200, "miss"), "too long to be kept");
    }
}

#[tokio::test]
async fn only_whole_answers_of_the_first_choice_are_kept() {
    let filtered = answer(200, "", r#"{"choices":[{"message":{"content":"a"},"finish_reason":"content_filter"}]}"#);
    let cut = vec![stream_head(), chunk("Hel"), Act::Reset];
    for (body, acts) in
        [(BODY, vec![error(500, "")]), (BODY, vec![error(400, "")]), (BODY, vec![filtered]), (STREAM, cut)]
    {
        let fake = Fake::always(acts).await;
        let app = caching(&fake).await;
        for calls in 1..=2 {
            let got = ask(&app, body).await;
            assert_eq!(got.header("x-vx11-cache").replace("miss", ""), "", "{}", got.body);
            assert_eq!(fake.requests().len(), calls, "{}", got.body);
        }
        assert_eq!(app.metric("vx11_cache_entries").await, 0.0);
    }
    let (bad, good) = (Fake::always([error(500, "")]).await, Fake::always([completion("spare")]).await);
    let app = App::in_front_of(&[&bad.url, &good.url], &[ON]).await;
    for calls in 1..=2 {
        assert_eq!(used(&ask(&app, BODY).await), (200, "miss"));
        assert_eq!(good.requests().len(), calls, "a stand-in's answer is not kept");
    }
    let broken = Fake::always([stream_head(), chunk("Hel"), Act::Reset]).await;
    let whole = Fake::always(whole_stream()).await;
    let app = App::in_front_of(&[&broken.url, &whole.url], &[ON]).await;
    for calls in 1..=2 {
        assert_eq!(text(&ask(&app, STREAM).await), "Hello");
        assert_eq!(whole.requests().len(), calls, "nor is what two have written");
    }
}

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

/// A provider that answers the first request once the others have joined, which a `gate` says.
async fn slow(acts: Vec<Act>) -> (Fake, std::sync::Arc<tokio::sync::Notify>) {
    let gate = std::sync::Arc::new(tokio::sync::Notify::new());
    let fake = Fake::start({
        let gate = gate.clone();
        move |_| {
            acts.iter()
                .cloned()
                .map(|act| if matches!(act, Act::Wait) { Act::Until(gate.clone()) } else { act })
                .collect()
        }
    })
    .await;
    (fake, gate)
}

/// Waits until so many requests share a call.
async fn seated(app: &App, requests: u32) {
    app.wait_for_metric("vx11_cache_pending", requests.into()).await;
}

#[tokio::test]
async fn identical_requests_at_one_time_make_one_call_in_whatever_form() {
    for streamed_first in [false, true] {
        let mut acts = if streamed_first { whole_stream() } else { vec![completion("Hello")] };
        acts.insert(usize::from(streamed_first) * 2, Act::Wait);
        let (fake, gate) = slow(acts).await;
        let app = caching(&fake).await;
        let first = tokio::spawn(Answer::of(app.post(PATH, if streamed_first { STREAM } else { BODY })));
        eventually("the provider is asked", async || fake.requests().len() == 1).await;
        let others: Vec<_> = (0..10)
            .map(|number| {
                tokio::spawn(Answer::of(app.post(PATH, if number % 2 == 0 { BODY } else { STREAM_WITH_USAGE })))
            })
            .collect();
        seated(&app, 11).await;
        gate.notify_one();
        let first = first.await.unwrap();
        assert_eq!(used(&first), (200, "miss"));
        for (number, other) in others.into_iter().enumerate() {
            let got = other.await.unwrap();
            assert_eq!(
                (used(&got), got.header("x-vx11-cost-usd")),
                ((200, "hit"), if number % 2 == 0 { "0" } else { "" })
            );
            if number % 2 == 0 {
                assert_eq!(got.json()["choices"][0]["message"]["content"], "Hello");
            } else {
                assert_eq!(
                    (text(&got).as_str(), got.events().last(), has_usage(&got)),
                    ("Hello", Some(&"[DONE]"), true)
                );
            }
        }
        assert_eq!(fake.requests().len(), 1);
        assert_eq!([counted(&app, "miss").await, counted(&app, "shared").await], [1.0, 10.0]);
    }
}

#[tokio::test]
async fn who_joins_a_stream_gets_it_as_it_comes() {
    let (fake, gate) =
        slow(vec![stream_head(), chunk("Hel"), Act::Wait, chunk("lo"), event(STOP), event(USAGE), event("[DONE]")])
            .await;
    let app = caching(&fake).await;
    let mut first = app.post(PATH, STREAM).send().await.unwrap();
    let mut second = app.post(PATH, STREAM).send().await.unwrap();
    for response in [&mut first, &mut second] {
        let piece = response.chunk().await.unwrap().unwrap();
        assert!(String::from_utf8_lossy(&piece).contains("Hel"));
    }
    gate.notify_one();
    for response in [first, second] {
        let rest = response.text().await.unwrap();
        assert!(rest.contains("lo") && rest.ends_with("data: [DONE]\n\n"), "{rest}");
    }
    assert_eq!(fake.requests().len(), 1);
}

#[tokio::test]
async fn a_call_outlives_the_request_that_began_it_while_others_wait() {
    for (body, at) in [(BODY, 0), (STREAM, 0), (STREAM, 2)] {
        let mut acts = if body == STREAM { whole_stream() } else { vec![completion("Hello")] };
        acts.insert(at, Act::Wait);
        let (fake, gate) = slow(acts).await;
        let app = caching(&fake).await;
        let first = tokio::spawn(app.post(PATH, body).send());
        eventually("the provider is asked", async || fake.requests().len() == 1).await;
        let second = tokio::spawn(Answer::of(app.post(PATH, body)));
        seated(&app, 2).await;
        match at {
            0 => first.abort(),
            _ => drop(first.await.unwrap().unwrap()),
        }
        seated(&app, 1).await;
        gate.notify_one();
        let got = second.await.unwrap();
        assert_eq!(used(&got), (200, "hit"));
        assert!(text(&got) == "Hello" || got.body.contains("Hello"), "{}", got.body);
        assert_eq!(used(&ask(&app, BODY).await), (200, "hit"), "and the answer is kept");
        assert_eq!(fake.requests().len(), 1);
    }
}

#[tokio::test]
async fn a_call_that_nobody_waits_for_is_given_up() {
    for (body, acts) in [(BODY, vec![Act::Wait]), (STREAM, vec![stream_head(), chunk("Hel"), Act::Wait])] {
        let fake = Fake::always(acts).await;
        let app = caching(&fake).await;
        let both: Vec<_> = (0..2).map(|_| tokio::spawn(Answer::of(app.post(PATH, body)))).collect();
        eventually("the provider is asked", async || fake.requests().len() == 1).await;
        seated(&app, 2).await;
        both.iter().for_each(|request| request.abort());
        eventually("the provider sees its caller go", async || fake.hung_up() == 1).await;
        assert_eq!(fake.requests().len(), 1);
    }
}

#[tokio::test]
async fn what_is_wrong_with_the_request_is_told_to_all_and_other_failures_to_the_leader_alone() {
    for (status, calls) in [(400, 1), (500, 4)] {
        for body in [BODY, STREAM] {
            let (fake, gate) = slow(vec![Act::Wait, error(status, "")]).await;
            let app = caching(&fake).await;
            let all: Vec<_> = (0..4).map(|_| tokio::spawn(Answer::of(app.post(PATH, body)))).collect();
            eventually("the provider is asked", async || fake.requests().len() == 1).await;
            seated(&app, 4).await;
            gate.notify_one();
            eventually("the others do as they must", async || fake.requests().len() == calls).await;
            for _ in 1..calls {
                gate.notify_one();
                eventually("one more", async || {
                    gate.notify_one();
                    all.iter().all(|request| request.is_finished())
                })
                .await;
            }
            for request in all {
                assert_eq!(request.await.unwrap().status, status, "{body}");
            }
            assert_eq!(fake.requests().len(), calls);
        }
    }
}

#[tokio::test]
async fn a_follower_keeps_its_own_deadline() {
    let (fake, gate) = slow(vec![Act::Wait, completion("Hello")]).await;
    let app = caching(&fake).await;
    let first = tokio::spawn(Answer::of(app.post(PATH, BODY)));
    eventually("the provider is asked", async || fake.requests().len() == 1).await;
    let hurried =
        Answer::of(app.post(PATH, BODY).header("x-vx11-timeout-ms", "50").timeout(Duration::from_secs(10))).await;
    assert_eq!(hurried.status, 504);
    gate.notify_one();
    assert_eq!(used(&first.await.unwrap()), (200, "miss"));
}
