//! The caller's deadline: it is for all of the answer, a stream and whoever finishes it included.

use futures_util::future::join_all;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::app::{Answer, App, eventually};
use crate::fake::{Act, Fake, chunk, chunk_json, event, stream_head, whole_stream};

const CHAT: &str = "/v1/chat/completions";
const STREAM: &str = r#"{"model":"m","messages":[],"stream":true}"#;
const DEADLINE: &str = "x-vx11-deadline-ms";

/// What a caller is told in whose wire there are no codes.
const OVER: &str = "the time for the answer is over; it is incomplete";

/// One event under the name that is its type.
fn named(data: &str) -> Act {
    let value: Value = serde_json::from_str(data).unwrap();
    Act::Say(format!("event: {}\ndata: {data}\n\n", value["type"].as_str().unwrap()))
}

/// A path, a request, what its provider says before it falls silent, and the variable that says what kind that is.
type Stalling = (&'static str, &'static str, Vec<Act>, (&'static str, &'static str));

/// One of each wire.
fn wires() -> Vec<Stalling> {
    let chat = ("VX11_SWITCH__PROVIDERS__A__KIND", "openai");
    let messages = r#"{"model":"m","max_tokens":9,"stream":true,"messages":[{"role":"user","content":"hello"}]}"#;
    let response = r#"{"model":"m","input":"Hi","stream":true}"#;
    let claude = [
        r#"{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude","content":[],"usage":{"input_tokens":3,"output_tokens":1}}}"#,
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hel"}}"#,
    ];
    let responding = [
        r#"{"type":"response.created","sequence_number":0,"response":{"id":"resp_1","object":"response","status":"in_progress","output":[]}}"#,
        r#"{"type":"response.output_text.delta","sequence_number":1,"item_id":"msg_1","output_index":0,"content_index":0,"delta":"Hel"}"#,
    ];
    vec![
        (CHAT, STREAM, vec![chunk("Hel")], chat),
        (
            "/v1/completions",
            r#"{"model":"m","prompt":"Say hello","stream":true}"#,
            vec![event(r#"{"id":"c1","object":"text_completion","choices":[{"text":"Hel","index":0}]}"#)],
            chat,
        ),
        ("/v1/messages", messages, vec![chunk("Hel")], chat),
        ("/v1/messages", messages, claude.map(named).into(), (chat.0, "anthropic")),
        ("/v1/responses", response, vec![chunk("Hel")], chat),
        ("/v1/responses", response, responding.map(named).into(), ("VX11_SWITCH__PROVIDERS__A__RESPONSES", "true")),
        (
            "/switch/chat",
            r#"{"messages":[{"role":"user","content":"x"}],"session_id":"s","correlation_id":"c","stream":true}"#,
            vec![chunk("Hel")],
            chat,
        ),
    ]
}

#[tokio::test]
async fn in_every_wire_a_stream_that_stalls_ends_with_one_error() {
    let stalls = |(path, body, says, kind): Stalling| async move {
        let said = [vec![stream_head()], says, vec![Act::Wait]].concat();
        let fake = Fake::always(said).await;
        let app = App::in_front_of(&[&fake.url], &[kind]).await;
        let got = Answer::of(app.post(path, body).header(DEADLINE, "3000")).await;
        assert_eq!((got.status, got.body.matches(OVER).count()), (200, 1), "{path}: {}", got.body);
        assert!(got.body.contains("Hel"), "{path}: {}", got.body);
        assert!(got.events().last().unwrap().contains(OVER), "it is the last word of {path}: {}", got.body);
        for end in ["[DONE]", "message_stop", "response.completed", r#""finish_reason":"stop""#, r#""type":"done""#] {
            assert!(!got.body.contains(end), "{path}: {}", got.body);
        }
        eventually("the provider sees its caller go", async || fake.hung_up() == 1).await;
        let row = async || Answer::of(app.get("/switch/usage")).await.json()["rows"][0].clone();
        eventually("the bill is written", async || row().await["requests"] == 1).await;
        assert_eq!(row().await["completion_tokens"], 1, "{path}: what came is paid for");
        assert_eq!(app.provider("a").await["breaker"]["failure_count"], 0, "{path}: it was alive");
    };
    join_all(wires().into_iter().map(stalls)).await;
}

#[tokio::test]
async fn a_stream_that_is_written_faster_than_it_is_read_ends_too() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let endless = tokio::spawn(async move {
        let (mut connection, _) = listener.accept().await.unwrap();
        // Who answers before it was asked is no server.
        assert!(connection.read(&mut [0; 1024]).await.unwrap() > 0);
        connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n").await.unwrap();
        let said = format!("data: {}\n\n", chunk_json(&"x".repeat(4096)));
        while connection.write_all(said.as_bytes()).await.is_ok() {}
    });
    let app = App::in_front_of(&[&url], &[]).await;
    let got = Answer::of(app.post(CHAT, STREAM).header(DEADLINE, "2000")).await;
    let last: Value = serde_json::from_str(got.events().last().unwrap()).unwrap();
    assert_eq!((got.status, last["error"]["code"].as_str()), (200, Some("deadline_exceeded")));
    endless.await.unwrap();
}

#[tokio::test]
async fn who_finishes_a_stream_has_no_longer_than_who_began_it() {
    for (second, text) in [(vec![Act::Wait], "Hel"), (vec![stream_head(), chunk("Hello"), Act::Wait], "Hello")] {
        let (bad, slow) = (Fake::always([stream_head(), chunk("Hel")]).await, Fake::always(second).await);
        let spare = Fake::always(whole_stream()).await;
        let app = App::in_front_of(&[&bad.url, &slow.url, &spare.url], &[]).await;
        let got = Answer::of(app.post(CHAT, STREAM).header(DEADLINE, "2000")).await;
        let chunks: Vec<Value> = got.events().iter().map(|data| serde_json::from_str(data).unwrap()).collect();
        let said: String = chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect();
        let code = &chunks.last().unwrap()["error"]["code"];
        assert_eq!((said.as_str(), code.as_str()), (text, Some("deadline_exceeded")), "{}", got.body);
        eventually("the second sees its caller go", async || slow.hung_up() == 1).await;
        assert_eq!(spare.requests().len(), 0, "nobody else is asked");
        assert_eq!(app.provider("b").await["breaker"]["failure_count"], 0, "its caller was in a hurry");
    }
}

#[tokio::test]
async fn a_limit_of_the_beginning_is_none_of_what_follows() {
    let begin = |app: &App, ms| app.post(CHAT, STREAM).header("x-vx11-begin-timeout-ms", ms);
    let (bad, good) =
        (Fake::always([stream_head(), chunk("Hel"), Act::Wait]).await, Fake::always(whole_stream()).await);
    let idle = [("VX11_SWITCH__PROVIDERS__A__STREAM_IDLE_TIMEOUT", "4s")];
    let app = App::in_front_of(&[&bad.url, &good.url], &idle).await;
    let got = Answer::of(begin(&app, "3000")).await;
    assert_eq!(got.events().last(), Some(&"[DONE]"), "finished after it: {}", got.body);

    let silent = Fake::always([Act::Wait]).await;
    let app = App::in_front_of(&[&silent.url, &good.url], &[]).await;
    let got = Answer::of(begin(&app, "300")).await;
    assert_eq!((got.status, got.code()), (504, "deadline_exceeded"), "of all targets together");
}
