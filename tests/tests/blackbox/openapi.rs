//! schemathesis against every service: what a document says is what the service does, whatever it is sent.
//!
//! The requests are the same each time. More of them, and others: `make fuzz-api`.

use std::process::Command;

use vx11_tests::{Chain, TOKEN};

use crate::cache;

/// Requests that are made up for each route, after those that its schema calls for.
const EXAMPLES: &str = "VX11_SCHEMATHESIS_EXAMPLES";
/// From what they are made up.
const SEED: &str = "VX11_SCHEMATHESIS_SEED";

#[test]
fn tentaculo_is_as_its_document_says() {
    as_its_document_says("tentaculo", &[]);
}

#[test]
fn switch_is_as_its_document_says() {
    as_its_document_says("switch", &[]);
}

#[test]
fn madre_is_as_its_document_says() {
    as_its_document_says("madre", &[]);
}

#[test]
fn mock_provider_is_as_its_document_says() {
    as_its_document_says("mock-provider", &[]);
}

/// Two halves of as much work: tests run beside each other, schemathesis does not.
const REQUESTS_OF_PEOPLE: &str = "/(interventions|units|pilot|guard-rules)";
const WITHOUT_LINKS: &str = "examples,coverage,fuzzing";

#[test]
fn operator_is_as_its_document_says_of_interventions_and_units() {
    as_its_document_says("operator", &["--include-path-regex", REQUESTS_OF_PEOPLE, "--phases", WITHOUT_LINKS]);
}

#[test]
fn operator_is_as_its_document_says_of_all_else() {
    as_its_document_says("operator", &["--exclude-path-regex", REQUESTS_OF_PEOPLE, "--phases", WITHOUT_LINKS]);
}

/// What is opened is decided, and what is made is revoked, by the links of the document.
#[test]
fn operator_is_as_its_document_says_of_one_request_after_another() {
    as_its_document_says("operator", &["--phases", "stateful", "--max-examples", &(8 * examples()).to_string()]);
}

fn as_its_document_says(service: &str, selection: &[&str]) {
    // Chats of one session after another.
    let chain = Chain::start_with(&[("VX11_OPERATOR__CHAT__RATE_LIMIT", "100000")]).expect("starts");
    let document = format!("{}/openapi.json", chain.call(service).base);
    let seed = std::env::var(SEED).unwrap_or_else(|_| "11".to_owned());
    let varied = ["--max-examples", &examples().to_string(), "--seed", &seed];
    let run = schemathesis().args(["run", &document]).args(varied).args(selection).output().expect("starts");
    let report = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success(), "{}\n{report}\n{}", run.status, String::from_utf8_lossy(&run.stderr));
}

fn schemathesis() -> Command {
    let settings = concat!(env!("CARGO_MANIFEST_DIR"), "/schemathesis");
    let mut command = Command::new(cache().join("schemathesis/bin/schemathesis"));
    command.env_clear().env("VX11_TOKEN", TOKEN).env("VX11_SCHEMATHESIS_HOOKS", format!("{settings}/hooks.py"));
    command.args(["--config-file", &format!("{settings}/schemathesis.toml"), "--no-color"]);
    command
}

fn examples() -> u32 {
    std::env::var(EXAMPLES).map_or(4, |asked| asked.parse().expect("a number"))
}
