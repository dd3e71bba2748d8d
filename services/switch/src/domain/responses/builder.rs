//! Builds a response out of chat chunks, and tells of it in events on the way: when it begins, and how it ends. What is
//! said in between is its [`Output`].

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use vx11_contracts::chat;

use super::chunk::{Chunk, Delta, Usage};
use super::event::Event;
use super::item::{PartKind, Reasoning, Status};
use super::output::Output;
use super::response::{Echo, ErrorInfo, IncompleteDetails, Response, Told};
use crate::accounts::Usd;
use crate::domain::answer::Read;
use crate::domain::chunk::BadChunk;
use crate::domain::fields::{Fields, field, put, read};
use crate::domain::reported::ReportedUsage;

/// A response that grows.
#[derive(Debug)]
pub(crate) struct Builder {
    head: Head,
    model: String,
    begun: bool,
    output: Output,
    finish_reason: Option<String>,
    usage: Option<Usage>,
}

/// What a response says of itself all along.
#[derive(Debug)]
enum Head {
    Own {
        id: String,
        created_at: i64,
        echo: Echo,
    },
    /// The response as another provider began it.
    Begun(Fields),
}

#[derive(Serialize)]
struct Lifecycle<'a> {
    response: &'a Told<'a>,
}

impl Builder {
    /// A response under a `key` of its own, to a request for `model`, at this Unix second.
    pub(crate) fn new(key: String, created_at: i64, model: &str, echo: Echo) -> Self {
        Self {
            head: Head::Own { id: format!("resp_{key}"), created_at, echo },
            model: model.to_owned(),
            begun: false,
            output: Output::new(key),
            finish_reason: None,
            usage: None,
        }
    }

    /// The rest of `response`, which another provider began, and of its `output`.
    pub(super) fn following(response: Fields, output: Output) -> Self {
        let model = read(field(&response, "model")).unwrap_or_default();
        Self { head: Head::Begun(response), model, begun: true, output, finish_reason: None, usage: None }
    }

    /// Takes in a chunk, and answers with the events that follow from it.
    ///
    /// # Errors
    /// When it is no chunk of a chat, or the answer has become too long.
    pub(crate) fn add(&mut self, data: &[u8]) -> Result<Vec<Event>, BadChunk> {
        let chunk: Chunk = serde_json::from_slice(data).map_err(|_| BadChunk)?;
        self.take_in(chunk)?;
        Ok(self.output.events.take())
    }

    /// What the answer has cost, about; for one whose provider does not say.
    pub(crate) fn estimate(&mut self, usage: Option<chat::Usage>) {
        self.usage = self.usage.or(usage.map(Usage::estimated));
    }

    /// The answer is whole, and has `cost` that much: what is left to tell.
    pub(crate) fn finish(mut self, now: i64, cost: Usd) -> Vec<Event> {
        self.usage = self.usage.map(|usage| usage.costing(cost));
        self.conclude();
        let incomplete = self.incomplete();
        let name = if incomplete.is_some() { "response.incomplete" } else { "response.completed" };
        self.tell(name, Some(now), None);
        self.output.events.take()
    }

    /// The answer will not be finished, because of `message`: what is left to tell.
    pub(crate) fn fail(mut self, message: &str) -> Vec<Event> {
        self.begin();
        self.output.give_up();
        self.tell("response.failed", None, Some(ErrorInfo { code: "server_error", message }));
        self.output.events.take()
    }

    /// The response to a whole chat completion. `None`: `body` is none.
    pub(crate) fn whole(mut self, body: &[u8], now: i64) -> Option<Box<RawValue>> {
        let chunk: Chunk = serde_json::from_slice(body).ok()?;
        self.take_in(chunk).ok()?;
        self.conclude();
        to_raw_value(&self.response(Some(now), None)).ok()
    }

    /// Whether `body` is a chat completion that can become a response, and what it cost.
    pub(crate) fn check(body: &[u8]) -> Option<Read<()>> {
        let chunk: Chunk = serde_json::from_slice(body).ok()?;
        chunk.choices.first()?.delta.as_ref()?;
        crate::domain::answer::check(body)
    }

    fn take_in(&mut self, chunk: Chunk) -> Result<(), BadChunk> {
        // The last chunks name the model that finished the answer.
        if let Some(model) = chunk.model.filter(|model| !model.is_empty()) {
            self.model = model;
        }
        // Azure says something of the prompt first, in a chunk that has neither a choice nor the answer's names.
        if !chunk.choices.is_empty() {
            self.begin();
        }
        if let Some(reported) = chunk.usage.and_then(ReportedUsage::reported) {
            self.usage = Some(reported.into());
        }
        let Some(choice) = chunk.choices.into_iter().next() else { return Ok(()) };
        let logprobs = choice.logprobs.and_then(|logprobs| logprobs.content).unwrap_or_default();
        if let Some(delta) = choice.delta {
            self.take_in_delta(delta, &logprobs)?;
        }
        self.finish_reason = choice.finish_reason.filter(|reason| !reason.is_empty()).or(self.finish_reason.take());
        Ok(())
    }

    fn take_in_delta(&mut self, delta: Delta, logprobs: &[Box<RawValue>]) -> Result<(), BadChunk> {
        let said = |text: Option<String>| text.filter(|text| !text.is_empty());
        let (reasoning_content, reasoning) = (said(delta.reasoning_content), said(delta.reasoning));
        let name = if reasoning_content.is_some() { Reasoning::Content } else { Reasoning::Plain };
        if let Some(text) = reasoning_content.or(reasoning) {
            self.output.say(PartKind::Reasoning(name), &text, &[])?;
        }
        if let Some(text) = said(delta.content) {
            self.output.say(PartKind::Text, &text, logprobs)?;
        }
        if let Some(text) = said(delta.refusal) {
            self.output.say(PartKind::Refusal, &text, &[])?;
        }
        for (place, call) in delta.tool_calls.into_iter().flatten().enumerate() {
            self.output.call(place, call)?;
        }
        Ok(())
    }

    fn begin(&mut self) {
        if !self.begun {
            self.begun = true;
            self.tell("response.created", None, None);
            self.tell("response.in_progress", None, None);
        }
    }

    fn conclude(&mut self) {
        self.begin();
        let status = if self.incomplete().is_some() { Status::Incomplete } else { Status::Completed };
        self.output.conclude(status);
    }

    /// Why the answer ends before its end, where it does.
    fn incomplete(&self) -> Option<IncompleteDetails> {
        let reason = match self.finish_reason.as_deref() {
            Some("length") => "max_output_tokens",
            Some("content_filter") => "content_filter",
            _ => return None,
        };
        Some(IncompleteDetails { reason })
    }

    /// Adds an event that carries the whole response.
    fn tell(&mut self, name: &'static str, completed_at: Option<i64>, error: Option<ErrorInfo<'_>>) {
        // Taken out for a moment, because the response borrows everything else.
        let mut events = std::mem::take(&mut self.output.events);
        events.push(name, &Lifecycle { response: &self.response(completed_at, error) });
        self.output.events = events;
    }

    fn response<'a>(&'a self, completed_at: Option<i64>, error: Option<ErrorInfo<'a>>) -> Told<'a> {
        let incomplete_details = completed_at.and_then(|_| self.incomplete());
        let status = match (error, completed_at) {
            (Some(_), _) => Status::Failed,
            (None, None) => Status::InProgress,
            (None, Some(_)) if incomplete_details.is_some() => Status::Incomplete,
            (None, Some(_)) => Status::Completed,
        };
        let completed_at = completed_at.filter(|_| status == Status::Completed);
        let (id, created_at, echo) = match &self.head {
            Head::Own { id, created_at, echo } => (id, *created_at, echo),
            Head::Begun(response) => {
                let mut response = response.clone();
                put(&mut response, "completed_at", &completed_at);
                put(&mut response, "status", &status);
                put(&mut response, "error", &error);
                put(&mut response, "incomplete_details", &incomplete_details);
                put(&mut response, "model", &self.model);
                put(&mut response, "output", &self.output.items());
                // Whoever began it does not have all of it.
                put(&mut response, "store", &false);
                put(&mut response, "usage", &self.usage);
                return Told::Begun(response);
            }
        };
        Told::Own(Response {
            id,
            object: "response",
            created_at,
            completed_at,
            status,
            background: false,
            error,
            incomplete_details,
            model: &self.model,
            output: self.output.items(),
            previous_response_id: None,
            store: false,
            usage: self.usage,
            echo,
        })
    }
}

#[cfg(test)]
mod tests;
