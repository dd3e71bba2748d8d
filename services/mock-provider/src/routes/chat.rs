//! `POST /v1/chat/completions`

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::web::ThinData;
use actix_web::{HttpRequest, HttpResponse, post};
use jiff::Timestamp;
use serde_json::{Value, json};
use vx11_chassis::extract::Json;
use vx11_chassis::{ApiError, sse};
use vx11_contracts::openai::OpenAiError;

use super::{check_key, fault};
use crate::State;
use crate::domain::answer::{Answer, answer, prompt_tokens};
use crate::domain::models;
use crate::domain::request::ChatRequest;
use crate::ledger::Entry;
use crate::streaming::Streamed;

/// Most choices of one request.
const MAX_CHOICES: u32 = 16;

/// Answer a conversation.
#[utoipa::path(tag = "openai", request_body = ChatRequest, responses(
    (status = 200, description = "a chat completion, or its chunks as server-sent events", body = Object),
    (status = "4XX", body = OpenAiError),
))]
#[post("/v1/chat/completions")]
pub(crate) async fn completions(
    state: ThinData<State>,
    http: HttpRequest,
    body: Json<ChatRequest>,
) -> Result<HttpResponse, ApiError> {
    check_key(&state, &http)?;
    let request = body.0;
    check(&request)?;
    let applied = fault::plan(&state, &http, &request.model)?;
    let (name, _) = models::split_faults(&request.model);
    let prompt = prompt_tokens(&request);
    let open = state.ledger.open(
        &http,
        Entry {
            model: request.model.clone(),
            stream: request.stream,
            fault: applied.plan.to_string(),
            messages: request.messages.len(),
            prompt_tokens: prompt,
            ..Entry::default()
        },
    );
    let mut open = match fault::before(&state, &http, &applied, open).await {
        Ok(open) => open,
        Err(instead) => return Ok(instead),
    };
    let answers: Vec<Answer> = (0..request.n.unwrap_or(1)).map(|index| answer(&request, name, index)).collect();
    let usage = usage(prompt, &answers);
    let id = format!("chatcmpl-{}", uuid::Uuid::new_v4().simple());
    let created = Timestamp::now().as_second();
    let counted = state.tokens.with_label_values(&[name]);
    if request.stream {
        let usage = request.stream_options.include_usage.then_some(usage);
        let model = request.model;
        let shutdown = state.shutdown.clone();
        let streamed = Streamed { id, model, created, answers, usage, plan: applied.plan, shutdown };
        return Ok(HttpResponse::Ok()
            .insert_header((CONTENT_TYPE, sse::CONTENT_TYPE))
            .insert_header((CACHE_CONTROL, "no-cache"))
            .streaming(streamed.body(open, counted)));
    }
    open.tokens_sent = answers.iter().map(Answer::completion_tokens).sum();
    fault::spoken(&applied.plan, open.tokens_sent).await;
    counted.inc_by(open.tokens_sent);
    let body = json!({
        "id": id,
        "object": "chat.completion",
        "created": created,
        "model": request.model,
        "choices": answers.iter().enumerate().map(|(index, answer)| choice(index, answer)).collect::<Vec<_>>(),
        "usage": usage,
        "system_fingerprint": "fp_mock",
    });
    Ok(fault::whole(&state, &applied.plan, open, &body))
}

fn check(request: &ChatRequest) -> Result<(), ApiError> {
    let (name, _) = models::split_faults(&request.model);
    if !models::exists(name) {
        return Err(fault::no_such_model(name));
    }
    if request.messages.is_empty() {
        return Err(ApiError::invalid_field("messages", "Invalid 'messages': expected at least one message."));
    }
    if request.n.is_some_and(|n| !(1..=MAX_CHOICES).contains(&n)) {
        return Err(ApiError::invalid_field("n", format!("Invalid 'n': must be 1 to {MAX_CHOICES}.")));
    }
    if request.token_limit() == Some(0) {
        return Err(ApiError::invalid_field("max_tokens", "Invalid 'max_tokens': must be at least 1."));
    }
    Ok(())
}

fn usage(prompt: u64, answers: &[Answer]) -> Value {
    let completion: u64 = answers.iter().map(Answer::completion_tokens).sum();
    let reasoning: usize = answers.iter().map(|answer| answer.reasoning.len()).sum();
    json!({
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "completion_tokens_details": { "reasoning_tokens": reasoning },
    })
}

fn choice(index: usize, answer: &Answer) -> Value {
    let mut message = json!({ "role": "assistant", "content": answer.text() });
    if !answer.reasoning.is_empty() {
        message["reasoning_content"] = json!(answer.reasoning.concat());
    }
    if !answer.tool_calls.is_empty() {
        message["content"] = Value::Null;
        let call = |call: &crate::domain::tools::ToolCall| json!({ "id": call.id, "type": "function", "function": { "name": call.name, "arguments": call.arguments } });
        message["tool_calls"] = answer.tool_calls.iter().map(call).collect();
    }
    json!({ "index": index, "message": message, "logprobs": null, "finish_reason": answer.finish_reason })
}
