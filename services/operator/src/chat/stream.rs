//! The streamed form of a chat: the same flow, with the tokens as they come.

use std::time::{Duration, Instant};

use async_stream::stream;
use bytes::Bytes;
use futures_util::Stream;
use vx11_chassis::sse::{self, Parser};
use vx11_chassis::{ApiError, RequestContext};
use vx11_contracts::ErrorBody;
use vx11_contracts::chat::{ChatFrame, ChatResponse};
use vx11_contracts::intervention::Held;
use vx11_contracts::switch::{SwitchChatResponse, SwitchFrame};
use vx11_http_client::Response;

use super::abandoned::Abandoned;
use super::engine::{from_switch, switch_request};
use super::{Accepted, Answer, Chat, Provider, Question, Reply};
use crate::clients::switch::is_of_a_rule;

/// Largest single frame that is read from the switch.
const MAX_FRAME: usize = 1024 * 1024;
/// Characters of one token frame when an answer comes whole, as madre's does.
const PIECE_CHARS: usize = 48;

/// Limits of a streamed answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StreamLimits {
    /// Longest silence.
    pub(crate) idle: Duration,
    /// Longest stream.
    pub(crate) total: Duration,
}

/// The frames of a streamed answer, as bytes to send. It is durable when `done` is sent, unless that says
/// otherwise.
///
/// Dropping the stream, as a client that goes away does, cancels the provider's work and leaves its rows.
pub(crate) fn frames(chat: Chat, asked: Accepted, started: Instant) -> impl Stream<Item = Bytes> {
    stream! {
        let abandoned = Abandoned::unless_done(&chat, &asked, started);
        yield bytes(&ChatFrame::Start {
            correlation_id: asked.context.correlation_id.to_string(),
            session_id: asked.session_id.clone(),
        });
        let last = match chat.repeated(&asked, started).await {
            Some(answer) => whole(answer),
            None => {
                let question = chat.question(&asked).await;
                let answer = match open(&chat, &question, &asked.context).await {
                    Opened::Whole(answer) => answer,
                    Opened::Stream(mut upstream) => {
                        let mut end = None;
                        while end.is_none() {
                            match upstream.next().await {
                                Step::Text(frame) => yield frame,
                                last => end = Some(last),
                            }
                        }
                        match end {
                            Some(Step::Done(answer)) => {
                                let answer = chat.finish(&asked, from_switch(*answer), started).await;
                                yield bytes(&ChatFrame::Done(answer));
                                abandoned.done();
                                return;
                            }
                            Some(Step::Held(held)) => Ok(Reply::Held(*held)),
                            Some(Step::Refused(error)) => Err(ApiError::from(*error)),
                            // Nobody else may answer it.
                            Some(Step::Broken(broken)) if question.intervention.is_some() => {
                                fall_back(&chat, &question, &asked.context, broken).await
                            }
                            Some(Step::Broken(broken)) => {
                                yield bytes(&ChatFrame::Fallback { reason: broken.reason.to_owned() });
                                fall_back(&chat, &question, &asked.context, broken).await
                            }
                            Some(Step::Text(_)) | None => return,
                        }
                    }
                };
                conclude(&chat, &asked, answer, started).await
            }
        };
        for frame in last { yield frame; }
        abandoned.done();
    }
}

enum Opened {
    /// The switch streams.
    Stream(Upstream),
    /// Somebody else has answered whole, or nobody has.
    Whole(Result<Reply<Answer>, ApiError>),
}

async fn open(chat: &Chat, question: &Question, context: &RequestContext) -> Opened {
    let engine = &chat.engine;
    if question.provider == Provider::Madre {
        return Opened::Whole(engine.answer(question, context).await);
    }
    tracing::info!(route = "switch", "chat routed");
    let request = switch_request(question, context, true);
    match engine.switch.chat_stream(&request, context, question.on_behalf(), engine.switch_limit(context)).await {
        Ok(response) => {
            let StreamLimits { idle, total } = chat.stream_limits;
            let total = engine.before_madre(context).map_or(total, |left| total.min(left));
            Opened::Stream(Upstream::new(response, StreamLimits { idle, total }))
        }
        Err(error) => Opened::Whole(engine.fall_back(question, context, &error).await.map(Reply::Answer)),
    }
}

async fn fall_back(
    chat: &Chat,
    question: &Question,
    context: &RequestContext,
    broken: Broken,
) -> Result<Reply<Answer>, ApiError> {
    if broken.switch_is_gone {
        chat.engine.switch.stream_failed();
    }
    chat.engine.fall_back_because(question, context, broken.reason.to_owned()).await.map(Reply::Answer)
}

/// The last frames of an answer that came whole, or of none.
async fn conclude(
    chat: &Chat,
    asked: &Accepted,
    answer: Result<Reply<Answer>, ApiError>,
    started: Instant,
) -> Vec<Bytes> {
    match answer {
        Ok(Reply::Answer(answer)) => whole(chat.finish(asked, answer, started).await),
        Ok(Reply::Held(held)) => vec![bytes(&ChatFrame::Held(chat.hold(asked, held, started).await))],
        Err(error) => {
            let error = chat.give_up(asked, error, started).await;
            tracing::warn!(code = error.code().as_str(), cause = error.cause(), "chat stream failed");
            vec![bytes(&ChatFrame::Error(error.body(&asked.context.correlation_id)))]
        }
    }
}

/// An answer that came whole, in pieces and with its end.
fn whole(answer: ChatResponse) -> Vec<Bytes> {
    let tokens = pieces(&answer.response).map(|piece| bytes(&ChatFrame::Token { content: piece.to_owned() }));
    let mut frames: Vec<Bytes> = tokens.collect();
    frames.push(bytes(&ChatFrame::Done(answer)));
    frames
}

/// Splits text after every [`PIECE_CHARS`] characters.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = rest.char_indices().nth(PIECE_CHARS).map_or(rest.len(), |(at, _)| at);
        let (piece, after) = rest.split_at(end);
        rest = after;
        Some(piece)
    })
}

fn bytes(frame: &ChatFrame) -> Bytes {
    sse::event(None, Some(frame.event()), frame)
}

/// The switch's stream.
struct Upstream {
    response: Response,
    parser: Parser,
    idle: Duration,
    deadline: tokio::time::Instant,
}

enum Step {
    /// Ready to be sent.
    Text(Bytes),
    Done(Box<SwitchChatResponse>),
    /// A rule holds it for a person.
    Held(Box<Held>),
    /// A rule refuses it, and so nobody else may answer it.
    Refused(Box<ErrorBody>),
    Broken(Broken),
}

struct Broken {
    reason: &'static str,
    /// The switch went away, as opposed to saying that its provider did.
    switch_is_gone: bool,
}

impl Upstream {
    fn new(response: Response, limits: StreamLimits) -> Self {
        let deadline = tokio::time::Instant::now() + limits.total;
        Self { response, parser: Parser::new(MAX_FRAME), idle: limits.idle, deadline }
    }

    /// The next thing that the switch says, within the limits.
    async fn next(&mut self) -> Step {
        let broken = |reason, switch_is_gone| Step::Broken(Broken { reason, switch_is_gone });
        loop {
            match self.parser.next_frame() {
                Ok(Some(frame)) if frame.data().is_empty() => continue,
                Ok(Some(frame)) => return step(frame.data()),
                Ok(None) => {}
                Err(_) => return broken("invalid_answer", false),
            }
            let until = self.deadline.min(tokio::time::Instant::now() + self.idle);
            match tokio::time::timeout_at(until, self.response.chunk()).await {
                Ok(Ok(Some(chunk))) => self.parser.push(&chunk),
                Ok(Ok(None) | Err(_)) => return broken("stream_cut", true),
                Err(_) if until == self.deadline => return broken("timeout", false),
                Err(_) => return broken("stalled", true),
            }
        }
    }
}

fn step(data: &[u8]) -> Step {
    let broken = |reason| Step::Broken(Broken { reason, switch_is_gone: false });
    match serde_json::from_slice(data) {
        Ok(SwitchFrame::Token { content }) => Step::Text(bytes(&ChatFrame::Token { content })),
        Ok(SwitchFrame::Reasoning { content }) => Step::Text(bytes(&ChatFrame::Reasoning { content })),
        Ok(SwitchFrame::Done(answer)) if answer.status == "ok" => Step::Done(Box::new(answer)),
        Ok(SwitchFrame::Held(held)) => Step::Held(Box::new(held)),
        Ok(SwitchFrame::Error(error)) if is_of_a_rule(error.error.code) => Step::Refused(Box::new(error)),
        Ok(SwitchFrame::Error(_)) => broken("stream_failed"),
        Ok(SwitchFrame::Done(_)) | Err(_) => broken("invalid_answer"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_add_up_to_the_text_and_split_between_characters() {
        let text = "ñandú ".repeat(40);
        assert_eq!(pieces(&text).collect::<String>(), text);
        assert!(pieces(&text).all(|piece| piece.chars().count() <= PIECE_CHARS));
        assert_eq!(pieces("").count(), 0);
    }
}
