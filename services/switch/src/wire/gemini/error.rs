//! Google's errors in OpenAI's shape.

use serde_json::Value;

use crate::wire::failure::ProviderError;
use crate::wire::json::{get, list, text};

/// A provider's error.
pub(crate) fn error(status: u16, body: &[u8]) -> ProviderError {
    let body: Option<Value> = serde_json::from_slice(body).ok();
    // Without `alt=sse` a stream is a list, and so is its error.
    let body = body.as_ref().map(|body| body.get(0).unwrap_or(body));
    let Some(error) = body.and_then(|body| get(body, "error")) else { return ProviderError::unreadable(status) };
    let reasons = list(error, "details");
    // A wrong key is called a bad request; it is our fault, not the caller's.
    let is_bad_key = reasons.iter().any(|detail| text(detail, "reason") == Some("API_KEY_INVALID"));
    let status = if is_bad_key { 401 } else { status };
    let retry_after = reasons.iter().find_map(|detail| seconds(text(detail, "retryDelay")?));
    ProviderError { retry_after, ..ProviderError::new(status, text(error, "message").unwrap_or_default()) }
}

/// Whole seconds of a duration such as `13.5s`, rounded up.
fn seconds(duration: &str) -> Option<u64> {
    let seconds: f64 = duration.strip_suffix('s')?.parse().ok()?;
    (seconds.is_finite() && seconds >= 0.0).then_some(seconds.ceil() as u64)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_wrong_key_is_no_fault_of_the_callers() {
        let body = json!({"error": {"code": 400, "message": "API key not valid.", "status": "INVALID_ARGUMENT",
            "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}]}});
        assert_eq!(error(400, body.to_string().as_bytes()).status, 401);
    }

    #[test]
    fn the_pause_that_is_asked_for_is_passed_on() {
        let body = json!([{"error": {"code": 429, "message": "quota", "details": [{"retryDelay": "13.2s"}]}}]);
        let got = error(429, body.to_string().as_bytes());
        assert_eq!((got.status, got.retry_after), (429, Some(14)));
        assert!(got.body.is_some_and(|body| body.starts_with(b"{\"error\":")));
        assert_eq!(error(502, b"<html>"), ProviderError::unreadable(502));
        assert_eq!((seconds("-1s"), seconds("soon"), seconds("NaNs")), (None, None, None));
    }
}
