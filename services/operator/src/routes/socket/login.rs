//! Who calls: said by the request, or by the first frame.

use std::time::Duration;

use actix_ws::{AggregatedMessageStream, Session};
use serde::Deserialize;
use serde_json::{Value, json};
use vx11_chassis::Shutdown;
use vx11_chassis::auth::{Proof, Refusal, Standing};

use super::End;
use super::frames::{Frame, done, read};

/// Longest wait for a first frame.
const FIRST_FRAME: Duration = Duration::from_secs(5);

/// The caller.
///
/// # Errors
/// Why the socket is closed.
pub(super) async fn login(
    mut proof: Proof,
    session: &mut Session,
    messages: &mut AggregatedMessageStream,
    shutdown: &Shutdown,
) -> Result<Standing, End> {
    if let Some(proven) = proof.brought().await {
        return proven.map_err(refused);
    }
    let first = async {
        loop {
            match read(messages.recv().await)? {
                Frame::Text(text) => return Ok::<_, End>(text),
                Frame::Ping(bytes) => session.pong(&bytes).await.map_err(|_| End::Left)?,
                Frame::Pong => {}
            }
        }
    };
    let first = tokio::select! {
        first = tokio::time::timeout(FIRST_FRAME, first) => first.map_err(|_| End::NoToken)??,
        () = shutdown.begun() => return Err(End::Stopping),
    };
    let First { id, token } = First::parse(&first).ok_or(End::NoToken)?;
    let standing = proof.of(&token).await.map_err(refused)?;
    let caller = &standing.caller().0;
    let who = json!({ "org_id": caller.org, "subject": caller.subject, "role": caller.role });
    let reply = done("auth", id, who).map_err(|_| End::Unavailable)?;
    session.text(reply).await.map_err(|_| End::Left)?;
    Ok(standing)
}

/// `{"type": "auth", "token": "…"}`, the token flat or under `payload` or `data` as a command's fields are.
struct First {
    id: Option<Value>,
    token: String,
}

impl First {
    fn parse(frame: &str) -> Option<Self> {
        #[derive(Deserialize)]
        struct Sent {
            #[serde(rename = "type")]
            kind: String,
            #[serde(default)]
            id: Option<Value>,
            #[serde(default)]
            token: Option<String>,
            #[serde(default)]
            payload: Option<Nested>,
            #[serde(default)]
            data: Option<Nested>,
        }
        #[derive(Deserialize)]
        struct Nested {
            token: Option<String>,
        }
        let sent: Sent = serde_json::from_str(frame).ok()?;
        let nested = [sent.payload, sent.data].into_iter().flatten().find_map(|nested| nested.token);
        let token = sent.token.or(nested).filter(|_| sent.kind == "auth")?;
        Some(Self { id: sent.id, token })
    }
}

/// Why nobody comes in. What was never anybody's token is a guess.
fn refused(refusal: Refusal) -> End {
    match refusal {
        Refusal::Invalid => End::WrongToken,
        other => other.into(),
    }
}

impl From<Refusal> for End {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Expired | Refusal::Invalid => Self::Nobody,
            Refusal::Unavailable => Self::Unavailable,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_of_a_first_frame_stands_where_a_commands_fields_do() {
        let token = |frame: &str| First::parse(frame).map(|first| first.token);
        for frame in [
            r#"{"type":"auth","token":"t"}"#,
            r#"{"type":"auth","payload":{"token":"t"}}"#,
            r#"{"type":"auth","data":{"token":"t"},"id":1}"#,
        ] {
            assert_eq!(token(frame).as_deref(), Some("t"), "{frame}");
        }
        for frame in ["", "t", "[]", r#"{"type":"auth"}"#, r#"{"type":"subscribe","token":"t"}"#] {
            assert_eq!(token(frame), None, "{frame}");
        }
    }
}
