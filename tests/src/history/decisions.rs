//! Interventions: agents ask, wait, and take the decision; pilots race to decide.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::client::Client;
use super::{Progress, Report};
use crate::Caller;

const ALL: &str = "/operator/api/interventions";
/// Before a pilot looks again where nothing waits.
const PAUSE: Duration = Duration::from_millis(20);
/// Requests that pilots choose among; with fewer than there are pilots, they meet.
const CHOICE: usize = 2;

/// What one agent was told.
#[derive(Debug, Default)]
pub(super) struct Agent {
    /// Requests that were acknowledged, with the decision that was heard.
    asked: BTreeMap<String, Value>,
    /// Those whose decision was taken, each as often as that was acknowledged.
    taken: Vec<String>,
    wrong: Vec<String>,
}

impl Agent {
    /// Asks for one decision after the other.
    pub(super) async fn ask(mut client: Client, number: usize, progress: Arc<Progress>) -> Self {
        let mut agent = Self::default();
        for n in 0.. {
            if progress.is_over() {
                break;
            }
            agent.one(&mut client, format!("ask-{number}-{n}")).await;
        }
        agent
    }

    async fn one(&mut self, client: &mut Client, id: String) {
        let body = json!({
            "title": "May I?", "request_id": id, "expires_in_seconds": 0,
            "action": {"name": "run", "args": {"id": id}},
        });
        match client.insist(&Method::POST, ALL, &body).await {
            Some((answer, _)) if matches!(answer.status, 200 | 201) => {}
            Some((answer, _)) => return self.wrong.push(format!("{id} cannot be asked: {answer:?}")),
            None => return self.wrong.push(format!("{id} cannot be asked: nobody answers")),
        }
        let Some(decision) = self.hear(client, &id).await else { return };
        let is_approved = decision["kind"] == "approve";
        let body = json!({"args_digest": decision["args_digest"]});
        self.asked.insert(id.clone(), decision);
        if !is_approved {
            return;
        }
        match client.insist(&Method::POST, &format!("{ALL}/{id}/redeem"), &body).await {
            Some((answer, _)) if answer.status == 200 => self.taken.push(id),
            // An attempt of which nothing was heard took it.
            Some((answer, true)) if answer.status == 409 => {}
            other => self.wrong.push(format!("the decision on {id} cannot be taken: {other:?}")),
        }
    }

    async fn hear(&mut self, client: &mut Client, id: &str) -> Option<Value> {
        loop {
            match client.insist(&Method::GET, &format!("{ALL}/{id}/wait?timeout_seconds=2"), &Value::Null).await {
                Some((answer, _)) if answer.body["data"]["decision"].is_object() => {
                    return Some(made(&answer.body["data"]["decision"]));
                }
                Some((answer, _)) if answer.status == 200 => {}
                other => {
                    self.wrong.push(format!("{id} was asked, and cannot be waited for: {other:?}"));
                    return None;
                }
            }
        }
    }
}

/// What one pilot was told.
#[derive(Debug, Default)]
pub(super) struct Pilot {
    /// Decisions that were acknowledged.
    decided: Vec<(String, Value)>,
    /// Those that came after another one's.
    late: usize,
    /// Those that nothing is known of.
    unsure: usize,
    wrong: Vec<String>,
}

impl Pilot {
    /// Decides what waits, as long as somebody waits for it.
    pub(super) async fn decide(mut client: Client, number: usize, progress: Arc<Progress>) -> Self {
        let mut pilot = Self::default();
        for n in 0.. {
            if progress.is_decided.load(Ordering::Relaxed) {
                break;
            }
            let list = format!("{ALL}?limit=10");
            let page = client.once(|edge| edge.request(Method::GET, &list)).await;
            let items = page.as_ref().and_then(|page| page.body["data"]["items"].as_array());
            let Some(item) = items.and_then(|items| items.get((number + n) % items.len().clamp(1, CHOICE))) else {
                tokio::time::sleep(PAUSE).await;
                continue;
            };
            let (what, reason) = (["approve", "reject"][n % 2], format!("pilot {number}, try {n}"));
            pilot.one(&mut client, item, what, reason, &progress).await;
        }
        pilot
    }

    async fn one(&mut self, client: &mut Client, item: &Value, what: &str, reason: String, progress: &Progress) {
        let id = item["request_id"].as_str().unwrap_or_default();
        let body = json!({"version": item["version"], "reason": reason});
        let decide = |edge: &Caller| edge.request(Method::POST, &format!("{ALL}/{id}/{what}")).json(&body);
        match client.once(decide).await {
            None => self.unsure += 1,
            Some(answer) if answer.status == 409 => self.late += 1,
            Some(answer) if answer.status == 200 => {
                self.decided.push((id.to_owned(), made(&answer.body["data"]["decision"])));
                progress.decided.fetch_add(1, Ordering::Relaxed);
            }
            Some(answer) => self.wrong.push(format!("{id} cannot be decided: {answer:?}")),
        }
    }
}

/// A decision as it was made, without what became of it: no two have one reason.
fn made(decision: &Value) -> Value {
    let mut made = decision.clone();
    for later in ["redeemed_at", "redeemed_by"] {
        made.as_object_mut().map(|made| made.remove(later));
    }
    made
}

/// Compares what agents and pilots were told with what is kept.
pub(super) async fn compare(
    agents: &[Agent],
    pilots: &[Pilot],
    operators: &[Caller],
    report: &mut Report,
) -> anyhow::Result<()> {
    let mut told: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for (id, decision) in pilots.iter().flat_map(|pilot| &pilot.decided) {
        told.entry(id).or_default().push(decision);
    }
    for (number, (id, heard)) in agents.iter().flat_map(|agent| &agent.asked).enumerate() {
        let operator = &operators[number % operators.len()];
        let request = operator.get(&format!("{ALL}/{id}")).await.body["data"].clone();
        let kept = &made(&request["decision"]);
        if kept != heard {
            report.wrong(format!("the decision on {id} was heard as {heard}, and is kept as {kept}"));
        }
        let told = told.remove(id.as_str()).unwrap_or_default();
        if !matches!(told[..], [] | [_]) || told.iter().any(|told| *told != kept) {
            report.wrong(format!("{id} was decided as {told:?}, and is kept as {kept}"));
        }
        let history = operator.get(&format!("{ALL}/history?request_id={id}")).await.body["data"].clone();
        if history.as_array().map(Vec::len) != Some(1) {
            report.wrong(format!("{id} has not one past, but {history}"));
        }
    }
    for id in told.keys() {
        report.wrong(format!("{id} was decided, and its agent did not hear of it"));
    }
    let mut taken: Vec<&String> = agents.iter().flat_map(|agent| &agent.taken).collect();
    taken.sort();
    for pair in taken.windows(2).filter(|pair| pair[0] == pair[1]) {
        report.wrong(format!("the decision on {} was taken twice", pair[0]));
    }
    let wrong = agents.iter().flat_map(|agent| &agent.wrong).chain(pilots.iter().flat_map(|pilot| &pilot.wrong));
    wrong.for_each(|wrong| report.wrong(wrong.clone()));
    let sum = |count: fn(&Pilot) -> usize| pilots.iter().map(count).sum::<usize>();
    report.line(format!(
        "interventions: {} asked and heard of, {} decisions acknowledged, {} too late, {} of which nothing is known, {} \
         taken",
        agents.iter().map(|agent| agent.asked.len()).sum::<usize>(),
        sum(|pilot| pilot.decided.len()),
        sum(|pilot| pilot.late),
        sum(|pilot| pilot.unsure),
        taken.len(),
    ));
    Ok(())
}
