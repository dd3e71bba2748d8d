//! Everything that must hold of the real binaries, by subject.

mod anthropic_client;
mod classic;
mod contracts;
mod crash;
mod edge;
mod events;
mod failures;
mod metrics;
mod one_process;
mod openai_client;
mod shutdown;
mod trace;

/// A program of the Python environment that `tests/prepare.sh` makes.
fn python(script: &str, arguments: &[&str]) -> std::process::Command {
    let cache = std::env::var("VX11_TEST_CACHE")
        .unwrap_or_else(|_| format!("{}/.cache/vx11", std::env::var("HOME").expect("a home directory")));
    let mut command = std::process::Command::new(format!("{cache}/venv/bin/python"));
    command.arg(format!("{}/python/{script}", env!("CARGO_MANIFEST_DIR"))).args(arguments);
    command
}
