//! An operator at whose desk a test decides. What was asked in one organisation is not there for another.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::web::{self, Bytes, Data};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::app::eventually;

/// The operator, as the gateway calls it.
pub(super) struct Desk {
    pub(super) url: String,
    shared: Arc<Shared>,
    server: ServerHandle,
}

#[derive(Default)]
struct Shared {
    requests: Mutex<BTreeMap<String, Value>>,
    /// The id of each in their order, and the organisation that it was asked in.
    asked: Mutex<Vec<(String, String)>>,
    news: Notify,
    is_away: AtomicBool,
    redeems_not: AtomicBool,
    /// How many wait in vain for their approvals to be taken.
    ignored: AtomicUsize,
    ignores: AtomicBool,
    /// The ids of approvals that were taken.
    redeemed: Mutex<Vec<String>>,
}

impl Desk {
    pub(super) fn open() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", vx11_testing_servers::lasting_port())).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared::default());
        let data = Data::from(shared.clone());
        let app = move || App::new().app_data(data.clone()).default_service(web::to(serve));
        let server = HttpServer::new(app).workers(1).disable_signals().listen(listener).unwrap().run();
        let desk = Self { url, shared, server: server.handle() };
        tokio::spawn(server);
        desk
    }

    /// From now on it does not answer, or does again.
    pub(super) fn set_away(&self, is_away: bool) {
        self.shared.is_away.store(is_away, Ordering::SeqCst);
        self.shared.news.notify_waiters();
    }

    /// From now on it does not answer who takes an approval, or does again.
    pub(super) fn set_redeems(&self, redeems: bool) {
        self.shared.redeems_not.store(!redeems, Ordering::SeqCst);
    }

    /// From now on who takes an approval hears nothing.
    pub(super) fn ignore_redeems(&self) {
        self.shared.ignores.store(true, Ordering::SeqCst);
    }

    /// Waits until so many have tried that in vain.
    pub(super) async fn ignored(&self, number: usize) {
        eventually("approvals are taken", async || self.shared.ignored.load(Ordering::SeqCst) == number).await;
    }

    /// How often its approval was taken.
    pub(super) fn redeemed(&self, id: &str) -> usize {
        self.shared.redeemed.lock().unwrap().iter().filter(|redeemed| *redeemed == id).count()
    }

    /// Every request for a decision, the oldest first.
    pub(super) fn requests(&self) -> Vec<Value> {
        let ids = self.shared.asked.lock().unwrap().clone();
        ids.iter().map(|(id, _)| self.request(id)).collect()
    }

    pub(super) fn request(&self, id: &str) -> Value {
        self.shared.requests.lock().unwrap()[id].clone()
    }

    /// The organisation that it was asked in; empty for the platform's.
    pub(super) fn org(&self, id: &str) -> String {
        let asked = self.shared.asked.lock().unwrap();
        asked.iter().find(|(other, _)| other == id).unwrap().1.clone()
    }

    /// Waits for the request of this number, counted from 0; its id.
    pub(super) async fn asked(&self, number: usize) -> String {
        eventually("a person is asked", async || self.requests().len() > number).await;
        self.requests()[number]["request_id"].as_str().unwrap().to_owned()
    }

    /// Approves it as it is.
    pub(super) fn approve(&self, id: &str) {
        self.decide(id, "APPROVED", json!({"kind": "approve", "args_digest": "as it is"}));
    }

    /// Approves it with other arguments.
    pub(super) fn edit(&self, id: &str, change: impl FnOnce(&mut Value)) {
        let mut args = self.request(id)["action"]["args"].clone();
        change(&mut args);
        self.decide(id, "APPROVED", json!({"kind": "edit", "args": args, "args_digest": "edited"}));
    }

    pub(super) fn reject(&self, id: &str, reason: &str) {
        self.decide(id, "REJECTED", json!({"kind": "reject", "reason": reason}));
    }

    pub(super) fn expire(&self, id: &str) {
        self.shared.requests.lock().unwrap().get_mut(id).unwrap()["status"] = json!("EXPIRED");
        self.shared.news.notify_waiters();
    }

    fn decide(&self, id: &str, status: &str, mut decision: Value) {
        decision["by"] = json!("ann");
        decision["at"] = json!("2026-11-22T10:00:00.000Z");
        let mut requests = self.shared.requests.lock().unwrap();
        let request = requests.get_mut(id).unwrap();
        assert_eq!(request["status"], "PENDING");
        (request["status"], request["decision"]) = (json!(status), decision);
        request["version"] = json!(request["version"].as_i64().unwrap() + 1);
        self.shared.news.notify_waiters();
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        drop(self.server.stop(false));
    }
}

async fn serve(shared: Data<Shared>, http: HttpRequest, body: Bytes) -> HttpResponse {
    if shared.is_away.load(Ordering::SeqCst) {
        return HttpResponse::ServiceUnavailable().finish();
    }
    let path = http.path().strip_prefix("/operator/api/interventions").unwrap().trim_start_matches('/').to_owned();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let (id, verb) = path.split_once('/').unwrap_or((&path, ""));
    let org = http.headers().get("x-vx11-org").map(|org| org.to_str().unwrap()).unwrap_or_default();
    if id.is_empty() {
        return open(&shared, body, org);
    }
    if !shared.asked.lock().unwrap().iter().any(|(other, of)| other == id && of == org) {
        return refusal(404, "not_found");
    }
    if verb == "redeem" && shared.redeems_not.load(Ordering::SeqCst) {
        return HttpResponse::ServiceUnavailable().finish();
    }
    if verb == "redeem" && shared.ignores.load(Ordering::SeqCst) {
        shared.ignored.fetch_add(1, Ordering::SeqCst);
        return std::future::pending().await;
    }
    if verb == "wait" {
        let seconds = http.query_string().strip_prefix("timeout_seconds=").unwrap().parse().unwrap();
        let _ = tokio::time::timeout(Duration::from_secs(seconds), decided(&shared, id)).await;
        if shared.is_away.load(Ordering::SeqCst) {
            return HttpResponse::ServiceUnavailable().finish();
        }
    }
    let mut requests = shared.requests.lock().unwrap();
    let Some(request) = requests.get_mut(id) else { return refusal(404, "not_found") };
    match (verb, request["status"].as_str().unwrap()) {
        ("redeem", "APPROVED") => {
            assert_eq!(body["args_digest"], request["decision"]["args_digest"]);
            request["status"] = json!("COMPLETED");
            shared.redeemed.lock().unwrap().push(id.to_owned());
        }
        ("cancel", "PENDING") => {
            (request["status"], request["action_reason"]) = (json!("REJECTED"), body["reason"].clone());
        }
        ("redeem" | "cancel", _) => return refusal(409, "conflict"),
        _ => {}
    }
    envelope(200, request)
}

async fn decided(shared: &Shared, id: &str) {
    loop {
        let news = shared.news.notified();
        let is_decided = shared.requests.lock().unwrap().get(id).is_none_or(|request| request["status"] != "PENDING");
        if is_decided || shared.is_away.load(Ordering::SeqCst) {
            return;
        }
        news.await;
    }
}

fn open(shared: &Shared, body: Value, org: &str) -> HttpResponse {
    let id = body["request_id"].as_str().unwrap().to_owned();
    let mut requests = shared.requests.lock().unwrap();
    if requests.contains_key(&id) {
        return refusal(409, "conflict");
    }
    let mut request = json!({
        "org_id": "default", "status": "PENDING", "created_by": "service", "created_at": "2026-11-22T09:00:00.000Z",
        "escalation": [], "escalated": 0, "votes": [], "format": "vx11", "version": 1, "context": {},
    });
    request.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
    request["action"]["args_digest"] = json!("as it is");
    let opened = envelope(201, &request);
    requests.insert(id.clone(), request);
    drop(requests);
    shared.asked.lock().unwrap().push((id, org.to_owned()));
    opened
}

fn envelope(status: u16, request: &Value) -> HttpResponse {
    let body = json!({"ok": true, "data": request, "timestamp": "2026-11-22T09:00:00.000Z"});
    HttpResponse::build(actix_web::http::StatusCode::from_u16(status).unwrap()).json(body)
}

fn refusal(status: u16, code: &str) -> HttpResponse {
    let body = json!({
        "ok": false, "detail": code, "error": {"code": code}, "correlation_id": "c",
        "timestamp": "2026-11-22T09:00:00.000Z",
    });
    HttpResponse::build(actix_web::http::StatusCode::from_u16(status).unwrap()).json(body)
}
