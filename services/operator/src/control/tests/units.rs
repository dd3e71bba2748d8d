//! Units of work, and what decisions do to them.

mod decisions;
mod lifecycle;

use vx11_contracts::unit::{Outcome, RegisterUnit, Transition, Unit, UnitStatus};

use super::{Actor, Command, DecisionBody, Home, Intervention, Role, after, found, json, pilot, start};
use crate::control::{Report, UnitError, Units};
use crate::domain::unit::{PilotAction, Registered, register};

impl Home {
    fn units(&self, org: &str) -> Units {
        self.control.units(org)
    }

    /// A unit of `acme`'s agent, at work. It parks what goes to `deploy`, and refuses what goes to `drop`.
    async fn active(&self, id: &str) -> Unit {
        self.registered("acme", id).await;
        let done = self.report("acme", id, "build").await.expect("begun");
        done.1
    }

    async fn registered(&self, org: &str, id: &str) {
        let (unit, event) = made(org, id);
        self.units(org).register(unit, event).await.expect("registered");
    }

    async fn report(&self, org: &str, id: &str, step: &str) -> Result<(Outcome, Unit), UnitError> {
        report(&self.units(org), id, step).await
    }

    async fn unit(&self, id: &str) -> Unit {
        self.units("acme").find(id).await.expect("an answer").expect("it is there").unit
    }

    async fn act(&self, id: &str, action: PilotAction) -> Result<Unit, UnitError> {
        let done = self.units("acme").pilot(id, action, pilot("ann"), after(20)).await?;
        Ok(done.moved[0].unit.clone())
    }

    /// The request that a unit is parked for.
    async fn parked(&self, id: &str) -> Intervention {
        let (outcome, unit) = self.report("acme", id, "deploy").await.expect("parked");
        assert_eq!((outcome, unit.status), (Outcome::Parked, UnitStatus::PendingPilotApproval));
        let request = unit.parked.expect("a hold").request_id.expect("a request");
        found(&self.of("acme"), &request, start()).await.expect("it is there")
    }
}

fn made(org: &str, id: &str) -> (Unit, vx11_contracts::unit::UnitEvent) {
    let rule = |id: &str, step: &str, otherwise: &str| {
        let guardian = json!({"type": "DIRECTIONAL_FILTER", "deny": [{"from": "*", "to": step}]});
        json!({"rule_id": id, "guardian": guardian, "otherwise": otherwise})
    };
    let asked: RegisterUnit = serde_json::from_value(json!({
        "uow_id": id,
        "instance_id": "i-1",
        "title": "Ship it",
        "rules": [rule("look", "deploy", "park"), rule("never", "drop", "deny")],
    }))
    .expect("a unit");
    let (org_id, by) = (org.to_owned(), "agent-1".to_owned());
    register(asked, Registered { org_id, by, uow_id: String::new(), correlation_id: None }, start())
}

async fn report(units: &Units, id: &str, step: &str) -> Result<(Outcome, Unit), UnitError> {
    let asked = Transition { step: Some(step.to_owned()), ..Transition::default() };
    let report = Report { asked, request_id: uuid::Uuid::now_v7().to_string(), correlation_id: None };
    let (done, verdict) = units.report(id, report, Actor::new("agent-1", Role::Operator), after(10)).await?;
    Ok((verdict.outcome, done.moved[0].unit.clone()))
}

fn reason() -> String {
    "because".to_owned()
}

fn approve(request: &Intervention) -> Command {
    Command::Approve(DecisionBody { version: request.version, args_digest: None, reason: Some(reason()) })
}

fn admin(name: &str) -> Actor {
    Actor::new(name, Role::Admin)
}
