//! A key is rotated while the gateway runs, and a file is written where there was none.

use std::fs::{self, File};
use std::process::Command;

use nix::sys::signal::Signal;
use serde_json::json;
use vx11_tests::{Caller, Process, TOKEN, base_env, binary_dir, wait_until};

#[tokio::test]
async fn a_hangup_has_everything_read_again_though_no_file_seems_to_have_changed() {
    let data = tempfile::tempdir().expect("a directory");
    let (file, secret) = (data.path().join("vx11.toml"), data.path().join("alice"));
    fs::write(&file, "[switch.keys.alice]\nsecret_env = \"ALICE\"\n").expect("written");
    fs::write(&secret, "sk-one").expect("written");
    let mut mock = Process::start("mock-provider", &base_env(data.path()), &[]).expect("starts");
    let provider = mock.addresses(&["mock-provider"]).expect("listens").remove("mock-provider").expect("an address");
    let mut env = base_env(data.path());
    for (name, value) in [
        ("VX11_CONFIG", file.display().to_string()),
        ("ALICE_FILE", secret.display().to_string()),
        ("VX11_MOCK_PROVIDER_URL", format!("http://{provider}")),
    ] {
        env.insert(name.to_owned(), value);
    }
    let mut switch = Process::start("switch", &env, &[]).expect("starts");
    let address = switch.addresses(&["switch"]).expect("listens").remove("switch").expect("an address");
    let gateway = Caller::new(format!("http://{address}"), Some(TOKEN));
    assert_eq!(ask(&gateway, "sk-one").await, 200);
    assert_eq!(ask(&gateway, "sk-two").await, 401);

    // As long and as old as before, and nobody looks meanwhile: only the signal tells of it.
    switch.freeze().expect("stands still");
    let written = fs::metadata(&secret).and_then(|metadata| metadata.modified()).expect("a time");
    fs::write(&secret, "sk-two").expect("written");
    File::options().write(true).open(&secret).and_then(|file| file.set_modified(written)).expect("set");
    switch.signal(Signal::SIGHUP).expect("signalled");
    switch.signal(Signal::SIGCONT).expect("goes on");
    wait_until("the new key is let in", async || (ask(&gateway, "sk-two").await == 200).then_some(())).await;
    assert_eq!(ask(&gateway, "sk-one").await, 401);

    fs::write(&secret, "sk-three").expect("written");
    wait_until("a changed file is noticed", async || (ask(&gateway, "sk-three").await == 200).then_some(())).await;
    assert_eq!(ask(&gateway, "sk-two").await, 401);
}

/// Who follows the guide starts first, and writes rules then.
#[tokio::test]
async fn a_file_that_was_not_there_at_the_start_is_read_and_must_not_be_missing_again() {
    let folder = tempfile::tempdir().expect("a directory");
    let mut command = Command::new(binary_dir().expect("it is built").join("switch"));
    command.current_dir(folder.path()).env_clear().envs(base_env(folder.path()));
    let mut switch = Process::spawn("switch", command).expect("starts");
    let address = switch.addresses(&["switch"]).expect("listens").remove("switch").expect("an address");
    let gateway = Caller::new(format!("http://{address}"), Some(TOKEN));
    assert_eq!(ask(&gateway, "sk-one").await, 401);

    let file = folder.path().join("vx11.toml");
    // SHA-256 of `sk-one`.
    let known = "456f1612bd25c6c8455039437bf441f43aa3b7d1c0b0047c712d5036dfebef0d";
    fs::write(&file, format!("[switch.keys.alice]\nsha256 = \"{known}\"\n")).expect("written");
    wait_until("the key is known", async || (ask(&gateway, "sk-one").await != 401).then_some(())).await;
    fs::remove_file(&file).expect("removed");
    wait_until("it is missed", async || {
        let metrics = gateway.get("/metrics").await.body;
        metrics.as_str()?.contains("vx11_config_reloads_total{outcome=\"refused\"} 1").then_some(())
    })
    .await;
    assert_ne!(ask(&gateway, "sk-one").await, 401, "what was in force stays");
}

/// The status of the answer to `key`.
async fn ask(gateway: &Caller, key: &str) -> u16 {
    let body = json!({ "model": "mock", "messages": [{ "role": "user", "content": "Hello" }] });
    gateway.with_token(Some(key)).post("/v1/chat/completions", &body).await.status
}
