//! Keys: what they open, and who their holders are.

use super::{BODY, app, app_in, ask};
use crate::app::{Answer, eventually};
use crate::fake::{Act, Fake, chunk, completion, stream_head};

/// The SHA-256 of `sk-alice`.
const ALICE: &str = "099295a3784e1bd368dc348843a7398c1931b6b8ec2504c73e91ed2040bdc46c";

#[tokio::test]
async fn a_key_opens_v1_under_any_of_its_headers_and_nothing_else() {
    let fake = Fake::always([completion("hi")]).await;
    let app = app(&fake, "[switch.keys.alice]\nsecret_env = \"ALICE_SECRET\"").await;
    for (name, value) in [("authorization", "Bearer sk-alice"), ("x-api-key", "sk-alice"), ("x-vx11-token", "sk-alice")]
    {
        let got = Answer::of(app.stranger("/v1/chat/completions").header(name, value).body(BODY)).await;
        assert_eq!(got.status, 200, "{name}: {}", got.body);
    }
    for path in ["/switch/chat", "/switch/usage"] {
        let got = Answer::of(app.stranger(path).bearer_auth("sk-alice").body(BODY)).await;
        assert_eq!(got.status, 403, "{path}");
    }
    let wrong = Answer::of(app.stranger("/v1/chat/completions").bearer_auth("sk-mallory").body(BODY)).await;
    assert_eq!((wrong.status, wrong.code()), (401, "invalid_api_key"));
}

#[tokio::test]
async fn a_key_may_stand_in_the_configuration_as_a_hash() {
    let fake = Fake::always([completion("hi")]).await;
    let app = app(&fake, &format!("[switch.keys.alice]\nsha256 = \"{ALICE}\"")).await;
    assert_eq!(Answer::of(ask(&app, "sk-alice", BODY)).await.status, 200);
    assert_eq!(Answer::of(ask(&app, ALICE, BODY)).await.status, 401, "the hash is no secret");
}

#[tokio::test]
async fn what_a_key_may_not_ask_for_it_is_not_told_of() {
    let fake = Fake::always([completion("hi")]).await;
    let app = app(&fake, "[switch.keys.alice]\nsecret_env = \"ALICE_SECRET\"\nmodels = [\"n\", \"x*\"]").await;
    let unknown = BODY.replace("\"m\"", "\"x-9\"");
    for pinned in ["", "a", "nobody"] {
        let of = async |secret| {
            let request = ask(&app, secret, &unknown);
            let request = if pinned.is_empty() { request } else { request.header("x-vx11-provider", pinned) };
            let got = Answer::of(request).await;
            assert_eq!(got.status, 404, "{}", got.body);
            got.json()["error"]["message"].as_str().unwrap().to_owned()
        };
        let known = |told: String| told.split_once("known: ").map(|(_, known)| known.to_owned()).unwrap_or_default();
        let told = known(of("sk-alice").await);
        assert!(told.is_empty() || told == "n", "{pinned}: {told}");
        let all = known(of("test").await);
        let expected = if pinned == "nobody" { "a" } else { "m" };
        assert!(all.split(", ").any(|name| name == expected), "who may ask for all hears of all: {all}");
    }
}

#[tokio::test]
async fn a_key_asks_for_its_models_only() {
    let fake = Fake::always([completion("hi")]).await;
    let app = app(&fake, "[switch.keys.alice]\nsecret_env = \"ALICE_SECRET\"\nmodels = [\"n\", \"x*\"]").await;
    let got = Answer::of(ask(&app, "sk-alice", BODY)).await;
    assert_eq!((got.status, got.code()), (403, "model_not_allowed"));
    assert_eq!(Answer::of(ask(&app, "sk-alice", &BODY.replace("\"m\"", "\"n\""))).await.status, 200);
    assert_eq!(Answer::of(ask(&app, "test", BODY)).await.status, 200, "the shared token asks for all");

    let get = async |secret, path: &str| Answer::of(app.get_as(secret, path)).await;
    let listed = async |secret| {
        let list = get(secret, "/v1/models").await.json();
        list["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|model| model["id"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(listed("sk-alice").await, ["n"]);
    assert!(listed("test").await.contains(&"m".to_owned()));
    assert_eq!(get("sk-alice", "/v1/models/n").await.status, 200);
    assert_eq!(get("sk-alice", "/v1/models/m").await.status, 404);
}

#[tokio::test]
async fn the_organisation_of_a_key_is_the_keys_and_not_what_its_holder_says() {
    let fake = Fake::always([completion("hi")]).await;
    let config = "[switch.models.r]\ntargets = [{ target = \"a/n\", when = { org = [\"acme\"] } }, \"a/m\"]\n\
                  [switch.keys.alice]\nsecret_env = \"ALICE_SECRET\"\norg = \"acme\"\n\
                  [switch.keys.bob]\nsecret_env = \"BOB_SECRET\"\n";
    let app = app(&fake, config).await;
    let body = BODY.replace("\"m\"", "\"r\"");
    for (secret, says, expected) in [
        ("sk-alice", None, "n"),
        ("sk-alice", Some("other"), "n"),
        ("sk-bob", Some("acme"), "m"),
        ("test", Some("acme"), "n"),
        ("test", None, "m"),
    ] {
        let request = ask(&app, secret, &body);
        let request = says.into_iter().fold(request, |request, org| request.header("x-vx11-org", org));
        let got = Answer::of(request).await;
        assert_eq!((got.status, got.header("x-vx11-model")), (200, expected), "{secret} says {says:?}: {}", got.body);
    }
}

#[tokio::test]
async fn a_key_is_one_tenant_whatever_its_holder_says() {
    let script = |request: usize| {
        if request == 0 { vec![stream_head(), chunk("Hel"), Act::Wait] } else { vec![completion("hi")] }
    };
    let fake = Fake::start(script).await;
    let config = "[switch.keys.alice]\nsecret_env = \"ALICE_SECRET\"\n[switch.keys.bob]\nsecret_env = \"BOB_SECRET\"\n";
    let one = r#"{initial=1, min=1, max=1, queue=2, queue_timeout="20s"}"#;
    let app = app_in(&fake, config, &[("VX11_SWITCH__PROVIDERS__A__CONCURRENCY", one)]).await;
    let waiting = async |count: u64| {
        eventually("they wait", async || app.provider("a").await["queue"]["normal"].as_u64() == Some(count)).await;
    };
    let first = ask(&app, "sk-alice", &BODY.replacen('{', "{\"stream\":true,", 1)).send().await.unwrap();
    let other = |secret: &str, org: &str, session: &str| {
        let request = ask(&app, secret, BODY).header("x-vx11-org", org).header("x-vx11-session-id", session);
        tokio::spawn(Answer::of(request))
    };
    let one = other("sk-alice", "a", "1");
    waiting(1).await;
    let two = other("sk-alice", "b", "2");
    waiting(2).await;
    let bob = other("sk-bob", "b", "2");
    assert_eq!(two.await.unwrap().status, 503, "the newest of whoever has most gives way");
    drop(first);
    assert_eq!((one.await.unwrap().status, bob.await.unwrap().status), (200, 200));
}
