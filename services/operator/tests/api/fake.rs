//! A switch or a madre that does what a test says.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use actix_web::dev::ServerHandle;
use actix_web::http::StatusCode;
use actix_web::web::{self, Bytes, Data};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use async_stream::stream;
use serde_json::{Value, json};

/// What is done with a request.
#[derive(Clone, Debug)]
pub(crate) enum Does {
    /// Answers a chat with this text, whole or streamed as the request asks.
    Say(&'static str),
    /// Answers with this status and body.
    Answer(u16, Value),
    /// Answers a chat with these pieces, whatever the request asks.
    Stream(Vec<Beat>),
    /// Does not answer until the caller goes away.
    Hang,
}

/// A piece of a streamed answer.
#[derive(Clone, Debug)]
pub(crate) enum Beat {
    /// Bytes as they are.
    Raw(String),
    /// Silence until the caller goes away.
    Wait,
    /// The connection breaks.
    Cut,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Value,
}

/// The service. Its `/health` is good until a test says otherwise.
pub(crate) struct Fake {
    pub(crate) url: String,
    shared: Arc<Shared>,
    server: ServerHandle,
}

#[derive(Default)]
struct Shared {
    does: Mutex<BTreeMap<String, Does>>,
    asked: Mutex<Vec<Asked>>,
    hung_up: AtomicUsize,
    is_dead: AtomicBool,
}

impl Fake {
    /// Starts one that answers `/health`, and does `chat` at `chat_path`.
    pub(crate) fn start(chat_path: &str, chat: Does) -> Self {
        // It may die, and then nobody else may be found where it was.
        let listener = TcpListener::bind(("127.0.0.1", vx11_testing_servers::lasting_port())).expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let shared = Arc::new(Shared::default());
        let data = Data::from(shared.clone());
        // As large a body as the real ones take.
        let largest = web::PayloadConfig::new(1024 * 1024);
        let app = move || App::new().app_data(data.clone()).app_data(largest.clone()).default_service(web::to(serve));
        let server = HttpServer::new(app)
            .workers(1)
            .disable_signals()
            .h1_allow_half_closed(false)
            .listen(listener)
            .expect("listens")
            .run();
        let fake = Self { url, shared, server: server.handle() };
        tokio::spawn(server);
        fake.on("/health", Does::Answer(200, health()));
        fake.on(chat_path, chat);
        fake
    }

    /// From now on it does this at `path`.
    pub(crate) fn on(&self, path: &str, does: Does) {
        self.shared.does.lock().expect("no panic").insert(path.to_owned(), does);
    }

    /// The requests for `path` so far.
    pub(crate) fn asked(&self, path: &str) -> Vec<Asked> {
        let asked = self.shared.asked.lock().expect("no panic");
        asked.iter().filter(|asked| asked.path == path).cloned().collect()
    }

    /// How many callers went away while they waited.
    pub(crate) fn hung_up(&self) -> usize {
        self.shared.hung_up.load(Ordering::SeqCst)
    }

    /// Dies: nobody listens any more.
    pub(crate) async fn die(&self) {
        // Connections that are open end a little later than the server says that it has stopped.
        self.shared.is_dead.store(true, Ordering::SeqCst);
        self.server.stop(false).await;
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        // The command is sent at once; nobody waits for its end.
        drop(self.server.stop(false));
    }
}

/// A good answer of `/health`.
fn health() -> Value {
    json!({ "status": "ok", "module": "fake", "version": "1", "timestamp": "2026-11-21T04:05:06.789Z" })
}

/// The switch's answer that says `text`.
pub(crate) fn reply(text: &str) -> Value {
    json!({
        "status": "ok", "reply": text, "engine_used": "model-1", "latency_ms": 1, "provider": "mock",
        "usage": { "prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5 },
        "attempts": [{ "provider": "mock", "model": "model-1", "outcome": "success", "latency_ms": 1 }],
    })
}

/// One event of a stream.
pub(crate) fn frame(data: &Value) -> Beat {
    Beat::Raw(format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap_or("message")))
}

/// One token of a stream.
pub(crate) fn token(text: &str) -> Beat {
    frame(&json!({ "type": "token", "content": text }))
}

/// The end of a stream that said `text`.
pub(crate) fn done(text: &str) -> Beat {
    let mut data = reply(text);
    data["type"] = json!("done");
    frame(&data)
}

/// An error in VX11's envelope.
pub(crate) fn error(code: &str) -> Value {
    json!({
        "ok": false, "detail": format!("it is {code}"), "error": { "code": code, "known": ["mock"] },
        "correlation_id": "c", "timestamp": "2026-11-21T04:05:06.789Z",
    })
}

async fn serve(shared: Data<Shared>, request: HttpRequest, body: Bytes) -> HttpResponse {
    if shared.is_dead.load(Ordering::SeqCst) {
        return std::future::pending().await;
    }
    let header = |(name, value): (&actix_web::http::header::HeaderName, &actix_web::http::header::HeaderValue)| {
        (name.to_string(), value.to_str().unwrap_or_default().to_owned())
    };
    let asked = Asked {
        path: request.path().to_owned(),
        headers: request.headers().iter().map(header).collect(),
        body: serde_json::from_slice(&body).unwrap_or_default(),
    };
    let streamed = asked.body["stream"] == true;
    let does = shared.does.lock().expect("no panic").get(request.path()).cloned();
    shared.asked.lock().expect("no panic").push(asked);
    match does {
        None => HttpResponse::NotFound().finish(),
        Some(Does::Answer(status, body)) => {
            HttpResponse::build(StatusCode::from_u16(status).expect("a status")).json(body)
        }
        Some(Does::Say(text)) if request.path() == "/madre/chat" => HttpResponse::Ok().json(json!({
            "response": text, "model": "madre-1", "provider": "madre", "status": "DONE", "warnings": [], "actions": [],
        })),
        Some(Does::Say(text)) if streamed => beats(shared, vec![token(text), done(text)]),
        Some(Does::Say(text)) => HttpResponse::Ok().json(reply(text)),
        Some(Does::Stream(pieces)) => beats(shared, pieces),
        Some(Does::Hang) => {
            let _waiting = Waiting(shared);
            std::future::pending().await
        }
    }
}

fn beats(shared: Data<Shared>, pieces: Vec<Beat>) -> HttpResponse {
    let body = stream! {
        for piece in pieces {
            match piece {
                Beat::Raw(text) => yield Ok(Bytes::from(text)),
                Beat::Wait => {
                    let _waiting = Waiting(shared.clone());
                    std::future::pending::<()>().await;
                }
                Beat::Cut => {
                    // What came before is sent first.
                    tokio::task::yield_now().await;
                    yield Err(std::io::Error::other("cut"));
                }
            }
        }
    };
    HttpResponse::Ok().content_type("text/event-stream").streaming(body)
}

/// Dropped when the caller goes away.
struct Waiting(Data<Shared>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.hung_up.fetch_add(1, Ordering::SeqCst);
    }
}
