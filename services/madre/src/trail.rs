//! Rows of madre's trail.

use serde_json::Value;
use vx11_contracts::event::Action;
use vx11_contracts::identity::OrgId;
use vx11_contracts::time;

/// A row, stamped with the current time.
pub(crate) struct Row(Action);

/// What was done, its class, to what, and how it ended.
pub(crate) fn action(correlation_id: &str, action: &str, class: &str, target: Option<&str>, status: &str) -> Row {
    Row(Action {
        timestamp: time::now(),
        source: crate::NAME.to_owned(),
        correlation_id: correlation_id.to_owned(),
        action: action.to_owned(),
        action_type: class.to_owned(),
        target: target.map(str::to_owned),
        status: status.to_owned(),
        mode: "normal".to_owned(),
        ..Action::default()
    })
}

impl Row {
    /// Of this organisation; without it, it is the platform's own.
    pub(crate) fn of(mut self, org: &OrgId) -> Self {
        self.0.org_id = org.clone();
        self
    }

    /// In this conversation.
    pub(crate) fn in_session(mut self, session_id: &str) -> Self {
        self.0.session_id = Some(session_id.to_owned());
        self
    }

    /// With more, never a message's text. `null` fields are left out.
    pub(crate) fn with_notes(mut self, mut notes: Value) -> Self {
        if let Some(fields) = notes.as_object_mut() {
            fields.retain(|_, value| !value.is_null());
        }
        self.0.notes = Some(notes.to_string());
        self
    }
}

impl From<Row> for Action {
    fn from(row: Row) -> Self {
        row.0
    }
}
