//! What is told outside of a request: put into the outbox in the transaction of the change.

use std::collections::BTreeMap;

use diesel::prelude::*;
use diesel::result::Error;
use serde::Serialize;
use vx11_contracts::intervention::{Channel, HistoryEntry, Intervention, Role, Told, WebhookEvent};
use vx11_store::AnyConnection;

use super::deliveries::{Letter, put};
use super::schema::pilots;
use super::subscriptions::{is_pilots, told};
use crate::domain::intervention::Notice;

/// Most pilots of a role that are told of one request.
const PILOTS_OF_ROLE: i64 = 32;

/// Tells that `request` waits.
pub(super) fn opened(conn: &mut AnyConnection, request: &Intervention) -> QueryResult<()> {
    // One that has expired when it is made waits for nobody.
    if request.expires_at.as_ref().is_some_and(|at| *at <= request.created_at) {
        return Ok(());
    }
    mail(conn, request, Told::Opened, &request.created_at)
}

/// Tells that `request` is for others now.
pub(super) fn escalated(conn: &mut AnyConnection, request: &Intervention) -> QueryResult<()> {
    let at = request.updated_at.as_ref().unwrap_or(&request.created_at);
    mail(conn, request, Told::Escalated, at)
}

/// Tells that the wait of `request` is over, to whoever asked and to those who subscribed.
pub(super) fn ended(conn: &mut AnyConnection, request: &Intervention, entry: &HistoryEntry) -> QueryResult<()> {
    let at = entry.completed_at.as_str();
    if let Some(url) = &request.callback_url {
        let event = WebhookEvent::ended(request, at);
        let body = json(&event)?;
        let (org, request_id) = (request.org_id.as_str(), request.request_id.as_str());
        let (url, event) = (url.clone(), event.event.as_str());
        put(conn, Letter { org, channel: Channel::Webhook, request_id, event, url, body, at })?;
    }
    Told::ended(request.status).map_or(Ok(()), |told| mail(conn, request, told, at))
}

/// One e-mail to everybody who wants to know.
fn mail(conn: &mut AnyConnection, request: &Intervention, what: Told, at: &str) -> QueryResult<()> {
    let wanted = told(conn, &request.org_id, what, request.priority)?;
    if wanted.is_empty() {
        return Ok(());
    }
    let mut notice = Notice::of(request, what);
    for to in addresses(conn, request, what, wanted)? {
        notice.to.clone_from(&to);
        let letter = Letter {
            org: &request.org_id,
            channel: Channel::Email,
            request_id: &request.request_id,
            event: what.as_str(),
            url: mailto(&to),
            body: json(&notice)?,
            at,
        };
        put(conn, letter)?;
    }
    Ok(())
}

/// Everybody's address, once.
fn addresses(
    conn: &mut AnyConnection,
    request: &Intervention,
    what: Told,
    wanted: Vec<String>,
) -> QueryResult<impl Iterator<Item = String> + use<>> {
    let (pilots, mut addresses): (Vec<String>, Vec<String>) = wanted.into_iter().partition(|to| is_pilots(to));
    if !pilots.is_empty() {
        addresses.extend(of_pilots(conn, request, what)?);
    }
    let once: BTreeMap<String, String> = addresses.into_iter().map(|to| (to.to_ascii_lowercase(), to)).collect();
    Ok(once.into_values())
}

/// The addresses of the pilots whom the request is meant for: those of the step that it stands at, or else the one that
/// it is assigned to. Where it has just come to a role, some of that.
fn of_pilots(conn: &mut AnyConnection, request: &Intervention, what: Told) -> QueryResult<Vec<String>> {
    let step = request.step().map(|step| step.pilots.as_slice()).unwrap_or_default();
    let named: Vec<&str> = if step.is_empty() {
        request.assigned_to.iter().map(String::as_str).collect()
    } else {
        step.iter().map(String::as_str).collect()
    };
    let live = pilots::table
        .filter(pilots::org_id.eq(&request.org_id))
        .filter(pilots::disabled_at.is_null())
        .filter(pilots::email.is_not_null())
        .select(pilots::email.assume_not_null());
    if !named.is_empty() {
        return live.filter(pilots::pilot_id.eq_any(named)).load(conn);
    }
    if what != Told::Escalated {
        return Ok(Vec::new());
    }
    let needed = request.required_role.max(request.intervention_type.least_role());
    let roles: Vec<&str> = Role::ALL.into_iter().filter(|role| role.covers(needed)).map(Role::as_str).collect();
    live.filter(pilots::role.eq_any(roles)).order(pilots::pilot_id).limit(PILOTS_OF_ROLE).load(conn)
}

/// RFC 6068, as far as addresses have marks of their own.
fn mailto(to: &str) -> String {
    let escaped = |char: char| match char {
        '%' | '?' | '#' | '&' | '/' | '"' | '<' | '>' => format!("%{:02X}", u32::from(char)),
        char if char.is_control() || char == ' ' => format!("%{:02X}", u32::from(char)),
        char => char.to_string(),
    };
    format!("mailto:{}", to.chars().map(escaped).collect::<String>())
}

fn json(value: &impl Serialize) -> QueryResult<String> {
    serde_json::to_string(value).map_err(|error| Error::SerializationError(Box::new(error)))
}
