//! Who gets e-mail about the interventions of an organisation.

use std::sync::Arc;

use diesel::prelude::*;
use jiff::Timestamp;
use vx11_contracts::intervention::{
    EmailSubscription, NewEmailSubscription, PILOTS, Priority, SUBSCRIPTIONS_OF_ORG, Told,
};
use vx11_contracts::time;
use vx11_store::{AnyConnection, Database, Scope, StoreError};

use super::audit;
use super::schema::email_subscriptions::{self as subscriptions, dsl};
use crate::domain::audit::Entry;
use crate::domain::intervention::Actor;

/// The subscriptions of one organisation.
#[derive(Clone, Debug)]
pub(crate) struct Subscriptions {
    database: Database,
    org: Arc<str>,
}

/// What came of subscribing.
#[derive(Debug)]
pub(crate) enum Subscribed {
    /// It is there now.
    New(EmailSubscription),
    /// There is this one already, which is the same.
    Before(EmailSubscription),
    /// There are as many as there may be.
    Full,
}

#[derive(Debug, Insertable, Queryable, Selectable)]
#[diesel(table_name = subscriptions)]
struct Row {
    org_id: String,
    id: String,
    recipient: String,
    events: String,
    least_priority: i16,
    created_by: String,
    created_at: String,
}

impl Subscriptions {
    pub(super) fn new(database: Database, org: Arc<str>) -> Self {
        Self { database, org }
    }

    /// Keeps a subscription, unless there is one that says the same.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn add(
        &self,
        new: NewEmailSubscription,
        by: &Actor,
        now: Timestamp,
    ) -> Result<Subscribed, StoreError> {
        let row = Row {
            org_id: self.org.to_string(),
            id: format!("sub_{}", uuid::Uuid::now_v7().simple()),
            recipient: new.to,
            events: words(&new.events),
            least_priority: new.least_priority.rank(),
            created_by: by.subject.clone(),
            created_at: time::render(now),
        };
        let noted = Entry::done(by, "subscription.create", time::render(now)).to("subscription", &row.id);
        let write = move |conn: &mut AnyConnection| {
            let known = all(conn, &row.org_id)?;
            let is_same = |known: &&EmailSubscription| {
                known.to.eq_ignore_ascii_case(&row.recipient)
                    && words(&known.events) == row.events
                    && known.least_priority.rank() == row.least_priority
            };
            if let Some(same) = known.iter().find(is_same) {
                return Ok(Subscribed::Before(same.clone()));
            }
            if known.len() >= SUBSCRIPTIONS_OF_ORG {
                return Ok(Subscribed::Full);
            }
            diesel::insert_into(subscriptions::table).values(&row).execute(conn)?;
            audit::append(conn, &row.org_id, &noted)?;
            Ok::<_, StoreError>(read(row).map_or(Subscribed::Full, Subscribed::New))
        };
        self.database.write(self.scope(), write).await
    }

    /// All of them, the oldest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn list(&self) -> Result<Vec<EmailSubscription>, StoreError> {
        let org = self.org.clone();
        self.database.read(self.scope(), move |conn| Ok::<_, StoreError>(all(conn, &org)?)).await
    }

    /// Removes one; whether there was one. What is in the outbox already still goes out.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn remove(&self, id: &str, by: &Actor, now: Timestamp) -> Result<bool, StoreError> {
        let noted = Entry::done(by, "subscription.remove", time::render(now)).to("subscription", id);
        let (org, id) = (self.org.clone(), id.to_owned());
        let write = move |conn: &mut AnyConnection| {
            let is_removed = diesel::delete(subscriptions::table.find((&*org, id))).execute(conn)? == 1;
            if is_removed {
                audit::append(conn, &org, &noted)?;
            }
            Ok::<_, StoreError>(is_removed)
        };
        self.database.write(self.scope(), write).await
    }

    fn scope(&self) -> Scope {
        Scope::Org(self.org.clone())
    }
}

/// Who is told so of a request that urgent: addresses, and [`PILOTS`].
pub(super) fn told(conn: &mut AnyConnection, org: &str, told: Told, priority: Priority) -> QueryResult<Vec<String>> {
    let wants = |of: &EmailSubscription| of.events.contains(&told) && priority >= of.least_priority;
    Ok(all(conn, org)?.into_iter().filter(wants).map(|of| of.to).collect())
}

/// Whether it stands for the pilots whom a request is meant for.
pub(super) fn is_pilots(to: &str) -> bool {
    to == PILOTS
}

fn all(conn: &mut AnyConnection, org: &str) -> QueryResult<Vec<EmailSubscription>> {
    let rows = subscriptions::table.filter(dsl::org_id.eq(org)).order(dsl::id).select(Row::as_select());
    // Two replicas may have added the last one at once.
    let rows: Vec<Row> = rows.limit(2 * SUBSCRIPTIONS_OF_ORG as i64).load(conn)?;
    Ok(rows.into_iter().filter_map(read).collect())
}

fn words(events: &[Told]) -> String {
    events.iter().map(|told| told.as_str()).collect::<Vec<_>>().join(" ")
}

/// `None`: of a later version.
fn read(row: Row) -> Option<EmailSubscription> {
    Some(EmailSubscription {
        id: row.id,
        to: row.recipient,
        events: row.events.split(' ').filter_map(|word| word.parse().ok()).collect(),
        least_priority: Priority::from_rank(row.least_priority)?,
        created_by: row.created_by,
        created_at: row.created_at,
    })
}
