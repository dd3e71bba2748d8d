//! Requests that a rule holds for a person, as their callers see it.

mod back;
mod bounds;
mod chat;
mod desk;
mod rotated;
mod spent;
mod streams;

use reqwest::RequestBuilder;
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::app::{Answer, App, eventually};
use crate::fake::{Act, Fake, answer, completion};
use desk::Desk;

/// A gateway whose models `m` and `n` are served by `provider`, with these rules.
async fn app(provider: &Fake, desk: &Desk, rules: &str) -> App {
    app_with(provider, desk, rules, &[]).await
}

async fn app_with(provider: &Fake, desk: &Desk, rules: &str, variables: &[(&str, &str)]) -> App {
    let file = NamedTempFile::new().unwrap();
    let text = format!(
        "[switch.retries]\nattempts = 0\n\
         [switch.providers.a]\nbase_url = \"{}/v1\"\nmodels = [\"m\", \"n\"]\n\
         [switch.prices]\nm = {{ input = 1, output = 10 }}\nn = {{ input = 1, output = 1000 }}\n\
         [switch.keys.alice]\nsecret_env = \"ALICE_SECRET\"\norg = \"acme\"\nmodels = [\"m\"]\n\
         [switch.keys.bob]\nsecret_env = \"BOB_SECRET\"\n{rules}",
        provider.url,
    );
    std::fs::write(file.path(), text).unwrap();
    let mut all =
        vec![("ALICE_SECRET", "sk-alice"), ("BOB_SECRET", "sk-bob"), ("VX11_OPERATOR_URL", desk.url.as_str())];
    all.extend_from_slice(variables);
    App::start_with(Some(file.path()), &all).await
}

/// A rule on what is said.
const PAY: &str = "[[switch.holds]]\nname = \"pay\"\npattern = \"(?i)pay\"\n";

fn body(model: &str, text: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": text}]})
}

fn ask(app: &App, body: &Value) -> RequestBuilder {
    app.post("/v1/chat/completions", body.to_string())
}

async fn well() -> Fake {
    Fake::always([completion("done")]).await
}

/// What the provider got last.
fn sent(provider: &Fake) -> Value {
    let request = provider.last();
    serde_json::from_str(request.split_once("\r\n\r\n").unwrap().1).unwrap()
}

async fn outcome(app: &App, outcome: &str) -> f64 {
    app.metric(&format!(r#"vx11_held_requests_total{{outcome="{outcome}",rule="pay"}}"#)).await
}

#[tokio::test]
async fn a_request_that_no_rule_touches_goes_on_as_ever() {
    let (provider, desk) = (well().await, Desk::open());
    let app = app(&provider, &desk, PAY).await;
    let answer = Answer::of(ask(&app, &body("m", "hello"))).await;
    assert_eq!((answer.status, answer.text().as_str(), answer.header("x-vx11-intervention")), (200, "done", ""));
    assert!(desk.requests().is_empty());
}

#[tokio::test]
async fn a_held_request_waits_and_goes_on_as_it_was_edited() {
    let (provider, desk) = (well().await, Desk::open());
    let app = app(&provider, &desk, PAY).await;
    let asking = tokio::spawn(Answer::of(ask(&app, &body("m", "Pay Bob 100"))));
    let id = desk.asked(0).await;
    app.wait_for_metric("vx11_held_requests_waiting", 1.0).await;
    assert!(provider.requests().is_empty(), "no provider hears of it");
    let request = desk.request(&id);
    assert_eq!(request["action"]["args"], body("m", "Pay Bob 100"));
    assert_eq!(
        (&request["action"]["name"], &request["intervention_type"]),
        (&json!("/v1/chat/completions"), &json!("hold"))
    );
    assert_eq!((&request["title"], &request["context"]["hold"]["rule"]), (&json!("internal asks m"), &json!("pay")));
    assert_eq!(request["allow"], json!(["approve", "reject", "edit"]));

    desk.edit(&id, |args| {
        args["messages"][0]["content"] = json!("Pay Bob 10");
        args["model"] = json!("n");
    });
    let answer = asking.await.unwrap();
    assert_eq!((answer.status, answer.text().as_str()), (200, "done"), "{answer:?}");
    assert_eq!((answer.header("x-vx11-intervention"), answer.header("x-vx11-model")), (id.as_str(), "n"));
    assert_eq!(sent(&provider), body("n", "Pay Bob 10"));
    assert_eq!(desk.request(&id)["status"], "COMPLETED", "the approval is taken");
    assert_eq!((outcome(&app, "edited").await, outcome(&app, "pending").await), (1.0, 0.0));
    assert_eq!(app.metric("vx11_held_requests_waiting").await, 0.0);
}

#[tokio::test]
async fn what_is_not_approved_reaches_no_provider() {
    let (provider, desk) = (well().await, Desk::open());
    let app = app(&provider, &desk, PAY).await;
    let asking = tokio::spawn(Answer::of(ask(&app, &body("m", "pay"))));
    desk.reject(&desk.asked(0).await, "not on a Sunday");
    let answer = asking.await.unwrap();
    assert_eq!(answer.refusal(), (403, "held_rejected".to_owned()));
    assert!(answer.body.contains("not on a Sunday"), "{}", answer.body);

    let asking = tokio::spawn(Answer::of(ask(&app, &body("m", "pay"))));
    desk.expire(&desk.asked(1).await);
    assert_eq!(asking.await.unwrap().refusal(), (403, "held_expired".to_owned()));
    assert!(provider.requests().is_empty());
    assert_eq!((outcome(&app, "rejected").await, outcome(&app, "expired").await), (1.0, 1.0));
}

#[tokio::test]
async fn rules_look_at_models_tools_costs_tags_keys_and_organisations() {
    let (provider, desk) = (well().await, Desk::open());
    let rules = "[[switch.holds]]\nname = \"model\"\nmodels = [\"n*\"]\nwait_sec = 0\n\
                 [[switch.holds]]\nname = \"tool\"\ntools = [\"transfer_*\"]\nwait_sec = 0\n\
                 [[switch.holds]]\nname = \"cost\"\nmin_cost_usd = 1\nwait_sec = 0\n\
                 [[switch.holds]]\nname = \"tag\"\ntags = { tier = \"batch\" }\nwait_sec = 0\n\
                 [[switch.holds]]\nname = \"key\"\nkeys = [\"bob\"]\nwait_sec = 0\n\
                 [[switch.holds]]\nname = \"org\"\norgs = [\"acme\"]\nwait_sec = 0\ntitle = \"Acme asks\"\ndecided_by = \"caller\"\n";
    let app = app(&provider, &desk, rules).await;
    let with = |more: Value| {
        let mut body = body("m", "hi");
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let by = |secret: &str| app.stranger("/v1/chat/completions").bearer_auth(secret).body(body("m", "hi").to_string());
    let tool = json!([{"type": "function", "function": {"name": "transfer_money"}}]);
    for (number, (rule, request)) in [
        ("model", ask(&app, &body("n", "hi"))),
        ("tool", ask(&app, &with(json!({"tools": tool})))),
        ("cost", ask(&app, &with(json!({"max_tokens": 100_000})))),
        ("tag", ask(&app, &with(json!({"metadata": {"tier": "batch"}})))),
        ("key", by("sk-bob")),
        ("org", by("sk-alice")),
    ]
    .into_iter()
    .enumerate()
    {
        let answer = Answer::of(request).await;
        assert_eq!(answer.status, 202, "{rule}: {}", answer.body);
        let id = desk.asked(number).await;
        assert_eq!(desk.request(&id)["context"]["hold"]["rule"], rule);
        assert_eq!(desk.org(&id), if rule == "org" { "acme" } else { "" });
    }
    assert_eq!(desk.requests()[5]["title"], "Acme asks");
    assert_eq!(Answer::of(ask(&app, &body("m", "hi"))).await.status, 200);
}

#[tokio::test]
async fn a_rule_on_costs_holds_what_nobody_can_estimate_and_words_without_spaces() {
    let (provider, desk) = (well().await, Desk::open());
    let rules = format!(
        "[switch.providers.b]\nbase_url = \"{}/v1\"\nmodels = [\"of-nobodys-list\"]\n\
         [[switch.holds]]\nname = \"cost\"\nmin_cost_usd = 0.1\nwait_sec = 0\n",
        provider.url
    );
    let app = app(&provider, &desk, &rules).await;
    assert_eq!(Answer::of(ask(&app, &body("m", "hi"))).await.status, 200);
    assert_eq!(Answer::of(ask(&app, &body("of-nobodys-list", "hi"))).await.status, 202);
    // About 250,000 tokens; it is too large to show it to anybody.
    let words = "pay.bob.".repeat(100_000);
    assert_eq!(Answer::of(ask(&app, &body("m", &words))).await.refusal(), (413, "payload_too_large".to_owned()));
    assert_eq!(provider.requests().len(), 1);
}

#[tokio::test]
async fn other_wires_are_held_in_their_own_words() {
    let (provider, desk) = (well().await, Desk::open());
    let app = app(&provider, &desk, PAY).await;
    let message = json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "pay"}]});
    let response = json!({"model": "m", "input": "pay"});
    let prompt = json!({"model": "m", "prompt": "pay"});
    for (number, (path, body)) in
        [("/v1/messages", message), ("/v1/responses", response), ("/v1/completions", prompt)].into_iter().enumerate()
    {
        let asking = tokio::spawn(Answer::of(app.post(path, body.to_string())));
        let id = desk.asked(number).await;
        let request = desk.request(&id);
        assert_eq!((&request["action"]["name"], &request["action"]["args"]), (&json!(path), &body));
        desk.approve(&id);
        let answer = asking.await.unwrap();
        assert!(answer.status == 200 && answer.body.contains("done"), "{path}: {answer:?}");
    }
}

#[tokio::test]
async fn what_is_only_counted_is_not_held_and_nobody_hears_of_it() {
    let provider = Fake::always([answer(200, "", r#"{"input_tokens":42}"#)]).await;
    let desk = Desk::open();
    let app = app_with(&provider, &desk, PAY, &[("VX11_SWITCH__PROVIDERS__A__KIND", "anthropic")]).await;
    let count = async |text: &str| {
        let answer = Answer::of(app.post("/v1/messages/count_tokens", body("m", text).to_string())).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer["input_tokens"].as_u64().unwrap()
    };
    assert!((1..42).contains(&count("pay").await) && provider.requests().is_empty());
    assert_eq!((count("hello").await, provider.requests().len()), (42, 1));
    assert!(desk.requests().is_empty());
}

#[tokio::test]
async fn nothing_is_let_through_while_nobody_can_be_asked() {
    let (provider, desk) = (well().await, Desk::open());
    let app = app(&provider, &desk, PAY).await;
    desk.set_away(true);
    for stream in [false, true] {
        let mut held = body("m", "pay");
        held["stream"] = json!(stream);
        let answer = Answer::of(ask(&app, &held)).await;
        assert_eq!(answer.refusal(), (503, "hold_unavailable".to_owned()));
        assert_ne!(answer.header("retry-after"), "");
    }
    assert!(provider.requests().is_empty());
    assert_eq!(Answer::of(ask(&app, &body("m", "hello"))).await.status, 200, "others are not touched");
    assert_eq!(outcome(&app, "unavailable").await, 2.0);
}

#[tokio::test]
async fn an_operator_that_goes_away_is_waited_for() {
    let (provider, desk) = (well().await, Desk::open());
    let app = app(&provider, &desk, PAY).await;
    let asking = tokio::spawn(Answer::of(ask(&app, &body("m", "pay")).header("prefer", "wait=60")));
    let id = desk.asked(0).await;
    app.wait_for_metric("vx11_held_requests_waiting", 1.0).await;
    desk.set_away(true);
    desk.approve(&id);
    assert_eq!(app.metric("vx11_held_requests_waiting").await, 1.0);
    desk.set_away(false);
    assert_eq!(asking.await.unwrap().status, 200);
}

#[tokio::test]
async fn a_caller_that_leaves_takes_its_question_along() {
    let (provider, desk) = (well().await, Desk::open());
    let app = app(&provider, &desk, PAY).await;
    for (number, stream) in [false, true].into_iter().enumerate() {
        let mut held = body("m", "pay");
        held["stream"] = json!(stream);
        let asking = tokio::spawn(ask(&app, &held).send());
        let id = desk.asked(number).await;
        if stream {
            drop(asking.await.unwrap().unwrap());
        } else {
            asking.abort();
        }
        eventually("it is withdrawn", async || desk.request(&id)["status"] == "REJECTED").await;
        assert_eq!(desk.request(&id)["action_reason"], "its caller went away");
    }
    eventually("both are counted", async || outcome(&app, "left").await == 2.0).await;
    // Who names its request comes again.
    let named = || ask(&app, &body("m", "pay")).header("idempotency-key", "k-1").send();
    let asking = tokio::spawn(named());
    let id = desk.asked(2).await;
    asking.abort();
    eventually("it has left", async || outcome(&app, "left").await == 3.0).await;
    desk.approve(&id);
    assert_eq!(named().await.unwrap().status(), 200);
    assert_eq!(desk.requests().len(), 3);
    assert!(provider.requests().len() == 1);
}

#[tokio::test]
async fn the_ledger_says_who_approved_a_request() {
    let provider = Fake::always([answer(
        200,
        "",
        r#"{"choices":[{"message":{"content":"hi"}}],"usage":{"prompt_tokens":1,"completion_tokens":1}}"#,
    )])
    .await;
    let desk = Desk::open();
    let data = tempfile::tempdir().unwrap();
    let app = app_with(&provider, &desk, PAY, &[("VX11_DATA_DIR", data.path().to_str().unwrap())]).await;
    let asking = tokio::spawn(Answer::of(ask(&app, &body("m", "pay"))));
    let id = desk.asked(0).await;
    desk.approve(&id);
    assert_eq!(asking.await.unwrap().status, 200);
    app.stop().await;
    let held_by = [Some(id)];
    eventually("the row is written", async || interventions(data.path()).is_ok_and(|all| all == held_by)).await;
}

/// Those of all rows of the ledger.
fn interventions(data: &std::path::Path) -> diesel::QueryResult<Vec<Option<String>>> {
    use diesel::prelude::*;
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = diesel::sql_types::Nullable<diesel::sql_types::Text>)]
        intervention: Option<String>,
    }
    let path = data.join("switch.sqlite3");
    let mut connection = diesel::SqliteConnection::establish(path.to_str().unwrap()).unwrap();
    let rows = diesel::sql_query("SELECT intervention FROM usage_ledger").load::<Row>(&mut connection)?;
    Ok(rows.into_iter().map(|row| row.intervention).collect())
}

/// Says nothing until the caller leaves.
fn silent() -> Vec<Act> {
    vec![Act::Wait]
}
