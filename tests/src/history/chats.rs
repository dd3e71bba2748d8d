//! Chats, whole and streamed, several clients in one conversation.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::ensure;
use reqwest::Method;
use serde_json::{Value, json};

use super::client::{ATTEMPTS, Client};
use super::{Progress, Report};
use crate::{Answer, Caller};

/// Turns of one conversation, and clients in it.
const TURNS: usize = 20;
const TOGETHER: usize = 2;
/// Between two chats of a client, or nothing else would run.
const PAUSE: Duration = Duration::from_millis(20);

/// What one client was told.
#[derive(Debug, Default)]
pub(super) struct Chats {
    asked: usize,
    degraded: usize,
    deferred: usize,
    /// What was acknowledged, by correlation id.
    told: BTreeMap<String, String>,
    /// Attempts that nothing is known of, and those whose rows were still to be written.
    unsure: BTreeSet<String>,
    sessions: BTreeSet<String>,
    unanswered: Vec<String>,
}

impl Chats {
    /// Chats until it is over.
    pub(super) async fn collect(mut client: Client, number: usize, progress: Arc<Progress>) -> Self {
        let mut chats = Self::default();
        while !progress.is_over() {
            let session = format!("chat-{}-{}", number / TOGETHER, chats.asked / TURNS);
            let id = format!("chat-{number}-{}", chats.asked);
            chats.sessions.insert(session.clone());
            chats.asked += 1;
            if chats.chat(&mut client, &session, &id).await {
                progress.answered.fetch_add(1, Ordering::Relaxed);
            } else {
                chats.unanswered.push(id);
            }
            tokio::time::sleep(PAUSE).await;
        }
        chats
    }

    /// Asks until there is an answer. Each attempt has an id of its own, so that each can be looked for.
    async fn chat(&mut self, client: &mut Client, session: &str, id: &str) -> bool {
        let is_stream = self.asked.is_multiple_of(2);
        for attempt in 0..ATTEMPTS {
            let id = format!("{id}-{attempt}");
            let body = json!({
                "message": format!("echo: {id}"), "session_id": session, "correlation_id": id, "stream": is_stream,
            });
            let asked = client.once(|edge| edge.request(Method::POST, "/operator/api/chat").json(&body)).await;
            let Some(answer) = asked else {
                self.unsure.insert(id);
                continue;
            };
            if let Some(body) = whole(&answer) {
                self.note(id, &answer, &body);
                return true;
            }
            self.unsure.insert(id);
            client.look_elsewhere().await;
        }
        false
    }

    fn note(&mut self, id: String, answer: &Answer, body: &Value) {
        self.degraded += usize::from(body["degraded"] == true);
        if body["storage"] == "deferred" || answer.header("x-vx11-storage") == "deferred" {
            self.deferred += 1;
            self.unsure.insert(id);
        } else {
            self.told.insert(id, body["response"].as_str().unwrap_or_default().to_owned());
        }
    }
}

/// The answer, also where it was streamed; none where it is not one, or broke off.
fn whole(answer: &Answer) -> Option<Value> {
    match &answer.body {
        _ if answer.status != 200 => None,
        Value::String(text) => {
            let (_, done) = text.split_once("event: done\ndata: ")?;
            serde_json::from_str(done.lines().next()?).ok()
        }
        body => Some(body.clone()),
    }
}

/// Compares what the clients were told with the conversations that are kept.
pub(super) async fn compare(all: Vec<Chats>, operators: &[Caller], report: &mut Report) -> anyhow::Result<()> {
    let sessions: BTreeSet<&String> = all.iter().flat_map(|chats| &chats.sessions).collect();
    let mut kept: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for session in sessions {
        for turn in turns(session, operators).await? {
            let text = |field: &str| turn[field].as_str().unwrap_or_default().to_owned();
            kept.entry(text("correlation_id")).or_default().push(text("response"));
        }
    }
    let mut acknowledged = 0;
    for chats in &all {
        acknowledged += chats.told.len();
        for (id, response) in &chats.told {
            match kept.remove(id).unwrap_or_default().as_slice() {
                [one] if one == response => {}
                [] => report.wrong(format!("the chat {id} was answered, and is lost")),
                [one] => report.wrong(format!("the chat {id} was answered `{response}`, and is kept as `{one}`")),
                several => report.wrong(format!("the chat {id} is kept {} times", several.len())),
            }
        }
        for id in &chats.unsure {
            let times = kept.remove(id).unwrap_or_default().len();
            if times > 1 {
                report.wrong(format!("the chat {id}, of which nothing is known, is kept {times} times"));
            }
        }
    }
    for id in kept.keys() {
        report.wrong(format!("the chat {id} is kept, and nobody asked it"));
    }
    let sum = |count: fn(&Chats) -> usize| all.iter().map(count).sum::<usize>();
    let unanswered = sum(|chats| chats.unanswered.len());
    for chats in &all {
        chats.unanswered.iter().for_each(|id| report.wrong(format!("the chat {id} was not answered")));
    }
    report.line(format!(
        "chats: {} asked, {unanswered} not answered, {} degraded; {acknowledged} acknowledged as kept, {} as to be \
         written; {} attempts of which nothing is known",
        sum(|chats| chats.asked),
        sum(|chats| chats.degraded),
        sum(|chats| chats.deferred),
        sum(|chats| chats.unsure.len() - chats.deferred),
    ));
    Ok(())
}

/// The turns of a conversation, which all operators have to say alike.
async fn turns(session: &str, operators: &[Caller]) -> anyhow::Result<Vec<Value>> {
    let mut said: Option<Vec<Value>> = None;
    for operator in operators {
        let answer = operator.get(&format!("/operator/api/sessions/{session}?limit=500")).await;
        ensure!(matches!(answer.status, 200 | 404), "{session}: {answer:?}");
        let data = &answer.body["data"];
        let history = data["history"].as_array().cloned().unwrap_or_default();
        let counted = data["turns"].as_u64().unwrap_or(0);
        ensure!(counted == history.len() as u64, "{session} counts {counted} turns and has {}", history.len());
        let same = said.get_or_insert_with(|| history.clone());
        ensure!(*same == history, "{session}: one operator says {same:?}, another {history:?}");
    }
    Ok(said.unwrap_or_default())
}
