//! Webhooks as their receivers get them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};
use vx11_testing::{Act, Scripted};

use crate::app::{Answer, App, eventually};

const INTERVENTIONS: &str = "/operator/api/interventions";
const DELIVERIES: &str = "/operator/api/notifications/deliveries";
/// 32 bytes.
const KEY: &[u8; 32] = b"a secret of thirty-two bytes, so";
const ALLOWED: (&str, &str) = ("VX11_OPERATOR__WEBHOOKS__ALLOW_PRIVATE", "true");
/// Short, so that no test waits for it.
const HURRIED: (&str, &str) = ("VX11_OPERATOR__WEBHOOKS__RETRY_BASE", "1ms");

fn secret() -> String {
    format!("whsec_{}", STANDARD.encode(KEY))
}

async fn app() -> App {
    App::with(&[("VX11_WEBHOOK_SECRET", &secret()), ALLOWED, HURRIED]).await
}

/// A receiver that answers its first requests with these, and the rest with 204.
async fn receiver(answers: &'static [&'static str]) -> Scripted {
    Scripted::start(move |number| {
        let status = answers.get(number).copied().unwrap_or("204 No Content");
        vec![Act::Say(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n"))]
    })
    .await
}

/// A request that was approved, and is told at `url`.
async fn approved(app: &App, url: &str) -> Value {
    let asked = app.post(INTERVENTIONS, json!({"title": "Deploy?", "callback_url": url})).await;
    assert_eq!(asked.status, 201, "{}", asked.body);
    let path = format!("{INTERVENTIONS}/{}/approve", asked["data"]["request_id"].as_str().expect("an id"));
    let approvals = (0..20).map(|_| app.post(&path, json!({"version": 1, "reason": "go"})));
    let answers = futures_util::future::join_all(approvals).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    asked["data"].clone()
}

async fn deliveries(app: &App, query: &str) -> Vec<Value> {
    let listed = app.get(&format!("{DELIVERIES}{query}")).await;
    assert_eq!(listed.status, 200, "{}", listed.body);
    listed.data()["items"].as_array().expect("a list").clone()
}

/// The only delivery, once it has come so far.
async fn delivery(app: &App, state: &str) -> Value {
    let query = format!("?state={state}");
    eventually(state, async || deliveries(app, &query).await.len() == 1).await;
    deliveries(app, &query).await.remove(0)
}

/// HMAC-SHA256 by its definition (RFC 2104).
fn hmac_sha256(key: &[u8], message: &[u8]) -> Vec<u8> {
    let padded = |pad: u8| (0..64).map(move |at| key.get(at).copied().unwrap_or(0) ^ pad).collect::<Vec<_>>();
    let inner = digest(&SHA256, &[&padded(0x36), message].concat());
    digest(&SHA256, &[&padded(0x5c), inner.as_ref()].concat()).as_ref().to_vec()
}

/// A request as Standard Webhooks has its receiver check it; its id and its body.
fn verified(request: &str) -> (String, Value) {
    let (head, body) = request.split_once("\r\n\r\n").expect("a head");
    let header = |name: &str| {
        let fields = head.lines().filter_map(|line| line.split_once(": "));
        let mut values = fields.filter(|(field, _)| *field == name).map(|(_, value)| value.to_owned());
        values.next().unwrap_or_else(|| panic!("no {name}: {head}"))
    };
    let (id, timestamp) = (header("webhook-id"), header("webhook-timestamp"));
    let sent: i64 = timestamp.parse().expect("seconds");
    assert!((jiff::Timestamp::now().as_second() - sent).abs() < 300, "{timestamp}");
    let expected = STANDARD.encode(hmac_sha256(KEY, format!("{id}.{timestamp}.{body}").as_bytes()));
    assert_eq!(header("webhook-signature"), format!("v1,{expected}"));
    assert_eq!(header("content-type"), "application/json");
    assert!(!id.contains('.'), "{id}");
    (id, serde_json::from_str(body).expect("JSON"))
}

#[tokio::test]
async fn a_decision_is_told_once_and_signed() {
    let (app, receiver) = (app().await, receiver(&[]).await);
    let asked = approved(&app, &format!("{}/hook?of=agent", receiver.url)).await;
    let delivered = delivery(&app, "delivered").await;
    let requests = receiver.requests();
    assert_eq!(requests.len(), 1);
    assert!(requests[0].starts_with("POST /hook?of=agent HTTP/1.1\r\n"), "{}", requests[0]);
    let (id, body) = verified(&requests[0]);
    assert_eq!(
        (delivered["id"].as_str(), &delivered["attempts"], &delivered["last_error"]),
        (Some(id.as_str()), &json!(1), &Value::Null)
    );
    assert_eq!((&body["type"], &body["data"]["request_id"]), (&json!("intervention.approved"), &asked["request_id"]));
    assert_eq!((&body["data"]["status"], &body["data"]["version"]), (&json!("APPROVED"), &json!(2)));
    assert_eq!(
        (&body["data"]["decision"]["kind"], &body["data"]["decision"]["reason"]),
        (&json!("approve"), &json!("go"))
    );
    assert!(deliveries(&app, "?state=pending").await.is_empty() && deliveries(&app, "?state=dead").await.is_empty());
    assert_eq!(app.metric(r#"vx11_webhook_deliveries_total{outcome="delivered"}"#).await, 1.0);
}

#[tokio::test]
async fn what_expires_is_told_too() {
    let (app, receiver) = (app().await, receiver(&[]).await);
    let body = json!({"title": "t", "expires_in_seconds": -1, "callback_url": receiver.url});
    assert_eq!(app.post(INTERVENTIONS, body).await.status, 201);
    delivery(&app, "delivered").await;
    assert_eq!(verified(&receiver.last()).1["type"], "intervention.expired");
}

#[tokio::test]
async fn a_receiver_that_fails_is_told_again_with_the_same_id() {
    let (app, receiver) = (app().await, receiver(&["500 X", "503 X"]).await);
    approved(&app, &receiver.url).await;
    let delivered = delivery(&app, "delivered").await;
    let ids: Vec<String> = receiver.requests().iter().map(|request| verified(request).0).collect();
    assert_eq!(ids.len(), 3);
    assert!(ids.iter().all(|id| delivered["id"] == **id), "{ids:?}");
    assert_eq!(delivered["attempts"], 3);
    assert_eq!(app.metric(r#"vx11_webhook_deliveries_total{outcome="failed"}"#).await, 2.0);
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_the_last_attempt_is_the_last() {
    let (app, elsewhere) = (app().await, receiver(&[]).await);
    let redirect = format!("HTTP/1.1 307 X\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n", elsewhere.url);
    let receiver = Scripted::always([Act::Say(redirect)]).await;
    approved(&app, &receiver.url).await;
    let dead = delivery(&app, "dead").await;
    assert_eq!(
        (&dead["last_error"], &dead["attempts"], &dead["next_at"]),
        (&json!("HTTP 307: redirects are not followed"), &json!(8), &Value::Null)
    );
    assert_eq!((receiver.requests().len(), elsewhere.connections()), (8, 0));
}

#[tokio::test]
async fn a_receiver_that_is_gone_is_left_alone_until_somebody_asks_for_it() {
    let (app, receiver) = (app().await, receiver(&["410 Gone"]).await);
    approved(&app, &receiver.url).await;
    let dead = delivery(&app, "dead").await;
    assert_eq!(receiver.requests().len(), 1);
    assert_eq!(app.metric(r#"vx11_webhook_deliveries_total{outcome="dead"}"#).await, 1.0);
    let retry = format!("{DELIVERIES}/{}/retry", dead["id"].as_str().expect("an id"));
    let foreign = Answer::of(app.request(Method::POST, &retry).header("x-vx11-org", "acme")).await;
    assert_eq!(foreign.status, 404);
    let again = app.post(&retry, json!({})).await;
    assert_eq!((again.status, &again.data()["state"]), (200, &json!("pending")));
    let delivered = delivery(&app, "delivered").await;
    assert_eq!(
        (&delivered["id"], verified(&receiver.last()).0.as_str()),
        (&dead["id"], dead["id"].as_str().expect("an id"))
    );
    let late = app.post(&retry, json!({})).await;
    assert_eq!((late.status, late.code()), (409, "conflict"));
    for wrong in ["?state=lost", "?cursor=a.b", "?limit=0", "?limit=501"] {
        assert_eq!(app.get(&format!("{DELIVERIES}{wrong}")).await.status, 422, "{wrong}");
    }
}

#[tokio::test]
async fn an_address_that_would_not_be_called_is_refused_at_once() {
    let app = App::with(&[("VX11_WEBHOOK_SECRET", &secret())]).await;
    for url in [
        "http://127.0.0.1:9000/",
        "http://0x7f.1/",
        "http://localhost/",
        "http://a.localhost./",
        "http://[::1]/",
        "http://[::ffff:10.0.0.1]/",
        "http://169.254.169.254/latest/meta-data",
        "https://10.1.2.3/",
        "ftp://example.org/",
        "https://user:secret@example.org/",
        "example.org",
        "data:,x",
    ] {
        let refused = app.post(INTERVENTIONS, json!({"title": "t", "callback_url": url})).await;
        assert_eq!((refused.status, refused.field()), (422, "callback_url"), "{url}: {}", refused.body);
    }
    let private = app.post(INTERVENTIONS, json!({"title": "t", "callback_url": "http://127.0.0.1/"})).await;
    assert!(private.body.contains("VX11_OPERATOR__WEBHOOKS__ALLOW_PRIVATE=true"), "{}", private.body);
    let public = app.post(INTERVENTIONS, json!({"title": "t", "callback_url": "https://example.org/a"})).await;
    assert_eq!((public.status, &public["data"]["callback_url"]), (201, &json!("https://example.org/a")));
}

#[tokio::test]
async fn without_a_secret_nobody_can_be_told() {
    let app = App::with(&[ALLOWED]).await;
    let body = json!({"title": "t", "callback_url": "https://example.org/"});
    let refused = app.post(INTERVENTIONS, body.clone()).await;
    assert_eq!((refused.status, refused.field()), (422, "callback_url"));
    assert!(refused.body.contains("VX11_WEBHOOK_SECRET "), "{}", refused.body);
    let of_acme = app.request(Method::POST, INTERVENTIONS).header("x-vx11-org", "acme").json(&body);
    assert!(Answer::of(of_acme).await.body.contains("VX11_WEBHOOK_SECRET_ACME "));
    assert_eq!(app.post(INTERVENTIONS, json!({"title": "t"})).await.status, 201);
}
