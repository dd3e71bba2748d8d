use proptest::prelude::*;
use serde_json::json;

use super::*;

impl Scope<'_> {
    /// The scope of a chat in OpenAI's wire.
    pub(in crate::cache) const PLAIN: Scope<'static> = Scope {
        tenant: "t",
        org: "",
        operation: Operation::Chat,
        wire: Wire::OpenAi,
        headers: &[],
        model: "m",
        fallback: true,
        targets: &[],
    };
}

fn key(body: &str) -> Option<Key> {
    Key::new(Scope::PLAIN, body.as_bytes())
}

#[test]
fn how_it_is_written_and_sent_makes_no_difference() {
    let plain = key(r#"{"messages":[{"role":"user","content":"A/é"}],"temperature":1,"n":2}"#);
    assert!(plain.is_some());
    for same in [
        r#" { "n" : 2.0, "temperature": 1e0, "messages": [ {"content": "\u0041\/\u00e9", "role": "user"} ] } "#,
        r#"{"stream":true,"stream_options":{"include_usage":true},"n":2,"temperature":1.0,"messages":[{"role":"user","content":"A/é"}]}"#,
        r#"{"metadata":{"a":"b"},"model":"other","messages":[{"role":"user","content":"A/é"}],"temperature":1,"n":2}"#,
    ] {
        assert_eq!(key(same), plain, "{same}");
    }
}

#[test]
fn what_it_means_makes_one() {
    let bodies = [
        r#"{"messages":[]}"#,
        r#"{"messages":[[]]}"#,
        r#"{"messages":[],"user":"u1"}"#,
        r#"{"messages":[],"user":"u2"}"#,
        r#"{"messages":[{"content":"a","content":"b"}]}"#,
        r#"{"messages":[{"content":"b","content":"a"}]}"#,
        r#"{"messages":[{"content":"b"}]}"#,
        r#"{"messages":[{"content":"b","stream":true}]}"#,
        r#"{"messages":[1]}"#,
        r#"{"messages":["1"]}"#,
        r#"{"messages":[-1]}"#,
        r#"{"messages":[0.1]}"#,
        r#"{"messages":[1,1]}"#,
        r#"{"messages":[],"x":null}"#,
        r#"{"messages":[],"x":{}}"#,
    ];
    let keys: std::collections::HashSet<_> = bodies.iter().map(|body| key(body).expect("a key")).collect();
    assert_eq!(keys.len(), bodies.len());
}

#[test]
fn so_does_who_asks_and_who_may_answer() {
    let (one, other) = ([("p", "a"), ("q", "b")], [("p", "a"), ("q", "c")]);
    let (turned, elsewhere) = ([one[1], one[0]], [("p@b", "a"), ("q", "b")]);
    let of = |scope| Key::new(scope, br#"{"messages":[]}"#).expect("a key");
    let headers = [("anthropic-version", "2023-06-01".to_owned())];
    let all = Scope { targets: &one, ..Scope::PLAIN };
    assert_eq!(of(all), of(Scope { targets: &turned, ..all }));
    for another in [
        Scope { tenant: "u", ..all },
        Scope { org: "t", ..all },
        Scope { model: "n", ..all },
        Scope { operation: Operation::TextCompletion, ..all },
        Scope { fallback: false, ..all },
        Scope { wire: Wire::Anthropic, ..all },
        Scope { headers: &headers, ..all },
        Scope { targets: &other, ..all },
        Scope { targets: &elsewhere, ..all },
        Scope { targets: &one[..1], ..all },
        Scope { tenant: "", org: "t", ..all },
    ] {
        assert_ne!(of(all), of(another), "{another:?}");
    }
}

#[test]
fn in_anthropics_wire_the_form_and_the_end_user_make_a_difference() {
    let scope = Scope { wire: Wire::Anthropic, ..Scope::PLAIN };
    let of = |body: &str| Key::new(scope, body.as_bytes()).expect("a key");
    let plain = of(r#"{"messages":[],"max_tokens":9,"model":"a"}"#);
    assert_eq!(of(r#"{"model":"b","max_tokens":9,"messages":[]}"#), plain);
    assert_ne!(of(r#"{"messages":[],"max_tokens":9,"stream":true}"#), plain);
    assert_ne!(of(r#"{"messages":[],"max_tokens":9,"metadata":{"user_id":"u"}}"#), plain);
}

#[test]
fn a_request_that_does_more_than_ask_has_no_key() {
    for body in [
        r#"{"messages":[],"store":true}"#,
        r#"{"messages":[],"web_search_options":{}}"#,
        r#"{"messages":[],"tools":[{"type":"function"},{"type":"web_search_20250305"}]}"#,
        r#"{"messages":[],"tools":"odd"}"#,
        "[]",
        "{",
    ] {
        assert_eq!(key(body), None, "{body}");
    }
    assert!(
        key(r#"{"messages":[],"tools":[{"type":"function"},{"name":"f"}],"store":false,"plugins":null}"#).is_some()
    );
    assert_eq!(key(&format!(r#"{{"x":{}{}}}"#, "[".repeat(1000), "]".repeat(1000))), None, "too deep to be read");
}

/// Any JSON value. Numbers have few digits, so that writing them differently does not change them.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        any::<i16>().prop_map(|number| json!(f64::from(number) / 8.0)),
        ".{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-c\"\\\\é]{0,2}", inner, 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// Writes a value in another way: fields the other way round, spaces, escapes, numbers with a fraction.
fn another_way(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let fields =
                fields.iter().rev().map(|(name, value)| format!("{} :\t{}", escaped(name), another_way(value)));
            format!("{{ {} }}", fields.collect::<Vec<_>>().join(" ,\n"))
        }
        Value::Array(items) => format!("[ {} ]", items.iter().map(another_way).collect::<Vec<_>>().join(" , ")),
        Value::String(text) => escaped(text),
        Value::Number(number) if number.is_i64() => format!("{number}.0"),
        Value::Number(number) => format!("{:e}", number.as_f64().expect("finite")),
        other => other.to_string(),
    }
}

fn escaped(text: &str) -> String {
    let units = text.encode_utf16().map(|unit| format!("\\u{unit:04x}"));
    format!("\"{}\"", units.collect::<String>())
}

fn body(messages: &Value, extra: &Value) -> Value {
    json!({ "messages": [messages], "x": extra })
}

/// The same by value, a whole number being one however it is written.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one.as_f64() == other.as_f64(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(name, value)| other.get(name).is_some_and(|other| same(value, other)))
        }
        (one, other) => one == other,
    }
}

proptest! {
    #[test]
    fn one_meaning_one_key(messages in value(), extra in value(), stream in any::<bool>()) {
        let plain = body(&messages, &extra);
        let mut sent = plain.clone();
        sent["stream"] = stream.into();
        sent["stream_options"] = json!({ "include_usage": stream });
        prop_assert_eq!(key(&plain.to_string()), key(&another_way(&sent)));
        prop_assert!(key(&plain.to_string()).is_some());
    }

    #[test]
    fn another_meaning_another_key(one in value(), other in value(), extra in value()) {
        prop_assert_eq!(
            key(&body(&one, &extra).to_string()) == key(&body(&other, &extra).to_string()),
            same(&one, &other)
        );
    }

    #[test]
    fn no_body_makes_the_reader_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Key::new(Scope::PLAIN, &body);
    }
}
