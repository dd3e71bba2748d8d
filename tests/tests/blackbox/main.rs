//! Everything that must hold of the real binaries, by subject.

mod accounts;
mod anthropic_client;
mod approval;
mod audit;
mod classic;
mod clients;
mod cluster;
mod contracts;
mod crash;
mod crash_ledger;
mod edge;
mod events;
mod failures;
mod holds;
mod holds_terms;
mod interventions;
mod key_limits;
mod login;
mod metrics;
mod one_address;
mod one_process;
mod openapi;
mod replicas;
mod rotation;
mod shutdown;
mod tenants;
mod trace;
mod units;
mod webhooks;

use std::path::{Path, PathBuf};
use std::process::Command;

/// A program for Python, with the packages of `requirements.txt`.
fn python(script: &str, arguments: &[&str]) -> Command {
    python_of("venv", script, arguments)
}

/// A program for the Python environment `name` of those that `tests/prepare.sh` makes.
fn python_of(name: &str, script: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(cache().join(name).join("bin/python"));
    // What clients read from their environment is nothing that the tests are about.
    command.env_clear();
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("python").join(script)).args(arguments);
    command
}

/// A program for Node.js, with the packages of `node/package-lock.json`.
fn node(script: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("node");
    command.env_clear().env("NODE_PATH", cache().join("node/node_modules"));
    command.arg(format!("{}/node/{script}", env!("CARGO_MANIFEST_DIR"))).args(arguments);
    command
}

/// Where `tests/prepare.sh` keeps what it installs.
fn cache() -> PathBuf {
    match std::env::var_os("VX11_TEST_CACHE") {
        Some(folder) => folder.into(),
        None => PathBuf::from(std::env::var_os("HOME").expect("a home directory")).join(".cache/vx11"),
    }
}
