//! How a row of the trail is shown on the event stream.

use serde_json::{Value, json};
use vx11_contracts::event::Action;

/// The class of the rows that tell of interventions, and what their events' names begin with.
pub(crate) const INTERVENTION: &str = "intervention";
/// The class of the rows that tell of units of work.
pub(crate) const UNIT: &str = "unit";
/// The event that tells of one.
pub(crate) const UNIT_STATUS_CHANGED: &str = "unit_status_changed";

/// The SSE event's name and data for `action`.
///
/// The named classes carry their own fields, taken from the row's notes; any other row is sent whole.
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
        INTERVENTION => match intervention(&action.action) {
            Some(name) => (name, with_timestamp(notes, &action.timestamp)),
            None => ("copilot_action", json!(action)),
        },
        UNIT if action.action == UNIT_STATUS_CHANGED => (UNIT_STATUS_CHANGED, with_timestamp(notes, &action.timestamp)),
        _ => ("copilot_action", json!(action)),
    }
}

/// The name of an event that tells of an intervention.
fn intervention(action: &str) -> Option<&'static str> {
    ["intervention_new_request", "intervention_status_changed", "intervention_action_completed"]
        .into_iter()
        .find(|name| *name == action)
}

fn with_timestamp(mut data: Value, timestamp: &str) -> Value {
    if let Value::Object(fields) = &mut data {
        fields.insert("timestamp".to_owned(), timestamp.into());
    }
    data
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
    fn interventions_have_events_of_their_own() {
        let notes = Some(r#"{"request_id":"r","old_status":"PENDING"}"#);
        let named = |action_name: &str| Action {
            action: action_name.to_owned(),
            ..action("intervention", "r", "APPROVED", notes)
        };
        let (name, data) = frame(&named("intervention_status_changed"));
        assert_eq!(name, "intervention_status_changed");
        assert_eq!(data, json!({"request_id": "r", "old_status": "PENDING", "timestamp": "2026-11-21T04:05:06.789Z"}));
        assert_eq!(frame(&named("intervention_of_a_later_version")).0, "copilot_action");
    }

    #[test]
    fn units_have_an_event_of_their_own() {
        let row = Action {
            action: UNIT_STATUS_CHANGED.to_owned(),
            ..action("unit", "u-1", "PAUSED", Some(r#"{"uow_id":"u-1"}"#))
        };
        let data = json!({"uow_id": "u-1", "timestamp": "2026-11-21T04:05:06.789Z"});
        assert_eq!(frame(&row), (UNIT_STATUS_CHANGED, data));
        assert_eq!(frame(&action("unit", "u-1", "PAUSED", None)).0, "copilot_action");
    }

    #[test]
    fn any_other_row_is_sent_whole() {
        let (name, data) = frame(&action("chat", "switch", "ok", Some("not json")));
        assert_eq!(name, "copilot_action");
        assert_eq!((&data["id"], &data["notes"]), (&json!(7), &json!("not json")));
    }
}
