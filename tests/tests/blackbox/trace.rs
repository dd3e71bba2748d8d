//! One request is one trace, from the edge to the provider, as a real OTLP receiver sees it.

use std::collections::{BTreeSet, HashMap};

use serde_json::Value;
use vx11_tests::{Chain, Process, wait_until};

#[tokio::test]
async fn a_chat_is_one_trace_over_http() {
    one_trace("http").await;
}

#[tokio::test]
async fn a_chat_is_one_trace_over_grpc() {
    one_trace("grpc").await;
}

async fn one_trace(protocol: &str) {
    let mut receiver = Process::spawn("otlp_receiver.py", super::python("otlp_receiver.py", &[])).expect("starts");
    let ports = receiver.line("PORTS").expect("ports");
    let port = ports.split_whitespace().find_map(|part| part.strip_prefix(&format!("{protocol}="))).expect("a port");
    let endpoint = format!("http://127.0.0.1:{port}");
    let chain = Chain::start_with(&[
        ("VX11_TELEMETRY__OTLP__ENDPOINT", &endpoint),
        ("VX11_TELEMETRY__OTLP__PROTOCOL", protocol),
    ])
    .expect("starts");

    let request = chain.edge().request(reqwest::Method::POST, "/operator/api/chat");
    let request = request
        .header("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
        .json(&serde_json::json!({ "message": "Hello" }));
    assert_eq!(vx11_tests::send(request).await.expect("an answer").status, 200);

    let wanted = ["tentaculo", "operator", "switch", "mock-provider"];
    let spans = wait_until("spans of four services arrive", async || {
        let spans = trace(&receiver, "4bf92f3577b34da6a3ce929d0e0e4736");
        let servers: BTreeSet<&str> =
            spans.iter().filter(|span| span["kind"] == 2).filter_map(|span| span["service"].as_str()).collect();
        (wanted.iter().all(|service| servers.contains(service)) && spans.len() >= 7).then_some(spans.clone())
    })
    .await;

    let by_id: HashMap<&str, &Value> = spans.iter().map(|span| (text(span, "span_id"), span)).collect();
    let server = |service: &str| {
        let found = spans.iter().find(|span| span["service"] == service && span["kind"] == 2);
        found.unwrap_or_else(|| panic!("no server span of {service}: {spans:#?}"))
    };
    assert_eq!(text(server("tentaculo"), "parent_span_id"), "00f067aa0ba902b7", "the caller's span");
    // Each service's span hangs below the client span of the one that called it, and that below its server span.
    for pair in wanted.windows(2) {
        let call = by_id[text(server(pair[1]), "parent_span_id")];
        assert_eq!((text(call, "service"), &call["kind"]), (pair[0], &Value::from(3)), "{call:#}");
        assert_eq!(text(call, "parent_span_id"), text(server(pair[0]), "span_id"), "{call:#}");
        assert_eq!(call["namespace"], "vx11");
    }
    let provider_call = by_id[text(server("mock-provider"), "parent_span_id")];
    let said = &provider_call["attributes"];
    assert_eq!((&said["gen_ai.provider.name"], &said["vx11.provider"]), (&"mock".into(), &"mock".into()), "{said:#}");
    assert_eq!(said["gen_ai.request.model"], "mock", "{said:#}");
    assert_eq!(said["gen_ai.response.finish_reasons"], serde_json::json!(["stop"]), "{said:#}");
    assert!(text(said, "gen_ai.response.id").starts_with("chatcmpl-"), "{said:#}");
    assert_eq!(server("operator")["attributes"]["http.response.status_code"], 200);
}

fn trace(receiver: &Process, id: &str) -> Vec<Value> {
    let text = receiver.text();
    let spans = text.lines().filter_map(|line| line.strip_prefix("SPAN "));
    spans.filter_map(|span| serde_json::from_str::<Value>(span).ok()).filter(|span| span["trace_id"] == id).collect()
}

fn text<'s>(span: &'s Value, field: &str) -> &'s str {
    span[field].as_str().unwrap_or_default()
}
