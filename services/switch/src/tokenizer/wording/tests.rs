use serde_json::{Value, json};

use super::*;

const BOTH: [Vocabulary; 2] = [Vocabulary::O200k, Vocabulary::Cl100k];

fn prompt(body: &Value, operation: Operation) -> [Option<u64>; 2] {
    BOTH.map(|vocabulary| prompt_tokens(vocabulary, body.to_string().as_bytes(), operation))
}

fn chat(body: &Value) -> u64 {
    prompt(body, Operation::Chat)[0].expect("a request")
}

fn of(text: &str) -> u64 {
    Counter::new(Vocabulary::O200k).tokens(text)
}

#[test]
fn messages_count_what_openai_says_that_they_do() {
    let said = |name: &str, content: &str| json!({"role": "system", "name": name, "content": content});
    let messages = json!([
        {"role": "system", "content": "You are a helpful, pattern-following assistant that translates corporate \
            jargon into plain English."},
        said("example_user", "New synergies will help drive top-line growth."),
        said("example_assistant", "Things working well together will increase revenue."),
        said("example_user", "Let's circle back when we have more bandwidth to touch base on opportunities for \
            increased leverage."),
        said("example_assistant", "Let's talk later when we're less busy about how to do better."),
        {"role": "user", "content": "This late pivot means we don't have time to boil the ocean for the client \
            deliverable."},
    ]);
    assert_eq!(prompt(&json!({"messages": messages}), Operation::Chat), [Some(124), Some(129)]);
}

#[test]
fn tools_count_what_openai_says_that_they_do() {
    let location = json!({"type": "string", "description": "The city and state, e.g. San Francisco, CA"});
    let unit = json!({"type": "string", "description": "The unit of temperature to return",
        "enum": ["celsius", "fahrenheit"]});
    let schema = json!({"type": "object", "properties": {"location": location, "unit": unit},
        "required": ["location"]});
    let description = "Get the current weather in a given location";
    let function = json!({"name": "get_current_weather", "description": description, "parameters": schema});
    let messages = json!([
        {"role": "system",
            "content": "You are a helpful assistant that can answer to questions about the weather."},
        {"role": "user", "content": "What's the weather like in San Francisco?"},
    ]);
    let nested = json!({"messages": messages, "tools": [{"type": "function", "function": function}]});
    assert_eq!(prompt(&nested, Operation::Chat), [Some(101), Some(105)]);
    let flat = json!({"messages": messages, "tools": [function]});
    assert_eq!(prompt(&flat, Operation::Chat), [Some(101), Some(105)]);
    let anthropics = json!({"name": "get_current_weather", "description": description, "input_schema": schema});
    assert_eq!(chat(&json!({"messages": messages, "tools": [anthropics]})), 101);
    assert_eq!(chat(&json!({"messages": messages, "tools": []})), chat(&json!({"messages": messages})));
}

#[test]
fn every_wire_says_the_same() {
    let text = "Say \"é\"\n\tor \\ nothing 😀";
    let expected = MESSAGE + 1 + of(text) + PRIMING;
    let parts = |kind: &str| json!([{"type": kind, "text": text}]);
    for body in [
        json!({"messages": [{"role": "user", "content": text}], "model": "m", "user": "somebody", "stop": ["x"]}),
        json!({"messages": [{"content": parts("text"), "role": "user"}]}),
        json!({"input": text}),
        json!({"input": [{"role": "user", "content": text}]}),
        json!({"input": [{"type": "message", "role": "user", "content": parts("input_text")}]}),
        json!({"system": text}),
        json!({"system": parts("text")}),
        json!({"instructions": text}),
    ] {
        assert_eq!(chat(&body), expected, "{body}");
    }
    // As it may be escaped.
    let escaped = br#"{"messages":[{"role":"user","content":"Say \"\u00e9\"\n\tor \\ nothing \ud83d\ude00"}]}"#;
    assert_eq!(prompt_tokens(Vocabulary::O200k, escaped, Operation::Chat), Some(expected));
}

#[test]
fn what_is_no_message_counts_as_it_is() {
    let embeddings = |input: Value| prompt(&json!({"input": input}), Operation::Embeddings)[0];
    assert_eq!(embeddings(json!("one two")), Some(2));
    assert_eq!(embeddings(json!(["one two", "three"])), Some(3));
    assert_eq!(embeddings(json!([1, 2, 3])), Some(3));
    assert_eq!(embeddings(json!([[1, 2], [3]])), Some(3));
    let completion = json!({"prompt": ["one two", "three"], "suffix": "end"});
    assert_eq!(prompt(&completion, Operation::TextCompletion)[0], Some(4));
}

#[test]
fn calls_their_results_and_images_are_part_of_a_prompt() {
    let base = chat(&json!({"messages": []}));
    let one = |message: Value| chat(&json!({"messages": [message]})) - base - MESSAGE - 1;
    let call = json!({"id": "c", "type": "function", "function": {"name": "f", "arguments": "{\"a\": 1}"}});
    let called = of("f") + of("{\"a\": 1}") + NAME;
    assert_eq!(one(json!({"role": "assistant", "content": null, "tool_calls": [call]})), called);
    assert_eq!(one(json!({"role": "tool", "tool_call_id": "c", "content": "fine"})), 1);
    let used = json!([{"type": "tool_use", "id": "t", "name": "f", "input": {"a":1}}]);
    assert_eq!(one(json!({"role": "assistant", "content": used})), of("f") + NAME + of("{\"a\":1}"));
    let result = json!([{"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "fine"}]}]);
    assert_eq!(one(json!({"role": "user", "content": result})), 1);
    let data = "iVBORw0KGgo+".repeat(10_000);
    for image in [
        json!({"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{data}")}}),
        json!({"type": "input_image", "image_url": format!("data:image/png;base64,{data}")}),
        json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}),
    ] {
        assert_eq!(one(json!({"role": "user", "content": [image]})), ATTACHMENT);
    }
}

#[test]
fn text_counts_wherever_it_stands_in_a_request() {
    let base = chat(&json!({"messages": []}));
    let text = "Nobody reads this for nothing. ".repeat(100);
    let one = |part: Value| chat(&json!({"messages": [{"role": "user", "content": [part]}]})) - base - MESSAGE - 1;
    let plain = |data: Value| json!({"type": "document", "source": {"type": "text", "data": data}});
    assert_eq!(one(plain(json!(text))), of(&text));
    let parts = json!([{"type": "text", "text": text}]);
    assert_eq!(one(json!({"type": "document", "source": {"type": "content", "content": parts}})), of(&text));
    assert_eq!(one(json!({"type": "thinking", "thinking": text, "signature": "x".repeat(500)})), of(&text));
    let reasoned = |key: &str| chat(&json!({"messages": [{"role": "assistant", key: text}]})) - base - MESSAGE - 1;
    assert_eq!(["reasoning", "reasoning_content"].map(reasoned), [of(&text); 2]);
    // Where nobody has seen any yet it is estimated, and an option is none.
    let estimated = estimate_tokens(&format!("{text:?}"));
    assert_eq!(one(json!({"type": "novelty", "wisdom": text, "detail": "high"})), estimated);
    assert_eq!(
        chat(&json!({"messages": [], "wisdom": text, "effort": "high", "metadata": {"a": text}})),
        base + estimated
    );
}

#[test]
fn a_tool_counts_all_that_it_says() {
    let text = "Nobody reads this for nothing. ".repeat(100);
    let tools = |tool: Value| chat(&json!({"messages": [], "tools": [tool]}));
    let schema = |schema: Value| tools(json!({"type": "function", "function": {"name": "f", "parameters": schema}}));
    let property = |property: Value| json!({"type": "object", "properties": {"a": property}});
    let described = json!({"type": "string", "description": text});
    for said in [
        json!({"anyOf": [described]}),
        json!({"type": "object", "description": text}),
        json!({"$defs": {"a": described}, "$ref": "#/$defs/a"}),
        json!({"type": "object", "additionalProperties": described}),
        property(described.clone()),
        property(json!({"oneOf": [described]})),
        property(json!({"type": "array", "items": described})),
        property(json!({"type": "array", "items": {"enum": [text]}})),
        property(json!({"type": "string", "title": text})),
        property(json!({"type": "string", "default": text})),
        property(json!({"type": "object", "properties": {"b": described}})),
    ] {
        assert!(schema(said.clone()) >= of(&text), "{said}");
    }
    let custom = json!({"name": "f", "description": text});
    assert!(tools(json!({"type": "custom", "custom": custom})) >= of(&text));
    let grammar = json!({"type": "custom", "name": "f", "format": {"type": "grammar", "definition": text}});
    assert!(tools(grammar) >= of(&text));
    // What says no more is worth no more.
    let plain = json!({"type": ["string", "null"], "description": "one", "minLength": 1});
    let strict = json!({"type": "object", "properties": {"a": plain}, "required": ["a"],
        "additionalProperties": false, "$schema": "https://json-schema.org/draft/2020-12/schema"});
    assert_eq!(schema(strict), schema(property(json!({"description": "one"}))));
}

#[test]
fn an_answer_is_all_that_is_in_it() {
    let answer = |message: Value| {
        let body = json!({"choices": [{"message": message}]});
        answer_tokens(Vocabulary::O200k, body.to_string().as_bytes())
    };
    assert_eq!(answer(json!({"role": "assistant", "content": "one two three"})), Some(3));
    let reasoned = json!({"content": "one", "reasoning": "so it is", "reasoning_content": "so it is"});
    assert_eq!(answer(reasoned), Some(4));
    let call = json!({"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}});
    assert_eq!(answer(json!({"content": null, "tool_calls": [call]})), Some(of("f") + of("{}") + NAME));
    assert_eq!(answer_tokens(Vocabulary::O200k, br#"{"choices":[{"text":"one two"},{"text":"one"}]}"#), Some(3));
    assert_eq!(answer_tokens(Vocabulary::O200k, br#"{"data":[]}"#), None);
}

#[test]
fn beyond_what_is_counted_it_is_estimated() {
    let long = "word ".repeat(MOST / 5 + 1);
    let tokens = chat(&json!({"messages": [{"role": "user", "content": long}]}));
    assert_eq!(tokens, estimate_tokens(&long) + MESSAGE + 1 + PRIMING);
}

#[test]
fn what_cannot_be_read_has_no_count() {
    for body in ["", "{", "[1", "{\"messages\":[{\"content\":\"\\ud800\"}]}", "\u{feff}{}"] {
        assert_eq!(prompt_tokens(Vocabulary::O200k, body.as_bytes(), Operation::Chat), None, "{body}");
    }
    assert_eq!(prompt_tokens(Vocabulary::O200k, b"{\"a\":\"\xff\"}", Operation::Chat), None);
}
