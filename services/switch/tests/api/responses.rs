//! `POST /v1/responses`, whole and streamed, in front of providers that chat.

use serde_json::{Value, json};

use crate::app::{Answer, App};
use crate::fake::{Act, Fake, STOP, answer, chunk, completion, error, event, stream_head, whole_stream};

async fn ask(app: &App, body: Value) -> Answer {
    Answer::of(app.post("/v1/responses", body.to_string())).await
}

/// The events, checked for what holds for all: their names, their numbers, and one terminal event at the end.
fn events(got: &Answer) -> Vec<Value> {
    assert_eq!((got.status, got.header("content-type")), (200, "text/event-stream"), "{}", got.body);
    let events: Vec<Value> = got.events().iter().map(|data| serde_json::from_str(data).unwrap()).collect();
    let names: Vec<&str> = got.body.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
    for (index, event) in events.iter().enumerate() {
        assert_eq!(
            (event["type"].as_str(), event["sequence_number"].as_u64()),
            (Some(names[index]), Some(index as u64))
        );
        let terminal = ["response.completed", "response.incomplete", "response.failed"].contains(&names[index]);
        assert_eq!(terminal, index + 1 == events.len(), "exactly one is the last: {}", got.body);
    }
    assert!(!got.body.contains("[DONE]"));
    events
}

#[tokio::test]
async fn a_response_is_a_chat_completion_in_other_words() {
    let fake = Fake::always([completion("Hello")]).await;
    let app = App::in_front_of(&[&fake.url], &[]).await;
    let got = ask(&app, json!({ "model": "m", "instructions": "Be kind.", "input": "Hi", "max_output_tokens": 9, "metadata": { "k": "v" } })).await;
    let requests = fake.requests();
    let (head, sent) = requests[0].split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /v1/chat/completions "), "{head}");
    let messages = json!([{ "role": "system", "content": "Be kind." }, { "role": "user", "content": "Hi" }]);
    assert_eq!(
        serde_json::from_str::<Value>(sent).unwrap(),
        json!({ "model": "m-a", "messages": messages, "max_tokens": 9 })
    );
    assert_eq!((got.status, got.header("x-vx11-provider"), got.header("x-request-id")), (200, "a", "req-1"));
    let response = got.json();
    assert!(response["id"].as_str().unwrap().starts_with("resp_"));
    assert_eq!(
        (&response["object"], &response["status"], &response["model"]),
        (&json!("response"), &json!("completed"), &json!("real-model"))
    );
    assert_eq!(response["output"][0]["content"][0]["text"], "Hello");
    assert_eq!((&response["usage"]["input_tokens"], &response["usage"]["output_tokens"]), (&json!(3), &json!(2)));
    assert_eq!(
        (&response["instructions"], &response["max_output_tokens"], &response["metadata"]),
        (&json!("Be kind."), &json!(9), &json!({ "k": "v" }))
    );
}

#[tokio::test]
async fn a_stream_tells_the_whole_response() {
    let fake = Fake::always(whole_stream()).await;
    let app = App::in_front_of(&[&fake.url], &[]).await;
    let got = ask(&app, json!({ "model": "m", "input": "Hi", "stream": true })).await;
    assert_eq!(got.header("x-vx11-provider"), "a");
    let events = events(&got);
    let deltas: String = events
        .iter()
        .filter(|event| event["type"] == "response.output_text.delta")
        .map(|event| event["delta"].as_str().unwrap())
        .collect();
    let last = &events.last().unwrap()["response"];
    assert_eq!((deltas.as_str(), &last["output"][0]["content"][0]["text"]), ("Hello", &json!("Hello")));
    assert_eq!((&last["status"], &last["usage"]["total_tokens"]), (&json!("completed"), &json!(5)));
    assert_eq!(last["id"], events[0]["response"]["id"]);
    assert!(fake.requests()[0].contains(r#""include_usage":true"#));
}

#[tokio::test]
async fn a_stream_that_breaks_says_that_it_failed() {
    let text_is_no_text = event(r#"{"choices":[{"index":0,"delta":{"content":["parts"]}}]}"#);
    for (fault, outcome) in [
        (vec![Act::Reset], "stream_cut"),
        (vec![Act::Wait], "stalled"),
        (vec![event(r#"{"error":{"message":"overloaded"}}"#)], "invalid_answer"),
        (vec![text_is_no_text], "invalid_answer"),
    ] {
        let acts: Vec<Act> = [stream_head(), chunk("Hel")].into_iter().chain(fault).collect();
        let fake = Fake::always(acts).await;
        let idle = [("VX11_SWITCH__PROVIDERS__A__STREAM_IDLE_TIMEOUT", "1s")];
        let app = App::in_front_of(&[&fake.url], &idle).await;
        let got = ask(&app, json!({ "model": "m", "input": "Hi", "stream": true })).await;
        let events = events(&got);
        let last = events.last().unwrap();
        assert_eq!((&last["type"], &last["response"]["status"]), (&json!("response.failed"), &json!("failed")));
        assert!(last["response"]["error"]["message"].as_str().unwrap().contains(outcome), "{last}");
        assert_eq!(last["response"]["output"][0]["status"], "incomplete");
        app.wait_for_metric(
            &format!(r#"vx11_provider_requests_total{{model="m-a",outcome="{outcome}",provider="a"}}"#),
            1.0,
        )
        .await;
    }
}

#[tokio::test]
async fn until_the_first_event_another_provider_takes_over_unseen() {
    let (bad, good) = (Fake::always([error(503, "")]).await, Fake::always(whole_stream()).await);
    let app = App::in_front_of(&[&bad.url, &good.url], &[]).await;
    let got = ask(&app, json!({ "model": "m", "input": "Hi", "stream": true })).await;
    assert_eq!(
        (got.header("x-vx11-provider"), events(&got).last().unwrap()["type"].as_str()),
        ("b", Some("response.completed"))
    );
}

#[tokio::test]
async fn an_answer_that_was_cut_short_is_incomplete() {
    for (reason, told) in [("length", "max_output_tokens"), ("content_filter", "content_filter")] {
        let stop = STOP.replace("stop", reason);
        let fake = Fake::always([stream_head(), chunk("Hel"), event(&stop), event("[DONE]")]).await;
        let app = App::in_front_of(&[&fake.url], &[]).await;
        let got = ask(&app, json!({ "model": "m", "input": "Hi", "stream": true })).await;
        let last = events(&got).pop().unwrap();
        assert_eq!(
            (&last["type"], &last["response"]["incomplete_details"]),
            (&json!("response.incomplete"), &json!({ "reason": told }))
        );
    }
}

#[tokio::test]
async fn tools_go_out_and_calls_come_back() {
    let call = |index: usize, id: &str, arguments: &str| {
        let start = json!({ "choices": [{ "index": 0, "delta": { "tool_calls": [{ "index": index, "id": id, "type": "function",
            "function": { "name": "look", "arguments": "" } }] } }] });
        let rest = json!({ "choices": [{ "index": 0, "delta": { "tool_calls": [{ "index": index, "function": { "arguments": arguments } }] } }] });
        [event(&start.to_string()), event(&rest.to_string())]
    };
    let end = STOP.replace("stop", "tool_calls");
    let acts: Vec<Act> = [stream_head()]
        .into_iter()
        .chain(call(0, "call_a", "{\"x\":1}"))
        .chain(call(1, "call_b", "{}"))
        .chain([event(&end), event("[DONE]")])
        .collect();
    let fake = Fake::always(acts).await;
    let app = App::in_front_of(&[&fake.url], &[]).await;
    let tools = json!([{ "type": "function", "name": "look", "parameters": { "type": "object" }, "strict": true }]);
    let got = ask(
        &app,
        json!({ "model": "m", "stream": true, "tools": tools, "tool_choice": "required", "input": [
        { "role": "user", "content": "Hi" },
        { "type": "function_call", "call_id": "call_0", "name": "look", "arguments": "{}" },
        { "type": "function_call_output", "call_id": "call_0", "output": "nothing" },
    ] }),
    )
    .await;
    let requests = fake.requests();
    let sent: Value = serde_json::from_str(requests[0].split_once("\r\n\r\n").unwrap().1).unwrap();
    assert_eq!(sent["tools"][0]["function"]["name"], "look");
    assert_eq!(
        (&sent["messages"][1]["tool_calls"][0]["id"], &sent["messages"][2]["tool_call_id"]),
        (&json!("call_0"), &json!("call_0"))
    );
    let events = events(&got);
    let done: Vec<&Value> =
        events.iter().filter(|event| event["type"] == "response.function_call_arguments.done").collect();
    assert_eq!((&done[0]["arguments"], &done[1]["arguments"]), (&json!("{\"x\":1}"), &json!("{}")));
    let output = &events.last().unwrap()["response"]["output"];
    assert_eq!(
        (&output[0]["call_id"], &output[1]["call_id"], &output[0]["status"]),
        (&json!("call_a"), &json!("call_b"), &json!("completed"))
    );
}

#[tokio::test]
async fn what_cannot_be_kept_is_refused_by_name_and_reaches_no_provider() {
    let fake = Fake::always([completion("x")]).await;
    let app = App::in_front_of(&[&fake.url], &[]).await;
    for (field, value) in [
        ("previous_response_id", json!("resp_1")),
        ("store", json!(true)),
        ("background", json!(true)),
        ("conversation", json!("conv_1")),
        ("tools", json!([{ "type": "web_search" }])),
        ("input", json!([{ "type": "item_reference", "id": "msg_1" }])),
    ] {
        let mut body = json!({ "model": "m", "input": "Hi" });
        body[field] = value;
        let got = ask(&app, body).await;
        let error = got.json()["error"].clone();
        let param = error["param"].as_str().unwrap();
        assert!(got.status == 400 && param.starts_with(field), "{field}: {}", got.body);
        assert_eq!(
            (error["type"].as_str(), error["code"].as_str()),
            (Some("invalid_request_error"), Some("invalid_request"))
        );
    }
    let unknown = ask(&app, json!({ "model": "gpt-9", "input": "Hi" })).await;
    assert_eq!((unknown.status, unknown.code()), (404, "model_not_found"));
    let broken = Answer::of(app.post("/v1/responses", "{")).await;
    assert_eq!((broken.status, broken.code()), (400, "invalid_request"));
    assert_eq!(Answer::of(app.get("/v1/responses")).await.status, 405);
    assert!(fake.requests().is_empty());
}

#[tokio::test]
async fn a_providers_refusal_is_passed_on() {
    let body = r#"{"error":{"message":"too long","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}"#;
    let fake = Fake::always([answer(400, "", body)]).await;
    let app = App::in_front_of(&[&fake.url], &[]).await;
    for stream in [true, false] {
        let got = ask(&app, json!({ "model": "m", "input": "Hi", "stream": stream })).await;
        assert_eq!((got.status, got.body.as_str()), (400, body));
    }
}

#[tokio::test]
async fn a_character_that_a_provider_cuts_in_two_arrives_whole() {
    let acts = [stream_head(), chunk(r"Hi \ud83d"), chunk(r"\ude00"), event(STOP), event("[DONE]")];
    let fake = Fake::always(acts).await;
    let app = App::in_front_of(&[&fake.url], &[]).await;
    let got = ask(&app, json!({ "model": "m", "input": "Hi", "stream": true })).await;
    let last = &events(&got).pop().unwrap()["response"];
    assert_eq!((&last["status"], &last["output"][0]["content"][0]["text"]), (&json!("completed"), &json!("Hi 😀")));
}
