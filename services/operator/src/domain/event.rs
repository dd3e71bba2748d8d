//! How a row of the trail is shown on the event stream.

use serde_json::{Value, json};
use vx11_contracts::event::Action;

/// The SSE event's name and data for `action`.
///
/// The three named classes carry their own fields, taken from the row's notes; any other row is sent whole.
pub(crate) fn frame(action: &Action) -> (&'static str, Value) {
    let notes = action.notes.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or(Value::Null);
    match action.action_type.as_str() {
        "service_status" => (
            "service_status",
            json!({
                "service": action.target,
                "status": action.status,
                "timestamp": action.timestamp,
                "correlation_id": action.correlation_id,
            }),
        ),
        "feature_toggle" => (
            "feature_toggle",
            json!({ "feature": action.target, "status": action.status, "timestamp": action.timestamp }),
        ),
        "performance_milestone" => (
            "performance_milestone",
            json!({
                "metric": action.target,
                "value": notes["value"],
                "unit": notes["unit"],
                "timestamp": action.timestamp,
            }),
        ),
        _ => ("copilot_action", json!(action)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn action(action_type: &str, target: &str, status: &str, notes: Option<&str>) -> Action {
        Action {
            id: 7,
            timestamp: "2026-11-21T04:05:06.789Z".to_owned(),
            correlation_id: "c".to_owned(),
            action_type: action_type.to_owned(),
            target: Some(target.to_owned()),
            status: status.to_owned(),
            notes: notes.map(str::to_owned),
            ..Action::default()
        }
    }

    #[test]
    fn named_classes_carry_their_own_fields() {
        let (name, data) = frame(&action("service_status", "switch", "down", None));
        assert_eq!(name, "service_status");
        assert_eq!(
            data,
            json!({"service": "switch", "status": "down", "timestamp": "2026-11-21T04:05:06.789Z", "correlation_id": "c"})
        );
        let (name, data) =
            frame(&action("performance_milestone", "chats", "ok", Some(r#"{"value":100,"unit":"chats"}"#)));
        assert_eq!((name, &data["value"], &data["unit"]), ("performance_milestone", &json!(100), &json!("chats")));
    }

    #[test]
    fn any_other_row_is_sent_whole() {
        let (name, data) = frame(&action("chat", "switch", "ok", Some("not json")));
        assert_eq!(name, "copilot_action");
        assert_eq!((&data["id"], &data["notes"]), (&json!(7), &json!("not json")));
    }
}
