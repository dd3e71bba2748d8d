//! The documents that services serve are the ones that are checked in.

use serde_json::Value;
use vx11_tests::Chain;

#[tokio::test]
async fn every_service_serves_its_document_and_a_page_that_needs_nothing_from_elsewhere() {
    let chain = Chain::start().expect("starts");
    for service in ["tentaculo", "operator", "switch", "madre", "mock-provider"] {
        let anyone = chain.call(service).with_token(None);
        let served = anyone.get("/openapi.json").await;
        let file = format!("{}/../proto-free-contracts/openapi/{service}.json", env!("CARGO_MANIFEST_DIR"));
        let checked_in: Value = serde_json::from_str(&std::fs::read_to_string(file).expect("a file")).expect("JSON");
        assert!(served.body == checked_in, "{service}: run `make contracts`");
        let page = anyone.get("/docs/").await;
        let html = page.body.as_str().expect("a page");
        assert!(page.status == 200 && html.contains("swagger-ui"), "{service}: {html}");
        assert!(!html.contains("src=\"http") && !html.contains("href=\"http"), "{service}: {html}");
        for path in ["/health", "/ready", "/metrics"] {
            assert_eq!(anyone.get(path).await.status, 200, "{service}{path}");
        }
    }
}
