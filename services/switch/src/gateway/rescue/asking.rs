//! How another provider is asked for the rest of a broken stream.

use std::time::Instant;

use crate::cache::Passage;
use crate::domain::chunk::StreamWatch;
use crate::domain::continuation::{Manner, going_on, shown_to_prefill};
use crate::domain::failover::{Failure, Tried, Turn};
use crate::domain::json_text;
use crate::domain::outcome::Outcome;
use crate::domain::request::ChatRequest;
use crate::domain::rewrite::{Finisher, Manuscript, Rewriter};
use crate::domain::wishes::Wishes;
use crate::gateway::Call;
use crate::gateway::attempt::Attempt;
use crate::gateway::stream::Opened;
use crate::wire::Wire;

use super::cause::Step;
use super::{Finishing, Rescue};

impl Rescue {
    /// Makes the call of `step`.
    pub(super) async fn open(&mut self, step: Step, turn: Turn) -> Result<(Opened, Attempt), Failure> {
        let target = &self.targets[step.target];
        let request = self.asked(step.manuscript)?;
        let wishes = Wishes { whole: Some(self.total), begin: None, ..self.wishes };
        let call = Call {
            request: &request,
            targets: &self.targets,
            context: &self.context,
            wishes: &wishes,
            started: self.started,
            bill: &self.bill,
            passage: &Passage::bypass(),
            approval: None,
        };
        let opening = Instant::now();
        let result = self.gateway.open(&call, target, turn, Wire::OpenAi).await;
        let outcome = result.as_ref().map_or_else(|failure| failure.outcome, |_| Outcome::Success);
        self.tried.push(Tried::new(step.target, outcome, opening.elapsed()));
        self.calls += u32::from(outcome.was_asked());
        let (opened, attempt) = result?;
        let finisher = Finisher {
            provider: self.gateway.shared.registry.get(target.provider).name.clone(),
            model: (*target.model).to_owned(),
            rescued: self.rescued,
        };
        let choices = self.request.choices.max(1);
        let rewriter = Rewriter::new(&self.delivered, choices, step.manuscript, finisher);
        self.finishing = Some(Finishing { rewriter, sent: StreamWatch::new(choices) });
        Ok((opened, attempt))
    }

    /// The caller's request, or the one that goes on from what was delivered.
    fn asked(&self, manuscript: Manuscript) -> Result<ChatRequest, Failure> {
        let Manuscript::GoingOn(manner) = manuscript else { return Ok(self.request.clone()) };
        let delivered = self.delivered.content(0);
        let (request, shown) = match manner {
            Manner::Prompt => (self.request.clone(), &*delivered),
            Manner::Prefill => (self.request.clone().into_chat(), shown_to_prefill(&delivered)),
            Manner::Instruction => (self.request.clone().into_chat(), &*delivered),
        };
        going_on(&request, &json_text::whole_characters(shown), self.delivered.tokens(), manner)
            .ok_or_else(|| Failure::new(Outcome::Http(400), "the request cannot be gone on from"))
    }

    /// How it is asked, in logs and metrics.
    pub(super) const fn manner(&self) -> &'static str {
        match self.step.manuscript {
            Manuscript::Anew => "spliced",
            Manuscript::GoingOn(Manner::Prompt) => "prompted",
            Manuscript::GoingOn(Manner::Prefill) => "prefilled",
            Manuscript::GoingOn(Manner::Instruction) => "continued",
        }
    }
}
