//! Requests, people and times for the tests.

use jiff::Timestamp;
use serde_json::json;
use vx11_contracts::intervention::{
    AnswerFormat, CreateAction, CreateIntervention, DecisionBody, DecisionKind, Intervention, Role,
};

use super::{Actor, Asked, open};

/// Seconds after midnight of 2026-11-21.
pub(crate) fn at(seconds: i64) -> Timestamp {
    let midnight: Timestamp = "2026-11-21T00:00:00Z".parse().expect("a time");
    Timestamp::from_second(midnight.as_second() + seconds).expect("in range")
}

pub(super) fn asked() -> Asked {
    Asked {
        org_id: "org-1".to_owned(),
        by: "agent".to_owned(),
        request_id: "r-1".to_owned(),
        correlation_id: None,
        format: AnswerFormat::Vx11,
    }
}

/// Wants to run `deploy {"env": "prod"}`, allows everything, and is made at 0 with an hour to live.
pub(super) fn create() -> CreateIntervention {
    let args = json!({"env": "prod"}).as_object().expect("an object").clone();
    CreateIntervention {
        action: Some(CreateAction { name: "deploy".to_owned(), args }),
        allow: DecisionKind::ALL.to_vec(),
        ..CreateIntervention::new("Deploy?")
    }
}

pub(super) fn request(create: CreateIntervention) -> Intervention {
    create.validate().expect("valid");
    open(create, asked(), at(0))
}

pub(super) fn pilot(name: &str) -> Actor {
    Actor::new(name, Role::Operator)
}

pub(super) fn admin() -> Actor {
    Actor::new("root", Role::Admin)
}

pub(super) fn seen(version: i64) -> DecisionBody {
    DecisionBody { version, ..DecisionBody::default() }
}
