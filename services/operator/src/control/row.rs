//! A request as a row: all of it as JSON, and beside that what is searched.

use diesel::prelude::*;
use diesel::result::Error;
use vx11_contracts::intervention::{Intervention, Status};

use super::schema::interventions;

#[derive(Clone, Debug, Insertable, AsChangeset)]
#[diesel(table_name = interventions, treat_none_as_null = true)]
pub(super) struct Row {
    pub(super) org_id: String,
    pub(super) request_id: String,
    uow_id: Option<String>,
    intervention_type: String,
    status: &'static str,
    priority: i16,
    assigned_to: Option<String>,
    created_at: String,
    expires_at: Option<String>,
    due_at: Option<String>,
    ended_at: Option<String>,
    pub(super) version: i64,
    record: String,
    created_by: String,
}

impl Row {
    /// The row of `request`.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub(super) fn of(request: &Intervention) -> QueryResult<Self> {
        Ok(Self {
            org_id: request.org_id.clone(),
            request_id: request.request_id.clone(),
            uow_id: request.uow_id.clone(),
            intervention_type: request.intervention_type.as_str().to_owned(),
            status: request.status.as_str(),
            priority: rank(request),
            assigned_to: request.assigned_to.clone(),
            created_at: request.created_at.clone(),
            expires_at: request.expires_at.clone(),
            due_at: due_at(request),
            ended_at: request.action_timestamp.clone(),
            version: request.version,
            created_by: request.created_by.clone(),
            record: serde_json::to_string(request).map_err(|error| Error::SerializationError(Box::new(error)))?,
        })
    }
}

/// The request of a row.
///
/// # Errors
/// When it is not one that this version knows.
pub(super) fn read(record: &str) -> QueryResult<Intervention> {
    serde_json::from_str(record).map_err(|error| Error::DeserializationError(Box::new(error)))
}

/// The urgency as the database orders it: 0 is the most urgent.
pub(super) fn rank(request: &Intervention) -> i16 {
    request.priority.rank()
}

/// When time itself changes the request: it expires, is escalated, or a claim lapses.
fn due_at(request: &Intervention) -> Option<String> {
    match request.status {
        Status::Pending => request.expires_at.clone(),
        Status::InProgress => request.expires_at.iter().chain(&request.claim_expires_at).min().cloned(),
        _ => None,
    }
}
