//! Asking the same again.

use serde_json::{Value, json};

use crate::app::{Answer, App};
use crate::fake::Does;

async fn replay(app: &App, id: &str, body: Value) -> Answer {
    app.post(&format!("/operator/api/replay/{id}"), body).await
}

#[tokio::test]
async fn the_same_answer_is_identical_and_the_session_is_left_as_it_is() {
    let app = App::start().await;
    for message in ["first", "second", "third"] {
        app.chat(json!({ "message": message, "session_id": "s", "correlation_id": message })).await;
    }
    let answer = replay(&app, "second", json!({})).await;
    let data = answer.data();
    assert_eq!((&data["original"]["message"], &data["replayed"]["session_id"]), (&json!("second"), &json!("s")));
    assert_eq!((&data["difference"]["identical"], &data["difference"]["similarity"]), (&json!(true), &json!(1.0)));
    assert_eq!((&data["difference"]["unified_diff"], &data["difference"]["fields"]), (&json!(""), &json!({})));
    let asked = app.switch.asked("/switch/chat").pop().expect("asked");
    assert_eq!(asked.body["messages"].as_array().map(Vec::len), Some(3), "with the history of then: {}", asked.body);
    assert_eq!(app.count("SELECT turns FROM sessions WHERE session_id = 's'"), 3);
    let chat = app.chat(json!({ "message": "second", "session_id": "s" })).await;
    assert_eq!(chat["cache_hit"], true, "the cache is as it was");
}

#[tokio::test]
async fn another_answer_is_compared_in_text_and_fields() {
    let app = App::start().await;
    app.switch.on("/switch/chat", Does::Say("one two\nthree"));
    app.chat(json!({ "message": "hello", "correlation_id": "c" })).await;
    app.switch.on("/switch/chat", Does::Say("one two\nfour"));
    let data = replay(&app, "c", json!({})).await.data().clone();
    let difference = &data["difference"];
    assert_eq!((&difference["identical"], &difference["fields"]), (&json!(false), &json!({})));
    let diff = difference["unified_diff"].as_str().expect("a text");
    assert!(diff.contains("--- original") && diff.contains("-three") && diff.contains("+four"), "{diff}");
    let similarity = difference["similarity"].as_f64().expect("a number");
    assert!(similarity > 0.0 && similarity < 1.0, "{similarity}");

    let by_madre = replay(&app, "c", json!({ "provider": "madre" })).await.data().clone();
    assert_eq!(by_madre["difference"]["fields"]["provider"], json!(["switch", "madre"]));
    assert_eq!(by_madre["replayed"]["degraded"], false, "it was asked for");
}

#[tokio::test]
async fn what_was_asked_of_one_provider_is_asked_of_it_again() {
    let app = App::start().await;
    app.chat(json!({ "message": "hello", "correlation_id": "c", "provider": "mock", "context": { "k": 1 } })).await;
    replay(&app, "c", json!({})).await.data();
    assert_eq!(app.switch.asked("/switch/chat")[1].body["provider"], "mock");
    app.switch.die().await;
    let degraded = replay(&app, "c", json!({})).await.data().clone();
    assert_eq!(degraded["difference"]["fields"]["degraded"], json!([false, true]));
    assert_eq!(app.madre.asked("/madre/chat")[0].body["context"], json!({ "k": 1 }));
}

#[tokio::test]
async fn a_replay_has_its_own_row_in_the_trail_and_cannot_itself_be_replayed() {
    let app = App::start().await;
    app.chat(json!({ "message": "hello", "correlation_id": "c", "session_id": "s" })).await;
    let replayed = replay(&app, "c", json!({})).await;
    let id = replayed.header("x-correlation-id").to_owned();
    let row = format!("SELECT count(*) FROM copilot_actions_log WHERE correlation_id = '{id}' AND target = 'c'");
    crate::app::eventually("the trail has it", async || app.count(&row) == 1).await;
    let again = replay(&app, &id, json!({})).await;
    assert_eq!((again.status, again.code()), (404, "not_found"));
    for unknown in ["nobody", "%00", "%FF", "..%2F.."] {
        assert_eq!(replay(&app, unknown, json!({})).await.code(), "not_found", "{unknown}");
    }
}

#[tokio::test]
async fn a_replay_that_nobody_answers_fails_and_a_bad_one_is_refused() {
    let app = App::start().await;
    app.chat(json!({ "message": "hello", "correlation_id": "c" })).await;
    for (body, field) in [(json!({ "provider": 7 }), "provider"), (json!({ "providr": "madre" }), "providr")] {
        assert_eq!(replay(&app, "c", body).await.field(), field);
    }
    app.switch.on("/switch/chat", Does::Answer(500, Value::Null));
    app.madre.on("/madre/chat", Does::Answer(500, Value::Null));
    let answer = replay(&app, "c", json!({})).await;
    assert_eq!((answer.status, answer.code()), (503, "service_unavailable"));
}
