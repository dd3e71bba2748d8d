//! Chats that a rule of the gateway holds for a person: nobody else answers them.

use serde_json::{Value, json};

use crate::app::{Answer, App};
use crate::fake::{Beat, Does, error, frame};

const ID: &str = "hold:1";

/// What the switch says of a held chat.
fn held() -> Value {
    json!({
        "status": "held", "detail": "the rule `pay` holds it", "retry_after": 5, "correlation_id": "c",
        "intervention": {"id": ID, "href": "/operator/api/interventions/hold:1", "status": "PENDING"},
    })
}

async fn with_intervention(app: &App, stream: bool) -> Answer {
    let body = json!({"message": "pay", "session_id": "s", "stream": stream});
    Answer::of(app.chat_request(&body).header("x-vx11-intervention", ID)).await
}

fn madre_was_asked(app: &App) -> bool {
    !app.madre.asked("/madre/chat").is_empty()
}

#[tokio::test]
async fn a_held_chat_is_accepted_and_comes_back_with_its_intervention() {
    let app = App::start().await;
    app.switch.on("/switch/chat", Does::Answer(202, held()));
    let answer = app.chat(json!({"message": "pay", "session_id": "s"})).await;
    assert_eq!((answer.status, &answer["status"]), (202, &json!("held")), "{}", answer.body);
    assert_eq!(answer["session_id"], "s");
    assert_eq!(
        (&answer["intervention"]["id"], answer.header("location")),
        (&json!(ID), "/operator/api/interventions/hold:1")
    );
    assert_eq!((answer.header("x-vx11-intervention"), answer.header("retry-after")), (ID, "5"));
    assert!(!madre_was_asked(&app));
    assert_eq!(app.count("SELECT count(*) FROM turns"), 0);
    let kept =
        "SELECT count(*) FROM copilot_actions_log WHERE action = 'chat' AND status = 'held' AND notes LIKE '%hold:1%'";
    assert_eq!(app.count(kept), 1);

    app.switch.on("/switch/chat", Does::Say("approved"));
    let answer = with_intervention(&app, false).await;
    assert_eq!((answer.status, &answer["response"]), (200, &json!("approved")), "{}", answer.body);
    let asked = app.switch.asked("/switch/chat").pop().expect("asked");
    assert_eq!(asked.headers["x-vx11-intervention"], ID);
    let kept =
        "SELECT count(*) FROM copilot_actions_log WHERE action = 'chat' AND status = 'ok' AND notes LIKE '%hold:1%'";
    assert_eq!(app.count(kept), 1);
}

#[tokio::test]
async fn a_held_stream_ends_with_the_frame_that_says_so() {
    let app = App::start().await;
    let mut said = held();
    said["type"] = json!("held");
    app.switch.on("/switch/chat", Does::Stream(vec![frame(&said)]));
    let answer = app.chat(json!({"message": "pay", "session_id": "s", "stream": true})).await;
    let frames = answer.chunks();
    let kinds: Vec<&str> = frames.iter().filter_map(|frame| frame["type"].as_str()).collect();
    assert_eq!((kinds, &frames[1]["intervention"]["id"]), (vec!["start", "held"], &json!(ID)), "{}", answer.body);
    assert!(!madre_was_asked(&app));
}

#[tokio::test]
async fn madre_answers_nothing_that_a_rule_refuses_however_often() {
    let app = App::with(&[("VX11_OPERATOR__CHAT__RATE_LIMIT", "1000")]).await;
    for code in ["hold_unavailable", "held_rejected", "held_expired", "held_pending"] {
        let status = if matches!(code, "held_rejected" | "held_expired") { 403 } else { 503 };
        app.switch.on("/switch/chat", Does::Answer(status, error(code)));
        for stream in [false, true].into_iter().cycle().take(12) {
            let answer = app.chat(json!({"message": "pay", "session_id": "s", "stream": stream})).await;
            let is_refused = if stream { answer.body.contains(code) } else { answer.code() == code };
            assert!(is_refused, "{code}: {}", answer.body);
        }
    }
    let mut refused = error("held_rejected");
    refused["type"] = json!("error");
    app.switch.on("/switch/chat", Does::Stream(vec![frame(&refused)]));
    let answer = app.chat(json!({"message": "pay", "session_id": "s", "stream": true})).await;
    assert!(answer.body.contains("held_rejected"), "{}", answer.body);
    assert!(!madre_was_asked(&app));
}

#[tokio::test]
async fn nobody_but_the_switch_answers_what_a_person_has_approved() {
    let app = App::with(&[("VX11_OPERATOR__CHAT__RATE_LIMIT", "1000")]).await;
    app.switch.on("/switch/chat", Does::Answer(409, error("conflict")));
    let answer = with_intervention(&app, false).await;
    assert_eq!((answer.status, answer.code()), (409, "conflict"), "{}", answer.body);
    app.switch.on("/switch/chat", Does::Answer(502, error("upstream_error")));
    assert_eq!(with_intervention(&app, false).await.code(), "upstream_error");
    app.switch.on("/switch/chat", Does::Stream(vec![crate::fake::token("half"), Beat::Cut]));
    let broken = with_intervention(&app, true).await;
    assert!(broken.body.contains("service_unavailable"), "{}", broken.body);
    app.switch.die().await;
    assert_eq!(with_intervention(&app, false).await.code(), "service_unavailable");
    assert!(!madre_was_asked(&app));
}
