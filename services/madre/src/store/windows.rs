//! `power_windows`: at most one is open.

use diesel::prelude::*;
use vx11_contracts::power::WindowMode;
use vx11_contracts::time;
use vx11_store::{AnyConnection, StoreError};

use super::schema::power_windows as windows;
use super::{Store, from_json, is_duplicate, parse, to_json};

/// A power window.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Window {
    pub(crate) window_id: String,
    /// What may run while it is open.
    pub(crate) services: Vec<String>,
    /// What was not running when it opened, and is stopped when it closes.
    pub(crate) services_started: Vec<String>,
    pub(crate) mode: WindowMode,
    pub(crate) reason: String,
    /// RFC 3339 UTC.
    pub(crate) created_at: String,
    /// When it closes by itself, RFC 3339 UTC; never in mode `hold`.
    pub(crate) deadline: Option<String>,
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = windows)]
struct WindowRow {
    window_id: String,
    services: String,
    services_started: String,
    mode: String,
    reason: String,
    created_at: String,
    deadline: Option<String>,
}

impl Store {
    /// Opens `window`; `false` when another one is open.
    pub(crate) async fn insert_window(&self, window: Window) -> Result<bool, StoreError> {
        let insert = move |conn: &mut AnyConnection| {
            diesel::insert_into(windows::table).values(WindowRow::of(window)?).execute(conn).map(drop)
        };
        match self.write(insert).await {
            Ok(()) => Ok(true),
            Err(error) if is_duplicate(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The open window.
    pub(crate) async fn open_window(&self) -> Result<Option<Window>, StoreError> {
        self.read(|conn| {
            let open = windows::table.filter(windows::closed_at.is_null());
            let row: Option<WindowRow> = open.select(WindowRow::as_select()).first(conn).optional()?;
            row.map(WindowRow::into_window).transpose()
        })
        .await
    }

    /// Closes a window; answers with the time.
    pub(crate) async fn close_window(&self, window_id: &str) -> Result<String, StoreError> {
        let window_id = window_id.to_owned();
        self.write(move |conn| {
            let now = time::now();
            let open = windows::window_id.eq(window_id).and(windows::closed_at.is_null());
            diesel::update(windows::table.filter(open)).set(windows::closed_at.eq(&now)).execute(conn)?;
            Ok(now)
        })
        .await
    }
}

impl WindowRow {
    fn of(window: Window) -> QueryResult<Self> {
        Ok(Self {
            services: to_json(&window.services)?,
            services_started: to_json(&window.services_started)?,
            mode: window.mode.as_str().to_owned(),
            window_id: window.window_id,
            reason: window.reason,
            created_at: window.created_at,
            deadline: window.deadline,
        })
    }

    fn into_window(self) -> QueryResult<Window> {
        Ok(Window {
            window_id: self.window_id,
            services: from_json(&self.services)?,
            services_started: from_json(&self.services_started)?,
            mode: parse(&self.mode)?,
            reason: self.reason,
            created_at: self.created_at,
            deadline: self.deadline,
        })
    }
}
