//! Other people's clients of OpenAI's wire and Anthropic's, unmodified, against the edge, with a provider of every kind
//! behind it.
//!
//! The gateway does not ask its provider again by itself here, so that each client's own retries are seen.

use std::process::Command;

use vx11_tests::{Chain, Process, TOKEN};

use crate::{node, python_of};

/// A provider of each kind, called as its kind, and where the mock speaks its wire.
const KINDS: [(&str, &str); 4] = [("openai", "/v1"), ("azure-openai", ""), ("anthropic", "/v1"), ("gemini", "/v1beta")];

/// The variables of the providers.
fn variables() -> Vec<(String, String)> {
    let mut variables = vec![("VX11_SWITCH__RETRIES__ATTEMPTS".to_owned(), "0".to_owned())];
    for (kind, path) in KINDS {
        let provider = format!("VX11_SWITCH__PROVIDERS__{}", named(kind).to_uppercase());
        let base_url = format!("http://{{mock-provider}}{path}");
        for (setting, value) in [
            ("KIND", kind),
            ("BASE_URL", &base_url),
            ("DEFAULT_MODEL", "mock"),
            // The mock only chats.
            ("TEXT_COMPLETIONS", "false"),
            // Failures follow each other, and must not open the circuit.
            ("BREAKER__FAILURE_THRESHOLD", "1000"),
        ] {
            variables.push((format!("{provider}__{setting}"), value.to_owned()));
        }
    }
    variables
}

/// A name that variables can have.
fn named(kind: &str) -> String {
    kind.replace('-', "_")
}

fn works_against_the_edge(client: impl FnOnce(&[&str]) -> Command) {
    works_at("/v1", client);
}

/// `path` is where the client looks for the API.
fn works_at(path: &str, client: impl FnOnce(&[&str]) -> Command) {
    let variables = variables();
    let variables: Vec<_> = variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let chain = Chain::start_with(&variables).expect("starts");
    let base = format!("{}{path}", chain.edge().base);
    let models = KINDS.map(|(kind, _)| format!("{}/mock", named(kind)));
    let mut arguments = vec![base.as_str(), TOKEN];
    arguments.extend(models.iter().map(String::as_str));
    let mut client = Process::spawn("client", client(&arguments)).expect("starts");
    let status = client.wait().expect("ends");
    assert!(status.success() && client.text().ends_with("OK"), "{status}\n{}", client.text());
}

#[test]
fn the_openai_package_of_python_chats() {
    works_against_the_edge(|arguments| python_of("venv", "openai_client.py", arguments));
}

#[test]
fn the_openai_package_of_python_finds_responses_completions_and_embeddings() {
    works_against_the_edge(|arguments| python_of("venv", "openai_addresses.py", arguments));
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
