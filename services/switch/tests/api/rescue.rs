//! A stream that breaks after its first tokens, and how it is finished elsewhere.

use serde_json::{Value, json};

use crate::app::{Answer, App, eventually};
use crate::fake::{Act, Fake, STOP, USAGE, answer, chunk, completion, error, event, stream_head, whole_stream};

const PREFILL: (&str, &str) = ("VX11_SWITCH__PROVIDERS__B__PREFILL", "true");
const ERROR: (&str, &str) = ("VX11_SWITCH__MODELS__M__ON_DIVERGENCE", "error");

/// Every way to break a stream.
pub(crate) fn breaks() -> Vec<(&'static str, Vec<Act>)> {
    vec![
        ("stream_cut", vec![]),
        ("stream_cut", vec![Act::Reset]),
        ("stream_cut", vec![Act::Say("data: {\"id\":\"c1\",\"cho".to_owned())]),
        ("stalled", vec![Act::Wait]),
        ("invalid_answer", vec![event("{\"oops"), event("{\"again")]),
        ("invalid_answer", vec![event(r#"{"error":{"message":"overloaded"}}"#)]),
        ("invalid_answer", vec![Act::Say("event: error\ndata: {\"choices\":[]}\n\n".to_owned())]),
        ("stream_cut", vec![event("{\"id\":"), event("[DONE]")]),
        ("stream_cut", vec![event("[DONE]")]),
        ("stream_cut", vec![event(&STOP.replace("stop", "insufficient_system_resource")), event("[DONE]")]),
    ]
}

/// A limit for the provider `a` that is short where it is to be exceeded.
pub(crate) fn idle(outcome: &str) -> (&'static str, &'static str) {
    ("VX11_SWITCH__PROVIDERS__A__STREAM_IDLE_TIMEOUT", longest_silence(outcome))
}

fn longest_silence(outcome: &str) -> &'static str {
    if outcome == "stalled" { "1s" } else { "15s" }
}

/// A stream that says these pieces, and then does `end`.
fn says(pieces: &[&str], end: Vec<Act>) -> Vec<Act> {
    let pieces = pieces.iter().map(|piece| chunk(piece));
    [stream_head()].into_iter().chain(pieces).chain(end).collect()
}

/// How a whole stream ends.
fn whole() -> Vec<Act> {
    vec![event(STOP), event(USAGE), event("[DONE]")]
}

/// The chunks of a stream, `[DONE]` left out.
fn chunks(got: &Answer) -> Vec<Value> {
    got.events().iter().filter(|data| **data != "[DONE]").map(|data| serde_json::from_str(data).unwrap()).collect()
}

/// What the first choice says in all.
fn text(got: &Answer) -> String {
    chunks(got).iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str().map(str::to_owned)).collect()
}

/// One whole answer: one id, one end, one mark, no error.
fn assert_whole(got: &Answer, expected: &str, why: &str) {
    assert_eq!((got.status, text(got).as_str()), (200, expected), "{why}: {}", got.body);
    let chunks = chunks(got);
    let ends = chunks.iter().filter(|chunk| chunk["choices"][0]["finish_reason"].is_string()).count();
    assert_eq!((ends, got.body.matches("[DONE]").count()), (1, 1), "{why}: {}", got.body);
    assert!(got.body.ends_with("data: [DONE]\n\n"), "{why}: {}", got.body);
    assert!(chunks.iter().all(|chunk| chunk["id"] == "c1" && chunk["error"].is_null()), "{why}: {}", got.body);
}

/// An honest end: what came before stands, an error follows, and no mark.
fn assert_broken(got: &Answer, expected: &str, why: &str) {
    assert_eq!((got.status, text(got).as_str()), (200, expected), "{why}: {}", got.body);
    let chunks = chunks(got);
    assert_eq!(chunks.last().unwrap()["error"]["code"], "upstream_error", "{why}: {}", got.body);
    assert!(!got.body.contains("[DONE]") && !got.body.contains(r#""finish_reason":"stop""#), "{why}: {}", got.body);
}

/// The body of the request of this number.
pub(crate) fn asked(fake: &Fake, number: usize) -> Value {
    let requests = fake.requests();
    serde_json::from_str(requests[number].split_once("\r\n\r\n").unwrap().1).unwrap()
}

/// A stream of `m` whose caller wants its usage.
async fn with_usage(app: &App) -> Answer {
    let body = r#"{"model":"m","messages":[],"stream":true,"stream_options":{"include_usage":true}}"#;
    Answer::of(app.post("/v1/chat/completions", body)).await
}

pub(crate) async fn rescues(app: &App, outcome: &str) -> f64 {
    app.metric(&format!(r#"vx11_stream_rescues_total{{outcome="{outcome}"}}"#)).await
}

#[tokio::test]
async fn an_agreeing_answer_is_spliced_whatever_the_break() {
    for (outcome, end) in breaks() {
        let bad = Fake::always(says(&["Hel"], end)).await;
        let good = Fake::always(says(&["He", "llo", " you"], whole())).await;
        let app = App::in_front_of(&[&bad.url, &good.url], &[idle(outcome)]).await;
        let got = with_usage(&app).await;
        assert_whole(&got, "Hello you", outcome);
        assert_eq!(got.header("x-vx11-provider"), "a", "the head was sent before it broke");
        let chunks = chunks(&got);
        let finish = &chunks[chunks.len() - 2];
        assert_eq!(finish["vx11"], json!({"provider": "b", "model": "m-b", "rescued": 1}), "{outcome}");
        let last = chunks.last().unwrap();
        assert_eq!((&last["choices"], &last["usage"]["completion_tokens"]), (&json!([]), &json!(1 + 2)), "of both");
        assert!(chunks.iter().filter(|chunk| chunk["usage"].is_object()).count() == 1, "{}", got.body);
        assert_eq!((bad.requests().len(), good.requests().len()), (1, 1), "{outcome}");
        let options = json!({"include_usage": true});
        assert_eq!(asked(&good, 0), json!({"model": "m-b", "messages": [], "stream": true, "stream_options": options}));

        app.wait_for_metric("vx11_streams_active", 0.0).await;
        let failed = format!(r#"vx11_provider_requests_total{{model="m-a",outcome="{outcome}",provider="a"}}"#);
        for (series, value) in [
            (failed.as_str(), 1.0),
            (r#"vx11_provider_requests_total{model="m-b",outcome="success",provider="b"}"#, 1.0),
            (r#"vx11_tokens_generated_total{model="m-a",provider="a"}"#, 1.0),
            (r#"vx11_estimated_calls_total{model="m-a",provider="a"}"#, 1.0),
            (r#"vx11_tokens_generated_total{model="m-b",provider="b"}"#, 2.0),
            (r#"vx11_estimated_calls_total{model="m-b",provider="b"}"#, 0.0),
            (r#"vx11_stream_rescues_total{outcome="spliced"}"#, 1.0),
        ] {
            assert_eq!(app.metric(series).await, value, "{outcome}: {series}");
        }
        assert_eq!(app.provider("a").await["breaker"]["failure_count"], 1, "{outcome}");
    }
}

#[tokio::test]
async fn a_target_that_can_be_given_the_text_goes_on_from_it() {
    for (outcome, end) in breaks() {
        let bad = Fake::always(says(&["Hello ", "you"], end)).await;
        let good = Fake::always(says(&[" there"], whole())).await;
        let app = App::in_front_of(&[&bad.url, &good.url], &[idle(outcome), PREFILL]).await;
        let body = r#"{"model":"m","messages":[{"role":"user","content":"x"}],"stream":true,"max_tokens":20,"stream_options":{"include_usage":true}}"#;
        let got = Answer::of(app.post("/v1/chat/completions", body)).await;
        assert_whole(&got, "Hello you there", outcome);
        let messages = json!([{"role": "user", "content": "x"}, {"role": "assistant", "content": "Hello you"}]);
        let sent = asked(&good, 0);
        assert_eq!((&sent["messages"], &sent["max_tokens"]), (&messages, &json!(18)), "{outcome}");
        let usage = chunks(&got).last().unwrap()["usage"].clone();
        let (read, total) = (usage["prompt_tokens"].as_u64().unwrap(), usage["total_tokens"].as_u64().unwrap());
        assert!(read > 3 && total == read + 4 && usage["completion_tokens"] == 4, "of both: {usage}");
        app.wait_for_metric(r#"vx11_tokens_generated_total{model="m-b",provider="b"}"#, 2.0).await;
        assert_eq!(rescues(&app, "prefilled").await, 1.0);
    }
}

#[tokio::test]
async fn a_target_that_refuses_the_text_is_asked_anew() {
    let bad = Fake::always(says(&["Hel"], vec![])).await;
    let good = Fake::start(|number| if number == 0 { vec![error(400, "")] } else { whole_stream() }).await;
    let app = App::in_front_of(&[&bad.url, &good.url], &[PREFILL]).await;
    assert_whole(&app.stream().await, "Hello", "asked anew");
    assert_eq!((good.requests().len(), &asked(&good, 1)["messages"]), (2, &json!([])));
    assert_eq!(app.provider("b").await["breaker"]["failure_count"], 0, "the request was to blame");
}

#[tokio::test]
async fn a_target_that_does_not_heed_the_text_says_nothing_twice() {
    let said = "The quick brown fox jumps over ";
    let bad = Fake::always(says(&[said], vec![])).await;
    let same = Fake::always(says(&["The quick brown ", "fox jumps over the dog"], whole())).await;
    let app = App::in_front_of(&[&bad.url, &same.url], &[PREFILL]).await;
    assert_whole(&app.stream().await, "The quick brown fox jumps over the dog", "the same answer anew");

    let other = |number| match number {
        0 => says(&["The quick brown ", "cat sleeps"], vec![Act::Wait]),
        _ => says(&["the dog"], whole()),
    };
    let other = Fake::start(other).await;
    let app = App::in_front_of(&[&bad.url, &other.url], &[PREFILL]).await;
    let got = app.stream().await;
    assert_whole(&got, "The quick brown fox jumps over the dog", "another one, told to go on");
    assert_eq!((other.requests().len(), asked(&other, 1)["messages"][1]["role"].as_str()), (2, Some("user")));
    let app = App::in_front_of(
        &[&bad.url, &Fake::always(says(&["The quick brown cat"], whole())).await.url],
        &[PREFILL, ERROR],
    )
    .await;
    assert_broken(&app.stream().await, said, "another one, and the policy says so");
}

#[tokio::test]
async fn a_target_that_did_not_say_so_is_never_given_the_text() {
    let bad = Fake::always(says(&["Hel"], vec![])).await;
    let good = Fake::always(whole_stream()).await;
    let app = App::in_front_of(&[&bad.url, &good.url], &[]).await;
    assert_whole(&app.stream().await, "Hello", "spliced");
    assert!(good.requests().iter().all(|request| !request.contains("assistant")));
}

#[tokio::test]
async fn another_answer_is_told_to_go_on_from_the_text() {
    for (outcome, end) in breaks() {
        let bad = Fake::always(says(&["Hel"], end)).await;
        let other = |number| match number {
            0 => says(&["Good ", "day"], vec![Act::Wait]),
            _ => says(&["lo"], whole()),
        };
        let other = Fake::start(other).await;
        let app = App::in_front_of(&[&bad.url, &other.url], &[idle(outcome)]).await;
        let got = app.stream().await;
        assert_whole(&got, "Hello", outcome);
        let messages = asked(&other, 1)["messages"].clone();
        assert_eq!(messages[0], json!({"role": "assistant", "content": "Hel"}), "{outcome}");
        assert_eq!((messages[1]["role"].as_str(), messages.as_array().unwrap().len()), (Some("user"), 2));
        eventually("the other answer is given up", async || other.hung_up() == 1).await;
        let diverged = r#"vx11_provider_requests_total{model="m-b",outcome="diverged",provider="b"}"#;
        assert_eq!((app.metric(diverged).await, rescues(&app, "continued").await), (1.0, 1.0), "{outcome}");
        assert_eq!(app.provider("b").await["breaker"]["failure_count"], 0, "it did answer");
    }
}

#[tokio::test]
async fn where_the_policy_says_so_another_answer_ends_the_stream() {
    for (outcome, end) in breaks() {
        let bad = Fake::always(says(&["Hel"], end)).await;
        let other = Fake::always(says(&["Good day"], whole())).await;
        let app = App::in_front_of(&[&bad.url, &other.url], &[idle(outcome), ERROR]).await;
        let got = app.stream().await;
        assert_broken(&got, "Hel", outcome);
        assert!(!got.body.contains("day"), "nothing of it is sent");
        assert_eq!((other.requests().len(), rescues(&app, "diverged").await), (1, 1.0));
    }
}

#[tokio::test]
async fn what_came_in_large_deltas_is_taken_off_the_limit_of_who_goes_on() {
    let hundred = "word ".repeat(100);
    let bad = Fake::always(says(&[&hundred, &hundred, &hundred], vec![])).await;
    let good = Fake::always(says(&["and so on"], whole())).await;
    let app = App::in_front_of(&[&bad.url, &good.url], &[PREFILL]).await;
    let body = r#"{"model":"m","messages":[{"role":"user","content":"x"}],"stream":true,"max_tokens":1000}"#;
    let got = Answer::of(app.post("/v1/chat/completions", body)).await;
    assert_eq!(got.body.matches("[DONE]").count(), 1, "{}", got.body);
    let left = asked(&good, 0)["max_tokens"].as_u64().unwrap();
    assert!((690..=705).contains(&left), "{left}");
}

#[tokio::test]
async fn a_shorter_answer_is_another_one() {
    let bad = Fake::always(says(&["Hello"], vec![])).await;
    let shorter = Fake::always(says(&["Hell"], whole())).await;
    let app = App::in_front_of(&[&bad.url, &shorter.url], &[ERROR]).await;
    assert_broken(&app.stream().await, "Hello", "shorter");
}

#[tokio::test]
async fn when_the_second_breaks_too_the_third_finishes() {
    for (outcome, end) in breaks() {
        let first = Fake::always(says(&["Hel"], end.clone())).await;
        let second = Fake::always(says(&["Hello", " y"], end)).await;
        let third = Fake::always(says(&["Hello ", "you"], whole())).await;
        let second_idle = ("VX11_SWITCH__PROVIDERS__B__STREAM_IDLE_TIMEOUT", longest_silence(outcome));
        let app = App::in_front_of(&[&first.url, &second.url, &third.url], &[idle(outcome), second_idle]).await;
        let got = with_usage(&app).await;
        assert_whole(&got, "Hello you", outcome);
        let chunks = chunks(&got);
        assert_eq!(
            chunks[chunks.len() - 2]["vx11"],
            json!({"provider": "c", "model": "m-c", "rescued": 2}),
            "{outcome}"
        );
        for name in ["a", "b"] {
            assert_eq!(app.provider(name).await["breaker"]["failure_count"], 1, "{outcome}: {name}");
        }
    }
}

#[tokio::test]
async fn with_nobody_left_the_stream_ends_with_an_error() {
    for (outcome, end) in breaks() {
        let first = Fake::always(says(&["Hel"], end.clone())).await;
        let app = App::in_front_of(&[&first.url], &[idle(outcome)]).await;
        assert_broken(&app.stream().await, "Hel", outcome);
        let second = Fake::always(says(&["Hello"], vec![])).await;
        let down = Fake::always([error(503, "")]).await;
        let app = App::in_front_of(&[&first.url, &second.url, &down.url], &[idle(outcome)]).await;
        assert_broken(&app.stream().await, "Hello", outcome);
        assert_eq!((rescues(&app, "exhausted").await, down.requests().len()), (1.0, 1));
    }
}

#[tokio::test]
async fn with_nobody_left_the_one_that_was_cut_is_asked_once_more() {
    let retries = [("VX11_SWITCH__RETRIES__ATTEMPTS", "2"), ("VX11_SWITCH__RETRIES__BASE", "1ms")];
    let prefill = ("VX11_SWITCH__PROVIDERS__A__PREFILL", "true");
    let body = r#"{"model":"m","messages":[{"role":"user","content":"x"}],"stream":true}"#;
    for (goes_on, more) in [("lo", vec![prefill]), ("Hello", vec![])] {
        let script = move |number: usize| if number == 0 { says(&["Hel"], vec![]) } else { says(&[goes_on], whole()) };
        let cut_once = Fake::start(script).await;
        let app = App::in_front_of(&[&cut_once.url], &[&retries[..], &more].concat()).await;
        let got = Answer::of(app.post("/v1/chat/completions", body)).await;
        assert_whole(&got, "Hello", goes_on);
        let manner = if goes_on == "lo" { "prefilled" } else { "spliced" };
        assert_eq!((cut_once.requests().len(), rescues(&app, manner).await), (2, 1.0), "{goes_on}");

        let cut_once = Fake::start(script).await;
        let app = App::in_front_of(&[&cut_once.url], &[&retries[..], &more].concat()).await;
        let off = app.post("/v1/chat/completions", body).header("x-vx11-fallback", "off");
        assert_broken(&Answer::of(off).await, "Hel", "the caller wants no rescue");
        assert_eq!(cut_once.requests().len(), 1);
    }
    for (outcome, end) in breaks() {
        let bad = Fake::always(says(&["Hel"], end)).await;
        let app = App::in_front_of(&[&bad.url], &[&retries[..], &[idle(outcome)]].concat()).await;
        assert_broken(&app.stream().await, "Hel", outcome);
        let asked = if outcome == "stream_cut" { 2 } else { 1 };
        assert_eq!((bad.requests().len(), rescues(&app, "exhausted").await), (asked, 1.0), "{outcome}: as in JSON");
    }
    let threshold = ("VX11_SWITCH__PROVIDERS__A__BREAKER__FAILURE_THRESHOLD", "1");
    let bad = Fake::always(says(&["Hel"], vec![])).await;
    let app = App::in_front_of(&[&bad.url], &[&retries[..], &[threshold]].concat()).await;
    assert_broken(&app.stream().await, "Hel", "its breaker is open");
    assert_eq!(bad.requests().len(), 1);
}

#[tokio::test]
async fn the_off_switch_holds_mid_stream_and_before() {
    let (bad, good) = (Fake::always(says(&["Hel"], vec![])).await, Fake::always(whole_stream()).await);
    let app = App::in_front_of(&[&bad.url, &good.url], &[]).await;
    let body = r#"{"model":"m","messages":[],"stream":true}"#;
    let off =
        |path: &'static str, body: &'static str| Answer::of(app.post(path, body).header("x-vx11-fallback", "off"));
    assert_broken(&off("/v1/chat/completions", body).await, "Hel", "off");
    let pinned = Answer::of(app.post("/v1/chat/completions", body).header("x-vx11-provider", "a")).await;
    assert_broken(&pinned, "Hel", "pinned");
    assert_eq!(off("/v1/chat/completions", r#"{"model":"m","messages":[]}"#).await.status, 502);
    assert_eq!(good.requests().len(), 0);
}

#[tokio::test]
async fn a_tool_call_is_never_put_together_from_two() {
    let call = |arguments: &str| {
        let delta = json!({"tool_calls": [{"index": 0, "id": "t", "function": {"name": "f", "arguments": arguments}}]});
        event(&json!({"id": "c1", "choices": [{"index": 0, "delta": delta}]}).to_string())
    };
    let end = r#"{"id":"c1","choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}"#;
    let whole = || says(&["Let me"], vec![call("{\"x\""), call(":1}"), event(end), event("[DONE]")]);
    let half = Fake::always(says(&["Let me"], vec![call("{\"x\"")])).await;
    let good = Fake::always(whole()).await;
    let app = App::in_front_of(&[&half.url, &good.url], &[PREFILL]).await;
    let got = app.stream().await;
    assert_broken(&got, "Let me", "half a call was delivered");
    assert_eq!((rescues(&app, "tool_call").await, good.requests().len()), (1.0, 0));

    let before = Fake::always(says(&["Let"], vec![])).await;
    let app = App::in_front_of(&[&before.url, &good.url], &[]).await;
    let got = app.stream().await;
    assert_whole(&got, "Let me", "none was delivered");
    let arguments: String = chunks(&got)
        .iter()
        .filter_map(|chunk| {
            chunk["choices"][0]["delta"]["tool_calls"][0]["function"]["arguments"].as_str().map(str::to_owned)
        })
        .collect();
    assert_eq!(arguments, "{\"x\":1}");
}

#[tokio::test]
async fn a_lone_malformed_chunk_is_left_out() {
    let fake =
        Fake::always(says(&["Hel"], vec![event("{\"oops"), chunk("lo"), event("oops"), event(STOP), event("[DONE]")]))
            .await;
    let app = App::in_front_of(&[&fake.url], &[]).await;
    let got = app.stream().await;
    assert_whole(&got, "Hello", "two, but never two in a row");
    assert!(!got.body.contains("oops"));
    assert_eq!(app.provider("a").await["breaker"]["failure_count"], 0);
}

#[tokio::test]
async fn several_choices_are_finished_one_by_one_or_not_at_all() {
    let says = |index: usize, text: &str, end: Option<&str>| {
        event(
            &json!({"id": "c1", "choices": [{"index": index, "delta": {"content": text}, "finish_reason": end}]})
                .to_string(),
        )
    };
    let first = vec![stream_head(), says(0, "red", Some("stop")), says(1, "gr", None)];
    let whole = |second: &str| {
        vec![stream_head(), says(1, second, Some("stop")), says(0, "red", Some("stop")), event("[DONE]")]
    };
    let body = r#"{"model":"m","messages":[],"stream":true,"n":2}"#;
    for (second, outcome) in [("green", "spliced"), ("blue", "diverged")] {
        let (bad, good) = (Fake::always(first.clone()).await, Fake::always(whole(second)).await);
        let app = App::in_front_of(&[&bad.url, &good.url], &[PREFILL]).await;
        let got = Answer::of(app.post("/v1/chat/completions", body)).await;
        let rescued = outcome == "spliced";
        assert_eq!(got.body.contains("[DONE]"), rescued, "{}", got.body);
        assert_eq!((got.body.contains(r#""een""#), got.body.matches("red").count()), (rescued, 1), "{}", got.body);
        assert_eq!((rescues(&app, outcome).await, good.requests().len()), (1.0, 1));
    }
}

#[tokio::test]
async fn what_passes_is_asked_again_mid_stream_too() {
    let retries = [("VX11_SWITCH__RETRIES__ATTEMPTS", "2"), ("VX11_SWITCH__RETRIES__BASE", "1ms")];
    for fault in [vec![error(503, "")], vec![Act::Reset], vec![stream_head()]] {
        let bad = Fake::always(says(&["Hel"], vec![])).await;
        let faulty = fault.clone();
        let flapping = move |number: usize| if number < 2 { faulty.clone() } else { whole_stream() };
        let (flapping, spare) = (Fake::start(flapping).await, Fake::always(whole_stream()).await);
        let app = App::in_front_of(&[&bad.url, &flapping.url, &spare.url], &retries).await;
        assert_whole(&app.stream().await, "Hello", "the second one, at last");
        assert_eq!((flapping.requests().len(), spare.requests().len()), (3, 0), "{fault:?}");
        let down = Fake::always(fault).await;
        let app = App::in_front_of(&[&bad.url, &down.url, &spare.url], &retries).await;
        assert_whole(&app.stream().await, "Hello", "the third one");
        assert_eq!((down.requests().len(), spare.requests().len()), (3, 1));
    }
}

#[tokio::test]
async fn a_content_policy_ends_the_stream_and_is_no_reason_to_ask_around() {
    let filtered = answer(400, "", r#"{"error":{"message":"no","code":"content_filter"}}"#);
    for more in [&[][..], &[PREFILL]] {
        let (bad, strict) = (Fake::always(says(&["Hel"], vec![])).await, Fake::always([filtered.clone()]).await);
        let spare = Fake::always(whole_stream()).await;
        let app = App::in_front_of(&[&bad.url, &strict.url, &spare.url], more).await;
        assert_broken(&app.stream().await, "Hel", "nobody else is asked");
        assert_eq!((strict.requests().len(), spare.requests().len(), rescues(&app, "refused").await), (1, 0, 1.0));
    }
}

#[tokio::test]
async fn who_is_silent_is_not_asked_again_under_another_model() {
    let (bad, silent) = (Fake::always(says(&["Hel"], vec![])).await, Fake::always([Act::Wait]).await);
    let spare = Fake::always(whole_stream()).await;
    let variables = [
        ("VX11_SWITCH__MODELS__M__TARGETS", r#"["a/m-a","b/m-b","b/any-other","c/m-c"]"#),
        ("VX11_SWITCH__PROVIDERS__B__TTFT_TIMEOUT", "50ms"),
    ];
    let app = App::in_front_of(&[&bad.url, &silent.url, &spare.url], &variables).await;
    assert_whole(&app.stream().await, "Hello", "the third one");
    assert_eq!(silent.requests().len(), 1);
}

#[tokio::test]
async fn what_is_too_long_for_who_takes_over_goes_to_the_larger_model() {
    let too_long = answer(400, "", r#"{"error":{"message":"no","code":"context_length_exceeded"}}"#);
    let (bad, small) = (Fake::always(says(&["Hel"], vec![])).await, Fake::always([too_long]).await);
    let (spare, large) = (Fake::always(whole_stream()).await, Fake::always(whole_stream()).await);
    let variables = [
        ("VX11_SWITCH__MODELS__M__TARGETS", r#"["a/m-a","b/m-b","c/m-c"]"#),
        ("VX11_SWITCH__MODELS__M__CONTEXT_FALLBACK", r#"["d/m-d"]"#),
    ];
    let app = App::in_front_of(&[&bad.url, &small.url, &spare.url, &large.url], &variables).await;
    assert_whole(&app.stream().await, "Hello", "the one for longer requests");
    assert_eq!((small.requests().len(), spare.requests().len(), large.requests().len()), (1, 0, 1));
}

#[tokio::test]
async fn another_key_of_the_one_who_takes_over_is_tried() {
    let keys = [
        ("VX11_SWITCH__PROVIDERS__B__API_KEY_ENVS", r#"["FIRST_KEY","SECOND_KEY"]"#),
        ("FIRST_KEY", "sk-first"),
        ("SECOND_KEY", "sk-second"),
    ];
    for status in [401, 429] {
        let bad = Fake::always(says(&["Hel"], vec![])).await;
        let script = move |number: usize| if number == 0 { vec![error(status, "")] } else { whole_stream() };
        let good = Fake::start(script).await;
        let app = App::in_front_of(&[&bad.url, &good.url], &keys).await;
        assert_whole(&app.stream().await, "Hello", "with the second key");
        assert_eq!(good.requests().len(), 2, "{status}");
    }
}

#[tokio::test]
async fn the_streams_total_limit_covers_all_who_take_part() {
    let bad = Fake::always(says(&["Hel"], vec![])).await;
    let slow = Fake::always(says(&["Hello"], vec![Act::Wait])).await;
    let total = ("VX11_SWITCH__PROVIDERS__A__STREAM_TOTAL_TIMEOUT", "3s");
    let app = App::in_front_of(&[&bad.url, &slow.url], &[total]).await;
    let got = app.stream().await;
    assert_eq!((text(&got).as_str(), got.body.contains("[DONE]")), ("Hello", false), "{}", got.body);
    assert_eq!(chunks(&got).last().unwrap()["error"]["code"], "deadline_exceeded", "the first one's limit ended it");
    assert_eq!(app.provider("b").await["breaker"]["failure_count"], 0, "it was alive");
}

#[tokio::test]
async fn a_caller_that_goes_away_during_a_rescue_cancels_it() {
    for second in [vec![Act::Wait], says(&["He"], vec![Act::Wait])] {
        let bad = Fake::always(says(&["Hel"], vec![])).await;
        let slow = Fake::always(second).await;
        let app = App::in_front_of(&[&bad.url, &slow.url], &[]).await;
        let body = r#"{"model":"m","messages":[],"stream":true}"#;
        let mut response = app.post("/v1/chat/completions", body).send().await.unwrap();
        response.chunk().await.unwrap().expect("it has begun");
        eventually("the second is asked", async || slow.requests().len() == 1).await;
        drop(response);
        eventually("the second sees its caller go", async || slow.hung_up() == 1).await;
        app.wait_for_metric("vx11_streams_active", 0.0).await;
        let cancelled = r#"vx11_provider_requests_total{model="m-b",outcome="cancelled",provider="b"}"#;
        app.wait_for_metric(cancelled, 1.0).await;
    }
}

#[tokio::test]
async fn a_streamed_chat_is_finished_elsewhere_too() {
    let bad = Fake::always(says(&["Hel"], vec![Act::Reset])).await;
    let good = Fake::always(whole_stream()).await;
    let app = App::in_front_of(&[&bad.url, &good.url], &[]).await;
    let got = app.chat(json!({"stream": true})).await;
    let frames: Vec<Value> = got.events().iter().map(|data| serde_json::from_str(data).unwrap()).collect();
    let tokens: Vec<&Value> =
        frames.iter().filter(|frame| frame["type"] == "token").map(|frame| &frame["content"]).collect();
    assert_eq!(tokens, ["Hel", "lo"]);
    let done = frames.last().unwrap();
    assert_eq!(
        (&done["reply"], &done["provider"], &done["fallback_reason"]),
        (&json!("Hello"), &json!("b"), &json!("stream_cut"))
    );
    assert_eq!(
        (&done["attempts"][0]["outcome"], &done["attempts"][1]["outcome"]),
        (&json!("stream_cut"), &json!("success"))
    );
    assert_eq!(done["usage"]["completion_tokens"], 1 + 2, "of both");

    let other = Fake::always(says(&["Good day"], whole())).await;
    let error = ("VX11_SWITCH__MODELS__DEFAULT__ON_DIVERGENCE", "error");
    let app = App::in_front_of(&[&bad.url, &other.url], &[error]).await;
    let got = app.chat(json!({"stream": true})).await;
    assert!(got.events().last().unwrap().contains("upstream_error") && !got.body.contains("day"), "{}", got.body);
}

#[tokio::test]
async fn an_open_breaker_is_passed_over_mid_stream() {
    let bad = Fake::always(says(&["Hel"], vec![])).await;
    let down = Fake::start(|number| if number == 0 { vec![error(500, "")] } else { vec![completion("unused")] }).await;
    let good = Fake::always(whole_stream()).await;
    let threshold = ("VX11_SWITCH__PROVIDERS__B__BREAKER__FAILURE_THRESHOLD", "1");
    let app = App::in_front_of(&[&bad.url, &down.url, &good.url], &[threshold]).await;
    for _ in 0..2 {
        assert_whole(&app.stream().await, "Hello", "the third one");
    }
    assert_eq!(down.requests().len(), 1);
}
