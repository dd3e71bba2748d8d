//! A real Prometheus scrapes every service, and promtool has no complaint.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use vx11_tests::{Caller, Chain, Process, wait_until};

const SERVICES: [&str; 5] = ["tentaculo", "operator", "switch", "madre", "mock-provider"];

#[tokio::test]
async fn prometheus_scrapes_every_service_and_answers_on_its_names() {
    let chain = Chain::start().expect("starts");
    for _ in 0..3 {
        assert_eq!(chain.edge().chat("Hello").await.status, 200);
    }
    assert_eq!(chain.edge().get("/v1/models").await.status, 200);
    let data = tempfile::tempdir().expect("a directory");
    let (prometheus, _process) = start_prometheus(&chain, data.path());

    for service in SERVICES {
        query_until(&prometheus, &format!("up{{job=\"{service}\"}} == 1")).await;
        query_until(&prometheus, &format!("vx11_requests_total{{service=\"{service}\"}}")).await;
        query_until(&prometheus, &format!("vx11_request_duration_seconds_count{{service=\"{service}\"}}")).await;
        query_until(&prometheus, &format!("vx11_errors_total{{service=\"{service}\"}}")).await;
    }
    for name in [
        "vx11_requests_total{service=\"operator\",endpoint=\"/operator/api/chat\",method=\"POST\",status=\"200\"} == 3",
        "vx11_circuit_breaker_state{job=\"tentaculo\",target=\"operator\"} == 0",
        "vx11_circuit_breaker_state{job=\"operator\",target=\"switch\"} == 0",
        "vx11_circuit_breaker_state{job=\"switch\"} == 0",
        "vx11_websocket_connections_active == 0",
        "vx11_websocket_messages_total",
        "vx11_api_version_usage_total{version=\"v1\"} == 1",
        "vx11_chat_sessions_active == 3",
        "vx11_chats_total{provider=\"switch\",degraded=\"false\"} == 3",
        "vx11_tokens_generated_total{job=\"switch\"} > 0",
        "vx11_provider_requests_total{provider=\"mock\",outcome=\"success\"} == 3",
        "vx11_provider_duration_seconds_count{provider=\"mock\"} == 3",
        "vx11_gateway_overhead_seconds_count",
        "vx11_store_commit_seconds_count{job=\"operator\"} > 0",
        "vx11_store_degraded{job=\"operator\"} == 0",
        "vx11_build_info",
    ] {
        query_until(&prometheus, name).await;
    }
}

#[tokio::test]
async fn promtool_has_no_complaint() {
    let chain = Chain::start().expect("starts");
    assert_eq!(chain.edge().chat("Hello").await.status, 200);
    for service in SERVICES {
        let scrape = chain.call(service).get("/metrics").await;
        let mut promtool = Command::new("promtool")
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("promtool is installed");
        let text = scrape.body.as_str().expect("text");
        promtool.stdin.take().expect("piped").write_all(text.as_bytes()).expect("read");
        let said = promtool.wait_with_output().expect("ends");
        let complaints = String::from_utf8_lossy(&said.stderr);
        assert!(said.status.success() && complaints.is_empty(), "{service}: {complaints}");
    }
}

#[test]
fn the_reference_names_every_metric_and_no_other() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let crates = ["crates", "services"].map(|folder| root.join(folder));
    let mut named = BTreeSet::new();
    let packages = crates.iter().flat_map(|folder| std::fs::read_dir(folder).expect("a folder"));
    for package in packages.map(|entry| entry.expect("an entry").path().join("src")) {
        named.extend(names_in(&package));
    }
    let page = std::fs::read_to_string(root.join("docs/metrics.md")).expect("the page");
    let documented: BTreeSet<_> = page.split('`').filter(|word| is_metric(word)).map(str::to_owned).collect();
    assert_eq!(named.symmetric_difference(&documented).collect::<Vec<_>>(), Vec::<&String>::new());
}

/// The texts of a package's source that are names of metrics.
fn names_in(folder: &Path) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for path in std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        if path.is_dir() {
            names.extend(names_in(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let source = std::fs::read_to_string(&path).expect("text");
            names.extend(source.split('"').filter(|text| is_metric(text)).map(str::to_owned));
        }
    }
    names
}

/// Crates begin as metrics do, and have no such endings.
fn is_metric(word: &str) -> bool {
    const ENDINGS: [&str; 12] = [
        "_total",
        "_seconds",
        "_info",
        "_state",
        "_keys",
        "_limit",
        "_flight",
        "_depth",
        "_active",
        "_degraded",
        "_rows",
        "_open",
    ];
    const OTHERS: [&str; 4] = ["vx11_cache_bytes", "vx11_cache_entries", "vx11_cache_pending", "vx11_config_refused"];
    let is_name = word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    is_name
        && word.starts_with("vx11_")
        && (ENDINGS.iter().any(|ending| word.ends_with(ending)) || OTHERS.contains(&word))
}

fn start_prometheus(chain: &Chain, data: &std::path::Path) -> (Caller, Process) {
    let jobs = SERVICES.map(|service| {
        format!("  - job_name: {service}\n    static_configs: [{{targets: ['{}']}}]\n", chain.address(service))
    });
    let config = format!("global: {{scrape_interval: 200ms}}\nscrape_configs:\n{}", jobs.concat());
    let file = data.join("prometheus.yml");
    std::fs::write(&file, config).expect("writable");
    let free = format!("127.0.0.1:{}", vx11_testing_servers::lasting_port());
    let mut command = Command::new("prometheus");
    command.args([
        format!("--config.file={}", file.display()),
        format!("--storage.tsdb.path={}", data.join("tsdb").display()),
        format!("--web.listen-address={free}"),
        "--log.level=error".to_owned(),
    ]);
    let process = Process::spawn("prometheus", command).expect("prometheus is installed");
    (Caller::new(format!("http://{free}"), None), process)
}

async fn query_until(prometheus: &Caller, query: &str) {
    wait_until(&format!("{query} has a result"), async || {
        let body = format!("query={}", query.replace('&', "%26").replace('+', "%2B"));
        let request = prometheus.request(reqwest::Method::POST, "/api/v1/query").body(body);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let answer = vx11_tests::send(request).await.ok()?;
        let results = answer.body["data"]["result"].as_array()?;
        (!results.is_empty()).then_some(())
    })
    .await;
}
