//! What is a response's own: its items, and the events of its stream.

use serde_json::{Value, json};

use crate::mock::{Answer, Mock, with};
use crate::wire::{Wire, user};

async fn ask(mock: &Mock, fields: Value) -> Answer {
    let plain = json!({ "model": "mock", "input": "echo: one two" });
    Answer::of(mock.post("/v1/responses", with(plain, fields).to_string())).await
}

#[tokio::test]
async fn a_response_has_openais_shape() {
    let mock = Mock::start().await;
    let response = ask(&mock, json!({ "instructions": "Be brief.", "previous_response_id": "resp_0" })).await.json();
    assert!(response["id"].as_str().unwrap().starts_with("resp_"));
    assert_eq!((&response["object"], &response["status"]), (&json!("response"), &json!("completed")));
    let message = &response["output"][0];
    assert_eq!((&message["type"], &message["role"]), (&json!("message"), &json!("assistant")));
    assert_eq!(message["content"][0]["text"], "one two");
    assert_eq!(response["usage"]["input_tokens"], 15, "instructions are read, too");
    let cut = ask(&mock, json!({ "max_output_tokens": 1 })).await.json();
    assert_eq!(
        (&cut["status"], &cut["incomplete_details"]),
        (&json!("incomplete"), &json!({ "reason": "max_output_tokens" }))
    );
    let empty = ask(&mock, json!({ "input": null })).await;
    assert_eq!(Wire::Responses.refusal(&empty).0, 400);
}

#[tokio::test]
async fn a_stream_has_its_events_in_order_under_their_numbers() {
    let mock = Mock::start().await;
    let mut scenario = user("echo: one two");
    scenario.thinks = true;
    let got = Wire::Responses.ask(&mock, &scenario, "reasoning_tokens=1", true).await;
    let events = Wire::Responses.chunks(&got.body);
    let names: Vec<&str> = got.body.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
    assert_eq!(
        names,
        [
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.reasoning_summary_part.added",
            "response.reasoning_summary_text.delta",
            "response.reasoning_summary_text.done",
            "response.reasoning_summary_part.done",
            "response.output_item.done",
            "response.output_item.added",
            "response.content_part.added",
            "response.output_text.delta",
            "response.output_text.delta",
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.completed",
        ]
    );
    for (number, event) in events.iter().enumerate() {
        assert_eq!((&event["type"], &event["sequence_number"]), (&json!(names[number]), &json!(number)));
    }
    let done: Vec<&Value> = events
        .iter()
        .filter(|event| event["type"] == "response.output_item.done")
        .map(|event| &event["item"])
        .collect();
    let last = &events.last().unwrap()["response"];
    assert_eq!(json!(done), last["output"]);
    assert_eq!(last["id"], events[0]["response"]["id"]);
}
