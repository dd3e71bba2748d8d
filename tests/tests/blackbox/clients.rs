//! Other people's clients of OpenAI's wire and Anthropic's, unmodified, against the edge.
//!
//! The gateway does not ask its provider again by itself here, so that each client's own retries are seen.

use std::process::Command;

use vx11_tests::{Chain, Process, TOKEN};

use crate::{node, python_of};

fn works_against_the_edge(client: impl FnOnce(&[&str]) -> Command) {
    works_at("/v1", client);
}

/// `path` is where the client looks for the API.
fn works_at(path: &str, client: impl FnOnce(&[&str]) -> Command) {
    let once = [
        ("VX11_SWITCH__RETRIES__ATTEMPTS", "0"),
        // Failures follow each other, and must not open the circuit.
        ("VX11_SWITCH__PROVIDERS__MOCK__BREAKER__FAILURE_THRESHOLD", "1000"),
    ];
    let chain = Chain::start_with(&once).expect("starts");
    let base = format!("{}{path}", chain.edge().base);
    let mut client = Process::spawn("client", client(&[&base, TOKEN])).expect("starts");
    let status = client.wait().expect("ends");
    assert!(status.success() && client.text().ends_with("OK"), "{status}\n{}", client.text());
}

#[test]
fn the_openai_package_of_python_finds_tools_structured_output_and_retries() {
    works_against_the_edge(|arguments| python_of("venv", "openai_chat.py", arguments));
}

#[test]
fn the_openai_package_of_npm_works() {
    works_against_the_edge(|arguments| node("openai_client.mjs", arguments));
}

#[test]
fn langchain_works() {
    works_against_the_edge(|arguments| python_of("venv", "langchain_client.py", arguments));
}

#[test]
fn litellm_works() {
    works_against_the_edge(|arguments| python_of("litellm", "litellm_client.py", arguments));
}

#[test]
fn the_anthropic_package_of_python_works() {
    works_at("", |arguments| python_of("venv", "anthropic_edge.py", arguments));
}
