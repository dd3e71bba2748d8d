//! What bad input and failing parts get: the documented answer, and the process goes on.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

use nix::sys::signal::Signal;
use serde_json::json;
use vx11_tests::{Chain, Process, send, wait_until};

#[tokio::test]
async fn bad_input_gets_the_documented_code() {
    let chain = Chain::start().expect("starts");
    let long = format!(r#"{{"message": "{}"}}"#, "x".repeat(4001));
    let huge = format!(r#"{{"message": "{}"}}"#, "x".repeat(10 * 1024 * 1024));
    let cases: [(&str, &[u8], u16, &str); 14] = [
        ("/operator/api/chat", b"{\"message\": ", 400, "malformed_request"),
        ("/operator/api/chat", b"{\"message\": \"\xff\xfe\"}", 400, "malformed_request"),
        ("/operator/api/chat", b"[]", 422, "invalid_field"),
        ("/operator/api/chat", br#"{"message": 7}"#, 422, "invalid_field"),
        ("/operator/api/chat", br#"{"message": "  "}"#, 422, "invalid_field"),
        ("/operator/api/chat", br#"{"message": "x", "sesion_id": "y"}"#, 422, "invalid_field"),
        ("/operator/api/chat", br#"{"message": "x", "session_id": ""}"#, 422, "invalid_field"),
        ("/operator/api/chat", br#"{"message": "x", "provider": "nobody"}"#, 404, "unknown_provider"),
        ("/operator/api/chat", long.as_bytes(), 413, "message_too_long"),
        ("/operator/api/chat", huge.as_bytes(), 413, "payload_too_large"),
        ("/madre/chat", br#"{"message": ""}"#, 422, "invalid_field"),
        ("/madre/power/window/open", br#"{"services": ["nobody"]}"#, 422, "invalid_field"),
        ("/v1/chat/completions", b"{", 400, "invalid_request"),
        ("/v1/chat/completions", br#"{"model": "nobody", "messages": []}"#, 404, "model_not_found"),
    ];
    for (path, body, status, code) in cases {
        let request = chain.edge().request(reqwest::Method::POST, path).body(body.to_vec());
        let answer = send(request).await.expect("an answer");
        let shown = String::from_utf8_lossy(&body[..body.len().min(60)]);
        assert_eq!((answer.status, answer.code()), (status, code), "{path} {shown}: {}", answer.body);
    }
    let period = chain.edge().get("/operator/api/metrics?period=2h").await;
    assert_eq!(
        (period.status, period.code(), &period.body["error"]["field"]),
        (422, "invalid_field", &json!("period"))
    );
    assert_eq!(chain.edge().get("/nowhere").await.code(), "not_found");
    assert_eq!(chain.edge().chat("Hello").await.status, 200, "it goes on");
}

#[tokio::test]
async fn huge_headers_are_refused_and_the_process_goes_on() {
    let mut chain = Chain::start().expect("starts");
    for service in ["tentaculo", "operator", "switch", "madre"] {
        let mut stream = TcpStream::connect(chain.address(service)).expect("connects");
        let filler = "a".repeat(1024);
        // The server may hang up before it has read everything.
        let _ = stream.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n");
        for n in 0..300 {
            let _ = stream.write_all(format!("x-{n}: {filler}\r\n").as_bytes());
        }
        let _ = stream.write_all(b"\r\n");
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let head = String::from_utf8_lossy(&answer[..answer.len().min(12)]).into_owned();
        assert!(head.is_empty() || head.starts_with("HTTP/1.1 4"), "{service}: {head}");
        assert_eq!(chain.call(service).get("/health").await.status, 200);
        assert!(chain.process(service).is_running());
    }
}

#[tokio::test]
async fn a_frozen_switch_is_waited_for_once() {
    let mut chain = Chain::start().expect("starts");
    assert_eq!(chain.edge().chat("Hello").await.body["degraded"], false);
    chain.process("switch").freeze().expect("frozen");
    let request =
        chain.edge().request(reqwest::Method::POST, "/operator/api/chat").header("x-vx11-deadline-ms", "10000");
    let first = send(request.json(&json!({ "message": "Are you there?" }))).await.expect("an answer in time");
    assert_eq!((first.status, &first.body["fallback_source"]), (200, &json!("timeout")), "{}", first.body);
    for n in 0..5 {
        let next = chain.edge().chat(&format!("And now? {n}")).await;
        assert_eq!((next.status, &next.body["fallback_source"]), (200, &json!("switch_unhealthy")), "{}", next.body);
    }
    chain.process("switch").signal(Signal::SIGCONT).expect("signalled");
}

#[tokio::test]
async fn a_hanging_provider_does_not_break_the_deadline() {
    let chain = Chain::start_with(&[("VX11_SWITCH__PROVIDERS__MOCK__TIMEOUT", "1s")]).expect("starts");
    let set =
        chain.call("mock-provider").request(reqwest::Method::PUT, "/admin/faults").json(&json!({ "plan": "hang" }));
    assert_eq!(send(set).await.expect("set").status, 200);
    let answer = chain.edge().chat("Hello").await;
    assert_eq!((answer.status, &answer.body["provider"]), (200, &json!("madre")), "{}", answer.body);
    assert_eq!(answer.body["fallback_source"], "http_504", "{}", answer.body);
    let open_ai = json!({ "model": "mock", "messages": [{ "role": "user", "content": "Hello" }] });
    let late = chain.edge().post("/v1/chat/completions", &open_ai).await;
    assert_eq!((late.status, late.code()), (504, "deadline_exceeded"), "{}", late.body);
}

#[tokio::test]
async fn a_stream_that_breaks_off_is_told_and_madre_answers() {
    // More failures than these would open the breakers, and then nothing is asked any more.
    let chain =
        Chain::start_with(&[("VX11_SWITCH__PROVIDERS__MOCK__BREAKER__FAILURE_THRESHOLD", "100")]).expect("starts");
    // A lone malformed chunk is skipped.
    for fault in ["cut=2", "error_frame=2"] {
        let set =
            chain.call("mock-provider").request(reqwest::Method::PUT, "/admin/faults").json(&json!({ "plan": fault }));
        assert_eq!(send(set).await.expect("set").status, 200);
        let body = json!({ "message": "echo: one two three four", "stream": true });
        let answer = chain.edge().post("/operator/api/chat", &body).await;
        let text = answer.body.as_str().unwrap_or_else(|| panic!("no stream: {}", answer.body));
        assert!(text.contains("event: fallback") && text.contains("event: done"), "{fault}: {text}");
        assert!(text.contains(r#""degraded":true"#), "{fault}: {text}");
        let open_ai = json!({ "model": "mock", "stream": true, "messages": [{ "role": "user", "content": "echo: one two three" }] });
        let answer = chain.edge().post("/v1/chat/completions", &open_ai).await;
        let text = answer.body.as_str().unwrap_or_else(|| panic!("no stream: {}", answer.body));
        assert!(text.contains(r#"data: {"error""#) && !text.contains("[DONE]"), "{fault}: {text}");
    }
}

#[tokio::test]
async fn a_locked_database_does_not_stop_chat_and_nothing_is_lost() {
    let chain = Chain::start().expect("starts");
    let file = chain.data_dir("operator").join("operator.sqlite3");
    let mut command = Command::new("python3");
    let hold = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None); \
                c.execute('BEGIN EXCLUSIVE'); print('LOCKED', flush=True); sys.stdin.read()";
    command.args(["-c", hold]).arg(&file);
    let mut lock = Process::spawn("lock", command).expect("starts");
    lock.line("LOCKED").expect("locked");
    let told = chat_while_the_store_fails(&chain).await;
    drop(lock);
    assert_recovers(&chain, &told).await;
}

#[tokio::test]
async fn a_full_disk_does_not_stop_chat_and_nothing_is_lost() {
    let mut chain = Chain::start().expect("starts");
    // No file of the process may grow beyond 160 KiB: after a few chats writing fails as on a full disk.
    chain.restart_wrapped("operator", "trap '' XFSZ; ulimit -S -f 160;").expect("starts");
    let told = chat_while_the_store_fails(&chain).await;
    let id = chain.process("operator").id().to_string();
    let raised = Command::new("prlimit").args(["--pid", &id, "--fsize=unlimited"]).status().expect("prlimit is there");
    assert!(raised.success());
    assert_recovers(&chain, &told).await;
}

#[tokio::test]
async fn a_read_only_database_does_not_stop_chat_and_nothing_is_lost() {
    let mut chain = Chain::start().expect("starts");
    chain.edge().chat("Hello").await;
    // The file format's write version: SQLite only reads a file whose version it does not know. Permissions would not
    // hold back a process of root's.
    let file = chain.data_dir("operator").join("operator.sqlite3");
    let set = |version: u8| {
        format!("printf '\\{version:03}' | dd of={} bs=1 seek=18 conv=notrunc status=none;", file.display())
    };
    chain.restart_wrapped("operator", &set(3)).expect("starts on a database that it can only read");
    let told = chat_while_the_store_fails(&chain).await;
    assert!(Command::new("bash").args(["-c", &set(2)]).status().expect("bash").success());
    assert_recovers(&chain, &told).await;
}

/// Chats until an answer says that its rows wait because they cannot be written, and checks that everything says so.
/// Answers with what was told.
async fn chat_while_the_store_fails(chain: &Chain) -> Vec<String> {
    let mut told = Vec::new();
    let operator = chain.call("operator");
    let store = async || operator.get("/ready").await.body["dependencies"]["store"]["status"].clone();
    wait_until("an answer says that its rows wait, and not for a slow disk", async || {
        let answer = chain.edge().chat("Hello").await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        told.push(answer.body["correlation_id"].as_str().expect("an id").to_owned());
        (answer.header("x-vx11-storage") == "deferred" && store().await == "degraded").then_some(())
    })
    .await;
    let ready = operator.get("/ready").await;
    assert_eq!(
        (ready.status, &ready.body["dependencies"]["store"]["status"]),
        (200, &json!("degraded")),
        "{}",
        ready.body
    );
    let scrape = operator.get("/metrics").await;
    assert!(scrape.body.as_str().is_some_and(|text| text.contains("vx11_store_degraded 1")));
    told
}

async fn assert_recovers(chain: &Chain, told: &[String]) {
    let operator = chain.call("operator");
    wait_until("the store is well again", async || {
        (operator.get("/ready").await.body["dependencies"]["store"]["status"] == "up").then_some(())
    })
    .await;
    for id in told {
        let turns = async || {
            let trail = operator.get(&format!("/operator/api/audit/{id}")).await;
            trail.body["data"]["turns"].as_array().map(Vec::len)
        };
        wait_until("its turn is there", async || turns().await.filter(|turns| *turns > 0)).await;
        assert_eq!(turns().await, Some(1), "{id}");
    }
    wait_until("an answer's rows do not wait", async || {
        chain.edge().chat("Well?").await.header("x-vx11-storage").is_empty().then_some(())
    })
    .await;
}
