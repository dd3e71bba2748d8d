//! `GET /operator/api/status`

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use actix_web::get;
use actix_web::web::{self, Data};
use vx11_chassis::RequestContext;
use vx11_contracts::health::{Health, Level};
use vx11_contracts::operator::{
    DbHealth, Envelope, FeatureLevel, FeatureStatus, ServiceStatus, SystemState, SystemStatus,
};
use vx11_store::WriterHealth;

use crate::state::{Peer, State};

/// Longest wait for a service's health.
const LIMIT: Duration = Duration::from_secs(2);

/// Everything at a glance: mode, services, features, store.
#[utoipa::path(operation_id = "show_status", tag = "status", responses((status = 200, body = Envelope<SystemStatus>)))]
#[get("/status")]
pub(crate) async fn show(state: Data<State>, context: RequestContext) -> web::Json<Envelope<SystemStatus>> {
    web::Json(Envelope::new(collect(&state, &context).await))
}

pub(super) async fn collect(state: &State, context: &RequestContext) -> SystemStatus {
    let checks = futures_util::future::join_all(state.services.iter().map(|peer| check(peer, context)));
    let (services, power, policy, db_health) =
        tokio::join!(checks, state.madre.power_state(context), state.madre.policy(context), db_health(state),);
    SystemStatus {
        system_state: SystemState {
            operational_mode: power.ok().map(|power| power.mode),
            policy_active: policy.ok().map(|policy| policy.active),
        },
        features: features(state, &services, &db_health),
        services,
        db_health,
    }
}

async fn check(peer: &Peer, context: &RequestContext) -> ServiceStatus {
    let started = Instant::now();
    let answer = peer.client.get::<Health>("/health", context, LIMIT).await;
    let elapsed = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let level = match &answer {
        Ok(health) if health.status == "ok" => Level::Up,
        Ok(_) => Level::Degraded,
        Err(error) if error.is_unreachable() => Level::Down,
        Err(_) => Level::Degraded,
    };
    ServiceStatus {
        name: peer.client.name().to_owned(),
        status: level,
        port: peer.port,
        role: peer.role.to_owned(),
        health_check_ms: answer.is_ok().then_some(elapsed),
    }
}

/// The store at a glance. Counting rows reads indexes, so what was counted is believed for a minute.
async fn db_health(state: &State) -> DbHealth {
    let db = state.store.database();
    let rows_total = state.rows_total.get_or_count(db).await;
    let integrity = match (rows_total, state.store.writer.health()) {
        (None, _) => "critical",
        (Some(_), WriterHealth::Ok) => "ok",
        (Some(_), _) => "warning",
    };
    let last_backup = db.last_backup(&state.places.backups).ok().flatten();
    DbHealth {
        size_mb: db.size_bytes().await.unwrap_or(0) as f64 / (1024.0 * 1024.0),
        integrity: integrity.to_owned(),
        rows_total: rows_total.unwrap_or(0),
        last_backup: last_backup.map(|backup| backup.created_at),
    }
}

fn features(state: &State, services: &[ServiceStatus], db: &DbHealth) -> BTreeMap<String, FeatureStatus> {
    let up = |name: &str| services.iter().any(|service| service.name == name && service.status == Level::Up);
    let feature = |level, reason: &str| FeatureStatus { status: level, reason: reason.to_owned() };
    let chat = match (up("switch") && state.chat.engine.switch.is_healthy(), up("madre")) {
        (true, _) => feature(FeatureLevel::On, "providers answer through the switch"),
        (false, true) => feature(FeatureLevel::Degraded, "the switch does not answer; madre does"),
        (false, false) => feature(FeatureLevel::Error, "neither the switch nor madre answers"),
    };
    let fallback = match up("madre") {
        true => feature(FeatureLevel::On, "madre answers when no provider does"),
        false => feature(FeatureLevel::Error, "madre does not answer"),
    };
    let storage = match db.integrity.as_str() {
        "ok" => feature(FeatureLevel::On, "answers are durable when they are sent"),
        "warning" => feature(FeatureLevel::Degraded, "rows wait in memory until the store takes them"),
        _ => feature(FeatureLevel::Error, "the store cannot be read"),
    };
    let control = match state.config.operator_control {
        true => feature(FeatureLevel::On, "operator control is enabled"),
        false => feature(FeatureLevel::Off, "operator control is not enabled"),
    };
    let cache = match state.config.chat.answer_cache_ttl.is_zero() {
        false => feature(FeatureLevel::On, "repeated messages are answered from memory"),
        true => feature(FeatureLevel::Off, "its time to live is zero"),
    };
    [
        ("chat", chat),
        ("madre_fallback", fallback),
        ("storage", storage),
        ("operator_control", control),
        ("answer_cache", cache),
    ]
    .into_iter()
    .map(|(name, feature)| (name.to_owned(), feature))
    .collect()
}
