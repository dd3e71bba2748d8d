//! A chat that goes well: what is asked, what is answered, and what is kept.

use serde_json::{Value, json};

use crate::app::{Answer, App, eventually};
use crate::fake::{Does, reply};

/// The members of an object, sorted.
fn members(value: &Value) -> Vec<&str> {
    value.as_object().expect("an object").keys().map(String::as_str).collect()
}

#[tokio::test]
async fn a_chat_is_answered_flat_by_the_switch() {
    let app = App::start().await;
    let answer = app.chat(json!({ "message": "hello", "session_id": "s-1", "metadata": { "client": "test" } })).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let body = &answer.json();
    let mut expected = vec![
        "response",
        "model_used",
        "latency_ms",
        "correlation_id",
        "session_id",
        "provider",
        "status",
        "degraded",
        "usage",
    ];
    expected.sort_unstable();
    assert_eq!(members(body), expected);
    assert_eq!((&body["response"], &body["model_used"]), (&json!("from the switch"), &json!("model-1")));
    assert_eq!(
        (&body["provider"], &body["status"], &body["degraded"]),
        (&json!("switch"), &json!("DONE"), &json!(false))
    );
    assert_eq!((&body["session_id"], &body["usage"]["total_tokens"]), (&json!("s-1"), &json!(5)));

    let asked = &app.switch.asked("/switch/chat")[0];
    assert_eq!(asked.body["messages"], json!([{ "role": "user", "content": "hello" }]));
    assert_eq!((&asked.body["session_id"], &asked.body["metadata"]["client"]), (&json!("s-1"), &json!("test")));
    assert_eq!(asked.body["correlation_id"], answer.correlation_id());
    assert_eq!(asked.headers["x-correlation-id"], answer.correlation_id());
    assert!(asked.headers.contains_key("traceparent") && asked.headers.contains_key("x-vx11-token"));
    let deadline: u64 = asked.headers["x-vx11-deadline-ms"].parse().expect("a number");
    assert!((20_000..=30_000).contains(&deadline), "{deadline}");
}

#[tokio::test]
async fn a_session_goes_on_with_its_last_ten_turns_and_nobody_elses() {
    let app = App::with(&[("VX11_OPERATOR__CHAT__RATE_LIMIT", "100")]).await;
    app.chat(json!({ "message": "a secret", "session_id": "other" })).await;
    for n in 0..12 {
        assert_eq!(app.chat(json!({ "message": format!("m{n}"), "session_id": "s" })).await.status, 200);
    }
    let last = app.switch.asked("/switch/chat").pop().expect("asked");
    let messages = last.body["messages"].as_array().expect("a list");
    assert_eq!(messages.len(), 21);
    assert_eq!(messages[0], json!({ "role": "user", "content": "m1" }));
    assert_eq!(messages[1], json!({ "role": "assistant", "content": "from the switch" }));
    assert_eq!(messages[20], json!({ "role": "user", "content": "m11" }));
}

#[tokio::test]
async fn a_session_with_long_answers_goes_on_with_as_much_of_them_as_the_switch_takes() {
    let app = App::start().await;
    // Each byte of it is six in JSON.
    app.switch.on("/switch/chat", Does::Answer(200, reply(&"\u{1}".repeat(40 * 1024))));
    for n in 0..6 {
        let answer = app.chat(json!({ "message": format!("m{n}"), "session_id": "s" })).await;
        assert_eq!((answer.status, &answer["provider"]), (200, &json!("switch")));
    }
    let last = app.switch.asked("/switch/chat").pop().expect("asked").body;
    let messages = last["messages"].as_array().expect("a list");
    let asked: Vec<&Value> = messages.iter().step_by(2).map(|message| &message["content"]).collect();
    assert_eq!(asked, ["m3", "m4", "m5"]);
}

#[tokio::test]
async fn a_repeated_message_is_answered_from_memory_in_its_session_alone() {
    let app = App::start().await;
    let hello = json!({ "message": "hello", "session_id": "s" });
    let first = app.chat(hello.clone()).await;
    let second = app.chat(hello.clone()).await;
    assert_eq!((&first["cache_hit"], &second["cache_hit"]), (&Value::Null, &json!(true)));
    assert_eq!(second["response"], first["response"]);
    assert_ne!(second.correlation_id(), first.correlation_id());
    assert_eq!(app.switch.asked("/switch/chat").len(), 1);
    assert_eq!(app.count("SELECT count(*) FROM turns"), 1, "a repetition is no turn");
    assert_eq!(app.count("SELECT count(*) FROM copilot_actions_log WHERE action = 'chat'"), 2);
    assert_eq!(app.count("SELECT count(*) FROM performance_logs WHERE endpoint = '/operator/api/chat'"), 2);

    for other in [json!({ "message": "hello" }), json!({ "message": "hello", "session_id": "t" })] {
        assert_eq!(app.chat(other).await["cache_hit"], Value::Null);
    }
    let by_madre = app.chat(json!({ "message": "hello", "session_id": "s", "provider": "madre" })).await;
    assert_eq!((&by_madre["cache_hit"], &by_madre["provider"]), (&Value::Null, &json!("madre")));
    let any = app.chat(json!({ "message": "hello", "session_id": "s", "provider": "switch" })).await;
    assert_eq!(any["cache_hit"], true, "`switch` is the default");
}

#[tokio::test]
async fn an_answer_is_forgotten_after_its_time() {
    let app = App::with(&[("VX11_OPERATOR__CHAT__ANSWER_CACHE_TTL", "1ms")]).await;
    let hello = json!({ "message": "hello", "session_id": "s" });
    app.chat(hello.clone()).await;
    eventually("it is forgotten", async || app.chat(hello.clone()).await["cache_hit"] == Value::Null).await;
}

#[tokio::test]
async fn the_eleventh_message_of_a_session_has_to_wait() {
    let app = App::start().await;
    for n in 0..10 {
        assert_eq!(app.chat(json!({ "message": format!("m{n}"), "session_id": "s" })).await.status, 200);
    }
    let refused = app.chat(json!({ "message": "m0", "session_id": "s" })).await;
    assert_eq!((refused.status, refused.code()), (429, "rate_limited"), "the cache is no way around it");
    let seconds = refused["retry_after"].as_u64().expect("seconds");
    assert!((1..=60).contains(&seconds), "{seconds}");
    assert_eq!(refused.header("retry-after"), seconds.to_string());
    assert_eq!(app.chat(json!({ "message": "m", "session_id": "t" })).await.status, 200);
    assert_eq!(app.say("m").await.status, 200);
    assert_eq!(app.switch.asked("/switch/chat").len(), 12);
}

#[tokio::test]
async fn of_many_messages_at_once_the_limit_lets_exactly_ten_in() {
    let app = App::start().await;
    let chats = (0..30).map(|n| app.chat(json!({ "message": format!("m{n}"), "session_id": "s" })));
    let answers: Vec<Answer> = futures_util::future::join_all(chats).await;
    let with = |status| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!((with(200), with(429)), (10, 20));
    assert_eq!(app.count("SELECT turns FROM sessions WHERE session_id = 's'"), 10);
}

#[tokio::test]
async fn what_many_say_in_one_session_at_once_is_all_kept() {
    let app = App::with(&[("VX11_OPERATOR__CHAT__RATE_LIMIT", "100")]).await;
    let chats = (0..40).map(|n| app.chat(json!({ "message": format!("m{n}"), "session_id": "s" })));
    assert!(futures_util::future::join_all(chats).await.iter().all(|answer| answer.status == 200));
    let detail = app.get("/operator/api/sessions/s?limit=100").await;
    assert_eq!(detail.data()["turns"], 40);
    let messages: std::collections::BTreeSet<&str> = detail.data()["history"]
        .as_array()
        .expect("turns")
        .iter()
        .filter_map(|turn| turn["message"].as_str())
        .collect();
    assert_eq!(messages.len(), 40);
}

#[tokio::test]
async fn the_rows_of_a_chat_are_on_disk_when_it_is_answered() {
    let mut again = 0..5;
    let (app, answer) = loop {
        let app = App::start().await;
        let answer = app.chat(json!({ "message": "hello", "session_id": "s", "context": { "k": 1 } })).await;
        // A disk that is slow at this moment has an answer sent before its rows, and said so.
        if answer.header("x-vx11-storage").is_empty() || again.next().is_none() {
            break (app, answer);
        }
    };
    let id = answer.correlation_id();
    assert_eq!(answer.header("x-vx11-storage"), "");
    let of = |table: &str, more: &str| {
        app.count(&format!("SELECT count(*) FROM {table} WHERE correlation_id = '{id}' AND {more}"))
    };
    assert_eq!(of("turns", "message = 'hello' AND response = 'from the switch'"), 1);
    assert_eq!(of("turns", "prompt_tokens = 3 AND completion_tokens = 2 AND provider = 'switch' AND degraded = 0"), 1);
    assert_eq!(
        of("copilot_actions_log", "session_id = 's' AND target = 'switch' AND status = 'ok' AND mode = 'normal'"),
        1
    );
    assert_eq!(of("performance_logs", "status_code = 200 AND method = 'POST' AND provider = 'switch'"), 1);
    assert_eq!(app.count("SELECT turns FROM sessions WHERE session_id = 's'"), 1);
}

#[tokio::test]
async fn a_session_may_have_any_visible_name() {
    let app = App::start().await;
    for id in ["a/b", "..", "%2F", "a,b?c#d&e=f", "';DROP--", "\"<>\\", &"x".repeat(128)] {
        let chat = app.chat(json!({ "message": "hello", "session_id": id })).await;
        assert_eq!((chat.status, &chat["session_id"]), (200, &json!(id)));
        let escaped: String = id.bytes().map(|byte| format!("%{byte:02X}")).collect();
        if id == ".." {
            continue; // No client sends that as a path.
        }
        let detail = app.get(&format!("/operator/api/sessions/{escaped}")).await;
        assert_eq!(detail.data()["session_id"], id);
    }
}

#[tokio::test]
async fn a_locked_store_defers_the_rows_and_not_the_answer() {
    use diesel::connection::SimpleConnection;
    let app = App::start().await;
    app.say("hello").await;
    let mut stranger = app.stranger();
    stranger.batch_execute("BEGIN EXCLUSIVE").expect("the lock");
    let answer = app.say("hello").await;
    assert_eq!((answer.status, answer.header("x-vx11-storage")), (200, "deferred"));
    assert_eq!(answer["storage"], "deferred");
    let streamed = app.stream("hello").await.pop().expect("an end");
    assert_eq!((streamed.name.as_str(), &streamed.data["storage"]), ("done", &json!("deferred")));
    let command = json!({ "command": "message", "args": { "message": "hello" } });
    assert_eq!(app.post("/operator/api/chat/commands", command).await.data()["data"]["storage"], "deferred");
    stranger.batch_execute("ROLLBACK").expect("unlocked");
    let id = answer.correlation_id();
    eventually("the rows are written", async || {
        app.count(&format!("SELECT count(*) FROM turns WHERE correlation_id = '{id}'")) == 1
    })
    .await;
}
