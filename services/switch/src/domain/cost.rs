//! What an answer has cost, written into the usage that it or one of its events carries.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::edit::{Edit, edited, span_of};
use crate::accounts::Usd;

/// `event`, the `usage` of which says the `cost`: the gateway's, in place of one that the provider has said. It is as
/// it came where it has no usage.
pub(crate) fn with_cost(event: &Bytes, cost: Usd) -> Bytes {
    edited(event, [edit(event, cost, true).as_ref()])
}

/// `answer`, the `usage` of which says the gateway's `cost` where it said one; else as it came.
pub(crate) fn with_own_cost(answer: &Bytes, cost: Usd) -> Bytes {
    edited(answer, [edit(answer, cost, false).as_ref()])
}

fn edit(event: &[u8], cost: Usd, adds: bool) -> Option<Edit> {
    #[derive(Deserialize)]
    struct Event<'a> {
        #[serde(borrow)]
        usage: &'a RawValue,
    }
    let event = std::str::from_utf8(event).ok()?;
    let Event { usage } = serde_json::from_str(event).ok()?;
    let fields: BTreeMap<String, &RawValue> = serde_json::from_str(usage.get()).ok()?;
    if let Some(said) = fields.get("cost") {
        return Some(Edit { span: span_of(event, said.get()), text: cost.to_string() });
    }
    if !adds {
        return None;
    }
    let end = span_of(event, usage.get()).end - 1;
    let comma = if fields.is_empty() { "" } else { "," };
    Some(Edit { span: end..end, text: format!(r#"{comma}"cost":{cost}"#) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cost_stands_in_the_usage_and_all_else_as_it_was() {
        let cost: Usd = "0.000528".parse().expect("an amount");
        for (event, expected) in [
            (r#"{"choices":[],"usage":{"a":1.50} }"#, r#"{"choices":[],"usage":{"a":1.50,"cost":0.000528} }"#),
            (r#"{"usage": {}}"#, r#"{"usage": {"cost":0.000528}}"#),
            (r#"{"usage":{"cost": null,"a":1}}"#, r#"{"usage":{"cost": 0.000528,"a":1}}"#),
            (r#"{"usage":{"a":{"cost":2}}}"#, r#"{"usage":{"a":{"cost":2},"cost":0.000528}}"#),
            (r#"{"usage":null}"#, r#"{"usage":null}"#),
            (r#"{"choices":[]}"#, r#"{"choices":[]}"#),
        ] {
            let event = Bytes::copy_from_slice(event.as_bytes());
            assert_eq!(with_cost(&event, cost), expected);
            let says_none = !expected.contains(r#""cost": "#);
            assert_eq!(with_own_cost(&event, cost), if says_none { &event[..] } else { expected.as_bytes() });
        }
    }
}
