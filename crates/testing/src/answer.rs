//! An HTTP answer, read to its end.

use std::ops::Index;

use reqwest::header::HeaderMap;
use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};

/// A whole answer. `answer["name"]` is a field of its body; null where there is none.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, as text.
    pub body: String,
    json: Option<Value>,
}

impl Answer {
    /// What comes back for `request`.
    ///
    /// # Panics
    /// When nothing does, or it breaks off.
    pub async fn of(request: RequestBuilder) -> Self {
        Self::read(request.send().await.expect("an answer")).await
    }

    /// Reads `response` to its end.
    ///
    /// # Panics
    /// When it has none.
    pub async fn read(response: Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.text().await.expect("the answer has an end");
        Self { status, headers, json: serde_json::from_str(&body).ok(), body }
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none.
    pub fn json(&self) -> Value {
        self.json.clone().unwrap_or_else(|| panic!("not JSON: {}", self.body))
    }

    /// A header's value; empty where there is none.
    ///
    /// # Panics
    /// When it is not ASCII.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().expect("ASCII")).unwrap_or_default()
    }

    /// The `data:` of each server-sent event; comments are left out.
    pub fn events(&self) -> Vec<&str> {
        self.body.split("\n\n").filter_map(|event| event.lines().find_map(|line| line.strip_prefix("data: "))).collect()
    }

    /// The JSON of each event but `[DONE]`.
    ///
    /// # Panics
    /// When one is no JSON.
    pub fn chunks(&self) -> Vec<Value> {
        let events = self.events().into_iter().filter(|event| *event != "[DONE]");
        events.map(|event| serde_json::from_str(event).expect("JSON")).collect()
    }

    /// `data` of a success in VX11's envelope.
    ///
    /// # Panics
    /// When it is none.
    #[track_caller]
    pub fn data(&self) -> &Value {
        assert_eq!((self.status, &self["ok"]), (200, &json!(true)), "{}", self.body);
        &self["data"]
    }

    /// The request's name as the body gives it; empty where it does not.
    pub fn correlation_id(&self) -> &str {
        self["correlation_id"].as_str().unwrap_or_default()
    }

    /// The code of an error; empty where there is none.
    pub fn code(&self) -> &str {
        self["error"]["code"].as_str().unwrap_or_default()
    }

    /// The field that an error names; empty where it names none.
    pub fn field(&self) -> &str {
        self["error"]["field"].as_str().unwrap_or_default()
    }

    /// The text of a chat completion's first choice.
    ///
    /// # Panics
    /// When it has none.
    pub fn text(&self) -> String {
        self.json()["choices"][0]["message"]["content"].as_str().expect("a text").to_owned()
    }

    /// Status and code of an error, in OpenAI's shape or in VX11's.
    ///
    /// # Panics
    /// When the body does not say all that it should.
    pub fn refusal(&self) -> (u16, String) {
        let body = self.json();
        let error = &body["error"];
        let is_openai = error["message"].is_string();
        assert!(!is_openai || error["type"].is_string() && error.get("param").is_some(), "{}", self.body);
        let sentence = if is_openai { &error["message"] } else { &body["detail"] };
        assert!(sentence.as_str().is_some_and(|text| !text.is_empty()), "{}", self.body);
        assert!(!self.header("x-correlation-id").is_empty(), "{self:?}");
        (self.status, error["code"].as_str().expect("a code").to_owned())
    }
}

impl Index<&str> for Answer {
    type Output = Value;

    fn index(&self, name: &str) -> &Value {
        self.json.as_ref().and_then(|body| body.get(name)).unwrap_or(&Value::Null)
    }
}
