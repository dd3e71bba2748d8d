//! An HTTP client as an application would write it.

use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder};
use serde_json::Value;

/// Calls one address with a token.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The client, for what the shorthands do not cover.
    pub http: Client,
    /// Such as `http://127.0.0.1:8000`.
    pub base: String,
    token: Option<String>,
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: reqwest::header::HeaderMap,
    /// The body as JSON; a string where it is not JSON.
    pub body: Value,
}

impl Answer {
    /// A header as text; empty where it is absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The error code, in either shape of errors.
    pub fn code(&self) -> &str {
        self.body["error"]["code"].as_str().unwrap_or_default()
    }
}

impl Caller {
    /// Calls `base`, presenting `token`.
    pub fn new(base: String, token: Option<&str>) -> Self {
        // The first caller of a process wins.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(60))
            .tls_certs_only([])
            .build()
            .expect("a client without TLS roots can always be made");
        Self { http, base, token: token.map(str::to_owned) }
    }

    /// The same address without a token, or with another.
    #[must_use]
    pub fn with_token(&self, token: Option<&str>) -> Self {
        Self { token: token.map(str::to_owned), ..self.clone() }
    }

    /// A request to be added to.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.token {
            Some(token) => request.header("x-vx11-token", token),
            None => request,
        }
    }

    /// GET.
    pub async fn get(&self, path: &str) -> Answer {
        send(self.request(Method::GET, path)).await.expect("an answer")
    }

    /// POST of JSON.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        send(self.request(Method::POST, path).json(body)).await.expect("an answer")
    }

    /// A chat through the operator's API.
    pub async fn chat(&self, message: &str) -> Answer {
        self.post("/operator/api/chat", &serde_json::json!({ "message": message })).await
    }
}

/// Sends a request and reads the whole answer.
///
/// # Errors
/// When there is no whole answer.
pub async fn send(request: RequestBuilder) -> reqwest::Result<Answer> {
    let response = request.send().await?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let text = response.text().await?;
    let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
    Ok(Answer { status, headers, body })
}
