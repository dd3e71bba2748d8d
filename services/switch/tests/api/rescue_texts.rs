//! A text completion's stream that breaks, and how it is finished elsewhere: behind its prompt, or by who only chats.

use serde_json::{Value, json};

use crate::app::{Answer, App};
use crate::fake::{Act, Fake, STOP, USAGE, chunk, error, event, stream_head};
use crate::rescue::{asked, breaks, idle, rescues};

const PATH: &str = "/v1/completions";
const ASKED: &str = r#"{"model":"m","prompt":"Say: ","stream":true,"max_tokens":20}"#;
const CHATS_A: (&str, &str) = ("VX11_SWITCH__PROVIDERS__A__TEXT_COMPLETIONS", "false");
const CHATS_B: (&str, &str) = ("VX11_SWITCH__PROVIDERS__B__TEXT_COMPLETIONS", "false");
const PREFILL: (&str, &str) = ("VX11_SWITCH__PROVIDERS__B__PREFILL", "true");

/// The chunk of a text completion.
fn text_chunk(index: usize, text: &str, end: Option<&str>) -> Act {
    let choice = json!({"text": text, "index": index, "logprobs": null, "finish_reason": end});
    let chunk = json!({"id": "c1", "object": "text_completion", "created": 7, "model": "real", "choices": [choice]});
    event(&chunk.to_string())
}

/// A stream that writes these pieces, and then does `end`.
fn writes(pieces: &[&str], end: Vec<Act>) -> Vec<Act> {
    let pieces = pieces.iter().map(|piece| text_chunk(0, piece, None));
    [stream_head()].into_iter().chain(pieces).chain(end).collect()
}

/// How a whole text ends.
fn whole() -> Vec<Act> {
    vec![text_chunk(0, "", Some("stop")), event(USAGE), event("[DONE]")]
}

/// A whole chat that says `text`.
fn says(text: &str) -> Vec<Act> {
    vec![stream_head(), chunk(text), event(STOP), event(USAGE), event("[DONE]")]
}

async fn ask(app: &App, body: &str) -> Answer {
    Answer::of(app.post(PATH, body.to_owned())).await
}

/// The chunks of a stream, `[DONE]` left out.
fn chunks(got: &Answer) -> Vec<Value> {
    got.events().iter().filter(|data| **data != "[DONE]").map(|data| serde_json::from_str(data).unwrap()).collect()
}

fn text(got: &Answer) -> String {
    chunks(got).iter().filter_map(|chunk| chunk["choices"][0]["text"].as_str().map(str::to_owned)).collect()
}

/// One whole text: one id, one sort of chunks, one end, one mark, no error.
fn assert_whole(got: &Answer, expected: &str, why: &str) {
    assert_eq!((got.status, text(got).as_str()), (200, expected), "{why}: {}", got.body);
    let chunks = chunks(got);
    let ends = chunks.iter().filter(|chunk| chunk["choices"][0]["finish_reason"].is_string()).count();
    assert_eq!((ends, got.body.matches("[DONE]").count()), (1, 1), "{why}: {}", got.body);
    let is_of_one = |chunk: &Value| chunk["id"] == "c1" && chunk["choices"][0]["delta"].is_null();
    assert!(chunks.iter().all(is_of_one) && !got.body.contains(r#""error""#), "{why}: {}", got.body);
}

/// An honest end: what came before stands, an error follows, and no mark.
fn assert_broken(got: &Answer, expected: &str, why: &str) {
    assert_eq!((got.status, text(got).as_str()), (200, expected), "{why}: {}", got.body);
    assert_eq!(chunks(got).last().unwrap()["error"]["code"], "upstream_error", "{why}: {}", got.body);
    assert!(!got.body.contains("[DONE]") && !got.body.contains(r#""finish_reason":"stop""#), "{why}: {}", got.body);
}

#[tokio::test]
async fn a_text_goes_on_behind_its_prompt_whatever_the_break() {
    for (outcome, end) in breaks() {
        let bad = Fake::always(writes(&["Hel"], end)).await;
        let good = Fake::always(writes(&["lo", " you"], whole())).await;
        let app = App::in_front_of(&[&bad.url, &good.url], &[idle(outcome)]).await;
        let body = ASKED.replace("}", r#","stream_options":{"include_usage":true}}"#);
        let got = ask(&app, &body).await;
        assert_whole(&got, "Hello you", outcome);
        let sent = asked(&good, 0);
        assert_eq!((&sent["prompt"], &sent["max_tokens"]), (&json!("Say: Hel"), &json!(19)), "{outcome}");
        assert!(good.requests()[0].starts_with("POST /v1/completions "), "{outcome}");
        let chunks = chunks(&got);
        assert!(chunks.iter().all(|chunk| chunk["object"] == "text_completion"), "{}", got.body);
        let [.., finish, last] = chunks.as_slice() else { panic!("{}", got.body) };
        assert_eq!(finish["vx11"], json!({"provider": "b", "model": "m-b", "rescued": 1}), "{outcome}");
        assert_eq!((&last["choices"], &last["usage"]["completion_tokens"]), (&json!([]), &json!(1 + 2)), "of both");
        assert_eq!((rescues(&app, "prompted").await, bad.requests().len()), (1.0, 1), "{outcome}");
        assert_eq!(app.provider("a").await["breaker"]["failure_count"], 1, "{outcome}");
    }
}

#[tokio::test]
async fn what_is_the_same_as_before_belongs_to_the_text() {
    let ho = "ho ho ho ho ho ho ho ";
    let (bad, good) = (Fake::always(writes(&[ho], vec![])).await, Fake::always(writes(&[ho, "!"], whole())).await);
    let app = App::in_front_of(&[&bad.url, &good.url], &[]).await;
    assert_whole(&ask(&app, ASKED).await, &format!("{ho}{ho}!"), "nothing is taken for a repetition");
    let bad = Fake::always(writes(&["\n\n"], vec![])).await;
    let app = App::in_front_of(&[&bad.url, &good.url], &[]).await;
    assert_whole(&ask(&app, ASKED).await, &format!("\n\n{ho}!"), "blanks are text, too");
}

#[tokio::test]
async fn a_target_that_refuses_the_longer_prompt_is_asked_anew() {
    let bad = Fake::always(writes(&["Hel"], vec![])).await;
    for (second, whole_text) in [("Hello", true), ("Good day", false)] {
        let again = writes(&[second], whole());
        let good = Fake::start(move |number| if number == 0 { vec![error(400, "")] } else { again.clone() }).await;
        let app = App::in_front_of(&[&bad.url, &good.url], &[]).await;
        let got = ask(&app, ASKED).await;
        match whole_text {
            true => assert_whole(&got, "Hello", "spliced"),
            false => assert_broken(&got, "Hel", "who completes texts cannot be told to go on"),
        }
        assert_eq!((good.requests().len(), &asked(&good, 1)["prompt"]), (2, &json!("Say: ")));
    }
}

#[tokio::test]
async fn who_only_chats_finishes_a_text_and_the_other_way_round() {
    let texts = |more: Vec<Act>| writes(&["Hello "], more);
    let chats = [stream_head(), chunk("Hello ")];
    for (first, second, variables, outcome) in [
        (texts(vec![]), says("Hello you"), vec![CHATS_B], "spliced"),
        (texts(vec![]), says("you"), vec![CHATS_B, PREFILL], "prefilled"),
        (chats.to_vec(), writes(&["you"], whole()), vec![CHATS_A], "prompted"),
        (chats.to_vec(), says("Hello you"), vec![CHATS_A, CHATS_B], "spliced"),
    ] {
        let (bad, good) = (Fake::always(first).await, Fake::always(second).await);
        let app = App::in_front_of(&[&bad.url, &good.url], &variables).await;
        assert_whole(&ask(&app, ASKED).await, "Hello you", outcome);
        assert_eq!((rescues(&app, outcome).await, good.requests().len()), (1.0, 1), "{outcome}");
        let sent = asked(&good, 0);
        match outcome {
            "prompted" => assert_eq!(sent["prompt"], "Say: Hello "),
            "prefilled" => assert_eq!(sent["messages"][1], json!({"role": "assistant", "content": "Hello"})),
            _ => assert_eq!(sent["messages"], json!([{"role": "user", "content": "Say: "}])),
        }
    }
}

#[tokio::test]
async fn the_policies_of_chats_hold_for_texts() {
    let bad = Fake::always(writes(&["Hel"], vec![])).await;
    let other = || Fake::start(|number| if number == 0 { says("Good day") } else { says("lo") });
    let told = other().await;
    let app = App::in_front_of(&[&bad.url, &told.url], &[CHATS_B]).await;
    assert_whole(&ask(&app, ASKED).await, "Hello", "told to go on");
    assert_eq!(asked(&told, 1)["messages"][1], json!({"role": "assistant", "content": "Hel"}));

    let policy = ("VX11_SWITCH__MODELS__M__ON_DIVERGENCE", "error");
    let app = App::in_front_of(&[&bad.url, &other().await.url], &[CHATS_B, policy]).await;
    assert_broken(&ask(&app, ASKED).await, "Hel", "the policy says so");

    let good = Fake::always(writes(&["lo"], whole())).await;
    let app = App::in_front_of(&[&bad.url, &good.url], &[]).await;
    let off = Answer::of(app.post(PATH, ASKED).header("x-vx11-fallback", "off")).await;
    assert_broken(&off, "Hel", "off");
    assert_eq!(good.requests().len(), 0);
}

#[tokio::test]
async fn what_is_more_than_one_text_behind_its_prompt_ends_with_an_error() {
    for more in [
        r#""prompt":"x","echo":true"#,
        r#""prompt":"x","suffix":"end""#,
        r#""prompt":"x","logprobs":2"#,
        r#""prompt":"x","best_of":2"#,
        r#""prompt":[1,2,3]"#,
        r#""prompt":["x","y"]"#,
    ] {
        let (bad, good) = (Fake::always(writes(&["Hel"], vec![])).await, Fake::always(writes(&["lo"], whole())).await);
        let app = App::in_front_of(&[&bad.url, &good.url], &[]).await;
        let got = ask(&app, &format!(r#"{{"model":"m","stream":true,{more}}}"#)).await;
        assert_broken(&got, "Hel", more);
        assert_eq!(good.requests().len(), 0, "{more}");
    }
}

#[tokio::test]
async fn several_texts_are_finished_one_by_one_or_not_at_all() {
    let first = vec![stream_head(), text_chunk(0, "red", Some("stop")), text_chunk(1, "gr", None)];
    for (second, outcome) in [("green", "spliced"), ("blue", "diverged")] {
        let again = vec![
            stream_head(),
            text_chunk(1, second, Some("stop")),
            text_chunk(0, "red", Some("stop")),
            event("[DONE]"),
        ];
        let (bad, good) = (Fake::always(first.clone()).await, Fake::always(again).await);
        let app = App::in_front_of(&[&bad.url, &good.url], &[]).await;
        let got = ask(&app, &ASKED.replace("}", r#","n":2}"#)).await;
        let rescued = outcome == "spliced";
        assert_eq!(got.body.contains("[DONE]"), rescued, "{}", got.body);
        assert_eq!((got.body.contains(r#""een""#), got.body.matches("red").count()), (rescued, 1), "{}", got.body);
        assert_eq!((rescues(&app, outcome).await, &asked(&good, 0)["prompt"]), (1.0, &json!("Say: ")));
    }
}
