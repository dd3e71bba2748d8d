//! An operator's desk that does what a test says, and the units of work that it keeps.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use actix_web::dev::ServerHandle;
use actix_web::http::StatusCode;
use actix_web::web::{self, Bytes, Data};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use serde_json::{Value, json};
use vx11_contracts::intervention::{CreateIntervention, RedeemBody};
use vx11_contracts::unit::{RegisterUnit, Transition};

use crate::fixture::{TOKEN, eventually};

/// The desk. It knows interventions by id, and what sessions were told.
pub(crate) struct Desk {
    pub(crate) url: String,
    shared: Arc<Shared>,
    server: ServerHandle,
}

#[derive(Default)]
struct Shared {
    requests: Mutex<BTreeMap<String, Value>>,
    units: Mutex<BTreeMap<String, Value>>,
    turns: Mutex<Vec<Value>>,
    redeemed: Mutex<Vec<String>>,
    loses_answers: AtomicBool,
    kills: AtomicBool,
    parks: AtomicBool,
}

impl Desk {
    pub(crate) fn start() -> Self {
        Self::at(&vx11_testing::nobody())
    }

    /// At an address that `nobody` had.
    pub(crate) fn at(url: &str) -> Self {
        let shared: Arc<Shared> = Arc::default();
        let listener = TcpListener::bind(url.trim_start_matches("http://")).expect("a free port");
        let data = Data::from(shared.clone());
        let app = move || App::new().app_data(data.clone()).default_service(web::to(serve));
        let server = HttpServer::new(app).workers(1).disable_signals().listen(listener).expect("listens").run();
        let handle = server.handle();
        tokio::spawn(server);
        Self { url: url.to_owned(), shared, server: handle }
    }

    pub(crate) async fn stop(&self) {
        self.server.stop(false).await;
    }

    /// Redeems, and does not answer.
    pub(crate) fn lose_answers(&self, loses: bool) {
        self.shared.loses_answers.store(loses, Ordering::SeqCst);
    }

    /// An intervention is there already.
    pub(crate) fn put(&self, id: &str, request: Value) {
        self.shared.requests.lock().expect("no panic").insert(id.to_owned(), request);
    }

    /// The intervention of a plan, once it is open.
    pub(crate) async fn opened(&self, plan_id: &str) -> Value {
        eventually("the intervention is open", async || self.find(plan_id).is_some()).await;
        self.find(plan_id).expect("it is")
    }

    pub(crate) fn find(&self, plan_id: &str) -> Option<Value> {
        self.shared.requests.lock().expect("no panic").get(&format!("plan:{plan_id}")).cloned()
    }

    /// Decides as `ana`, unless somebody has; whether she did. `with` is what the decision has besides.
    pub(crate) fn decide(&self, plan_id: &str, status: &str, with: Value) -> bool {
        let mut requests = self.shared.requests.lock().expect("no panic");
        let request = requests.get_mut(&format!("plan:{plan_id}")).expect("it is open");
        let kind = if status == "APPROVED" { "approve" } else { "reject" };
        decide(request, status, "ana", kind, &with)
    }

    pub(crate) fn approve(&self, plan_id: &str) -> bool {
        self.decide(plan_id, "APPROVED", json!({}))
    }

    /// Ends it without a decision.
    pub(crate) fn end(&self, plan_id: &str, status: &str) {
        let mut requests = self.shared.requests.lock().expect("no panic");
        requests.get_mut(&format!("plan:{plan_id}")).expect("it is open")["status"] = json!(status);
    }

    /// A plan's unit of work, where it is registered.
    pub(crate) fn unit(&self, plan_id: &str) -> Option<Value> {
        self.shared.units.lock().expect("no panic").get(plan_id).cloned()
    }

    /// Waits until a plan's unit stands there, and answers with it.
    pub(crate) async fn unit_is(&self, plan_id: &str, status: &str) -> Value {
        eventually("the unit stands there", async || self.unit(plan_id).is_some_and(|unit| unit["status"] == status))
            .await;
        self.unit(plan_id).expect("it is")
    }

    /// A pilot, or a rule, has moved a plan's unit.
    pub(crate) fn move_unit(&self, plan_id: &str, status: &str) {
        let mut units = self.shared.units.lock().expect("no panic");
        let unit = units.get_mut(plan_id).expect("it is registered");
        (unit["status"], unit["reason"]) = (json!(status), json!("ana has stopped it"));
    }

    /// A kill switch is thrown as soon as a plan runs.
    pub(crate) fn kill_what_runs(&self) {
        self.shared.kills.store(true, Ordering::SeqCst);
    }

    /// A rule of the organisation's parks what is about to run.
    pub(crate) fn park_what_runs(&self) {
        self.shared.parks.store(true, Ordering::SeqCst);
    }

    /// Somebody has registered a unit of this id.
    pub(crate) fn put_unit(&self, id: &str, by: &str, instance: &str) {
        let asked = json!({ "uow_id": id, "instance_id": instance, "title": "t" });
        let mut made = registered(&serde_json::from_value(asked).expect("a unit"));
        made["created_by"] = json!(by);
        self.shared.units.lock().expect("no panic").insert(id.to_owned(), made);
    }

    /// What sessions were told.
    pub(crate) fn turns(&self) -> Vec<Value> {
        self.shared.turns.lock().expect("no panic").clone()
    }

    /// Waits until a session is told, and answers with what.
    pub(crate) async fn told(&self) -> Value {
        eventually("the session is told", async || !self.turns().is_empty()).await;
        self.turns().remove(0)
    }

    /// Whose approvals were redeemed.
    pub(crate) fn redeemed(&self) -> Vec<String> {
        self.shared.redeemed.lock().expect("no panic").clone()
    }
}

fn decide(request: &mut Value, status: &str, by: &str, kind: &str, with: &Value) -> bool {
    if request["status"] != "PENDING" {
        return false;
    }
    request["status"] = json!(status);
    let mut decision = json!({ "kind": kind, "by": by, "at": "", "args_digest": request["action"]["args_digest"] });
    decision.as_object_mut().expect("an object").extend(with.as_object().expect("an object").clone());
    request["decision"] = decision;
    true
}

async fn serve(shared: Data<Shared>, request: HttpRequest, body: Bytes) -> HttpResponse {
    let answer = respond(&shared, &request, &body);
    if request.path().ends_with("/redeem") && shared.loses_answers.load(Ordering::SeqCst) {
        std::future::pending::<()>().await;
    }
    answer
}

fn respond(shared: &Shared, request: &HttpRequest, body: &[u8]) -> HttpResponse {
    assert_eq!(request.headers().get("x-vx11-token").and_then(|value| value.to_str().ok()), Some(TOKEN));
    let org = request.headers().get("x-vx11-org").map_or("default", |org| org.to_str().expect("text"));
    let path = request.path().trim_start_matches("/operator/api/").to_owned();
    let parts: Vec<&str> = path.split('/').collect();
    let ok = |data: &Value| HttpResponse::Ok().json(json!({ "ok": true, "data": data, "timestamp": "" }));
    let mut requests = shared.requests.lock().expect("no panic");
    match (request.method().as_str(), parts.as_slice()) {
        ("POST", ["turns"]) => {
            let mut turn: Value = serde_json::from_slice(body).expect("JSON");
            turn["org_id"] = json!(org);
            shared.turns.lock().expect("no panic").push(turn);
            ok(&json!({}))
        }
        ("POST", ["units"]) => {
            let asked: RegisterUnit = serde_json::from_slice(body).expect("a unit");
            asked.validate().expect("acceptable");
            let mut units = shared.units.lock().expect("no panic");
            let id = asked.uow_id.clone().expect("an id");
            if units.contains_key(&id) {
                return HttpResponse::Conflict().json(json!({}));
            }
            let made = registered(&asked);
            units.insert(id, made.clone());
            ok(&made)
        }
        ("GET", ["units", id]) => {
            let units = shared.units.lock().expect("no panic");
            units.get(*id).map_or_else(|| HttpResponse::NotFound().json(json!({})), ok)
        }
        ("POST", ["units", id, "transitions"]) => {
            let said: Transition = serde_json::from_slice(body).expect("a transition");
            said.validate().expect("acceptable");
            let mut units = shared.units.lock().expect("no panic");
            let Some(unit) = units.get_mut(*id) else { return HttpResponse::NotFound().json(json!({})) };
            let answer = reported(unit, &said, shared.parks.load(Ordering::SeqCst));
            if unit["status"] == "ACTIVE" && shared.kills.load(Ordering::SeqCst) {
                (unit["status"], unit["reason"]) = (json!("PAUSED"), json!("runaway"));
            }
            answer
        }
        ("POST", ["interventions"]) => {
            let asked: CreateIntervention = serde_json::from_slice(body).expect("a request");
            asked.validate().expect("acceptable");
            let id = asked.request_id.clone().expect("an id");
            if requests.contains_key(&id) {
                return HttpResponse::Conflict().json(json!({}));
            }
            let made = opened(&asked, org);
            requests.insert(id, made.clone());
            ok(&made)
        }
        ("GET", ["interventions", id]) => {
            let found = requests.get(*id).filter(|found| found["org_id"] == org);
            found.map_or_else(|| HttpResponse::NotFound().json(json!({})), ok)
        }
        ("POST", ["interventions", id, what]) => {
            let Some(found) = requests.get_mut(*id).filter(|found| found["org_id"] == org) else {
                return HttpResponse::NotFound().json(json!({}));
            };
            let is_done = match *what {
                "cancel" => decide(found, "REJECTED", "service", "reject", &json!({ "reason": "withdrawn" })),
                _ => redeem(shared, id, found, &serde_json::from_slice(body).expect("a body")),
            };
            if !is_done {
                return HttpResponse::Conflict().json(json!({}));
            }
            ok(found)
        }
        other => panic!("{other:?}"),
    }
}

fn registered(asked: &RegisterUnit) -> Value {
    let mut made = serde_json::to_value(asked).expect("JSON");
    let more = json!({
        "org_id": "default", "status": "PENDING", "created_by": "service", "created_at": "", "heartbeat_at": "",
        "data": asked.data, "rules": [], "passes": [], "version": 1,
    });
    made.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    made
}

/// As the operator decides it, where no rule says otherwise but one that `parks` what runs.
fn reported(unit: &mut Value, said: &Transition, parks: bool) -> HttpResponse {
    let to = said.status.map_or("ACTIVE", |status| status.as_str());
    let from = unit["status"].as_str().expect("a status").to_owned();
    if !matches!((from.as_str(), to), ("PENDING", "ACTIVE") | ("ACTIVE", "ACTIVE" | "COMPLETED"))
        && (to != "FAILED" || matches!(from.as_str(), "COMPLETED" | "FAILED"))
    {
        let detail = format!("the unit is {from}");
        let error = json!({"ok": false, "detail": detail, "error": {"code": "conflict"}, "correlation_id": "",
            "timestamp": ""});
        return HttpResponse::Conflict().json(error);
    }
    let is_parked = parks && to == "ACTIVE";
    unit["status"] = json!(if is_parked { "PENDING_PILOT_APPROVAL" } else { to });
    unit["reason"] = json!(said.reason);
    let outcome = if is_parked { "parked" } else { "allowed" };
    let verdict = json!({"outcome": outcome, "allowed": !is_parked, "reason": "", "metadata": {}});
    let answer = json!({"ok": true, "data": {"verdict": verdict, "unit": unit}, "timestamp": ""});
    HttpResponse::build(if is_parked { StatusCode::ACCEPTED } else { StatusCode::OK }).json(answer)
}

fn redeem(shared: &Shared, id: &str, found: &mut Value, body: &RedeemBody) -> bool {
    let digest = body.args_digest.as_deref();
    if found["status"] != "APPROVED" || digest != found["action"]["args_digest"].as_str() {
        return false;
    }
    found["status"] = json!("COMPLETED");
    found["decision"]["redeemed_by"] = json!("service");
    shared.redeemed.lock().expect("no panic").push(id.to_owned());
    true
}

/// An intervention as it is answered.
fn opened(asked: &CreateIntervention, org: &str) -> Value {
    let mut made = serde_json::to_value(asked).expect("JSON");
    let more = json!({
        "org_id": org, "status": "PENDING", "context": asked.context, "created_by": "service", "created_at": "",
        "escalation": [], "escalated": 0, "votes": [], "format": "vx11", "version": 1,
    });
    made.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    made["action"]["args_digest"] = json!("the digest");
    made
}
