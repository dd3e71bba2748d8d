//! Limits that are given with a key, through real processes: on the command line, over HTTP, and as its holder meets
//! them behind the edge.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::{Value, json};
use vx11_tests::{Answer, Caller, Process, TOKEN, base_env, send, wait_until};

use crate::accounts::said;

/// One process with all services.
struct Installation {
    env: BTreeMap<String, String>,
    edge: Caller,
    _running: Process,
    _data: tempfile::TempDir,
}

impl Installation {
    /// One with the organisation `acme`, which may ask `per_day` times a day and spend a little; a token costs a
    /// thousandth of a dollar.
    fn start(per_day: &str) -> Self {
        let data = tempfile::tempdir().expect("a directory");
        let mut env = base_env(data.path());
        let file = data.path().join("vx11.toml");
        let config = format!(
            "[switch.orgs.acme]\nrequests_per_day = {per_day}\nbudget = {{ usd = 1000 }}\n\
             [switch.prices.mock]\ninput = 1000\noutput = 1000\n"
        );
        std::fs::write(&file, config).expect("written");
        env.insert("VX11_CONFIG".to_owned(), file.to_str().expect("UTF-8").to_owned());
        let mut running = Process::start("vx11", &env, &["up"]).expect("starts");
        let addresses = running.addresses(&["tentaculo"]).expect("it listens");
        running.line("Ctrl-C").expect("the summary's last line");
        let edge = Caller::new(format!("http://{}", addresses["tentaculo"]), Some(TOKEN));
        let this = Self { env, edge, _running: running, _data: data };
        assert_eq!(this.said(&["org", "create", "acme"]), "acme");
        this
    }

    /// What the command `vx11` says.
    fn said(&self, arguments: &[&str]) -> String {
        said(&self.env, arguments)
    }

    /// A key of `acme` for the gateway, with these limits.
    fn key(&self, limits: &[&str]) -> String {
        let basics = ["key", "create", "--org", "acme", "--role", "OPERATOR", "--scope", "gateway"];
        self.said(&[&basics[..], limits].concat())
    }

    async fn ask(&self, key: &str, model: &str) -> Answer {
        let request = self.edge.with_token(None).request(Method::POST, "/v1/chat/completions").bearer_auth(key);
        let body = json!({"model": model, "messages": [{"role": "user", "content": "hello"}], "max_tokens": 20});
        send(request.json(&body)).await.expect("an answer")
    }

    /// Asks until that is let in, as it should be within the time that the gateway believes the operator for.
    async fn until_let_in(&self, key: &str) -> Answer {
        wait_until("the change is in force", async || {
            let answer = self.ask(key, "default").await;
            (answer.status == 200).then_some(answer)
        })
        .await
    }
}

fn id(key: &str) -> &str {
    &key["vx11_".len()..][..8]
}

#[tokio::test]
async fn a_keys_limits_of_requests_are_its_own_and_change_without_a_restart() {
    let all = Installation::start("8");
    let (one, two) = (all.key(&["--rpd", "2"]), all.key(&[]));
    for left in ["1", "0"] {
        let answer = all.ask(&one, "default").await;
        assert_eq!((answer.status, answer.header("x-ratelimit-limit-requests")), (200, "2"), "{answer:?}");
        assert_eq!(answer.header("x-ratelimit-remaining-requests"), left);
    }
    let refused = all.ask(&one, "default").await;
    assert_eq!((refused.status, refused.code()), (429, "rate_limit_exceeded"), "{refused:?}");
    assert_eq!(refused.header("x-ratelimit-remaining-requests"), "0");
    assert!(refused.header("retry-after").parse::<u64>().expect("seconds") >= 1);
    assert!(refused.body.to_string().contains(&format!("key:{}", id(&one))), "{refused:?}");
    assert_eq!(all.ask(&two, "default").await.status, 200, "another key of the organisation");

    let changed = all.said(&["key", "set", id(&one), "--rpd", "4"]);
    assert!(changed.ends_with("\trpd=4"), "{changed}");
    let answer = all.until_let_in(&one).await;
    assert_eq!(answer.header("x-ratelimit-remaining-requests"), "1", "what was asked before counts");
    assert_eq!(all.ask(&one, "default").await.status, 200);
    assert_eq!(all.ask(&one, "default").await.status, 429);
    // Five of eight are used.
    for _ in 0..3 {
        assert_eq!(all.ask(&two, "default").await.status, 200);
    }
    all.said(&["key", "set", id(&one), "--rpd", "none"]);
    let capped = wait_until("its own limit is lifted", async || {
        let answer = all.ask(&one, "default").await;
        (!answer.body.to_string().contains("key:")).then_some(answer)
    })
    .await;
    assert!(capped.status == 429 && capped.body.to_string().contains("org `acme`"), "{capped:?}");
}

#[tokio::test]
async fn a_key_of_two_requests_a_minute_is_told_so_with_the_third() {
    let all = Installation::start("1000");
    let key = all.key(&["--rpm", "2", "--tpm", "100000"]);
    // A minute may end in between.
    let mut refused = None;
    for _ in 0..5 {
        let answer = all.ask(&key, "default").await;
        assert_eq!(answer.header("x-ratelimit-limit-requests"), "2", "{answer:?}");
        assert_eq!(answer.header("x-ratelimit-limit-tokens"), "100000");
        if answer.status == 429 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("the third of a minute");
    let wait: u64 = refused.header("retry-after").parse().expect("seconds");
    assert!((1..=60).contains(&wait) && refused.body.to_string().contains("2 requests a minute"), "{refused:?}");
    let listed = all.said(&["key", "list", "--org", "acme"]);
    assert!(listed.ends_with("\trpm=2 tpm=100000"), "{listed}");
}

#[tokio::test]
async fn a_keys_budget_and_models_are_kept_and_changed_over_http() {
    let all = Installation::start("1000");
    let body = json!({"name": "ci", "org": "acme", "role": "OPERATOR", "scopes": ["gateway", "admin"]});
    let limits = json!({"budget": {"usd": 0.05, "period": "day"}, "models": ["default"]});
    let made = all.edge.post("/operator/api/keys", &with_limits(body, limits)).await;
    let key = made.body["data"]["secret"].as_str().unwrap_or_else(|| panic!("{made:?}")).to_owned();

    let other = all.ask(&key, "mock-small").await;
    assert_eq!((other.status, other.code()), (403, "model_not_allowed"), "{other:?}");
    let mut paid = 0;
    let spent = loop {
        let answer = all.ask(&key, "default").await;
        if answer.status != 200 {
            break answer;
        }
        paid += 1;
        assert!(paid < 10, "a request costs more than half a cent: {answer:?}");
    };
    assert_eq!((paid > 0, spent.status, spent.code()), (true, 429, "insufficient_quota"), "{spent:?}");
    assert!(spent.body.to_string().contains(&format!("key:{}", id(&key))), "{spent:?}");
    let free = all.key(&[]);
    assert_eq!(all.ask(&free, "default").await.status, 200, "another key's is its own");

    let admin = all.said(&["key", "create", "--org", "acme", "--role", "ADMIN", "--scope", "admin"]);
    let path = format!("/operator/api/keys/{}", id(&key));
    let patch = async |limits: Value| {
        let request = all.edge.with_token(None).request(Method::PATCH, &path).bearer_auth(&admin);
        send(request.json(&json!({ "limits": limits }))).await.expect("an answer")
    };
    assert_eq!(patch(json!({"budget": {"usd": 0}})).await.status, 422);
    let raised = patch(json!({"budget": {"usd": 10}})).await;
    assert_eq!(raised.body["data"]["limits"]["budget"], json!({"usd": 10.0, "period": "month"}), "{raised:?}");
    all.until_let_in(&key).await;
}

fn with_limits(mut body: Value, limits: Value) -> Value {
    body["limits"] = limits;
    body
}
