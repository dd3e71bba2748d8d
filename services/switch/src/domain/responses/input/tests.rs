use serde_json::{Value, json};

use super::*;

fn of(input: Value) -> Result<Value, Unacceptable> {
    let text = json!({ "input": input }).to_string();
    let fields: Fields<'_> = serde_json::from_str(&text).expect("an object");
    messages(&fields).map(|messages| serde_json::to_value(messages).expect("JSON"))
}

#[test]
fn a_tool_that_takes_any_text_is_called_and_answers() {
    let got = of(json!([
        { "role": "user", "content": "Mend it." },
        { "type": "custom_tool_call", "id": "ctc_1", "call_id": "call_1", "name": "patch", "input": "*** Begin" },
        { "type": "custom_tool_call_output", "call_id": "call_1", "output": "done" },
    ]));
    let call = json!({ "id": "call_1", "type": "custom", "custom": { "name": "patch", "input": "*** Begin" } });
    assert_eq!(
        got,
        Ok(json!([
            { "role": "user", "content": "Mend it." },
            { "role": "assistant", "content": null, "tool_calls": [call] },
            { "role": "tool", "content": "done", "tool_call_id": "call_1" },
        ]))
    );
}

#[test]
fn a_conversation_with_calls_becomes_one_of_a_chat() {
    let got = of(json!([
        { "role": "developer", "content": "Be kind." },
        { "type": "message", "role": "user", "content": [{ "type": "input_text", "text": "Weather?" }] },
        { "type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA",
            "content": [{ "type": "reasoning_text", "text": "only OpenAI knows" }] },
        { "type": "message", "role": "assistant", "id": "msg_1", "status": "completed",
            "content": [{ "type": "output_text", "text": "Let me look.", "annotations": [] }] },
        { "type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f", "arguments": "{}" },
        { "type": "function_call", "call_id": "call_2", "name": "g", "arguments": "{\"x\":1}" },
        { "type": "function_call_output", "call_id": "call_1", "output": "sun" },
        { "type": "function_call_output", "call_id": "call_2", "output": [{ "type": "input_text", "text": "rain" }] },
    ]));
    let call = |id: &str, name: &str, arguments: &str| json!({ "id": id, "type": "function", "function": { "name": name, "arguments": arguments } });
    let calls = json!([call("call_1", "f", "{}"), call("call_2", "g", "{\"x\":1}")]);
    assert_eq!(
        got,
        Ok(json!([
            { "role": "developer", "content": "Be kind." },
            { "role": "user", "content": "Weather?" },
            { "role": "assistant", "content": "Let me look.", "tool_calls": calls },
            { "role": "tool", "content": "sun", "tool_call_id": "call_1" },
            { "role": "tool", "content": "rain", "tool_call_id": "call_2" },
        ]))
    );
}

#[test]
fn calls_without_words_have_no_content_and_later_words_join_them() {
    let call = json!({ "type": "function_call", "call_id": "c", "name": "f", "arguments": "" });
    let got = of(json!([call])).expect("acceptable");
    assert!(got[0]["content"].is_null() && got[0].as_object().expect("one").contains_key("content"));
    let got = of(json!([call, { "role": "assistant", "content": "so" }])).expect("acceptable");
    assert_eq!((got.as_array().map(Vec::len), &got[0]["content"]), (Some(1), &json!("so")));
}

#[test]
fn reasoning_goes_back_under_its_own_name_with_what_it_led_to() {
    let reasoning = |text: &str, more: Value| {
        let content = json!([{ "type": "reasoning_text", "text": text }]);
        let mut item = json!({ "type": "reasoning", "id": "rs_1", "summary": [], "content": content });
        item.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        item
    };
    let call = json!({ "type": "function_call", "call_id": "c", "name": "f", "arguments": "" });
    let output = json!({ "type": "function_call_output", "call_id": "c", "output": "sun" });
    let words = json!({ "role": "assistant", "content": "so" });
    let plain = Reasoning::Plain.mark();
    let got = of(json!([
        reasoning("h", json!({})),
        call,
        reasoning("m", json!({})),
        output,
        reasoning("ah", json!({ "encrypted_content": plain })),
        words,
        reasoning("lost", json!({})),
    ]))
    .expect("acceptable");
    let function = json!({ "name": "f", "arguments": "" });
    let called = json!({ "role": "assistant", "content": null, "reasoning_content": "hm",
        "tool_calls": [{ "id": "c", "type": "function", "function": function }] });
    let answered = json!({ "role": "tool", "content": "sun", "tool_call_id": "c" });
    let said = json!({ "role": "assistant", "content": "so", "reasoning": "ah", "reasoning_content": "lost" });
    assert_eq!(got, json!([called, answered, said]));
    assert_eq!(of(json!([reasoning("led to nothing", json!({}))])), Ok(json!([])));
}

#[test]
fn images_files_and_sounds_go_along() {
    let got = of(json!([{ "role": "user", "content": [
        { "type": "input_text", "text": "What is this?" },
        { "type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "low" },
        { "type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,AA==" },
        { "type": "input_audio", "input_audio": { "data": "AA==", "format": "wav" } },
    ] }]));
    let parts = json!([
        { "type": "text", "text": "What is this?" },
        { "type": "image_url", "image_url": { "url": "data:image/png;base64,AA==", "detail": "low" } },
        { "type": "file", "file": { "filename": "a.pdf", "file_data": "data:application/pdf;base64,AA==" } },
        { "type": "input_audio", "input_audio": { "data": "AA==", "format": "wav" } },
    ]);
    assert_eq!(got, Ok(json!([{ "role": "user", "content": parts }])));
}

#[test]
fn what_cannot_be_said_in_a_chat_is_named() {
    for (item, param) in [
        (json!({ "content": "x" }), "input[0].role"),
        (json!({ "role": "user" }), "input[0].content"),
        (json!({ "type": "item_reference", "id": "msg_1" }), "input[0]"),
        (json!({ "type": "web_search_call", "id": "ws_1" }), "input[0].type"),
        (json!({ "type": "function_call", "name": "f", "arguments": "" }), "input[0].call_id"),
        (
            json!({ "role": "user", "content": [{ "type": "input_image", "file_id": "f" }] }),
            "input[0].content[0].image_url",
        ),
        (json!({ "role": "user", "content": [{ "type": "input_video" }] }), "input[0].content[0].type"),
        (json!("text"), "input[0]"),
    ] {
        assert_eq!(of(json!([item])).expect_err("refused").param.as_deref(), Some(param));
    }
    assert_eq!(of(json!(7)).expect_err("refused").param.as_deref(), Some("input"));
}
