//! Organisations and keys from the command line, and callers with keys of their own behind the edge.

use std::collections::BTreeMap;
use std::process::{Command, Output};

use reqwest::Method;
use serde_json::json;
use vx11_tests::{Caller, Process, base_env, binary_dir, wait_until};

/// What `vx11` does with these arguments.
fn vx11(env: &BTreeMap<String, String>, arguments: &[&str]) -> Output {
    let program = binary_dir().expect("a build folder").join("vx11");
    Command::new(program).args(arguments).env_clear().envs(env).output().expect("it is built")
}

/// What it says, where it succeeds.
pub(crate) fn said(env: &BTreeMap<String, String>, arguments: &[&str]) -> String {
    let output = vx11(env, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8").trim().to_owned()
}

#[tokio::test]
async fn a_key_made_on_the_command_line_is_no_more_behind_the_edge_than_it_is() {
    let data = tempfile::tempdir().expect("a directory");
    let env = base_env(data.path());
    // The first key, before anything runs.
    let admin = said(&env, &["admin", "create"]);
    assert!(admin.starts_with("vx11_") && admin.lines().count() == 1, "{admin}");
    let mut running = Process::start("vx11", &env, &["up"]).expect("starts");
    let addresses = running.addresses(&["tentaculo", "operator"]).expect("all listen");
    running.line("Ctrl-C").expect("the summary's last line");
    let edge = format!("http://{}", addresses["tentaculo"]);
    let call = async |key: &str, method: Method, path: &str| {
        let request = Caller::new(edge.clone(), None).request(method, path).bearer_auth(key);
        let answer = request.json(&json!({})).send().await.expect("an answer");
        (answer.status().as_u16(), answer.text().await.expect("a text"))
    };

    // While it runs.
    assert_eq!(said(&env, &["org", "create", "acme"]), "acme");
    let viewer = said(&env, &["key", "create", "--org", "acme", "--role", "VIEWER", "--scopes", "read,admin,pilot"]);
    let (status, me) = call(&viewer, Method::GET, "/operator/api/whoami").await;
    assert!(status == 200 && me.contains("VIEWER") && me.contains("acme"), "{status} {me}");
    for (method, path) in [
        (Method::POST, "/operator/api/keys"),
        (Method::POST, "/operator/api/interventions/x/approve"),
        (Method::GET, "/operator/api/config"),
    ] {
        let (status, body) = call(&viewer, method, path).await;
        assert!(status == 403 && body.contains("forbidden"), "{path}: {status} {body}");
    }
    assert_eq!(call(&admin, Method::GET, "/operator/api/sessions").await.0, 200);
    assert_eq!(call(&viewer, Method::GET, "/madre/plans").await.0, 403);

    let listed = said(&env, &["key", "list"]);
    assert_eq!(listed.lines().count(), 2, "{listed}");
    assert!(!listed.contains(&viewer) && !listed.contains(&admin), "{listed}");
    let id = &viewer["vx11_".len()..][..8];
    assert!(said(&env, &["key", "list", "--org", "acme"]).starts_with(&format!("{id}\tacme\tVIEWER\t")), "{listed}");
    assert!(said(&env, &["key", "revoke", id]).contains("revoked"));
    wait_until("the revoked key is out", async || {
        let (status, _) = call(&viewer, Method::GET, "/operator/api/whoami").await;
        (status == 403).then_some(())
    })
    .await;

    for refused in [
        &["org", "create", "acme"][..],
        &["org", "create", "No Slug"],
        &["key", "create", "--org", "nowhere", "--role", "VIEWER", "--scopes", "read"],
        &["key", "create", "--role", "ROOT", "--scopes", "read"],
        &["key", "create", "--role", "ADMIN", "--scopes", "everything"],
        &["key", "create", "--role", "ADMIN", "--scopes", "read", "--expires", "2020-01-01T00:00:00Z"],
        &["key", "revoke", "unknown0"],
    ] {
        let output = vx11(&env, refused);
        assert!(!output.status.success() && output.stdout.is_empty(), "{refused:?}");
        assert!(!output.stderr.is_empty(), "{refused:?}");
    }
}

#[tokio::test]
async fn a_password_set_on_the_command_line_lets_in_and_the_pilot_is_kept_there() {
    let data = tempfile::tempdir().expect("a directory");
    let mut env = base_env(data.path());
    env.insert("VX11_OPERATOR__LOGIN__PUBLIC_URL".to_owned(), "http://localhost:8000".to_owned());
    env.insert("VX11_OPERATOR__LOGIN__PASSWORDS".to_owned(), "true".to_owned());
    let file = data.path().join("password");
    std::fs::write(&file, "correct horse battery staple\n").expect("written");
    let file = file.to_str().expect("UTF-8");
    let set = ["pilot", "set-password", "root", "--role", "ADMIN", "--password-file", file];
    assert!(said(&env, &set).starts_with("local:root\tdefault\tADMIN\tgood\tnever logged in"));
    let key = said(&env, &["signing-key", "rotate"]);

    let mut running = Process::start("vx11", &env, &["up"]).expect("starts");
    let addresses = running.addresses(&["tentaculo", "operator"]).expect("all listen");
    running.line("Ctrl-C").expect("the summary's last line");
    let edge = Caller::new(format!("http://{}", addresses["tentaculo"]), None);
    let log_in = async || {
        let request = edge.request(Method::POST, "/operator/api/auth/login");
        let body = json!({"login": "root", "password": "correct horse battery staple"});
        let answer = request.json(&body).send().await.expect("an answer");
        (answer.status().as_u16(), answer.json::<serde_json::Value>().await.expect("JSON"))
    };
    let (status, granted) = log_in().await;
    assert_eq!((status, &granted["data"]["role"]), (200, &json!("ADMIN")), "{granted}");
    let keys = edge.request(Method::GET, "/operator/api/jwks").send().await.expect("an answer");
    assert!(keys.text().await.expect("a text").contains(&key), "it is known before it signs");

    assert!(said(&env, &["pilot", "list"]).contains("logged in 20"));
    assert!(said(&env, &["pilot", "set", "local:root", "--role", "VIEWER", "--disable"]).contains("VIEWER\tshut out"));
    assert_eq!(log_in().await.0, 401);
    said(&env, &["pilot", "set", "local:root", "--enable"]);
    assert_eq!(log_in().await.1["data"]["role"], "VIEWER");
    for refused in [
        &["pilot", "set", "local:nobody", "--disable"][..],
        &["pilot", "set", "local:root", "--disable", "--enable"],
        &["pilot", "set-password", "no name", "--role", "ADMIN", "--password-file", file],
        &["pilot", "set-password", "root", "--role", "ADMIN", "--password-file", "/no/such/file"],
        &["pilot", "set-password", "root", "--role", "ADMIN"],
    ] {
        let output = vx11(&env, refused);
        assert!(!output.status.success() && output.stdout.is_empty(), "{refused:?}");
    }
}

#[tokio::test]
async fn a_key_for_the_gateway_calls_models_through_the_edge_within_its_organisations_budget_until_it_is_revoked() {
    let data = tempfile::tempdir().expect("a directory");
    let mut env = base_env(data.path());
    env.insert("VX11_SWITCH__ORGS__ACME__REQUESTS_PER_DAY".to_owned(), "3".to_owned());
    let mut running = Process::start("vx11", &env, &["up"]).expect("starts");
    let addresses = running.addresses(&["tentaculo", "operator", "switch"]).expect("all listen");
    running.line("Ctrl-C").expect("the summary's last line");
    let ask_at = async |service: &str, key: &str| {
        let caller = Caller::new(format!("http://{}", addresses[service]), None);
        let request = caller.request(Method::POST, "/v1/chat/completions").bearer_auth(key);
        let body = json!({"model": "default", "messages": [{"role": "user", "content": "hello"}]});
        let answer = request.json(&body).send().await.expect("an answer");
        (answer.status().as_u16(), answer.text().await.expect("a text"))
    };
    let key =
        |org: &str, scope: &str| said(&env, &["key", "create", "--org", org, "--role", "OPERATOR", "--scope", scope]);
    for org in ["acme", "globex"] {
        assert_eq!(said(&env, &["org", "create", org]), org);
    }
    let (one, two, other) = (key("acme", "gateway"), key("acme", "gateway"), key("globex", "gateway"));
    for (service, key) in [("tentaculo", &one), ("switch", &one), ("tentaculo", &two)] {
        let (status, body) = ask_at(service, key).await;
        assert_eq!(status, 200, "{service}: {body}");
    }
    for key in [&one, &two] {
        let (status, body) = ask_at("tentaculo", key).await;
        assert!(status == 429 && body.contains("org `acme`"), "{status} {body}");
    }
    let (status, body) = ask_at("tentaculo", &key("acme", "read")).await;
    assert!(status == 403 && body.contains("permission_error"), "{status} {body}");

    assert_eq!(ask_at("tentaculo", &other).await.0, 200, "another organisation has its own limits");
    assert!(said(&env, &["key", "revoke", &other["vx11_".len()..][..8]]).contains("revoked"));
    let refused = wait_until("the revoked key is out", async || {
        let (status, body) = ask_at("tentaculo", &other).await;
        (status == 401).then_some(body)
    })
    .await;
    assert!(refused.contains("invalid_api_key"), "{refused}");
}
