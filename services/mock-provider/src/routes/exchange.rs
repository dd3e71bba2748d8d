//! One request and its reply, the same for every wire: what is refused, what is answered, and what goes wrong between.

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::{HttpRequest, HttpResponse};
use jiff::Timestamp;
use serde_json::Value;

use super::{fault, no_such_model};
use crate::State;
use crate::domain::answer::{Answer, answer, prompt_tokens};
use crate::domain::fault::{FaultPlan, Kind, Prefill};
use crate::domain::models;
use crate::domain::reply::{Reply, Usage};
use crate::faults::Applied;
use crate::ledger::{Entry, Open};
use crate::streaming::Streamed;
use crate::wire::{Asked, Refusal, Renderer, Wire};

/// Answers as the plan of the request has it.
///
/// # Errors
/// What is refused before it is written down.
pub(super) async fn reply<R: Renderer>(
    state: &State,
    http: &HttpRequest,
    renderer: R,
    mut asked: Asked,
) -> Result<HttpResponse, Refusal> {
    let (applied, open) = admit(state, http, R::WIRE, &asked)?;
    let plan = &applied.plan;
    let mut open = match fault::before(state, http, R::WIRE, &applied, open).await {
        Ok(open) => open,
        Err(instead) => return Ok(instead),
    };
    if asked.conversation.ends_with_assistant() {
        match plan.prefill.unwrap_or(default_prefill(R::WIRE)) {
            Prefill::Accept => asked.conversation.accept_prefill(),
            Prefill::Reject => return Ok(fault::refuse(R::WIRE, open, &Refusal::Prefill)),
            Prefill::Ignore => {}
        }
    }
    let (name, _) = models::split_faults(&asked.model);
    let counted = state.tokens.with_label_values(&[name]);
    let is_stream = asked.stream;
    let reply = compose(plan, R::WIRE, asked, open.prompt_tokens);
    if is_stream {
        let shutdown = state.shutdown.clone();
        let mut head = R::WIRE.respond(200);
        head.insert_header((CONTENT_TYPE, renderer.stream_type())).insert_header((CACHE_CONTROL, "no-cache"));
        let streamed = Streamed { renderer, reply, plan: applied.plan, shutdown };
        return Ok(head.streaming(streamed.body(open, counted)));
    }
    let tokens = reply.answers.iter().map(Answer::completion_tokens).sum();
    fault::spoken(plan, tokens).await;
    open.tokens_sent = tokens;
    counted.inc_by(tokens);
    Ok(fault::whole(state, R::WIRE, plan, open, &renderer.whole(&reply)))
}

/// Counts the tokens of what is asked, and answers with what `body` makes of them.
///
/// # Errors
/// What is refused before it is written down.
pub(super) async fn count(
    state: &State,
    http: &HttpRequest,
    wire: Wire,
    asked: Asked,
    body: impl FnOnce(u64) -> Value,
) -> Result<HttpResponse, Refusal> {
    let (applied, open) = admit(state, http, wire, &asked)?;
    let tokens = open.prompt_tokens;
    match fault::before(state, http, wire, &applied, open).await {
        Ok(open) => Ok(fault::whole(state, wire, &applied.plan, open, &body(tokens))),
        Err(instead) => Ok(instead),
    }
}

/// Finds the plan of a request that can be answered, and writes the request down.
fn admit(state: &State, http: &HttpRequest, wire: Wire, asked: &Asked) -> Result<(Applied, Open), Refusal> {
    let (name, _) = models::split_faults(&asked.model);
    if !models::exists(name) {
        return Err(no_such_model(name).into());
    }
    let applied = fault::plan(state, http, &asked.model)?;
    let entry = Entry {
        model: asked.model.clone(),
        stream: asked.stream,
        fault: applied.plan.to_string(),
        messages: asked.conversation.messages.len(),
        prompt_tokens: prompt_tokens(&asked.conversation),
        ..Entry::default()
    };
    let open = state.ledger.open(http, wire, entry);
    Ok((applied, open))
}

/// What becomes of an answer that the caller has begun, where the plan does not say.
fn default_prefill(wire: Wire) -> Prefill {
    if wire == Wire::Anthropic { Prefill::Accept } else { Prefill::Ignore }
}

fn compose(plan: &FaultPlan, wire: Wire, asked: Asked, prompt_tokens: u64) -> Reply {
    let (name, _) = models::split_faults(&asked.model);
    let answers = match (plan.kind, wire) {
        (Some(Kind::ContentFilter), Wire::Gemini) => Vec::new(),
        (Some(Kind::ContentPolicy), _) => vec![Answer::refused()],
        _ => {
            let answer = |index| answer(&asked.conversation, name, index, plan.reasoning_tokens);
            (0..asked.choices).map(answer).collect()
        }
    };
    let usage = Usage::of(prompt_tokens, plan.cached_tokens.unwrap_or(0), &answers);
    Reply {
        id: uuid::Uuid::new_v4().simple().to_string(),
        created: Timestamp::now().as_second(),
        usage: (!plan.no_usage).then_some(usage),
        answers,
        model: asked.model,
    }
}
