//! The `openai` Python package, unmodified.

use vx11_tests::{Chain, Process, TOKEN};

fn works_against_the_edge(script: &str) {
    let chain = Chain::start().expect("starts");
    let base = format!("{}/v1", chain.edge().base);
    let mut client = Process::spawn(script, super::python(script, &[&base, TOKEN])).expect("starts");
    let status = client.wait().expect("ends");
    assert!(status.success() && client.text().ends_with("OK"), "{status}\n{}", client.text());
}

#[tokio::test]
async fn the_openai_package_chats_against_the_edge() {
    works_against_the_edge("openai_client.py");
}

#[tokio::test]
async fn the_openai_package_finds_responses_completions_and_embeddings_at_the_edge() {
    works_against_the_edge("openai_addresses.py");
}
