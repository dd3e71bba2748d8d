//! What servers of OpenAI's wire read differently, in a request that the gateway has worded itself.
//!
//! Models that OpenAI made to reason refuse `max_tokens`, and wishes about sampling while they do; its others refuse
//! `reasoning_effort`. Older compatible servers take no notice of `max_completion_tokens`. A field that is foreign to
//! it OpenAI refuses, and other servers want it back as they gave it. The rule goes by the model's name, because one
//! address may serve models of all kinds. The words of callers who speak this wire themselves are never changed.
//!
//! Sources: OpenAI's API reference, "Chat", and its guides "Reasoning" and "Using the latest model"; Azure OpenAI's
//! REST API reference; Google's "OpenAI compatibility".

use std::ops::RangeInclusive;

use bytes::Bytes;
use serde::de::IgnoredAny;
use serde_json::json;
use serde_json::value::{RawValue, to_raw_value};

use super::signed_id;
use crate::domain::fields::{Fields, field, put, read};

/// Reasoning of earlier turns, by the names that servers have for it. OpenAI's models take neither.
const REASONING: [&str; 2] = ["reasoning_content", "reasoning"];

/// What only tunes an answer, and is refused by a model while it reasons.
const SAMPLING: [&str; 2] = ["temperature", "top_p"];

/// What a model that can reason refuses even while it does not. A stop is among it: it is better to say more than
/// nothing.
const FOREIGN_TO_REASONING: [&str; 3] = ["stop", "presence_penalty", "frequency_penalty"];

/// The first of OpenAI's models that does not reason over tools here, but only where its Responses are served.
const SILENT_WITH_TOOLS: (u8, u8) = (5, 4);

/// OpenAI's models that reason only where the request says how hard. Later ones do it unasked, as earlier ones did.
const STILL_UNLESS_ASKED: RangeInclusive<(u8, u8)> = (5, 1)..=(5, 4);

/// What one model at one server is to be told in other words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Dialect {
    /// The limit of an answer counts its reasoning, and is called so.
    names_completion_limit: bool,
    /// It can reason, and refuses what it cannot heed meanwhile.
    reasons: bool,
    /// It does not reason where the request names no effort.
    is_still_unless_asked: bool,
    /// It does not reason, or nobody may say how hard.
    refuses_effort: bool,
    /// It reasons only where no tools are offered.
    is_silent_with_tools: bool,
    /// OpenAI's own fields and no others; ids of at most 40 letters.
    is_openais: bool,
    /// The signature of a thought stands beside the call, as Google's endpoint has it.
    is_geminis: bool,
}

impl Dialect {
    /// For `model`; `at_azure` it is the name of a deployment, which may be anything.
    pub(crate) fn of(model: &str, at_azure: bool) -> Self {
        let name = model.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
        let (o, gpt) = (version(&name, "o"), version(&name, "gpt-"));
        let chats = name.ends_with("chat-latest");
        let always_reasons = chats || name.contains("codex") || name.contains("-pro");
        let reasons =
            o.is_some() || gpt.is_some_and(|version| version >= (5, 0)) || name == "codex-mini-latest" || chats;
        let is_older = name.starts_with("chatgpt-") || gpt.is_some_and(|version| version < (5, 0));
        Self {
            // Deployments of older models that say so take the older name under every version of the API.
            names_completion_limit: reasons || (at_azure && gpt.is_none()),
            reasons,
            // `gpt-5-chat-latest` cannot reason at all; the later ones of that kind do as they like.
            is_still_unless_asked: name.starts_with("gpt-5-chat")
                || (gpt.is_some_and(|version| STILL_UNLESS_ASKED.contains(&version)) && !always_reasons),
            refuses_effort: is_older || chats,
            // Who writes `vendor/model` reaches it in another way.
            is_silent_with_tools: gpt.is_some_and(|version| version >= SILENT_WITH_TOOLS)
                && !always_reasons
                && !model.contains('/'),
            is_openais: at_azure || reasons || is_older,
            is_geminis: name.starts_with("gemini"),
        }
    }

    /// `body`, a chat completion request with `max_tokens`, in this dialect.
    pub(crate) fn write(self, body: Bytes) -> Bytes {
        match self == Self::default() {
            true => body,
            false => self.rewrite(&body).unwrap_or(body),
        }
    }

    /// `None`: it is no such request, which the provider may say better.
    fn rewrite(self, body: &[u8]) -> Option<Bytes> {
        let mut request: Fields = serde_json::from_slice(body).ok()?;
        if self.names_completion_limit
            && let Some(limit) = request.remove("max_tokens")
        {
            request.entry("max_completion_tokens".to_owned()).or_insert(limit);
        }
        self.rewrite_reasoning(&mut request);
        let mut messages: Vec<Fields> = read(field(&request, "messages"))?;
        messages.iter_mut().for_each(|message| self.rewrite_message(message));
        put(&mut request, "messages", &messages);
        serde_json::to_vec(&request).ok().map(Bytes::from)
    }

    /// Says how hard to think in a way that is taken, and leaves out what would be refused.
    fn rewrite_reasoning(self, request: &mut Fields) {
        if self.refuses_effort {
            request.remove("reasoning_effort");
        }
        // Where nothing is said, some take the effort that they think with by default for one that was asked for.
        let tools = || read::<Vec<IgnoredAny>>(field(request, "tools"));
        if self.is_silent_with_tools && tools().is_some_and(|tools| !tools.is_empty()) {
            put(request, "reasoning_effort", &"none");
        }
        if !self.reasons {
            return;
        }
        FOREIGN_TO_REASONING.iter().for_each(|name| _ = request.remove(*name));
        let effort = read::<&str>(field(request, "reasoning_effort"));
        if !effort.map_or(self.is_still_unless_asked, |effort| effort == "none") {
            SAMPLING.iter().for_each(|name| _ = request.remove(*name));
        }
    }

    fn rewrite_message(self, message: &mut Fields) {
        if self.is_openais {
            REASONING.iter().for_each(|name| _ = message.remove(*name));
        }
        if let Some((id, _)) = message.get("tool_call_id").and_then(|id| split(id)) {
            put(message, "tool_call_id", &id);
        }
        let Some(mut calls) = read::<Vec<Fields>>(field(message, "tool_calls")) else { return };
        for call in &mut calls {
            let Some((id, signature)) = call.get("id").and_then(|id| split(id)) else { continue };
            put(call, "id", &id);
            if self.is_geminis {
                put(call, "extra_content", &json!({"google": {"thought_signature": signature}}));
            }
        }
        put(message, "tool_calls", &calls);
    }
}

/// The version that `name` says after `stem`. `gpt-35` is what Azure calls 3.5.
fn version(name: &str, stem: &str) -> Option<(u8, u8)> {
    let rest = name.strip_prefix(stem)?;
    let major = rest.bytes().next().filter(u8::is_ascii_digit)? - b'0';
    let minor = rest[1..].strip_prefix('.').and_then(|minor| minor.split(|c: char| !c.is_ascii_digit()).next());
    Some((major, minor.and_then(|minor| minor.parse().ok()).unwrap_or_default()))
}

/// An id and the signature in it; `None` where there is none.
fn split(id: &RawValue) -> Option<(Box<RawValue>, String)> {
    let id: String = serde_json::from_str(id.get()).ok()?;
    let (proper, signature) = signed_id::split(&id);
    Some((to_raw_value(proper).ok()?, signature?))
}

#[cfg(test)]
mod tests;
