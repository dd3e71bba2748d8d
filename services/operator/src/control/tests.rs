//! One suite of the repository, run on SQLite and on a real PostgreSQL.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use serde_json::json;
use tempfile::TempDir;
use vx11_contracts::intervention::{
    AnswerFormat, CreateAction, CreateIntervention, DecisionBody, Intervention, OnTimeout, Priority, RedeemBody, Role,
    Status,
};
use vx11_store::{DatabaseConfig, DatabaseUrl};
use vx11_testing_servers::Postgres;

use super::{Control, Created, DecideError, Interventions};
use crate::domain::intervention::{Actor, Asked, Command, Refusal, open};

/// A database that lives as long as this.
pub(in crate::control) struct Home {
    pub(in crate::control) control: Control,
    config: DatabaseConfig,
    _dir: TempDir,
}

impl Home {
    pub(in crate::control) fn new(url: Option<String>) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let url = url.map(|url| DatabaseUrl(SecretString::from(url)));
        let config = DatabaseConfig {
            pool_timeout: Duration::from_secs(20),
            run_timeout: Duration::from_secs(20),
            ..DatabaseConfig::new(url, "operator", dir.path().join("control.sqlite3"))
        };
        Self { control: Control::open(config.clone()).expect("a new database"), config, _dir: dir }
    }

    /// What another replica has. Blocks.
    pub(in crate::control) fn replica(&self) -> Control {
        Control::open(self.config.clone()).expect("the same database")
    }

    pub(in crate::control) fn of(&self, org: &str) -> Interventions {
        self.control.interventions(org)
    }

    /// A request of `acme` that waits.
    pub(in crate::control) async fn asked(&self, id: &str) -> Intervention {
        self.asked_with(id, |_| {}).await
    }

    async fn asked_with(&self, id: &str, change: impl FnOnce(&mut CreateIntervention)) -> Intervention {
        let request = request("acme", id, change);
        let created = self.of("acme").create(request.clone(), None).await.expect("an answer");
        assert!(matches!(created, Created::New), "{created:?}");
        request
    }
}

async fn found(of: &Interventions, id: &str, now: Timestamp) -> Option<Intervention> {
    of.look(id, now).await.expect("an answer").map(|looked| looked.request)
}

fn request(org: &str, id: &str, change: impl FnOnce(&mut CreateIntervention)) -> Intervention {
    let mut create = CreateIntervention::new(format!("May {id} run?"));
    let args = json!({"env": "prod"}).as_object().expect("an object").clone();
    create.action = Some(CreateAction { name: "deploy".to_owned(), args });
    change(&mut create);
    let asked = Asked {
        org_id: org.to_owned(),
        by: "agent-1".to_owned(),
        request_id: id.to_owned(),
        correlation_id: None,
        format: AnswerFormat::Vx11,
    };
    open(create, asked, start())
}

pub(in crate::control) fn start() -> Timestamp {
    "2026-11-22T10:00:00Z".parse().expect("a time")
}

pub(in crate::control) fn after(seconds: i64) -> Timestamp {
    start() + SignedDuration::from_secs(seconds)
}

pub(in crate::control) fn pilot(name: &str) -> Actor {
    Actor::new(name, Role::Operator)
}

pub(in crate::control) fn approve(request: &Intervention) -> Command {
    Command::Approve(DecisionBody { version: request.version, args_digest: None, reason: None })
}

/// Makes each of these a test on SQLite and one on PostgreSQL.
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")] async fn $name() {
                super::$name(super::Home::new(None)).await;
            })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread")] async fn $name() {
                let home = tokio::task::spawn_blocking(|| super::Home::new(Some(super::Postgres::shared().new_database())));
                super::$name(home.await.expect("a database")).await;
            })*
        }
    };
}
pub(in crate::control) use on_both;

mod counts;
mod deliveries;
mod insights;
mod interventions;
mod notices;
mod races;
mod units;
