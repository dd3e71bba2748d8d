//! The outbox. A row is written with the change that it tells of, so that no crash comes between them, and is sent on
//! its channel by whichever replica leases it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use diesel::prelude::*;
use jiff::Timestamp;
use vx11_contracts::intervention::{
    Channel, DEFAULT_LIMIT, Delivery, DeliveryPage, DeliveryState, ListDeliveries, MAX_LIMIT,
};
use vx11_contracts::time;
use vx11_store::{AnyConnection, Database, Scope, StoreError};

use super::schema::deliveries::{self, dsl};
use super::{Control, audit};
use crate::domain::audit::Entry;
use crate::domain::intervention::Actor;

/// Most rows that a look for what is due reads.
pub(super) const LOOK: i64 = 256;
/// Most characters of an error that are kept.
const ERROR_CHARS: usize = 500;

/// The outbox of one organisation.
#[derive(Clone, Debug)]
pub(crate) struct Deliveries {
    database: Database,
    org: Arc<str>,
}

/// A delivery that is this replica's to send until its lease ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Due {
    /// The organisation that it is of.
    pub(crate) org: String,
    /// The same in each attempt.
    pub(crate) id: String,
    /// Where it goes.
    pub(crate) url: String,
    /// What it is made of.
    pub(crate) body: String,
    /// Which attempt this is, from 1.
    pub(crate) attempt: u32,
    /// When what it tells happened, as stored.
    pub(crate) created_at: String,
}

/// What came of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The receiver has taken it.
    Delivered,
    /// It did not; it is sent again then.
    Again(Timestamp, String),
    /// It will not.
    Dead(String),
}

/// How many deliveries may be taken: of all, and of each organisation, so that one whose receivers are slow does not
/// keep the others waiting.
#[derive(Clone, Debug, Default)]
pub(crate) struct Room {
    /// Of all organisations.
    pub(crate) all: usize,
    /// Of an organisation that has none under way.
    pub(crate) each: usize,
    /// How many each has under way.
    pub(crate) under_way: HashMap<String, usize>,
}

impl Room {
    /// Whether there is room for one more of `org`, which is taken then.
    fn admits(&mut self, org: &str) -> bool {
        let used = self.under_way.entry(org.to_owned()).or_default();
        let fits = self.all > 0 && *used < self.each;
        if fits {
            *used += 1;
            self.all -= 1;
        }
        fits
    }

    fn full(&self) -> Vec<String> {
        self.under_way.iter().filter(|(_, used)| **used >= self.each).map(|(org, _)| org.clone()).collect()
    }
}

#[derive(Debug, Insertable, Queryable, Selectable)]
#[diesel(table_name = deliveries)]
struct Row {
    org_id: String,
    id: String,
    channel: String,
    request_id: String,
    event: String,
    url: String,
    state: String,
    attempts: i32,
    next_at: String,
    last_error: Option<String>,
    created_at: String,
    delivered_at: Option<String>,
}

/// Something to be told, once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Letter<'a> {
    pub(super) org: &'a str,
    pub(super) channel: Channel,
    /// The request that it tells of.
    pub(super) request_id: &'a str,
    /// What it tells.
    pub(super) event: &'a str,
    /// Where it goes.
    pub(super) url: String,
    /// What it is made of.
    pub(super) body: String,
    /// When what it tells happened: it is due from then on.
    pub(super) at: &'a str,
}

/// Puts `letter` into the outbox.
pub(super) fn put(conn: &mut AnyConnection, letter: Letter<'_>) -> QueryResult<()> {
    let row = Row {
        org_id: letter.org.to_owned(),
        id: format!("msg_{}", uuid::Uuid::now_v7().simple()),
        channel: letter.channel.as_str().to_owned(),
        request_id: letter.request_id.to_owned(),
        event: letter.event.to_owned(),
        url: letter.url,
        state: DeliveryState::Pending.as_str().to_owned(),
        attempts: 0,
        next_at: letter.at.to_owned(),
        last_error: None,
        created_at: letter.at.to_owned(),
        delivered_at: None,
    };
    diesel::insert_into(deliveries::table).values((row, dsl::body.eq(letter.body))).execute(conn).map(drop)
}

/// Removes what was delivered or given up, and is of before that time.
pub(super) fn clear(conn: &mut AnyConnection, before: &str) -> QueryResult<()> {
    let old =
        deliveries::table.filter(dsl::created_at.lt(before)).filter(dsl::state.ne(DeliveryState::Pending.as_str()));
    diesel::delete(old).execute(conn).map(drop)
}

impl Control {
    /// Leases what is due on `channel` at `now`, as far as there is `room`: nobody else sends it until `lease` is over.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn take_deliveries(
        &self,
        channel: Channel,
        now: Timestamp,
        lease: Duration,
        mut room: Room,
    ) -> Result<Vec<Due>, StoreError> {
        let due = self.due_deliveries(channel, time::render(now), &mut room).await?;
        if due.is_empty() {
            return Ok(Vec::new());
        }
        let (at, until) = (time::render(now), time::render(now.checked_add(lease).unwrap_or(Timestamp::MAX)));
        let take = move |conn: &mut AnyConnection| {
            let taken = due.into_iter().map(|key| take(conn, key, &at, &until));
            taken.filter_map(Result::transpose).collect::<QueryResult<Vec<Due>>>().map_err(StoreError::from)
        };
        self.database.write(Scope::Platform, take).await
    }

    /// What is due and has room. Where one organisation's backlog fills a whole look, there is another one without those
    /// that have no room left: each fills a place or more, so there are few.
    async fn due_deliveries(&self, channel: Channel, at: String, room: &mut Room) -> Result<Vec<Key>, StoreError> {
        let mut admitted: Vec<Key> = Vec::new();
        loop {
            let (at, full) = (at.clone(), room.full());
            let known_full = full.len();
            let look = move |conn: &mut AnyConnection| Ok::<_, StoreError>(due(conn, channel, &at, full)?);
            let found = self.database.read(Scope::Platform, look).await?;
            let is_whole_page = found.len() as i64 == LOOK;
            for key in found {
                if !admitted.contains(&key) && room.admits(&key.0) {
                    admitted.push(key);
                }
            }
            if !is_whole_page || room.all == 0 || room.full().len() == known_full {
                return Ok(admitted);
            }
        }
    }

    /// Writes what came of an attempt that began with `due`. Whoever leased it since then is not disturbed, but for a
    /// delivery, which is one whoever made it.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn settle_delivery(&self, due: &Due, outcome: Outcome, now: Timestamp) -> Result<(), StoreError> {
        let (key, attempt) = ((due.org.clone(), due.id.clone()), attempts(due.attempt));
        let settle = move |conn: &mut AnyConnection| {
            let row = deliveries::table.find(key);
            let waiting = row.clone().filter(dsl::state.eq(PENDING)).filter(dsl::attempts.eq(attempt));
            let free = dsl::leased_until.eq(None::<String>);
            match outcome {
                Outcome::Delivered => {
                    let done =
                        (dsl::state.eq(DeliveryState::Delivered.as_str()), dsl::delivered_at.eq(time::render(now)));
                    diesel::update(row).set((done, free, dsl::last_error.eq(None::<String>))).execute(conn)
                }
                Outcome::Again(at, error) => {
                    let later = (dsl::next_at.eq(time::render(at)), dsl::last_error.eq(cut(&error)));
                    diesel::update(waiting).set((later, free)).execute(conn)
                }
                Outcome::Dead(error) => {
                    let dead = (dsl::state.eq(DeliveryState::Dead.as_str()), dsl::last_error.eq(cut(&error)));
                    diesel::update(waiting).set((dead, free)).execute(conn)
                }
            }?;
            Ok::<_, StoreError>(())
        };
        self.database.write(Scope::Platform, settle).await
    }

    /// How many deliveries wait on `channel`, of all organisations.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn pending_deliveries(&self, channel: Channel) -> Result<i64, StoreError> {
        let count = move |conn: &mut AnyConnection| {
            let waiting = deliveries::table.filter(dsl::state.eq(PENDING)).filter(dsl::channel.eq(channel.as_str()));
            Ok::<_, StoreError>(waiting.count().get_result(conn)?)
        };
        self.database.read(Scope::Platform, count).await
    }
}

const PENDING: &str = DeliveryState::Pending.as_str();

/// Which delivery: organisation, id, and attempts so far.
type Key = (String, String, i32);

/// What is due and not being sent, but for what is of organisations that are `full`.
fn due(conn: &mut AnyConnection, channel: Channel, at: &str, full: Vec<String>) -> QueryResult<Vec<Key>> {
    deliveries::table
        .filter(dsl::channel.eq(channel.as_str()))
        .filter(dsl::state.eq(PENDING))
        .filter(dsl::next_at.le(at))
        .filter(dsl::leased_until.is_null().or(dsl::leased_until.le(at)))
        .filter(dsl::org_id.ne_all(full))
        // In one order, so that of two replicas neither waits for the other in a circle.
        .order((dsl::next_at, dsl::id))
        .limit(LOOK)
        .select((dsl::org_id, dsl::id, dsl::attempts))
        .load(conn)
}

/// Leases one, unless somebody was faster.
fn take(conn: &mut AnyConnection, (org, id, before): Key, at: &str, until: &str) -> QueryResult<Option<Due>> {
    let row = deliveries::table.find((org.clone(), id.clone()));
    let free = row
        .clone()
        .filter(dsl::state.eq(PENDING))
        .filter(dsl::attempts.eq(before))
        .filter(dsl::leased_until.is_null().or(dsl::leased_until.le(at)));
    let leased = (dsl::attempts.eq(before.saturating_add(1)), dsl::leased_until.eq(until));
    if diesel::update(free).set(leased).execute(conn)? == 0 {
        return Ok(None);
    }
    let (url, body, created_at) = row.select((dsl::url, dsl::body, dsl::created_at)).first(conn)?;
    Ok(Some(Due { org, id, url, body, attempt: before.unsigned_abs().saturating_add(1), created_at }))
}

impl Deliveries {
    pub(super) fn new(database: Database, org: Arc<str>) -> Self {
        Self { database, org }
    }

    /// A page of deliveries, the newest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn list(&self, query: ListDeliveries) -> Result<DeliveryPage, StoreError> {
        let org = self.org.clone();
        let list = move |conn: &mut AnyConnection| Ok::<_, StoreError>(page(conn, &org, &query)?);
        self.database.read(self.scope(), list).await
    }

    /// Has a delivery that was given up sent again, at once and with all its attempts. The delivery as it is then, and
    /// whether that was done: `false` where it is not dead. `None`: there is none of this id.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn retry(
        &self,
        id: String,
        by: &Actor,
        now: Timestamp,
    ) -> Result<Option<(Delivery, bool)>, StoreError> {
        let (org, by) = (self.org.clone(), by.clone());
        let retry = move |conn: &mut AnyConnection| {
            let row = deliveries::table.find((&*org, &id));
            let dead = row.filter(dsl::state.eq(DeliveryState::Dead.as_str()));
            let again = (dsl::state.eq(PENDING), dsl::attempts.eq(0), dsl::next_at.eq(time::render(now)));
            let is_done = diesel::update(dead).set(again).execute(conn)? == 1;
            let found: Option<Row> = row.select(Row::as_select()).first(conn).optional()?;
            let found = found.and_then(read);
            if let Some(delivery) = found.as_ref().filter(|_| is_done) {
                let what = delivery.channel.as_str();
                let noted = Entry::done(&by, format!("{what}.retry"), time::render(now)).to(what, &id);
                audit::append(conn, &org, &noted)?;
            }
            Ok::<_, StoreError>(found.map(|delivery| (delivery, is_done)))
        };
        self.database.write(self.scope(), retry).await
    }

    fn scope(&self) -> Scope {
        Scope::Org(self.org.clone())
    }
}

fn page(conn: &mut AnyConnection, org: &str, query: &ListDeliveries) -> QueryResult<DeliveryPage> {
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT).min(MAX_LIMIT) as usize;
    let mut rows = deliveries::table.filter(dsl::org_id.eq(org)).select(Row::as_select()).into_boxed();
    if let Some(state) = query.state {
        rows = rows.filter(dsl::state.eq(state.as_str()));
    }
    if let Some(cursor) = &query.cursor {
        rows = rows.filter(dsl::id.lt(cursor));
    }
    let mut rows: Vec<Row> = rows.order(dsl::id.desc()).limit(limit as i64 + 1).load(conn)?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = if more { rows.last().map(|last| last.id.clone()) } else { None };
    Ok(DeliveryPage { items: rows.into_iter().filter_map(read).collect(), next })
}

/// `None`: of a later version.
fn read(row: Row) -> Option<Delivery> {
    let state = row.state.parse().ok()?;
    Some(Delivery {
        id: row.id,
        channel: row.channel.parse().ok()?,
        request_id: row.request_id,
        event: row.event,
        url: row.url,
        state,
        attempts: row.attempts.unsigned_abs(),
        next_at: (state == DeliveryState::Pending).then_some(row.next_at),
        last_error: row.last_error,
        created_at: row.created_at,
        delivered_at: row.delivered_at,
    })
}

fn attempts(attempt: u32) -> i32 {
    i32::try_from(attempt).unwrap_or(i32::MAX)
}

fn cut(error: &str) -> String {
    error.chars().filter(|char| *char != '\0').take(ERROR_CHARS).collect()
}
