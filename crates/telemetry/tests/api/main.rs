//! Telemetry as a process sets it up: one subscriber, and a real collector's address.

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use vx11_telemetry::{OtlpConfig, TelemetryConfig, TelemetryError, init, server_span};

/// A request's head in lower case, and its body.
type Request = (String, Vec<u8>);

/// Passes the first request to the collector on, and only then answers it.
async fn first_request(collector: TcpListener, arrived: oneshot::Sender<Request>) -> std::io::Result<()> {
    let mut stream = BufReader::new(collector.accept().await?.0);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        stream.read_line(&mut head).await?;
    }
    head.make_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.and_then(|length| length.parse().ok()).unwrap_or_default()];
    stream.read_exact(&mut body).await?;
    let _ = arrived.send((head, body));
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n").await
}

fn holds(body: &[u8], text: &str) -> bool {
    body.windows(text.len()).any(|part| part == text.as_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_spans_reach_the_collector_before_shutdown_ends() {
    let collector = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let endpoint = format!("http://{}", collector.local_addr().expect("an address"));
    let (arrived, mut received) = oneshot::channel();
    tokio::spawn(first_request(collector, arrived));
    let otlp = OtlpConfig { endpoint: Some(endpoint.parse().expect("a URL")), ..OtlpConfig::default() };
    let config = TelemetryConfig { otlp, ..TelemetryConfig::default() };
    let telemetry = init(&config, "depot", &["depot"]).expect("starts");

    let (span, trace) = server_span("depot", "GET", "/parcels/{id}", "/parcels/7", "c-1", None);
    assert!(trace.traceparent().ends_with("-01"), "an exported trace says so");
    drop(span);
    telemetry.shutdown().await;

    let (head, body) = received.try_recv().expect("shutdown has waited for the collector");
    assert!(head.starts_with("post /v1/traces http/1.1"), "{head}");
    assert!(head.contains("content-type: application/x-protobuf"), "{head}");
    for text in ["service.name", "depot", "service.namespace", "vx11", "GET /parcels/{id}", "/parcels/7", "c-1"] {
        assert!(holds(&body, text), "{text}");
    }

    let again = init(&TelemetryConfig::default(), "depot", &["depot"]);
    assert!(matches!(again, Err(TelemetryError::Installed(_))), "a process has one subscriber");
}
