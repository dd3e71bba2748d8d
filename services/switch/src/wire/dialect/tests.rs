use serde_json::Value;

use super::*;

fn write(model: &str, at_azure: bool, body: &Value) -> Value {
    let written = Dialect::of(model, at_azure).write(body.to_string().into());
    serde_json::from_slice(&written).expect("JSON")
}

#[test]
fn the_limit_has_the_name_that_the_model_knows() {
    let limited = json!({"max_tokens": 9, "messages": []});
    for (model, at_azure, name) in [
        ("o1", false, "max_completion_tokens"),
        ("o3-mini", false, "max_completion_tokens"),
        ("o4-mini-2025-04-16", false, "max_completion_tokens"),
        ("gpt-5.2-pro", false, "max_completion_tokens"),
        ("openai/GPT-6", false, "max_completion_tokens"),
        ("chat-latest", false, "max_completion_tokens"),
        ("codex-mini-latest", false, "max_completion_tokens"),
        ("production", true, "max_completion_tokens"),
        ("o3", true, "max_completion_tokens"),
        ("gpt-4o", true, "max_tokens"),
        ("gpt-35-turbo", true, "max_tokens"),
        ("gpt-4o", false, "max_tokens"),
        ("gpt-oss:20b", false, "max_tokens"),
        ("olmo-3", false, "max_tokens"),
        ("deepseek-reasoner", false, "max_tokens"),
        ("llama3.2", false, "max_tokens"),
    ] {
        assert_eq!(write(model, at_azure, &limited), json!({name: 9, "messages": []}), "{model}, {at_azure}");
    }
}

#[test]
fn a_model_gets_no_wish_that_it_refuses() {
    let tuned = |effort: Value| json!({"messages": [], "temperature": 0.5, "top_p": 0.9, "stop": ["END"], "reasoning_effort": effort});
    let left = |model: &str, at_azure: bool, body: Value| {
        let written = write(model, at_azure, &body);
        ["temperature", "stop", "reasoning_effort"].map(|name| written.get(name).is_some())
    };
    for (model, at_azure, expected) in [
        ("o3", false, [false, false, true]),
        ("gpt-5", false, [false, false, true]),
        ("openai/gpt-5.6", false, [false, false, true]),
        ("codex-mini-latest", false, [false, false, true]),
        ("chat-latest", false, [false, false, false]),
        ("gpt-5.2-chat-latest", false, [false, false, false]),
        ("gpt-4o", false, [true, true, false]),
        ("gpt-4.1-mini", true, [true, true, false]),
        ("chatgpt-4o-latest", false, [true, true, false]),
        ("gpt-oss:20b", false, [true, true, true]),
        ("deepseek-chat", false, [true, true, true]),
        ("production", true, [true, true, true]),
    ] {
        assert_eq!(left(model, at_azure, tuned(json!("low"))), expected, "{model}");
    }
    assert_eq!(left("gpt-5.1", false, tuned(json!("none"))), [true, false, true], "it does not reason then");
}

#[test]
fn a_wish_about_sampling_reaches_a_model_that_does_not_reason_unasked() {
    let body = json!({"messages": [], "temperature": 0.5, "top_p": 0.9, "presence_penalty": 1});
    let left = |model: &str| {
        let written = write(model, false, &body);
        ["temperature", "top_p", "presence_penalty"].map(|name| written.get(name).is_some())
    };
    for model in ["gpt-5.1", "gpt-5.2-2025-12-11", "gpt-5.4", "gpt-5.4-mini", "gpt-5-chat-latest"] {
        assert_eq!(left(model), [true, true, false], "{model}");
    }
    for model in ["gpt-5", "gpt-5-mini", "gpt-5.1-codex", "gpt-5.2-pro", "gpt-5.2-chat-latest", "gpt-5.5", "o3"] {
        assert_eq!(left(model), [false, false, false], "{model}");
    }
}

#[test]
fn a_model_that_does_not_reason_over_tools_is_told_not_to() {
    let effort = |model: &str, tools: Value| {
        let body = json!({"messages": [], "reasoning_effort": "high", "tools": tools});
        write(model, false, &body)["reasoning_effort"].clone()
    };
    let with = |model: &str| effort(model, json!([{"type": "function", "function": {"name": "f"}}]));
    assert_eq!(["gpt-5.4", "gpt-5.6-luna", "gpt-6"].map(with), ["none", "none", "none"]);
    assert_eq!(["gpt-5", "gpt-5.2", "o3", "openai/gpt-5.4"].map(with), ["high", "high", "high", "high"]);
    let bare = json!({"messages": [], "reasoning_effort": "high"});
    assert_eq!(write("gpt-5.4", false, &bare)["reasoning_effort"], "high");
    let unasked = |model: &str, tools: Value| {
        let written = write(model, false, &json!({"messages": [], "tools": tools}));
        written.get("reasoning_effort").cloned()
    };
    let tools = json!([{"type": "function", "function": {"name": "f"}}]);
    assert_eq!(unasked("gpt-5.6", tools.clone()), Some(json!("none")), "it would reason by default");
    assert_eq!([unasked("gpt-5.2", tools.clone()), unasked("gpt-5.4-chat-latest", tools)], [None, None]);
    assert_eq!(unasked("gpt-5.6", json!([])), None);
}

#[test]
fn reasoning_goes_to_those_who_take_it() {
    let body =
        json!({"messages": [{"role": "assistant", "content": "so", "reasoning_content": "hm", "reasoning": "hm"}]});
    assert_eq!(write("deepseek-chat", false, &body), body);
    for (model, at_azure) in [("gpt-4o", false), ("o3", false), ("production", true)] {
        let bare = json!({"messages": [{"role": "assistant", "content": "so"}]});
        assert_eq!(write(model, at_azure, &body), bare, "{model}");
    }
}

#[test]
fn a_signature_in_an_id_goes_back_to_its_place_or_is_left_out() {
    let with = |id: &str, more: Value| {
        let mut call = json!({"id": id, "function": {"name": "f"}});
        call.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        json!({"messages": [{"tool_calls": [call, {"id": "b"}]}, {"tool_call_id": id}]})
    };
    let signed = with(&signed_id::join("a", "s+/="), json!({}));
    let beside = json!({"extra_content": {"google": {"thought_signature": "s+/="}}});
    assert_eq!(write("models/gemini-3-pro", false, &signed), with("a", beside));
    assert_eq!(write("gpt-4o", false, &signed), with("a", json!({})));
    assert_eq!(write("llama", false, &signed), signed, "it is an id like any other");
}

#[test]
fn a_schema_keeps_its_order_and_what_is_no_request_stays() {
    let body = r#"{"messages":[],"tools":[{"z":1.50,"a":2}]}"#;
    assert_eq!(Dialect::of("o3", false).write(Bytes::from_static(body.as_bytes())), body);
    assert_eq!(Dialect::of("o3", false).write(Bytes::from_static(b"[1]")), "[1]");
}
