//! Agents and pilots with keys of their own need the edge's address and no other.

use std::collections::BTreeMap;

use futures_util::{SinkExt, StreamExt};
use reqwest::Method;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest};
use vx11_tests::{Answer, Caller, Process, base_env, send};

use crate::accounts::said;

const ALL: &str = "/api/interventions";

/// The installation in one process, and its edge.
fn start(env: &BTreeMap<String, String>) -> (Process, String) {
    let mut running = Process::start("vx11", env, &["up"]).expect("starts");
    let edge = running.addresses(&["tentaculo", "operator"]).expect("all listen").remove("tentaculo");
    running.line("Ctrl-C").expect("the summary's last line");
    (running, edge.expect("an address"))
}

/// Calls with one key.
struct Bearer<'a>(&'a str, String);

impl Bearer<'_> {
    async fn call(&self, method: Method, path: &str, body: Value) -> Answer {
        let request = Caller::new(format!("http://{}", self.0), None).request(method, path);
        send(request.bearer_auth(&self.1).json(&body)).await.expect("an answer")
    }

    async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, json!({})).await
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        self.call(Method::POST, path, body).await
    }
}

#[tokio::test]
async fn an_agent_asks_waits_and_redeems_and_a_pilot_decides_at_the_edge_with_keys_of_their_own() {
    let data = tempfile::tempdir().expect("a directory");
    let mut env = base_env(data.path());
    env.insert("VX11_TENTACULO__ANSWER_TIMEOUT".to_owned(), "2s".to_owned());
    let (_running, edge) = start(&env);
    let key = |org: &str, scopes: &str| {
        let made = said(&env, &["key", "create", "--org", org, "--role", "OPERATOR", "--scopes", scopes]);
        Bearer(&edge, made)
    };
    for org in ["acme", "globex"] {
        assert_eq!(said(&env, &["org", "create", org]), org);
    }
    let (agent, pilot, stranger) = (key("acme", "agent"), key("acme", "pilot,read"), key("globex", "agent,pilot,read"));
    let mut screen = screen(&edge, &pilot.1).await;

    let action = json!({"name": "deploy", "args": {"env": "prod"}});
    let asked = agent.post(ALL, json!({"request_id": "deploy-1", "title": "Deploy?", "action": action})).await;
    assert_eq!(asked.status, 201, "{}", asked.body);
    let heard = told(&mut screen).await;
    assert_eq!((&heard["type"], &heard["data"]["request_id"]), (&json!("new_request"), &json!("deploy-1")));
    // Longer than the edge waits: who polls is answered with what there is, before the edge gives up.
    let poll = agent.get(&format!("{ALL}/deploy-1/wait?timeout_seconds=300")).await;
    assert_eq!((poll.status, &poll.body["data"]["status"]), (200, &json!("PENDING")), "{}", poll.body);

    let digest = &asked.body["data"]["action"]["args_digest"];
    let decide = json!({"version": 1, "args_digest": digest});
    for path in ["deploy-1", "deploy-1/wait?timeout_seconds=1"] {
        assert_eq!(stranger.get(&format!("{ALL}/{path}")).await.status, 404, "{path}");
    }
    for (what, body) in [("approve", &decide), ("redeem", &json!({"args_digest": digest})), ("claim", &json!({}))] {
        let refused = stranger.post(&format!("{ALL}/deploy-1/{what}"), body.clone()).await;
        assert_eq!(refused.status, 404, "{what}: {}", refused.body);
    }
    assert_eq!(stranger.get(ALL).await.body["data"]["items"], json!([]));
    assert_eq!(
        agent.post(&format!("{ALL}/deploy-1/approve"), decide.clone()).await.status,
        403,
        "it is no pilot's key"
    );

    let path = format!("{ALL}/deploy-1/wait?timeout_seconds=300");
    let waiting = agent.get(&path);
    let deciding = async {
        let decided = pilot.post(&format!("{ALL}/deploy-1/approve"), decide.clone()).await;
        assert_eq!(decided.status, 200, "{}", decided.body);
    };
    let (answer, ()) = tokio::join!(waiting, deciding);
    assert_eq!((answer.status, &answer.body["data"]["status"]), (200, &json!("APPROVED")), "{}", answer.body);
    let redeem = async || agent.post(&format!("{ALL}/deploy-1/redeem"), json!({"args_digest": digest})).await;
    assert_eq!(redeem().await.body["data"]["status"], "COMPLETED");
    assert_eq!(redeem().await.status, 409, "a decision is good for one run");

    for revoked in ["vx11_aaaaaaaa_nobodys", "test"] {
        assert_eq!(Bearer(&edge, revoked.to_owned()).get(ALL).await.status, 403, "{revoked}");
    }
    assert_eq!(agent.get("/api/keys").await.status, 403, "nothing else is there");
}

type Screen = tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

/// A pilot's screen at the edge, which hears what comes.
async fn screen(edge: &str, key: &str) -> Screen {
    let mut request = format!("ws://{edge}/ws/interventions").into_client_request().expect("a request");
    request.headers_mut().insert("authorization", format!("Bearer {key}").parse().expect("a header"));
    let (mut screen, _) = tokio_tungstenite::connect_async(request).await.expect("a WebSocket");
    screen.send(Message::text(r#"{"type":"subscribe"}"#)).await.expect("sent");
    assert_eq!(told(&mut screen).await["success"], true);
    screen
}

async fn told(screen: &mut Screen) -> Value {
    loop {
        if let Message::Text(text) = screen.next().await.expect("not its end").expect("whole") {
            return serde_json::from_str(&text).expect("JSON");
        }
    }
}
