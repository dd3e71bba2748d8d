use super::*;

fn gather(chunks: &[&str]) -> Option<Value> {
    let mut gather = Gather::new(10_000);
    chunks.iter().for_each(|chunk| gather.add(chunk.as_bytes()));
    gather.finish().map(|body| serde_json::from_slice(&body).expect("JSON"))
}

#[test]
fn deltas_become_messages() {
    let got = gather(&[
        r#"{"id":"c","object":"chat.completion.chunk","created":1,"model":"r","obfuscation":"xyz","choices":[{"index":0,"delta":{"role":"assistant","content":"","reasoning_content":"h"}}]}"#,
        "",
        r#"{"id":"c","choices":[{"index":0,"delta":{"content":"Hel","reasoning_content":null},"logprobs":{"content":[1],"refusal":null},"finish_reason":null}]}"#,
        r#"{"id":"c","choices":[{"index":1,"delta":{"content":"B"}},{"index":0,"delta":{"content":"lo"},"logprobs":{"content":[2]},"finish_reason":""}]}"#,
        r#"{"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"},{"index":1,"delta":{},"finish_reason":"length"}]}"#,
        r#"{"id":"c","choices":[],"usage":{"total_tokens":9}}"#,
    ]);
    let choices = json!([
        { "index": 0, "finish_reason": "stop", "logprobs": { "content": [1, 2], "refusal": null },
          "message": { "role": "assistant", "content": "Hello", "reasoning_content": "h" } },
        { "index": 1, "finish_reason": "length", "logprobs": null, "message": { "role": "assistant", "content": "B" } },
    ]);
    let whole = json!({ "id": "c", "object": "chat.completion", "created": 1, "model": "r", "choices": choices,
        "usage": { "total_tokens": 9 } });
    assert_eq!(got, Some(whole));
}

#[test]
fn parts_of_tool_calls_are_put_together_by_their_index() {
    let got = gather(&[
        r#"{"choices":[{"delta":{"role":"assistant","content":"","tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":""}}]}}]}"#,
        r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"","function":{"arguments":"{\"x\":"}},{"index":1,"id":"b","type":"function","function":{"name":"g","arguments":"{}"}}]}}]}"#,
        r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"name":"f","arguments":"1}"}}]},"finish_reason":"tool_calls"}]}"#,
    ])
    .expect("clear");
    let call = |id: &str, name: &str, arguments: &str| json!({ "id": id, "type": "function", "function": { "name": name, "arguments": arguments } });
    let message = json!({ "role": "assistant", "content": null,
        "tool_calls": [call("a", "f", "{\"x\":1}"), call("b", "g", "{}")] });
    assert_eq!(got["choices"][0]["message"], message);
}

#[test]
fn text_completions_stay_what_they_are() {
    let got = gather(&[
        r#"{"choices":[{"index":0,"text":"He","logprobs":{"tokens":["He"]}}]}"#,
        r#"{"choices":[{"index":0,"text":"y","logprobs":{"tokens":["y"]},"finish_reason":"stop"}]}"#,
    ]);
    let choice = json!({ "index": 0, "text": "Hey", "finish_reason": "stop", "logprobs": { "tokens": ["He", "y"] } });
    assert_eq!(got, Some(json!({ "object": "text_completion", "choices": [choice] })));
}

#[test]
fn what_is_unclear_or_too_long_is_no_body() {
    let in_part = |said: &str| format!(r#"{{"choices":[{{"index":0,{said}}}]}}"#);
    assert_eq!(gather(&[&in_part(r#""text":"a""#), &in_part(r#""delta":{"content":"b"}"#)]), None, "of two sorts");
    let two_details = r#"{"choices":[{"delta":{"reasoning_details":[1]}}]}"#;
    assert!(gather(&[two_details]).is_some());
    assert_eq!(gather(&[two_details, &two_details.replace('1', "2")]), None);
    assert_eq!(gather(&[r#"{"choices":[{"delta":{"content":"a"}}]}"#, r#"{"choices":[{"delta":7}]}"#]), None);
    assert_eq!(gather(&["[]"]), None);
    assert_eq!(gather(&[]), None);
    let long = format!(r#"{{"choices":[{{"delta":{{"content":"{}"}}}}]}}"#, "x".repeat(6_000));
    assert!(gather(&[&long]).is_some());
    assert_eq!(gather(&[&long, &long]), None);
}
