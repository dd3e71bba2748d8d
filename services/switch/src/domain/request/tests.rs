use proptest::prelude::*;
use serde_json::json;
use vx11_contracts::switch::Role;

use super::*;

fn read(body: &str) -> Result<ChatRequest, BadRequest> {
    ChatRequest::read(Bytes::copy_from_slice(body.as_bytes()))
}

fn refused_field(body: &str) -> Cow<'static, str> {
    match read(body).expect_err(body) {
        BadRequest::Field { name, .. } => name,
        BadRequest::Malformed(problem) => panic!("{body}: {problem}"),
    }
}

#[test]
fn what_routing_needs_is_read() {
    let request = read(r#" {"n": 2, "messages": [], "mod\u0065l": "gpt\u002d4", "stream": true} "#).expect("readable");
    assert_eq!((request.model.as_str(), request.stream, request.choices), ("gpt-4", true, 2));
    let request =
        read(r#"{"model": "m", "messages": [{"model": "inner"}], "stream": null, "n": null}"#).expect("readable");
    assert_eq!((request.model.as_str(), request.stream, request.choices), ("m", false, 1));
    let limit = |field: &str| read(&format!(r#"{{"model": "m", "messages": []{field}}}"#)).expect(field).max_output;
    assert_eq!([limit(""), limit(r#", "max_tokens": 7"#)], [None, Some(7)]);
    assert_eq!(limit(r#", "max_tokens": 7, "max_completion_tokens": 9"#), Some(9));
    assert_eq!(limit(r#", "max_tokens": 9, "max_completion_tokens": 1"#), Some(9), "a server may heed either");
    assert_eq!(limit(r#", "max_tokens": 9, "max_completion_tokens": null"#), Some(9));
    assert_eq!(limit(r#", "max_tokens": -1"#), None, "some servers take it for no limit");
}

#[test]
fn all_that_is_written_counts_and_not_what_is_handed_out_alone() {
    let read = |fields: &str| {
        let body = format!(r#"{{"model":"m",{fields}}}"#);
        let request = ChatRequest::read_for(Operation::TextCompletion, body.into()).expect("readable");
        (request.choices, request.candidates)
    };
    assert_eq!(read(r#""prompt":"a","n":2,"best_of":5"#), (2, 5));
    assert_eq!(read(r#""prompt":["a","b"],"best_of":5"#), (2, 10));
    assert_eq!(read(r#""prompt":"a","n":2,"best_of":null"#), (2, 2));
    assert_eq!(read(r#""prompt":"a","best_of":99999999999"#), (1, u32::MAX));
}

#[test]
fn user_and_tags_are_read_when_they_are_asked_for() {
    let request =
        read(r#"{"model":"m","messages":[],"user":"u\u0031","metadata":{"tier":"free","n":1}}"#).expect("readable");
    assert_eq!((request.user().as_deref(), request.tags().get("tier").as_deref()), (Some("u1"), Some("free")));
    assert_eq!((request.tags().get("n"), request.tags().get("none")), (None, None));
    let request = read(r#"{"model":"m","messages":[],"user":7,"metadata":"x"}"#).expect("not the gateway's affair");
    assert_eq!((request.user(), request.tags().get("tier")), (None, None));
}

#[test]
fn a_wrong_field_is_named() {
    let wrong = [
        ("{}", "model"),
        (r#"{"model": 4, "messages": []}"#, "model"),
        (r#"{"model": null, "messages": []}"#, "model"),
        (r#"{"model": "m"}"#, "messages"),
        (r#"{"model": "m", "messages": "hello"}"#, "messages"),
        (r#"{"model": "m", "messages": [], "stream": "yes"}"#, "stream"),
        (r#"{"model": "m", "messages": [], "n": -1}"#, "n"),
        (r#"{"model": "m", "messages": [], "max_tokens": "100000"}"#, "max_tokens"),
        (r#"{"model": "m", "messages": [], "max_tokens": 1e5}"#, "max_tokens"),
        (r#"{"model": "m", "messages": [], "max_completion_tokens": 100000.0}"#, "max_completion_tokens"),
        (r#"{"model": "m", "messages": [], "max_tokens": 99999999999999999999}"#, "max_tokens"),
        (r#"{"model": "m", "messages": [], "best_of": [9]}"#, "best_of"),
    ];
    for (body, name) in wrong {
        assert_eq!(refused_field(body), name, "{body}");
    }
}

#[test]
fn what_is_not_one_json_object_is_malformed() {
    let twice = r#"{"model": "m", "messages": [], "model": "other"}"#;
    for body in ["", "{", "[]", r#"["m", [], true, 1]"#, "\"m\"", r#"{"model": "m", "messages": []} x"#, twice] {
        assert!(matches!(read(body), Err(BadRequest::Malformed(_))), "{body}");
    }
    let body = Bytes::from_static(b"{\"model\": \"\xff\", \"messages\": []}");
    assert!(matches!(ChatRequest::read(body), Err(BadRequest::Malformed(_))));
}

#[test]
fn deep_nesting_is_no_stack_overflow() {
    let body = format!(r#"{{"model": "m", "x": {}, "messages": []}}"#, "[".repeat(1 << 20));
    assert!(matches!(read(&body), Err(BadRequest::Malformed(_))));
}

#[test]
fn the_same_name_leaves_the_very_bytes() {
    let request = read(r#"{"model":"m","messages":[],"temperature":1.50}"#).expect("readable");
    assert_eq!(request.body_for("m").as_ptr(), request.body.as_ptr(), "not even copied");
    assert_eq!(request.body_for("a\"b"), r#"{"model":"a\"b","messages":[],"temperature":1.50}"#);
}

#[test]
fn a_composed_request_carries_the_targets_model() {
    let messages = [Message { role: Role::User, content: "\"model\":\"\"".to_owned() }];
    let request = ChatRequest::compose("default", &messages, true).expect("serialises");
    let body: Value = serde_json::from_slice(&request.body_for("llama")).expect("JSON");
    let content = json!([{"role": "user", "content": "\"model\":\"\""}]);
    assert_eq!(
        body,
        json!({"model": "llama", "messages": content, "stream": true, "stream_options": {"include_usage": true}})
    );
}

/// Any JSON value, with keys and texts that look like the field that is replaced.
fn json_value() -> impl Strategy<Value = Value> {
    let text = prop_oneof![Just("model".to_owned()), Just("\"model\": \"x\"".to_owned()), any::<String>()];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        text.clone().prop_map(Value::from)
    ];
    leaf.prop_recursive(3, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((text.clone(), inner), 0..4)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn replacing_the_model_changes_nothing_else(
        model in any::<String>(),
        replacement in any::<String>(),
        before in prop::collection::vec(("[a-z\"\\\\ ]{0,6}", json_value()), 0..4),
        after in prop::collection::vec(("[a-z\"\\\\ ]{0,6}", json_value()), 0..4),
        messages in prop::collection::vec(json_value(), 0..3),
        pretty in any::<bool>(),
    ) {
        // Written by hand, because the model is to stand in the middle whatever its neighbours are called.
        let own = ["model", "messages", "stream", "n", "user"];
        let (gap, mut body) = if pretty { ("\n\t ", String::from("{")) } else { ("", String::from("{")) };
        let mut write = |key: &str, value: &Value| {
            let comma = if body.len() == 1 { "" } else { "," };
            body.push_str(&format!("{comma}{gap}{}{gap}:{gap}{value}{gap}", Value::from(key)));
        };
        let mut expected = Map::new();
        for (key, value) in before.iter().filter(|(key, _)| !own.contains(&key.as_str())) {
            write(key, value);
            expected.insert(key.clone(), value.clone());
        }
        write("model", &Value::from(model.as_str()));
        for (key, value) in after.iter().filter(|(key, _)| !own.contains(&key.as_str())) {
            write(key, value);
            expected.insert(key.clone(), value.clone());
        }
        write("messages", &Value::from(messages.clone()));
        body.push('}');
        expected.insert("model".to_owned(), Value::from(replacement.as_str()));
        expected.insert("messages".to_owned(), Value::from(messages));

        let request = read(&body).expect("readable");
        prop_assert_eq!(&request.model, &model);
        prop_assert_eq!(request.body_for(&model).len(), body.len());
        let replaced = request.body_for(&replacement);
        let parsed: Value = serde_json::from_slice(&replaced).expect("still JSON");
        prop_assert_eq!(parsed, Value::Object(expected));
        prop_assert!(replaced.starts_with(&body.as_bytes()[..request.span.start]));
        prop_assert!(replaced.ends_with(&body.as_bytes()[request.span.end..]));
    }

    #[test]
    fn no_body_makes_the_reader_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = ChatRequest::read(body.into());
    }

    #[test]
    fn no_text_makes_the_reader_panic(body in "[{}\\[\\]\",:a-z\\\\ 0-9]{0,60}") {
        let _ = ChatRequest::read(body.into());
    }
}
