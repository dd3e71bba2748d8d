//! Keys that somebody makes up by the hundred keep nobody from being known, or from being shut out.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use secrecy::ExposeSecret;
use serde_json::{Value, json};
use vx11_identity::NewApiKey;

use super::{BODY, app_in, ask};
use crate::app::{Answer, App, eventually};
use crate::fake::{Act, Fake, answer, completion};

/// Questions that are under way at a time about callers who are not known.
const TURNS: usize = 32;

fn secret() -> String {
    NewApiKey::make().plain.expose_secret().to_owned()
}

/// An operator that knows one key until it is revoked, and has no time for any other.
async fn operator(known: String, is_revoked: Arc<AtomicBool>) -> Fake {
    let caller =
        json!({"org": "acme", "subject": "key:one", "role": "OPERATOR", "scopes": ["gateway"], "expires_at": null});
    Fake::replying(move |request| {
        let question: Value = serde_json::from_str(request.split_once("\r\n\r\n").unwrap().1).unwrap();
        if question["token"] != known.as_str() {
            return vec![Act::Wait];
        }
        let is_revoked = is_revoked.load(Ordering::SeqCst);
        let caller = if is_revoked { Value::Null } else { caller.clone() };
        let said =
            json!({"ok": true, "data": {"caller": caller, "expired": false}, "timestamp": "2026-11-22T00:00:00.000Z"});
        vec![answer(200, "", &said.to_string())]
    })
    .await
}

#[tokio::test]
async fn a_known_caller_is_asked_about_though_all_turns_are_taken() {
    let (provider, known) = (Fake::always([completion("hi")]).await, secret());
    let is_revoked = Arc::<AtomicBool>::default();
    let operator = operator(known.clone(), is_revoked.clone()).await;
    let variables = [("VX11_OPERATOR_URL", &*operator.url), ("VX11_SWITCH__IDENTITIES__BELIEVED_FOR", "1ns")];
    let app = app_in(&provider, "", &variables).await;
    let complete = |app: &App, secret: &str| Answer::of(ask(app, secret, BODY));
    assert_eq!(complete(&app, &known).await.status, 200);

    let guesses: Vec<_> = (0..TURNS + 8).map(|_| tokio::spawn(complete(&app, &secret()))).collect();
    eventually("all turns are taken", async || operator.requests().len() > TURNS).await;
    is_revoked.store(true, Ordering::SeqCst);
    let got = complete(&app, &known).await;
    assert_eq!(got.status, 401, "it is not taken for known while others have the turns: {}", got.body);
    for guess in guesses {
        assert_eq!(guess.await.unwrap().status, 503);
    }
}
