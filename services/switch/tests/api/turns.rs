//! Conversations of several turns: what a provider hands out and wants to see again comes back to it, whatever wire its
//! caller speaks.

use serde_json::{Value, json};

use crate::app::{Answer, App};
use crate::fake::{Act, Fake, answer, completion, event, stream_head};

const GEMINI: (&str, &str) = ("VX11_SWITCH__PROVIDERS__A__KIND", "gemini");
const SIGNATURE: &str = "CpQD+sig/nature==";

/// What the provider was sent last.
fn sent(fake: &Fake) -> Value {
    serde_json::from_str(fake.requests().pop().unwrap().split_once("\r\n\r\n").unwrap().1).unwrap()
}

/// A second turn of a caller of Anthropic's wire who was answered with `content`.
fn message(content: &Value) -> Value {
    let id = content.as_array().unwrap().iter().find_map(|block| block["id"].as_str()).unwrap();
    json!({"model": "m", "max_tokens": 9, "messages": [
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": content},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": id, "content": "sun"}]},
    ]})
}

/// A second turn of a caller of Responses who was answered with `output`.
fn response(output: &Value) -> Value {
    let mut input = vec![json!({"role": "user", "content": "go"})];
    input.extend(output.as_array().unwrap().iter().cloned());
    let id = input.iter().find_map(|item| item["call_id"].as_str()).unwrap().to_owned();
    input.push(json!({"type": "function_call_output", "call_id": id, "output": "sun"}));
    json!({"model": "m", "input": input})
}

/// The blocks of a streamed message, as clients put them together.
fn blocks(got: &Answer) -> Value {
    let mut blocks: Vec<Value> = Vec::new();
    for event in got.events().iter().map(|event| serde_json::from_str::<Value>(event).unwrap()) {
        let delta = &event["delta"];
        match event["type"].as_str() {
            Some("content_block_start") => blocks.push(event["content_block"].clone()),
            Some("content_block_delta") if delta["type"] == "input_json_delta" => {
                let block = &mut blocks[event["index"].as_u64().unwrap() as usize];
                block["input"] = serde_json::from_str(delta["partial_json"].as_str().unwrap()).unwrap();
            }
            Some("content_block_delta") => {
                let block = blocks.last_mut().unwrap();
                let text = block["thinking"].as_str().unwrap().to_owned() + delta["thinking"].as_str().unwrap();
                block["thinking"] = text.into();
            }
            _ => {}
        }
    }
    blocks.into()
}

async fn post(app: &App, path: &str, body: Value) -> Answer {
    let got = Answer::of(app.post(path, body.to_string())).await;
    assert_eq!(got.status, 200, "{path}: {}", got.body);
    got
}

/// What the first turn of each wire gives back to send again, whole and streamed, in the words of the second.
async fn second_turns(app: &App) -> Vec<(&'static str, Value)> {
    let mut turns = Vec::new();
    let messages = json!([{"role": "user", "content": "go"}]);
    let first = json!({"model": "m", "max_tokens": 9, "messages": messages});
    turns.push(("/v1/messages", message(&post(app, "/v1/messages", first.clone()).await.json()["content"])));
    let mut streamed = first;
    streamed["stream"] = true.into();
    turns.push(("/v1/messages", message(&blocks(&post(app, "/v1/messages", streamed).await))));
    let first = json!({"model": "m", "input": "go"});
    turns.push(("/v1/responses", response(&post(app, "/v1/responses", first.clone()).await.json()["output"])));
    let mut streamed = first;
    streamed["stream"] = true.into();
    let got = post(app, "/v1/responses", streamed).await;
    let last: Value = serde_json::from_str(got.events().last().unwrap()).unwrap();
    turns.push(("/v1/responses", response(&last["response"]["output"])));
    turns
}

/// Answers whole and streamed requests in turn.
async fn in_turn(whole: Act, streamed: Vec<Act>) -> Fake {
    Fake::start(move |number| if number % 2 == 0 { vec![whole.clone()] } else { streamed.clone() }).await
}

#[tokio::test]
async fn gemini_gets_the_signature_of_its_thought_back() {
    let call = json!({"functionCall": {"name": "f", "args": {"x": 1}}, "thoughtSignature": SIGNATURE});
    let candidate = json!({"content": {"role": "model", "parts": [call]}, "finishReason": "STOP", "index": 0});
    let body = json!({"responseId": "r1", "modelVersion": "gemini-3", "candidates": [candidate]}).to_string();
    let fake = in_turn(answer(200, "", &body), vec![stream_head(), event(&body)]).await;
    let turns = second_turns(&App::in_front_of(&[&fake.url], &[GEMINI]).await).await;

    let fake = Fake::always([answer(200, "", &body)]).await;
    let app = App::in_front_of(&[&fake.url], &[GEMINI]).await;
    for (path, turn) in turns {
        post(&app, path, turn).await;
        let sent = sent(&fake);
        assert_eq!(sent["contents"][1]["parts"][0], call, "{path}: {sent}");
        assert_eq!(sent["contents"][2]["parts"][0]["functionResponse"]["name"], "f", "{path}: {sent}");
    }
}

#[tokio::test]
async fn gemini_takes_a_call_that_another_model_made() {
    let body = json!({"candidates": [{"content": {"parts": [{"text": "hi"}]}, "finishReason": "STOP"}]}).to_string();
    let fake = Fake::always([answer(200, "", &body)]).await;
    let app = App::in_front_of(&[&fake.url], &[GEMINI]).await;
    let call = json!({"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}});
    post(&app, "/v1/messages", message(&json!([call]))).await;
    assert_eq!(sent(&fake)["contents"][1]["parts"][0]["thoughtSignature"], "skip_thought_signature_validator");
}

#[tokio::test]
async fn reasoning_that_led_to_a_call_comes_back_under_its_own_name() {
    for name in ["reasoning_content", "reasoning"] {
        let call =
            json!({"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{\"x\":1}"}});
        let said = json!({"role": "assistant", "content": null, name: "hm", "tool_calls": [call]});
        let choice =
            |place: &str| json!({"id": "c1", "choices": [{"index": 0, place: said, "finish_reason": "tool_calls"}]});
        let whole = answer(200, "", &choice("message").to_string());
        let streamed = vec![stream_head(), event(&choice("delta").to_string()), event("[DONE]")];
        let fake = in_turn(whole, streamed).await;
        let turns = second_turns(&App::in_front_of(&[&fake.url], &[]).await).await;

        let fake = Fake::always([completion("hi")]).await;
        let app = App::in_front_of(&[&fake.url], &[]).await;
        for (path, turn) in turns {
            post(&app, path, turn).await;
            let came_back = &sent(&fake)["messages"][1];
            assert_eq!(came_back[name], "hm", "{path}: {came_back}");
            assert_eq!(came_back["tool_calls"][0]["function"]["arguments"], "{\"x\":1}");
            let other = if name == "reasoning" { "reasoning_content" } else { "reasoning" };
            assert_eq!(came_back.get(other), None, "{path}: {came_back}");
        }
    }
}
