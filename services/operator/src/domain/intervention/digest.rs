//! The digest that binds a decision to an action and its arguments.

use std::fmt::Write as _;

use serde_json::{Map, Value};

/// SHA-256, in hex, of the canonical JSON of `{"args": …, "name": …}`.
///
/// The name is in it, because the same arguments mean another thing to another tool. Canonical is as RFC 8785 has it:
/// names sorted by UTF-16, no spaces, numbers as ECMAScript writes them. The one difference: an integer is written with
/// all its digits. RFC 8785 rounds those that a double cannot hold, and then two account numbers have one digest.
pub(crate) fn args_digest(name: &str, args: &Map<String, Value>) -> String {
    let mut canonical = String::from("{\"args\":");
    object(args, &mut canonical);
    canonical.push_str(",\"name\":");
    leaf(&Value::from(name), &mut canonical);
    canonical.push('}');
    let digest = ring::digest::digest(&ring::digest::SHA256, canonical.as_bytes());
    digest.as_ref().iter().fold(String::with_capacity(64), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

fn write_value(value: &Value, to: &mut String) {
    match value {
        Value::Object(members) => object(members, to),
        Value::Array(items) => {
            to.push('[');
            for (n, item) in items.iter().enumerate() {
                to.push_str(if n == 0 { "" } else { "," });
                write_value(item, to);
            }
            to.push(']');
        }
        Value::Number(number) if !number.is_f64() => {
            let _ = write!(to, "{number}");
        }
        _ => leaf(value, to),
    }
}

fn object(members: &Map<String, Value>, to: &mut String) {
    let mut sorted: Vec<_> = members.iter().collect();
    sorted.sort_by(|(one, _), (other, _)| one.encode_utf16().cmp(other.encode_utf16()));
    to.push('{');
    for (n, (name, value)) in sorted.into_iter().enumerate() {
        to.push_str(if n == 0 { "" } else { "," });
        leaf(&Value::from(name.as_str()), to);
        to.push(':');
        write_value(value, to);
    }
    to.push('}');
}

fn leaf(value: &Value, to: &mut String) {
    // A string, a boolean or `null` always has a canonical form, and no other number is in JSON that was parsed.
    to.push_str(&serde_json_canonicalizer::to_string(value).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(name: &str, args: &str) -> String {
        args_digest(name, &serde_json::from_str(args).expect("an object"))
    }

    #[test]
    fn what_is_written_differently_and_means_the_same_has_the_same_digest() {
        let written = digest("deploy", r#"{"env":"prod","replicas":3,"ratio":1.0,"name":"caf\u00e9"}"#);
        assert_eq!(written, digest("deploy", r#"{ "ratio": 1, "name": "café", "replicas": 3e0, "env": "prod" }"#));
    }

    #[test]
    fn the_digest_is_what_a_shell_computes() {
        // printf '{"args":{"env":"prod"},"name":"deploy"}' | sha256sum
        let expected = "54ca29b97c32a3aeb09baac731381f8ae84a0f1a72960150450bad99b6e9a838";
        assert_eq!(digest("deploy", r#"{"env": "prod"}"#), expected);
    }

    #[test]
    fn another_tool_or_another_argument_has_another_digest() {
        let digests = [
            digest("deploy", r#"{"env": "prod"}"#),
            digest("destroy", r#"{"env": "prod"}"#),
            digest("deploy", r#"{"env": "test"}"#),
            digest("deploy", r#"{"env": ["prod"]}"#),
            digest("deploy", "{}"),
            digest("pay", r#"{"to": 9007199254740992}"#),
            digest("pay", r#"{"to": 9007199254740993}"#),
        ];
        for (n, one) in digests.iter().enumerate() {
            assert!(!digests[..n].contains(one), "{n}");
        }
    }

    #[test]
    fn canonical_is_as_the_rfc_has_it() {
        // By code point U+FB33 sorts before U+1F600, and after it by UTF-16.
        let text = r#"{"\ufb33":1,"\ud83d\ude00":2,"b":[1e21,0.000001,-0.0,"\u0007<\"/"],"a":{"z":null,"y":true}}"#;
        let value: Value = serde_json::from_str(text).expect("JSON");
        let mut canonical = String::new();
        write_value(&value, &mut canonical);
        assert_eq!(Ok(canonical), serde_json_canonicalizer::to_string(&value).map_err(|e| e.to_string()));
    }
}
