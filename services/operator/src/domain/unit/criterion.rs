//! A condition on a field.

use serde_json::{Map, Number, Value};
use vx11_contracts::unit::{ComparedAs, Criterion};

/// Whether a condition holds. `Err`: it cannot be told, in a few words.
pub(super) fn holds(criterion: &Criterion, data: &Map<String, Value>) -> Result<bool, &'static str> {
    use ComparedAs::{Contains, Eq, Exists, Gt, Gte, In, Lt, Lte, Ne, NotIn};
    let field = at(data, &criterion.field);
    let wanted = &criterion.value;
    // What is not there is equal to nothing, and in no list.
    let Some(field) = field else {
        return match criterion.op {
            Exists | Eq | In | Contains => Ok(false),
            Ne | NotIn => Ok(true),
            Lt | Lte | Gt | Gte => Err("it is not there"),
        };
    };
    match criterion.op {
        Exists => Ok(true),
        Eq => Ok(is_same(field, wanted)),
        Ne => Ok(!is_same(field, wanted)),
        Lt => order(field, wanted).map(std::cmp::Ordering::is_lt),
        Lte => order(field, wanted).map(std::cmp::Ordering::is_le),
        Gt => order(field, wanted).map(std::cmp::Ordering::is_gt),
        Gte => order(field, wanted).map(std::cmp::Ordering::is_ge),
        In => is_in(field, wanted),
        NotIn => is_in(field, wanted).map(|is_in| !is_in),
        Contains => match (field, wanted) {
            (Value::String(text), Value::String(part)) => Ok(text.contains(part.as_str())),
            (Value::Array(items), _) => Ok(items.iter().any(|item| is_same(item, wanted))),
            _ => Err("it is neither a text nor a list"),
        },
    }
}

/// The field `path`: one of this very name, or one in an object.
pub(super) fn at<'a>(data: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    if let Some(value) = data.get(path) {
        return Some(value);
    }
    let (first, rest) = path.split_once('.')?;
    at(data.get(first)?.as_object()?, rest)
}

fn is_in(field: &Value, wanted: &Value) -> Result<bool, &'static str> {
    let list = wanted.as_array().ok_or("the rule has no list")?;
    Ok(list.iter().any(|item| is_same(item, field)))
}

/// Whether two values are the same; `1` and `1.0` are.
fn is_same(one: &Value, other: &Value) -> bool {
    one == other || order(one, other) == Ok(std::cmp::Ordering::Equal)
}

fn order(field: &Value, wanted: &Value) -> Result<std::cmp::Ordering, &'static str> {
    let (Value::Number(field), Value::Number(wanted)) = (field, wanted) else {
        return Err("it is not a number");
    };
    // Whole numbers with all their digits.
    let whole = |number: &Number| number.as_i128();
    if let (Some(field), Some(wanted)) = (whole(field), whole(wanted)) {
        return Ok(field.cmp(&wanted));
    }
    field.as_f64().partial_cmp(&wanted.as_f64()).ok_or("it is not a number")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn held(op: ComparedAs, field: &str, value: Value) -> Result<bool, &'static str> {
        let data = json!({
            "cost": {"usd": 5}, "cost.eur": 4.5, "big": 9_007_199_254_740_993_i64, "env": "prod-eu", "tags": ["a", 1],
            "none": null,
        });
        let criterion = Criterion { field: field.to_owned(), op, value };
        holds(&criterion, data.as_object().expect("an object"))
    }

    #[test]
    fn fields_are_compared_as_what_they_are() {
        use ComparedAs::{Contains, Eq, Exists, Gt, Gte, In, Lt, Lte, Ne, NotIn};
        for (op, field, value, holds) in [
            (Lte, "cost.usd", json!(5), true),
            (Lt, "cost.usd", json!(5.0), false),
            (Eq, "cost.usd", json!(5.0), true),
            (Gte, "cost.eur", json!(4.5), true),
            (Gt, "big", json!(9_007_199_254_740_992_i64), true),
            (Eq, "env", json!("prod-eu"), true),
            (Contains, "env", json!("prod"), true),
            (Contains, "tags", json!(1), true),
            (In, "env", json!(["dev", "prod-eu"]), true),
            (NotIn, "env", json!(["dev"]), true),
            (Exists, "none", Value::Null, true),
            (Exists, "nowhere", Value::Null, false),
            (Ne, "nowhere", json!(1), true),
            (Eq, "nowhere", Value::Null, false),
            (Eq, "cost.usd.cents", json!(1), false),
        ] {
            assert_eq!(held(op, field, value.clone()), Ok(holds), "{field} {op:?} {value}");
        }
    }

    #[test]
    fn what_cannot_be_compared_is_an_error() {
        for (op, field) in [(ComparedAs::Lt, "env"), (ComparedAs::Gt, "nowhere"), (ComparedAs::Contains, "cost")] {
            assert!(held(op, field, json!(1)).is_err(), "{field} {op:?}");
        }
        assert!(held(ComparedAs::In, "env", json!("prod-eu")).is_err(), "no list");
    }
}
