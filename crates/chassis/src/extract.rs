//! Extractors whose refusals are the documented ones: they tell broken JSON (400) from a bad field (422, named) and
//! from too large a body (413).

mod objects;
mod path;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header::CONTENT_LENGTH;
use actix_web::{FromRequest, HttpRequest};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use serde::de::DeserializeOwned;
use vx11_contracts::ErrorCode;

use crate::error::ApiError;
use objects::Objects;
pub use path::Path;

/// Largest request body in bytes, set per route or per service with `app_data`; 256 KiB where it is not set.
#[derive(Clone, Copy, Debug)]
pub struct BodyLimit(pub usize);

impl Default for BodyLimit {
    fn default() -> Self {
        Self(256 * 1024)
    }
}

/// How long a body may take to arrive; who sends slower holds what others need.
pub const BODY_TIME: Duration = Duration::from_secs(30);
/// How long the rest of a refused body is read, so that the caller gets to read the refusal instead of a reset.
const DISCARD_TIME: Duration = Duration::from_secs(2);
/// How much of a refused body is read for that.
const DISCARD_BYTES: usize = 32 * 1024 * 1024;

/// A JSON body. The content type is not looked at: what does not parse is refused, and plain `curl -d` works.
/// An empty body counts as `{}`.
#[derive(Clone, Debug)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned + 'static> FromRequest for Json<T> {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ApiError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let body = Body::from_request(request, payload);
        Box::pin(async move { parse(&body.await?.0).map(Json) })
    }
}

/// The raw body, up to the route's [`BodyLimit`].
#[derive(Clone, Debug)]
pub struct Body(pub Bytes);

impl FromRequest for Body {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ApiError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let BodyLimit(limit) = request.app_data::<BodyLimit>().copied().unwrap_or_default();
        let declared = request.headers().get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<usize>().ok());
        let payload = payload.take();
        Box::pin(async move { read(payload, declared, limit).await.map(Body) })
    }
}

async fn read(mut payload: Payload, declared: Option<usize>, limit: usize) -> Result<Bytes, ApiError> {
    if declared.is_some_and(|length| length > limit) {
        return Err(refuse_rest(payload, limit).await);
    }
    let arriving = collect(&mut payload, declared.unwrap_or(0), limit);
    match tokio::time::timeout(BODY_TIME, arriving).await {
        Ok(Ok(Some(whole))) => Ok(whole.freeze()),
        Ok(Ok(None)) => Err(refuse_rest(payload, limit).await),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(ApiError::new(ErrorCode::MalformedRequest, "the body did not arrive in time")),
    }
}

/// The whole body; `None` when it is larger than `limit`.
async fn collect(payload: &mut Payload, expected: usize, limit: usize) -> Result<Option<BytesMut>, ApiError> {
    let mut whole = BytesMut::with_capacity(expected);
    while let Some(chunk) = payload.next().await {
        let chunk =
            chunk.map_err(|e| ApiError::new(ErrorCode::MalformedRequest, format!("the body broke off: {e}")))?;
        if whole.len() + chunk.len() > limit {
            return Ok(None);
        }
        whole.extend_from_slice(&chunk);
    }
    Ok(Some(whole))
}

async fn refuse_rest(payload: Payload, limit: usize) -> ApiError {
    discard(payload).await;
    ApiError::new(ErrorCode::PayloadTooLarge, format!("the body is larger than the limit of {limit} bytes"))
}

/// Reads what is left of a body that nobody wants, within a bound in bytes and time.
pub async fn discard(mut payload: Payload) {
    let mut left = DISCARD_BYTES;
    let drain = async {
        while let Some(Ok(chunk)) = payload.next().await {
            match left.checked_sub(chunk.len()) {
                Some(rest) => left = rest,
                None => break,
            }
        }
    };
    // Whoever sends slower than this does not get to read the answer; the refusal stands either way.
    let _ = tokio::time::timeout(DISCARD_TIME, drain).await;
}

/// Reads `body` as JSON.
///
/// # Errors
/// `malformed_request` when it is not JSON in UTF-8, `invalid_field` naming the field when it is JSON of another shape.
pub fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    let body = if body.is_empty() { b"{}" } else { body };
    // Only a refusal has to say where: to keep track of it costs as much as reading.
    let mut json = serde_json::Deserializer::from_slice(body);
    if let Ok(value) = T::deserialize(Objects(&mut json))
        && json.end().is_ok()
    {
        return Ok(value);
    }
    // Not from the error below: of an object where a word is wanted, serde_json says too that it is no JSON.
    if let Err(error) = serde_json::from_slice::<serde_json::Value>(body) {
        return Err(ApiError::new(ErrorCode::MalformedRequest, format!("the body is not valid JSON: {error}")));
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    let read = serde_path_to_error::deserialize(Objects(&mut json));
    read.map_err(|error| {
        let path = error.path().to_string();
        invalid(&error.into_inner().to_string(), &path)
    })
}

/// The field of a value that does not fit, from serde's `message` and the `path` to it.
fn invalid(message: &str, path: &str) -> ApiError {
    // serde names a missing or unknown field in its message only, between back-ticks.
    let named =
        message.split('`').nth(1).filter(|_| message.starts_with("missing") || message.starts_with("unknown field"));
    let field = match (path, named) {
        (".", Some(name)) => name.to_owned(),
        (path, Some(name)) if !path.ends_with(name) => format!("{path}.{name}"),
        (path, _) => path.to_owned(),
    };
    ApiError::invalid_field(field, message)
}

/// Query parameters. What does not fit is 422, and so is a NUL, which PostgreSQL takes nowhere and no text that is looked
/// for has.
#[derive(Clone, Debug)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned> FromRequest for Query<T> {
    type Error = ApiError;
    type Future = std::future::Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let pairs = url::form_urlencoded::parse(request.query_string().as_bytes());
        if has_nul(request.query_string()) {
            let field = pairs.clone().find(|(_, value)| value.contains('\0')).map_or(".".into(), |(name, _)| name);
            return std::future::ready(Err(ApiError::invalid_field(field, "has the character U+0000")));
        }
        let parsed = serde_path_to_error::deserialize(serde_urlencoded::Deserializer::new(pairs));
        std::future::ready(parsed.map(Self).map_err(|error| {
            let path = error.path().to_string();
            invalid(&error.into_inner().to_string(), &path)
        }))
    }
}

/// Whether a part of an address stands for a text with a NUL in it.
fn has_nul(encoded: &str) -> bool {
    encoded.contains("%00")
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Order {
        #[expect(dead_code, reason = "only its presence and type matter")]
        count: u32,
        #[serde(default)]
        #[expect(dead_code, reason = "only its presence and type matter")]
        lines: Vec<Line>,
        #[serde(default)]
        #[expect(dead_code, reason = "only its presence and type matter")]
        unit: Option<Unit>,
    }

    #[derive(Debug, Deserialize)]
    enum Unit {
        Kilogram,
    }

    #[derive(Debug, Deserialize)]
    struct Line {
        #[expect(dead_code, reason = "only its presence and type matter")]
        name: String,
    }

    fn refused(body: &[u8]) -> (ErrorCode, Option<String>) {
        let error = parse::<Order>(body).expect_err("must be refused");
        (error.code(), error.body("c").error.field)
    }

    #[test]
    fn a_query_names_the_parameter_that_does_not_fit() {
        let query = |text: &str| {
            let request = actix_web::test::TestRequest::with_uri(&format!("/?{text}")).to_http_request();
            let refused = Query::<Order>::from_request(&request, &mut Payload::None).into_inner();
            refused.expect_err("must be refused").field().map(str::to_owned)
        };
        assert_eq!(query("count=many").as_deref(), Some("count"));
        assert_eq!(query("cuont=1").as_deref(), Some("cuont"));
        assert_eq!(query("").as_deref(), Some("count"));
        assert_eq!(query("count=1&unit=a%00b").as_deref(), Some("unit"));
    }

    #[test]
    fn broken_json_is_malformed_and_a_wrong_shape_names_its_field() {
        let field = |name: &str| (ErrorCode::InvalidField, Some(name.to_owned()));
        assert_eq!(refused(b"{\"count\": 1"), (ErrorCode::MalformedRequest, None));
        assert_eq!(refused(b"{\"count\": 1} x"), (ErrorCode::MalformedRequest, None));
        assert_eq!(refused(b"{\"count\": \"\xff\"}").0, ErrorCode::MalformedRequest);
        assert_eq!(refused(b""), field("count"));
        assert_eq!(refused(b"{\"count\": \"many\"}"), field("count"));
        assert_eq!(refused(b"{\"count\": 1, \"cuont\": 2}"), field("cuont"));
        assert_eq!(refused(b"{\"count\": 1, \"lines\": [{}]}"), field("lines[0].name"));
        assert_eq!(refused(b"{\"count\": 1, \"lines\": [{\"name\": 7}]}"), field("lines[0].name"));
        assert_eq!(refused(b"{\"count\": 1, \"unit\": {}}"), field("unit"));
        assert_eq!(refused(b"[1]"), field("."));
    }
}
