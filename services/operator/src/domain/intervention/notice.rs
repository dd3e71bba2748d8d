//! What an e-mail tells of a request. It is kept with the delivery, so that each attempt says the same.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use vx11_contracts::intervention::{DecisionKind, Intervention, InterventionType, OnTimeout, Priority, Told};

/// Most characters of an action's arguments.
const ARGS_CHARS: usize = 2000;
/// What stands in place of a secret.
const HIDDEN: &str = "(hidden)";
/// Parts of names, in lower case and without marks, whose values are nobody's to read in a mailbox.
const SECRETS: [&str; 9] =
    ["password", "passwd", "passphrase", "secret", "token", "apikey", "privatekey", "authorization", "credential"];

/// What an e-mail tells of a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Notice {
    /// Who gets it.
    pub(crate) to: String,
    pub(crate) told: Told,
    pub(crate) org_id: String,
    pub(crate) request_id: String,
    pub(crate) intervention_type: InterventionType,
    pub(crate) priority: Priority,
    pub(crate) title: String,
    pub(crate) description: String,
    pub(crate) created_by: String,
    pub(crate) created_at: String,
    pub(crate) expires_at: Option<String>,
    pub(crate) on_timeout: OnTimeout,
    /// What waits to be run, and its arguments, as far as they are shown.
    pub(crate) action: Option<(String, String)>,
    /// How it was decided, and by whom.
    pub(crate) decided: Option<(DecisionKind, String)>,
    /// Why it was decided, or closed.
    pub(crate) reason: Option<String>,
}

impl Notice {
    /// What is told of `request`; nobody gets it yet.
    pub(crate) fn of(request: &Intervention, told: Told) -> Self {
        let decision = request.decision.as_ref();
        Self {
            to: String::new(),
            told,
            org_id: request.org_id.clone(),
            request_id: request.request_id.clone(),
            intervention_type: request.intervention_type.clone(),
            priority: request.priority,
            title: request.title.clone(),
            description: request.description.clone(),
            created_by: request.created_by.clone(),
            created_at: request.created_at.clone(),
            expires_at: request.expires_at.clone(),
            on_timeout: request.on_timeout,
            action: request.action.as_ref().map(|action| (action.name.clone(), shown(&action.args))),
            decided: decision.map(|decision| (decision.kind, decision.by.clone())),
            reason: request.action_reason.clone(),
        }
    }
}

/// Arguments as a mailbox may have them: without secrets, and not too long.
fn shown(args: &Map<String, Value>) -> String {
    let text = serde_json::to_string_pretty(&without_secrets(args)).unwrap_or_default();
    match text.char_indices().nth(ARGS_CHARS) {
        Some((end, _)) => format!("{}\n… and {} more characters", &text[..end], text[end..].chars().count()),
        None => text,
    }
}

fn without_secrets(object: &Map<String, Value>) -> Map<String, Value> {
    let field = |(name, value): (&String, &Value)| {
        let value = match value {
            // A number of tokens is no secret.
            Value::Number(_) | Value::Bool(_) | Value::Null => value.clone(),
            _ if is_secret(name) => Value::String(HIDDEN.to_owned()),
            value => nested(value),
        };
        (name.clone(), value)
    };
    object.iter().map(field).collect()
}

fn nested(value: &Value) -> Value {
    match value {
        Value::Object(object) => Value::Object(without_secrets(object)),
        Value::Array(items) => Value::Array(items.iter().map(nested).collect()),
        value => value.clone(),
    }
}

fn is_secret(name: &str) -> bool {
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    SECRETS.iter().any(|secret| plain.contains(secret))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use vx11_contracts::intervention::CreateAction;

    use super::super::fixture::{create, request};
    use super::*;

    fn args(args: Value) -> String {
        let args = args.as_object().expect("an object").clone();
        let action = Some(CreateAction { name: "run".to_owned(), args });
        let asked = vx11_contracts::intervention::CreateIntervention { action, ..create() };
        Notice::of(&request(asked), Told::Opened).action.expect("an action").1
    }

    #[test]
    fn what_looks_like_a_secret_is_not_mailed() {
        let text = args(json!({
            "user": "ann", "API_KEY": "k1", "max_tokens": 5,
            "list": [{"x-auth-token": "k2", "db": {"Password": ["k3"]}}],
        }));
        assert!(["k1", "k2", "k3"].iter().all(|secret| !text.contains(secret)), "{text}");
        assert!(text.contains("ann") && text.contains(r#""max_tokens": 5"#), "{text}");
    }

    #[test]
    fn long_arguments_are_cut_between_characters() {
        let text = args(json!({"text": "é".repeat(5000)}));
        let (kept, rest) = text.split_once("\n… and ").expect("a cut");
        assert_eq!(kept.chars().count(), ARGS_CHARS);
        // `{`, a line break, `  "text": "`, the text, `"`, a line break, and `}`.
        assert_eq!(rest, format!("{} more characters", 2 + 11 + 5000 + 3 - ARGS_CHARS));
    }
}
