//! The bodies as they stand on the wire. A snapshot that changes is a change for every client.

use serde_json::json;
use vx11_contracts::chat::{ChatFrame, ChatProvider, ChatRequest, ChatResponse, ChatStatus, Storage, Usage};
use vx11_contracts::error::{ErrorInfo, PolicyRefusal};
use vx11_contracts::event::Action;
use vx11_contracts::intervention::{
    Action as InterventionAction, Answer, AnswerFormat, Decision, DecisionKind, EscalationStep, Intervention,
    InterventionType, OnTimeout, Priority, Role as PilotRole, Status,
};
use vx11_contracts::madre::{Intent, MadreChatResponse};
use vx11_contracts::openai::OpenAiError;
use vx11_contracts::switch::{Attempt, Message, Role, SwitchChatRequest, SwitchChatResponse};
use vx11_contracts::{ErrorBody, ErrorCode};

const NOW: &str = "2026-11-21T04:05:06.789Z";

fn answer() -> ChatResponse {
    ChatResponse {
        response: "Hello".to_owned(),
        model_used: "mock".to_owned(),
        latency_ms: 12,
        correlation_id: "c-1".to_owned(),
        session_id: "s-1".to_owned(),
        provider: ChatProvider::Switch,
        status: ChatStatus::Done,
        degraded: false,
        fallback_source: None,
        cache_hit: None,
        reasoning: None,
        usage: Some(Usage { prompt_tokens: 5, completion_tokens: 2, total_tokens: 7 }),
        plan_id: None,
        confirm_token: None,
        storage: None,
    }
}

fn error(info: ErrorInfo, retry_after: Option<u64>) -> ErrorBody {
    ErrorBody {
        ok: false,
        detail: "a sentence".to_owned(),
        error: info,
        retry_after,
        correlation_id: "c-1".to_owned(),
        timestamp: NOW.to_owned(),
    }
}

fn code(code: ErrorCode) -> ErrorInfo {
    ErrorInfo { code, field: None, known: None, limit_of: None, policy: None, intervention: None, unit: None }
}

#[test]
fn chat() {
    let fallback = ChatResponse {
        provider: ChatProvider::Madre,
        status: ChatStatus::Waiting,
        degraded: true,
        fallback_source: Some("timeout".to_owned()),
        usage: None,
        plan_id: Some("p-1".to_owned()),
        confirm_token: Some("t-1".to_owned()),
        storage: Some(Storage::Deferred),
        ..answer()
    };
    insta::assert_json_snapshot!("chat_answer", answer());
    insta::assert_json_snapshot!("chat_answer_of_a_fallback", fallback);
}

#[test]
fn chat_frames() {
    let frames = [
        ChatFrame::Start { correlation_id: "c-1".to_owned(), session_id: "s-1".to_owned() },
        ChatFrame::Token { content: "Hel".to_owned() },
        ChatFrame::Reasoning { content: "hm".to_owned() },
        ChatFrame::Fallback { reason: "stream_cut".to_owned() },
        ChatFrame::Done(answer()),
        ChatFrame::Error(error(code(ErrorCode::ServiceUnavailable), None)),
    ];
    for frame in &frames {
        assert_eq!(serde_json::to_value(frame).expect("JSON")["type"], frame.event(), "the event's name is its type");
    }
    insta::assert_json_snapshot!(frames);
}

#[test]
fn errors() {
    let refusal = PolicyRefusal {
        service: "operator".to_owned(),
        message: "operator control is off".to_owned(),
        recommended_action: "turn it on".to_owned(),
    };
    insta::assert_json_snapshot!([
        error(ErrorInfo { field: Some("messages[0].role".to_owned()), ..code(ErrorCode::InvalidField) }, None),
        error(ErrorInfo { known: Some(vec!["mock".to_owned()]), ..code(ErrorCode::UnknownProvider) }, None),
        error(code(ErrorCode::RateLimited), Some(7)),
        error(ErrorInfo { policy: Some(refusal), ..code(ErrorCode::OffByPolicy) }, None),
    ]);
    let open_ai: Vec<_> =
        [ErrorCode::InvalidToken, ErrorCode::ModelNotFound, ErrorCode::RateLimited, ErrorCode::UpstreamError]
            .map(|code| OpenAiError::from_code(code, "a sentence".to_owned(), None))
            .into();
    insta::assert_json_snapshot!("openai_errors", open_ai);
}

#[test]
fn between_services() {
    let request = SwitchChatRequest {
        messages: vec![Message { role: Role::User, content: "Hello".to_owned() }],
        session_id: "s-1".to_owned(),
        correlation_id: "c-1".to_owned(),
        ..SwitchChatRequest::default()
    };
    let answer = SwitchChatResponse {
        status: "ok".to_owned(),
        reply: "Hello".to_owned(),
        engine_used: "mock".to_owned(),
        latency_ms: 3,
        provider: "mock".to_owned(),
        fallback_reason: Some("http_503".to_owned()),
        reasoning: None,
        usage: None,
        attempts: vec![Attempt {
            provider: "local".to_owned(),
            model: "smollm2".to_owned(),
            outcome: "http_503".to_owned(),
            latency_ms: 1,
        }],
    };
    let madre = MadreChatResponse {
        response: "Understood".to_owned(),
        model: "madre-rules".to_owned(),
        provider: "madre".to_owned(),
        status: ChatStatus::Done,
        intent: Some(Intent { name: "help".to_owned(), confidence: 0.9, target: None }),
        plan_id: None,
        confirm_token: None,
        intervention_id: None,
        warnings: Vec::new(),
        actions: vec!["explain".to_owned()],
    };
    let action = Action { id: 1, timestamp: NOW.to_owned(), correlation_id: "c-1".to_owned(), ..Action::default() };
    insta::assert_json_snapshot!(json!({ "request": request, "answer": answer, "madre": madre, "action": action }));
}

#[test]
fn public_requests_refuse_unknown_fields_and_internal_ones_accept_them() {
    assert!(serde_json::from_value::<ChatRequest>(json!({ "message": "x", "sesion_id": "y" })).is_err());
    let newer = json!({ "messages": [], "session_id": "s", "correlation_id": "c", "added_later": true });
    assert!(serde_json::from_value::<SwitchChatRequest>(newer).is_ok());
}

#[test]
fn interventions() {
    let args = json!({"env": "prod"}).as_object().expect("an object").clone();
    let action = InterventionAction { name: "deploy".to_owned(), args: args.clone(), args_digest: "d-1".to_owned() };
    let decision = Decision {
        kind: DecisionKind::Edit,
        by: "github:ana".to_owned(),
        at: NOW.to_owned(),
        reason: Some("test first".to_owned()),
        args: Some(json!({"env": "test"}).as_object().expect("an object").clone()),
        changes: Some(vec![json!({"op": "replace", "path": "/env", "value": "test"})]),
        response: None,
        args_digest: Some("d-2".to_owned()),
        redeemed_by: None,
        redeemed_at: None,
    };
    let decided = Intervention {
        request_id: "r-1".to_owned(),
        org_id: "o-1".to_owned(),
        uow_id: Some("u-1".to_owned()),
        intervention_type: InterventionType::default(),
        status: Status::Approved,
        priority: Priority::High,
        title: "Deploy?".to_owned(),
        description: "Version 7".to_owned(),
        context: args,
        action: Some(action),
        allow: vec![DecisionKind::Approve, DecisionKind::Reject, DecisionKind::Edit],
        required_role: PilotRole::Operator,
        assigned_to: Some("github:ana".to_owned()),
        created_by: "key:agent".to_owned(),
        created_at: NOW.to_owned(),
        expires_at: None,
        updated_at: Some(NOW.to_owned()),
        on_timeout: OnTimeout::Escalate,
        escalation: vec![EscalationStep::to_admins(60)],
        escalated: 0,
        votes: Vec::new(),
        claimed_by: None,
        claim_expires_at: None,
        decision: Some(decision),
        action_reason: Some("test first".to_owned()),
        action_timestamp: Some(NOW.to_owned()),
        callback_url: None,
        format: AnswerFormat::Vx11,
        correlation_id: Some("c-1".to_owned()),
        version: 3,
    };
    insta::assert_json_snapshot!("intervention", decided);
    let in_kind = [AnswerFormat::Langchain, AnswerFormat::LangchainList]
        .map(|format| Answer::from(Intervention { format, ..decided.clone() }));
    insta::assert_json_snapshot!("intervention_for_langchain", in_kind);
    assert_eq!(Answer::from(decided.clone()), Answer::Request(Box::new(decided)));
}
