//! The `openai` Python package, unmodified.

use vx11_tests::{Chain, Process, TOKEN};

#[tokio::test]
async fn the_openai_package_works_against_the_edge() {
    let chain = Chain::start().expect("starts");
    let base = format!("{}/v1", chain.edge().base);
    let mut client =
        Process::spawn("openai_client.py", super::python("openai_client.py", &[&base, TOKEN])).expect("starts");
    let status = client.wait().expect("ends");
    assert!(status.success() && client.text().ends_with("OK"), "{status}\n{}", client.text());
}
