//! Lists, page by page.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Intervention, InterventionType, Priority, Status};

/// Rows of a page that does not say.
pub const DEFAULT_LIMIT: u32 = 50;
/// Most rows of a page.
pub const MAX_LIMIT: u32 = 500;

/// `GET /operator/api/interventions?…`. Without a status, or with `PENDING`: by priority, then oldest first. With any
/// other status: newest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListInterventions {
    /// Only those that stand there; `PENDING` where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// Only those of this priority.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<Priority>,
    /// Only those of this type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intervention_type: Option<InterventionType>,
    /// Only those that are meant for this pilot, or were decided by them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pilot_id: Option<String>,
    /// Only those of this unit of work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uow_id: Option<String>,
    /// Rows of the page: 1 to 500, 50 where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(minimum = 1, maximum = 500)]
    pub limit: Option<u32>,
    /// Rows to leave out before the first: for older clients. `cursor` does not get slower from page to page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(maximum = 10_000)]
    pub offset: Option<u32>,
    /// `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// A page of requests. Pass `next` as `?cursor=` to get the page after it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct InterventionPage {
    /// The requests.
    pub items: Vec<Intervention>,
    /// Where the next page begins; absent on the last page.
    pub next: Option<String>,
}

/// The place of a row in a list: the last row of a page, in the key that the list is ordered by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// Its priority.
    pub priority: Priority,
    /// When it was made.
    pub created_at: String,
    /// Its id.
    pub request_id: String,
}

impl Cursor {
    /// The place of `row`.
    pub fn of(row: &Intervention) -> Self {
        Self { priority: row.priority, created_at: row.created_at.clone(), request_id: row.request_id.clone() }
    }
}

impl fmt::Display for Cursor {
    // Only characters that need no escape in an address.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}_{}", self.priority.rank(), self.created_at, self.request_id)
    }
}

impl FromStr for Cursor {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let wrong = "not a cursor: `next` of the page before";
        let (rank, rest) = text.split_once('_').ok_or(wrong)?;
        let (created_at, request_id) = rest.split_once('_').ok_or(wrong)?;
        let priority = rank.parse().ok().and_then(Priority::from_rank).ok_or(wrong)?;
        let time =
            created_at.len() == "0000-00-00T00:00:00.000Z".len() && created_at.parse::<jiff::Timestamp>().is_ok();
        if !time || super::limits::id("cursor", request_id).is_err() {
            return Err(wrong);
        }
        Ok(Self { priority, created_at: created_at.to_owned(), request_id: request_id.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_is_written() {
        let cursor = Cursor {
            priority: Priority::High,
            created_at: "2026-11-21T04:05:06.789Z".to_owned(),
            request_id: "a_b:c-1".to_owned(),
        };
        assert_eq!(cursor.to_string(), "1_2026-11-21T04:05:06.789Z_a_b:c-1");
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        for text in ["", "1", "1__", "9_2026-11-21T04:05:06.789Z_a", "1_2026_a", "1_2026-11-21T04:05:06.789Z_a'b"] {
            assert!(text.parse::<Cursor>().is_err(), "{text}");
        }
    }
}
