//! `vx11 up`: everything in one process.

use std::process::Command;

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use vx11_tests::{Caller, Process, base_env};

const SERVICES: [&str; 5] = ["tentaculo", "operator", "switch", "madre", "mock-provider"];

#[tokio::test]
async fn one_command_starts_everything_and_ctrl_c_stops_it() {
    let data = tempfile::tempdir().expect("a directory");
    let mut env = base_env(data.path());
    env.remove("VX11_TOKEN");
    let mut vx11 = Process::start("vx11", &env, &["up"]).expect("starts");
    let addresses = vx11.addresses(&SERVICES).expect("all listen");
    let token = std::fs::read_to_string(data.path().join("token")).expect("a token was made");
    let token = token.trim();
    vx11.line("Ctrl-C").expect("the summary's last line");
    let summary = vx11.text();
    for shown in [&addresses["tentaculo"], &data.path().join("token").display().to_string()] {
        assert!(summary.contains(shown), "{shown} is not in\n{summary}");
    }
    assert!(!summary.contains(token), "it may end in a log:\n{summary}");
    let tried = summary.split("Try it:").nth(1).and_then(|rest| rest.split("Ctrl-C").next()).expect("a command");
    let said = Command::new("sh").args(["-c", tried]).output().expect("a shell");
    let said: Value = serde_json::from_slice(&said.stdout).expect("what is to be copied works");
    assert_eq!(said["provider"], "switch", "{said}");

    let edge = Caller::new(format!("http://{}", addresses["tentaculo"]), Some(token));
    let answer = edge.chat("Hello").await;
    assert_eq!((answer.status, &answer.body["provider"]), (200, &json!("switch")));
    let services: Vec<_> = vx11.log().iter().map(|line| line["service"].clone()).collect();
    for service in SERVICES {
        assert!(services.contains(&json!(service)), "no line of {service}");
    }

    vx11.signal(Signal::SIGINT).expect("signalled");
    assert_eq!(vx11.wait().expect("stops").code(), Some(0));
    let mut again = Process::start("vx11", &env, &["up"]).expect("starts again");
    let addresses = again.addresses(&SERVICES).expect("all listen");
    let edge = Caller::new(format!("http://{}", addresses["tentaculo"]), Some(token));
    let id = answer.body["correlation_id"].as_str().expect("an id");
    let kept = edge.get(&format!("/operator/api/audit/{id}")).await;
    assert_eq!(kept.body["data"]["turns"][0]["response"], answer.body["response"], "same token, same data");
}

#[tokio::test]
async fn madre_stops_and_starts_the_switch_of_this_process() {
    let data = tempfile::tempdir().expect("a directory");
    let mut env = base_env(data.path());
    // While it is stopped nobody else may take its port.
    env.insert("VX11_SWITCH__BIND".to_owned(), format!("127.0.0.1:{}", vx11_testing_servers::lasting_port()));
    let mut vx11 = Process::start("vx11", &env, &["up"]).expect("starts");
    let addresses = vx11.addresses(&SERVICES).expect("all listen");
    let edge = Caller::new(format!("http://{}", addresses["tentaculo"]), Some(vx11_tests::TOKEN));
    assert_eq!(act(&edge, "stop").await, 200);
    let degraded = edge.chat("Hello").await;
    assert_eq!((degraded.status, &degraded.body["degraded"]), (200, &json!(true)), "{}", degraded.body);
    let state = edge.get("/madre/power/state").await;
    let switch = state.body["services"].as_array().and_then(|all| all.iter().find(|one| one["name"] == "switch"));
    assert_eq!(switch.expect("listed")["state"], "stopped", "{}", state.body);
    assert_eq!(act(&edge, "start").await, 200);
    assert_eq!(edge.get("/v1/models").await.status, 200);
}

/// Plans an action on the switch, and applies it with a fresh power token and the phrase that the plan names.
async fn act(edge: &Caller, action: &str) -> u16 {
    let path = format!("/madre/power/service/switch/{action}");
    let plan = edge.post(&path, &json!({})).await;
    let token = edge.get("/madre/power/token").await;
    let apply = json!({
        "apply": true,
        "power_token": token.body["power_token"],
        "confirmation": plan.body["confirmation_phrase"],
    });
    let applied = edge.post(&path, &apply).await;
    assert_eq!(applied.body["applied"], true, "{} {}", plan.body, applied.body);
    applied.status
}
