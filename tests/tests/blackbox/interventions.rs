//! People in the loop: an agent of LangGraph's that asks before it acts, and `kill -9` of the operator while agents
//! wait and pilots decide.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use vx11_tests::{Caller, Chain, Process, TOKEN, wait_until};

use crate::python_of;

const ALL: &str = "/operator/api/interventions";

/// The example of the guide, as it stands there.
fn agent(edge: &str) -> Process {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/examples/langgraph_approval.py");
    // An absolute path stays what it is.
    let mut command = python_of("venv", example, &["production"]);
    command.env("VX11_URL", edge).env("VX11_TOKEN", TOKEN);
    Process::spawn("agent", command).expect("starts")
}

/// The one request that waits.
async fn waiting(edge: &Caller) -> Value {
    wait_until("the agent asks", async || {
        let page = edge.get(ALL).await;
        page.body["data"]["items"][0].as_object().map(|item| Value::Object(item.clone()))
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_of_langgraph_does_what_a_person_decided() {
    let chain = Chain::start().expect("starts");
    let edge = chain.edge();
    for (decision, body, result) in [
        ("approve", json!({}), "deployed to production"),
        ("edit", json!({"args": {"environment": "staging"}}), "deployed to staging"),
        ("respond", json!({"text": "not on Sunday"}), "not deployed: not on Sunday"),
        ("reject", json!({}), "not deployed"),
    ] {
        let mut agent = agent(&edge.base);
        let asked = waiting(&edge).await;
        let mut body = body;
        body["version"] = asked["version"].clone();
        body["args_digest"] = asked["action"]["args_digest"].clone();
        let id = asked["request_id"].as_str().expect("an id");
        let decided = edge.post(&format!("{ALL}/{id}/{decision}"), &body).await;
        assert_eq!(decided.status, 200, "{decided:?}");
        let status = agent.wait().expect("ends");
        assert!(status.success() && agent.text().trim_end().ends_with(result), "{status}\n{}", agent.text());
        assert_eq!(edge.get(&format!("{ALL}/{id}")).await.body["data"]["status"], "COMPLETED");
    }
}

const AGENTS: usize = 100;
const PILOTS: usize = 20;
const CRASHES: usize = 3;

/// What pilots were told is what agents hear and what is kept, however often the operator dies.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_decision_is_lost_or_made_twice_when_the_operator_is_killed() {
    let mut chain = Chain::start().expect("starts");
    let ids: Vec<String> = (0..AGENTS).map(|number| format!("r{number}")).collect();
    for id in &ids {
        let body = json!({"title": "May I?", "request_id": id, "action": {"name": "run", "args": {"id": id}}});
        assert_eq!(chain.edge().post(ALL, &body).await.status, 201);
    }
    let agents: Vec<_> = ids.iter().map(|id| tokio::spawn(wait_for(chain.edge(), id.clone()))).collect();
    let run = Arc::new(Run { ids: ids.clone(), ..Run::default() });
    let pilots: Vec<_> = (0..PILOTS).map(|number| tokio::spawn(decide(chain.edge(), number, run.clone()))).collect();

    for _ in 0..CRASHES {
        let before = run.decided.load(Ordering::Relaxed);
        let more = before + AGENTS / (2 * CRASHES);
        wait_until("some are decided", async || (run.decided.load(Ordering::Relaxed) >= more).then_some(())).await;
        chain.kill9("operator").expect("it ran");
        chain.restart("operator").expect("starts again");
    }
    let mut heard = BTreeMap::new();
    for agent in agents {
        let (id, decision) = agent.await.expect("no panic");
        heard.insert(id, decision);
    }
    run.over.store(true, Ordering::Relaxed);
    let mut told: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for pilot in pilots {
        for (id, decision) in pilot.await.expect("no panic") {
            told.entry(id).or_default().push(decision);
        }
    }

    let operator = chain.call("operator");
    for id in &ids {
        let kept = operator.get(&format!("{ALL}/{id}")).await.body["data"]["decision"].clone();
        assert_eq!(heard[id], kept, "{id}");
        assert!(told.get(id).is_none_or(|told| *told == [kept]), "{id}: {told:?}");
        let history = operator.get(&format!("{ALL}/history?request_id={id}")).await;
        assert_eq!(history.body["data"].as_array().map(Vec::len), Some(1), "{id}");
    }
    let metrics = operator.get(&format!("{ALL}/metrics")).await.body["data"].clone();
    assert_eq!((&metrics["total_interventions"], &metrics["pending_interventions"]), (&json!(AGENTS), &json!(0)));
}

#[derive(Default)]
struct Run {
    ids: Vec<String>,
    decided: AtomicUsize,
    over: AtomicBool,
}

/// Waits as agents do: asks again whenever the answer does not come.
async fn wait_for(edge: Caller, id: String) -> (String, Value) {
    let path = format!("{ALL}/{id}/wait?timeout_seconds=20");
    let asking = async {
        loop {
            match vx11_tests::send(edge.request(Method::GET, &path)).await {
                Ok(answer) if answer.body["data"]["decision"].is_object() => {
                    return answer.body["data"]["decision"].clone();
                }
                // It waits on, or the operator is away.
                _ => tokio::task::yield_now().await,
            }
        }
    };
    let decision = tokio::time::timeout(Duration::from_secs(120), asking).await;
    (id, decision.expect("the agent hears of the decision"))
}

/// Decides what comes, as long as there is something, and says what was acknowledged.
async fn decide(edge: Caller, pilot: usize, run: Arc<Run>) -> Vec<(String, Value)> {
    let mut told = Vec::new();
    let mut next = pilot * 7;
    while !run.over.load(Ordering::Relaxed) {
        next += 1;
        let id = &run.ids[next % run.ids.len()];
        let what = ["approve", "reject"][next % 2];
        let body = json!({"version": 1, "reason": format!("pilot {pilot}, try {next}")});
        let request = edge.request(Method::POST, &format!("{ALL}/{id}/{what}")).json(&body);
        match vx11_tests::send(request).await {
            Ok(answer) if answer.status == 200 => {
                told.push((id.clone(), answer.body["data"]["decision"].clone()));
                run.decided.fetch_add(1, Ordering::Relaxed);
            }
            // Somebody was faster, or the operator is away.
            _ => tokio::task::yield_now().await,
        }
    }
    told
}
