//! Every wire says the same, and goes wrong in the same ways.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::mock::{Answer, Mock};
use crate::wire::{Said, Scenario, Wire, user};

fn scenarios() -> Vec<(&'static str, Scenario)> {
    let weather = json!({ "type": "object", "properties": {
        "city": { "type": "string" }, "unit": { "type": "string", "enum": ["c", "f"] }, "days": { "type": "integer" } } });
    let tools = vec![("get_weather", weather.clone()), ("get_time", json!({ "type": "object", "properties": {} }))];
    let calling = |text| Scenario { tools: tools.clone(), ..user(text) };
    let talk = vec![("system", "Be brief."), ("user", "Hello"), ("assistant", "Hi!"), ("user", "How are you?")];
    let mut answered = calling("call get_weather");
    answered.messages.extend([("assistant", "Let me see."), ("tool", "sunny, 21 degrees")]);
    vec![
        ("plain", user("Hello")),
        ("words", user("echo: é 🐙, \"x\"  y\nz")),
        ("nothing", user("tokens: 0")),
        ("a talk", Scenario { messages: talk, ..user("") }),
        ("a limit", Scenario { limit: Some(3), ..user("tokens: 9") }),
        ("a stop", Scenario { stop: Some(" three"), ..user("echo: one two three") }),
        ("thinking", Scenario { thinks: true, ..user("echo: 42") }),
        ("a limit on thinking", Scenario { thinks: true, limit: Some(5), ..user("echo: 42") }),
        ("two calls", calling("call get_weather and call get_time")),
        ("a thoughtful call", Scenario { thinks: true, ..calling("call get_weather") }),
        ("a call that must be", Scenario { tool: Some("get_time"), ..calling("Hello") }),
        ("the result of a call", answered),
        ("JSON", Scenario { schema: Some(weather), ..user("Hello") }),
    ]
}

/// Everything that comes of a stream, and whether it ended in order.
async fn stream(wire: Wire, mock: &Mock, scenario: &Scenario, faults: &str) -> (String, bool) {
    let mut response = wire.request(mock, scenario, faults, true).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let mut body = Vec::new();
    let is_whole = loop {
        match response.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            end => break end.is_ok(),
        }
    };
    (String::from_utf8(body).unwrap(), is_whole)
}

#[tokio::test]
async fn a_conversation_gets_the_same_answer_and_bill_on_every_wire_whole_and_streamed() {
    let mock = Mock::start().await;
    for (name, scenario) in scenarios() {
        let expected = Wire::OpenAi.read(&Wire::OpenAi.ask(&mock, &scenario, "", false).await);
        // A response has no stop sequences.
        let wires = Wire::ALL.into_iter().filter(|wire| *wire != Wire::Responses || scenario.stop.is_none());
        for wire in wires {
            let whole = wire.read(&wire.ask(&mock, &scenario, "", false).await);
            assert_eq!(whole, expected, "{name}, {wire:?}");
            let (body, is_whole) = stream(wire, &mock, &scenario, "").await;
            assert_eq!(wire.read_stream(&body), expected, "{name}, {wire:?}, streamed: {body}");
            assert!(is_whole && wire.is_ended(&body), "{name}, {wire:?}: {body}");
            let entry = mock.last().await;
            let tokens = expected.usage.unwrap()[2];
            assert_eq!((&entry["wire"], &entry["tokens_sent"]), (&json!(wire.name()), &json!(tokens)), "{name}");
        }
    }
}

#[tokio::test]
async fn what_a_provider_is_like_can_be_asked_for() {
    let mock = Mock::start().await;
    let scenario = user("echo: one two");
    for wire in Wire::ALL {
        for streamed in [false, true] {
            let ask = async |faults| {
                let answer = wire.ask(&mock, &scenario, faults, streamed).await;
                if streamed { wire.read_stream(&answer.body) } else { wire.read(&answer) }
            };
            assert_eq!(ask("no_usage").await.usage, None, "{wire:?}");
            assert_eq!(ask("").await.usage, Some([8, 0, 2, 0]), "{wire:?}");
            assert_eq!(ask("cached_tokens=5").await.usage, Some([8, 5, 2, 0]), "{wire:?}");
            assert_eq!(ask("cached_tokens=500").await.usage, Some([8, 8, 2, 0]), "{wire:?}");
            assert_eq!(ask("reasoning_tokens=4").await.usage, Some([8, 0, 6, 4]), "{wire:?}");
        }
    }
    let hidden = Wire::Gemini.ask(&mock, &scenario, "reasoning_tokens=4", true).await;
    assert_eq!(Wire::Gemini.read_stream(&hidden.body).thought, "", "shown only to who asks for it");
}

#[tokio::test]
async fn an_answer_that_was_begun_is_continued_refused_or_ignored() {
    let mock = Mock::start().await;
    let mut begun = user("echo: one two three four");
    begun.messages.push(("assistant", "one two"));
    for wire in Wire::ALL {
        for streamed in [false, true] {
            let ask = async |faults| {
                let answer = wire.ask(&mock, &begun, faults, streamed).await;
                if streamed { wire.read_stream(&answer.body) } else { wire.read(&answer) }
            };
            let default = if wire == Wire::Anthropic { " three four" } else { "one two three four" };
            assert_eq!(ask("").await.text, default, "{wire:?}");
            assert_eq!(ask("prefill=ignore").await.text, "one two three four", "{wire:?}");
            let continued = ask("prefill=accept").await;
            assert_eq!(continued.text, " three four", "{wire:?}");
            assert_eq!(continued.usage, Some([16, 0, 2, 0]), "{wire:?}: what was begun is read, and not written");
            let refused = wire.ask(&mock, &begun, "prefill=reject", streamed).await;
            assert_eq!(wire.refusal(&refused).0, 400, "{wire:?}");
            let plain = wire.ask(&mock, &user("Hello"), "prefill=reject", streamed).await;
            assert_eq!(plain.status, 200, "{wire:?}");
        }
    }
}

#[tokio::test]
async fn a_status_has_its_wires_words_and_says_when_to_come_back_if_asked_to() {
    let mock = Mock::start().await;
    for (wire, words) in [
        (Wire::OpenAi, [(401, "mock_fault"), (429, "mock_fault"), (500, "mock_fault"), (529, "mock_fault")]),
        (
            Wire::Anthropic,
            [(401, "authentication_error"), (429, "rate_limit_error"), (500, "api_error"), (529, "overloaded_error")],
        ),
        (
            Wire::Gemini,
            [(400, "INVALID_ARGUMENT"), (429, "RESOURCE_EXHAUSTED"), (500, "INTERNAL"), (503, "UNAVAILABLE")],
        ),
    ] {
        for (status, word) in words {
            for streamed in [false, true] {
                let plain = wire.ask(&mock, &user("Hello"), &format!("status={status}"), streamed).await;
                let (got, class, _) = wire.refusal(&plain);
                assert_eq!((got, class.as_str()), (status, word), "{wire:?}");
                assert_eq!((plain.header("retry-after"), plain.header("retry-after-ms")), ("", ""));
                let later = format!("status={status},retry_after=2,retry_after_ms=250");
                let later = wire.ask(&mock, &user("Hello"), &later, streamed).await;
                assert_eq!((later.header("retry-after"), later.header("retry-after-ms")), ("2", "250"));
            }
        }
    }
    let later = Wire::Gemini.ask(&mock, &user("Hello"), "status=429,retry_after=2", false).await;
    assert_eq!(later.json()["error"]["details"][0]["retryDelay"], "2s");
}

#[tokio::test]
async fn a_prompt_can_be_too_long_or_refused() {
    let mock = Mock::start().await;
    for wire in Wire::ALL {
        for streamed in [false, true] {
            let ask = async |fault| wire.ask(&mock, &user("Hello"), fault, streamed).await;
            let (status, class, message) = wire.refusal(&ask("context_length").await);
            let class_of = match wire {
                Wire::OpenAi | Wire::Azure | Wire::Responses => "context_length_exceeded",
                Wire::Anthropic => "invalid_request_error",
                _ => "INVALID_ARGUMENT",
            };
            assert_eq!((status, class.as_str()), (400, class_of));
            assert!(message.contains('5') && message.contains("maximum"), "{message}");
            for (fault, code) in [("content_filter", "content_filter"), ("content_policy", "content_policy_violation")]
            {
                let got = ask(fault).await;
                match (wire, fault) {
                    (Wire::OpenAi | Wire::Azure | Wire::Responses, _) => assert_eq!(wire.refusal(&got).1, code),
                    (Wire::Anthropic, "content_filter") => assert_eq!(wire.refusal(&got).0, 400),
                    (_, "content_filter") => {
                        assert!(got.body.contains("\"promptFeedback\":{\"blockReason\":\"SAFETY\"}"))
                    }
                    _ => {
                        let said = if streamed { wire.read_stream(&got.body) } else { wire.read(&got) };
                        assert_eq!((said.text.as_str(), said.ending.as_str()), ("", "content_filter"), "{}", got.body);
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn a_stream_breaks_off_after_its_tokens() {
    let mock = Mock::start().await;
    for wire in Wire::ALL {
        for (n, sent) in [(0, ""), (3, "a b c"), (5, "a b c d e")] {
            let (body, is_whole) = stream(wire, &mock, &user("echo: a b c d e"), &format!("cut={n}")).await;
            assert_eq!((wire.read_stream(&body).text.as_str(), is_whole), (sent, false), "{wire:?}");
            assert!(!wire.is_ended(&body), "{wire:?}");
            let entry = mock.last().await;
            assert_eq!((&entry["outcome"], &entry["tokens_sent"]), (&json!("cut"), &json!(n)));
        }
    }
}

#[tokio::test]
async fn the_log_says_that_a_client_went_away_and_after_how_many_tokens() {
    let mock = Mock::start().await;
    for wire in Wire::ALL {
        let mut response = wire.request(&mock, &user("echo: a b c d e"), "stall=3", true).send().await.unwrap();
        let mut body = String::new();
        while wire.read_stream(&body).text != "a b c" {
            body.push_str(std::str::from_utf8(&response.chunk().await.unwrap().expect("more")).unwrap());
        }
        drop(response);
        mock.wait_for_outcome("client_disconnected").await;
        assert_eq!(mock.last().await["tokens_sent"], 3, "{wire:?}");
        let waiting = tokio::spawn(wire.request(&mock, &user("echo: a b"), "drip=1m", false).send());
        mock.wait_for_outcome("in_flight").await;
        waiting.abort();
        mock.wait_for_outcome("client_disconnected").await;
        assert_eq!(mock.last().await["tokens_sent"], 0, "{wire:?}: none of a body that was not sent");
    }
}

#[tokio::test]
async fn a_malformed_chunk_comes_among_good_ones() {
    let mock = Mock::start().await;
    for wire in Wire::ALL {
        let clean = wire.chunks(&stream(wire, &mock, &user("echo: a b c"), "").await.0).len();
        let (body, is_whole) = stream(wire, &mock, &user("echo: a b c"), "malformed=2").await;
        assert_eq!((wire.read_stream(&body).text.as_str(), is_whole), ("a b c", true), "{wire:?}");
        assert_eq!(wire.chunks(&body).len(), clean, "{wire:?}: none is lost");
        assert!(body.contains("\"del") || body.contains("{\"con\r\n") || body.contains("{\"con,"), "{wire:?}: {body}");
        assert_eq!(mock.last().await["outcome"], "malformed");
    }
}

#[tokio::test]
async fn an_error_frame_ends_a_stream_in_its_wires_words() {
    let mock = Mock::start().await;
    for wire in Wire::ALL {
        for n in [0, 2] {
            let (body, is_whole) = stream(wire, &mock, &user("echo: a b c"), &format!("error_frame={n}")).await;
            assert!(is_whole && !wire.is_ended(&body), "{wire:?}: {body}");
            let last = wire.chunks(&body).pop().unwrap();
            let class = match wire {
                Wire::OpenAi | Wire::Azure => &last["error"]["code"],
                Wire::Responses => &last["code"],
                Wire::Anthropic => &last["error"]["type"],
                _ => &last["error"]["status"],
            };
            assert!(["mock_fault", "api_error", "INTERNAL"].contains(&class.as_str().unwrap()), "{last}");
            let is_named = matches!(wire, Wire::Responses | Wire::Anthropic);
            assert_eq!(is_named, body.contains("event: error\n"));
            assert_eq!(mock.last().await["outcome"], "error");
        }
    }
    let (array, _) = stream(Wire::GeminiArray, &mock, &user("echo: a b c"), "error_frame=2").await;
    assert!(serde_json::from_str::<Value>(&array).is_ok(), "{array}");
}

#[tokio::test]
async fn the_end_mark_can_be_left_out_and_all_else_is_there() {
    let mock = Mock::start().await;
    for wire in Wire::ALL {
        let (body, is_whole) = stream(wire, &mock, &user("echo: a b c"), "no_done").await;
        let Said { text, ending, .. } = wire.read_stream(&body);
        assert_eq!((text.as_str(), is_whole, wire.is_ended(&body)), ("a b c", true, false), "{wire:?}");
        // On Gemini's wire the reason is the mark, and in a response it stands there.
        assert_eq!(ending.is_empty(), ["gemini", "responses"].contains(&wire.name()), "{wire:?}");
    }
}

#[tokio::test]
async fn waits_are_kept() {
    let mock = Mock::start().await;
    for wire in Wire::ALL {
        for (faults, least) in [("latency=60ms", 60), ("first_token=60ms", 60), ("drip=20ms", 60)] {
            for streamed in [false, true] {
                let begun = Instant::now();
                assert_eq!(wire.ask(&mock, &user("echo: a b c"), faults, streamed).await.status, 200);
                assert!(begun.elapsed() >= Duration::from_millis(least), "{wire:?}, {faults}");
            }
        }
    }
}

#[tokio::test]
async fn connections_and_bodies_break_on_every_wire() {
    let mock = Mock::start().await;
    for wire in Wire::ALL {
        for streamed in [false, true] {
            let reset = wire.request(&mock, &user("Hello"), "reset", streamed).send().await;
            assert!(reset.is_err(), "{wire:?}");
            assert_eq!(mock.last().await["outcome"], "reset");
            let hanging = tokio::spawn(wire.request(&mock, &user("Hello"), "hang", streamed).send());
            mock.wait_for_outcome("in_flight").await;
            hanging.abort();
            mock.wait_for_outcome("client_disconnected").await;
            assert!(wire.ask(&mock, &user("Hello"), "html", streamed).await.body.starts_with("<html>"));
            assert_eq!(wire.ask(&mock, &user("Hello"), "empty", streamed).await.body, "");
        }
        for faults in ["truncate", "cut=1"] {
            let response = wire.request(&mock, &user("Hello"), faults, false).send().await.unwrap();
            assert!(response.text().await.is_err(), "{wire:?}, {faults}");
        }
        let broken = wire.ask(&mock, &user("Hello"), "malformed=1", false).await;
        assert!(serde_json::from_str::<Value>(&broken.body).is_err());
    }
}

#[tokio::test]
async fn triggers_fire_on_every_wire() {
    let mock = Mock::start().await;
    for wire in Wire::ALL {
        let statuses = async |faults: &str, n: usize| {
            let mut statuses = Vec::new();
            for _ in 0..n {
                statuses.push(wire.ask(&mock, &user("Hello"), faults, false).await.status);
            }
            statuses
        };
        Answer::of(mock.post("/admin/reset", "")).await;
        assert_eq!(statuses("fail_first=2,status=503", 3).await, [503, 503, 200], "{wire:?}");
        assert_eq!(statuses("flap=0s/1m,status=503", 2).await, [503, 503], "{wire:?}");
        assert_eq!(statuses("flap=1m/1m", 2).await, [200, 200], "{wire:?}");
        let some = statuses("error_rate=0.5", 20).await;
        assert!(some.contains(&200) && some.contains(&500), "{wire:?}: {some:?}");
    }
}
