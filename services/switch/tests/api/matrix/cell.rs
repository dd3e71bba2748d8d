//! A cell of the matrix: one request, held against its row.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::caller::{Told, Wire};
use super::row::{End, Expected, Kind, Row};
use super::stage::Stage;
use super::{MESSAGE_TOKENS, PROMPT_TOKENS, WORDS};

/// One request.
#[derive(Debug)]
pub(super) struct Cell {
    pub(super) row: &'static Row,
    pub(super) stream: bool,
    pub(super) wire: Wire,
}

/// What was billed, by the model of the cell.
pub(super) type Ledger = BTreeMap<String, Value>;

impl Cell {
    fn name(&self) -> String {
        format!("{}, {}", self.row.name, if self.stream { "streamed" } else { "in JSON" })
    }

    /// The model that it asks for; its own, so that its bill is.
    fn model(&self) -> String {
        Stage::model(self.row, self.stream)
    }

    /// Sends the request. What the caller was told. `Err`: what came of it, where that is not what the row says.
    pub(super) async fn play(&self, stage: &Stage) -> Result<Told, String> {
        stage.set(self.row).await;
        let begun = Timestamp::now();
        let got = stage.ask(self.wire.path(), self.wire.ask(&self.model(), self.stream), &self.model()).await;
        let told = self.wire.read(&got, self.stream).map_err(|problem| format!("{}: {problem}", self.name()))?;
        let ended = Timestamp::now();
        let expected = self.row.expected(self.stream);
        let (first, spare) = stage.asked(&self.model()).await;
        // In the same millisecond nobody can tell.
        let is_in_turn = first.last() <= spare.first() || spare.is_empty();
        let asked = (first.len() as u64, spare.len() as u64);
        let seen = (end(&told, got.status, &stage.answer), asked, is_in_turn);
        let wanted = (Some(self.in_my_words(expected.end)), expected.asked, true);
        if seen != wanted {
            return Err(format!("{}: {seen:?} and not {wanted:?}: {} {told:?}", self.name(), got.status));
        }
        let next = *spare.first().unwrap_or(&ended);
        if let Some(limit) = self.row.limit() {
            stage.is_given_up(&self.model()).await;
            not_before(limit, begun, next).map_err(|early| format!("{}: given up {early}", self.name()))?;
        }
        for again in first.windows(2) {
            let early = not_before(self.row.retry_after(), again[0], again[1]);
            early.map_err(|early| format!("{}: asked again {early}", self.name()))?;
        }
        Ok(told)
    }

    /// `end` as the caller's wire has it.
    fn in_my_words(&self, end: End<'static>) -> End<'static> {
        match end {
            End::Refused { status, code } => End::Refused { status, code: self.wire.code(status, code) },
            other => other,
        }
    }

    /// What is wrong with its bill, or with what the caller was `told` of it.
    pub(super) fn audit(&self, told: &Told, ledger: &Ledger, first: Kind) -> Option<String> {
        let Some(row) = ledger.get(&self.model()) else { return Some(format!("{}: no bill", self.name())) };
        let count = |field: &str| row[field].as_u64().unwrap_or_default();
        let (read, written) = (count("prompt_tokens"), count("completion_tokens"));
        let Expected { end, wasted, prefilled, .. } = self.row.expected(self.stream);
        let answered = match end {
            End::Whole if prefilled > 0 => (PROMPT_TOKENS + MESSAGE_TOKENS + prefilled, WORDS - prefilled),
            End::Whole => (PROMPT_TOKENS, WORDS),
            End::Declined => (PROMPT_TOKENS, 0),
            End::Refused { .. } | End::BrokenOff(_) => (0, 0),
        };
        // Anthropic's wire says at once how long the prompt is; else that of a call which came to nothing is estimated.
        let says_at_once = first == Kind::Anthropic && wasted.is_some_and(|tokens| tokens > 0);
        let is_read_right = match wasted {
            None => read == answered.0,
            Some(_) if says_at_once => read == answered.0 + PROMPT_TOKENS * self.calls_in_vain(),
            Some(_) => self.is_estimated_once_a_call(read - answered.0.min(read)),
        };
        let is_right = is_read_right
            && written == answered.1 + wasted.unwrap_or_default()
            && count("estimated_requests") == u64::from(wasted.is_some())
            && count("requests") == 1
            && row["cost_usd"] == Stage::price(read, written);
        // Who has the words of two providers is told what both have spent.
        let is_of_two = self.stream && wasted.is_some_and(|tokens| tokens > 0);
        let is_told = match end {
            End::Whole if is_of_two => told.usage == (read, written) && row["cost_usd"] == *told.cost,
            End::Whole => told.usage == answered && row["cost_usd"] == *told.cost,
            End::Declined | End::BrokenOff(_) => row["cost_usd"] == *told.cost,
            End::Refused { .. } => told.cost.is_empty(),
        };
        (!is_right || !is_told)
            .then(|| format!("{}: {answered:?} and {wasted:?} make no {row}, or are not {told:?}", self.name()))
    }

    /// How many calls to the first provider did not give the answer.
    fn calls_in_vain(&self) -> u64 {
        let Expected { end, asked, .. } = self.row.expected(self.stream);
        let is_answered_by_first = end == End::Whole && asked.1 == 0;
        asked.0 - u64::from(is_answered_by_first)
    }

    /// Whether `read` is the prompt as it is estimated, once for every call that came to nothing. The estimate is of the
    /// request's JSON: more than its words, and less than a token for each two and a half bytes.
    fn is_estimated_once_a_call(&self, read: u64) -> bool {
        let calls = self.calls_in_vain();
        let most = self.wire.ask(&self.model(), self.stream).len() as u64 * 2 / 5;
        read.is_multiple_of(calls) && (PROMPT_TOKENS..=most).contains(&(read / calls))
    }
}

/// Whether `then` is `pause` after `since`. Clocks that are read in milliseconds, and that are set while they are, may
/// be wrong by a hundredth. `Err`: how early it is.
fn not_before(pause: Duration, since: Timestamp, then: Timestamp) -> Result<(), String> {
    let passed = then.duration_since(since);
    let is_after = passed >= SignedDuration::try_from(pause.mul_f64(0.99)).unwrap();
    if is_after { Ok(()) } else { Err(format!("after {passed:?} and not after {pause:?}")) }
}

/// How it ended for a caller who was `told` this, of the whole `answer`. `None`: as it never should.
fn end<'t>(told: &'t Told, status: u16, answer: &str) -> Option<End<'t>> {
    match told.error.as_deref() {
        Some(code) if status != 200 => Some(End::Refused { status, code }),
        Some(_) => {
            let is_beginning = answer.starts_with(&told.text) && told.reason.is_empty();
            is_beginning.then_some(End::BrokenOff(told.text.split(' ').count() as u64))
        }
        None if told.text == answer => ["stop", "end_turn"].contains(&told.reason.as_str()).then_some(End::Whole),
        None => {
            let declines = told.text.is_empty() && ["content_filter", "refusal"].contains(&told.reason.as_str());
            declines.then_some(End::Declined)
        }
    }
}
