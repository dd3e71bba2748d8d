//! How much may be written, how much of it thought, and what may be wished of sampling beside that: models differ in
//! what of it they refuse.

use serde_json::{Value, json};

use super::generation::{Generation, Least};
use crate::wire::Defaults;
use crate::wire::json::{Object, get, list, said, text};

/// How hard to think, in OpenAI's words and in Anthropic's, and as tokens of reasoning.
const EFFORTS: [(&str, &str, u64); 6] = [
    ("minimal", "low", LEAST_BUDGET),
    ("low", "low", LEAST_BUDGET),
    ("medium", "medium", 4096),
    ("high", "high", 16_384),
    ("xhigh", "xhigh", 32_768),
    ("max", "max", 32_768),
];

/// Anthropic takes no fewer tokens of reasoning.
const LEAST_BUDGET: u64 = 1024;

/// Thinking that decides by itself how long it goes on. Without the last word a stream says nothing until it is over.
const ADAPTIVE: [(&str, &str); 2] = [("type", "adaptive"), ("display", "summarized")];

/// The most effort that goes with thinking switched off, and those above it.
const MOST_STILL: &str = "high";
const TOO_MUCH_STILL: [&str; 2] = ["xhigh", "max"];

/// What a model that thinks unasked is given room for where no effort is asked of it: by default most make this one.
const UNASKED_BUDGET: u64 = 16_384;

/// The least `top_p` that goes with thinking.
const LEAST_TOP_P: f64 = 0.95;

/// Sets the limit and how hard to think, and takes out of a translated request what does not go with that.
pub(super) fn limits(pivot: &Value, out: &mut Object, defaults: Defaults, generation: Generation) {
    let asked = ["max_completion_tokens", "max_tokens"].into_iter().find_map(|name| get(pivot, name)?.as_u64());
    let asked_effort = text(pivot, "reasoning_effort");
    let effort = asked_effort.and_then(|asked| EFFORTS.into_iter().find(|(name, ..)| *name == asked));
    // The limit counts what is thought, too.
    let with = |budget: u64| asked.unwrap_or(defaults.max_tokens.saturating_add(budget));
    let max_tokens = if generation.thinks_unasked() && wants_no_thought(out, asked_effort) {
        keep_still(out, effort.map(|(_, effort, _)| effort), generation.least());
        with(0)
    } else if generation.thinks_unasked() {
        adapt(out, effort.map(|(_, effort, _)| effort), true);
        with(effort.map_or(UNASKED_BUDGET, |(_, _, budget)| budget))
    } else if generation.is_adaptive() {
        adapt(out, effort.map(|(_, effort, _)| effort), false);
        with(effort.map_or(0, |(_, _, budget)| budget))
    } else {
        let budget = effort.filter(|_| may_be_told_to_think(out) && !calls_without_thought(out));
        let budget = budget.map_or(0, |(_, _, budget)| budget);
        let max_tokens = with(budget);
        let budget = budget.min(max_tokens.saturating_sub(1));
        if budget >= LEAST_BUDGET {
            out.insert("thinking".to_owned(), json!({"type": "enabled", "budget_tokens": budget}));
        }
        max_tokens
    };
    out.insert("max_tokens".to_owned(), max_tokens.into());
    sampling(out, generation);
}

/// For a model that refuses a budget: how hard it is to think stands elsewhere, and not as tokens. Who thinks `unasked`
/// is told so all the same, because its thoughts are not shown otherwise.
fn adapt(out: &mut Object, effort: Option<&str>, unasked: bool) {
    let is_budgeted = out.get("thinking").is_some_and(|thinking| text(thinking, "type") == Some("enabled"));
    if is_budgeted || ((unasked || effort.is_some()) && may_be_told_to_think(out)) {
        let adaptive = ADAPTIVE.into_iter().map(|(name, value)| (name.to_owned(), value.into()));
        out.insert("thinking".to_owned(), Value::Object(adaptive.collect()));
    }
    if let Some(effort) = effort {
        set_effort(out, effort);
    }
}

/// Whether the caller says, in either wire's words, that nothing is to be thought.
fn wants_no_thought(out: &Object, effort: Option<&str>) -> bool {
    match out.get("thinking") {
        Some(thinking) => text(thinking, "type") == Some("disabled"),
        None => effort == Some("none"),
    }
}

/// Asks a model that thinks unasked for as little of that as it can.
fn keep_still(out: &mut Object, effort: Option<&str>, least: Least) {
    match least {
        Least::Type(least) => {
            out.insert("thinking".to_owned(), json!({"type": least}));
            if let Some(effort) = effort {
                set_effort(out, effort);
            }
            let effort = out.get_mut("output_config").and_then(|config| config.get_mut("effort"));
            if let Some(effort) = effort.filter(|effort| TOO_MUCH_STILL.iter().any(|most| **effort == *most)) {
                *effort = MOST_STILL.into();
            }
        }
        Least::Effort => {
            out.remove("thinking");
            adapt(out, Some(effort.unwrap_or("low")), true);
        }
    }
}

/// Unless the caller has said it in Anthropic's own words.
fn set_effort(out: &mut Object, effort: &str) {
    let config = out.entry("output_config").or_insert_with(|| json!({}));
    if let Some(config) = config.as_object_mut() {
        config.entry("effort").or_insert_with(|| effort.into());
    }
}

/// A forced tool leaves no room for thinking, and the caller's own `thinking` comes first.
fn may_be_told_to_think(out: &Object) -> bool {
    let forced = out.get("tool_choice").is_some_and(|choice| matches!(text(choice, "type"), Some("any" | "tool")));
    !forced && !out.contains_key("thinking")
}

/// Takes out what the model refuses of how words are picked.
fn sampling(out: &mut Object, generation: Generation) {
    let thinks =
        out.get("thinking").is_some_and(|thinking| matches!(text(thinking, "type"), Some("enabled" | "adaptive")));
    let is_narrow = out.get("top_p").and_then(Value::as_f64).is_some_and(|top_p| top_p < LEAST_TOP_P);
    let refused: &[&str] = if generation.is_adaptive() {
        &["temperature", "top_p", "top_k"]
    } else if thinks && is_narrow {
        &["temperature", "top_k", "top_p"]
    } else if thinks {
        &["temperature", "top_k"]
    } else if out.contains_key("temperature") && generation.takes_one_sampler() {
        &["top_p"]
    } else {
        &[]
    };
    refused.iter().for_each(|field| _ = out.remove(*field));
}

/// Whether the assistant's last turn calls tools and has no signed thought: with thinking on, Anthropic refuses that.
fn calls_without_thought(out: &Object) -> bool {
    let turns = out.get("messages").and_then(Value::as_array);
    let last = turns.and_then(|turns| turns.iter().rfind(|turn| text(turn, "role") == Some("assistant")));
    let Some(blocks) = last.map(|turn| list(turn, "content")) else { return false };
    let is_signed = |block: &Value| said(block, "signature").or_else(|| said(block, "data")).is_some();
    let thinks =
        |block: &Value| matches!(text(block, "type"), Some("thinking" | "redacted_thinking")) && is_signed(block);
    blocks.iter().any(|block| text(block, "type") == Some("tool_use")) && !blocks.iter().any(thinks)
}

#[cfg(test)]
mod tests {
    use super::super::request;
    use super::*;

    const DEFAULTS: Defaults = Defaults { max_tokens: 4096, stream_usage: true };

    fn translate_for(model: &str, pivot: Value) -> Value {
        request(&pivot, model, DEFAULTS).expect("translatable")
    }

    #[test]
    fn reasoning_effort_is_a_budget_within_the_limit() {
        let got = translate_for("claude", json!({"messages": [], "reasoning_effort": "medium", "temperature": 0.2}));
        assert_eq!(got["thinking"], json!({"type": "enabled", "budget_tokens": 4096}));
        assert_eq!((&got["max_tokens"], got.get("temperature")), (&json!(8192), None));
        let got = translate_for("claude", json!({"messages": [], "reasoning_effort": "high", "max_tokens": 2000}));
        assert_eq!((&got["thinking"]["budget_tokens"], &got["max_tokens"]), (&json!(1999), &json!(2000)));
        let tight = translate_for("claude", json!({"messages": [], "reasoning_effort": "low", "max_tokens": 500}));
        assert_eq!((tight.get("thinking"), &tight["max_tokens"]), (None, &json!(500)));
        let own = json!({"messages": [], "reasoning_effort": "low", "thinking": {"type": "disabled"}});
        assert_eq!(translate_for("claude", own)["thinking"], json!({"type": "disabled"}));
    }

    #[test]
    fn a_model_that_decides_how_much_it_thinks_is_told_how_hard() {
        let adaptive = json!({"type": "adaptive", "display": "summarized"});
        let sampled = |effort: Value| json!({"messages": [], "reasoning_effort": effort, "temperature": 0.2, "top_p": 0.9, "top_k": 3});
        for model in ["claude-opus-4-7", "claude-opus-4-8", "claude-opus-5", "claude-sonnet-5", "claude-fable-5"] {
            let got = translate_for(model, sampled(json!("medium")));
            let expected = json!({"model": model, "messages": [], "max_tokens": 8192, "thinking": adaptive, "output_config": {"effort": "medium"}});
            assert_eq!(got, expected);
            let plain = translate_for(model, sampled(json!(null)));
            let expected = match model.contains("-4-") {
                true => json!({"model": model, "messages": [], "max_tokens": 4096}),
                false => json!({"model": model, "messages": [], "max_tokens": 4096 + 16_384, "thinking": adaptive}),
            };
            assert_eq!(plain, expected, "what thinks unasked shows it, and has room for it");
        }
        let effort = |asked: &str| translate_for("claude-opus-5", sampled(json!(asked)))["output_config"].clone();
        let told = ["minimal", "low", "high", "xhigh", "max"].map(|asked| effort(asked)["effort"].clone());
        assert_eq!(told, ["low", "low", "high", "xhigh", "max"]);
        assert_eq!(effort("none"), json!(null));
    }

    #[test]
    fn a_model_that_thinks_unasked_is_kept_from_it_where_that_is_wished() {
        let told = |model: &str, wish: Value| {
            let mut pivot = json!({"messages": []});
            pivot.as_object_mut().expect("an object").extend(wish.as_object().expect("an object").clone());
            let got = translate_for(model, pivot);
            (got["thinking"]["type"].clone(), got["output_config"]["effort"].clone(), got["max_tokens"].clone())
        };
        let said = |kind: &str, effort: Value| (json!(kind), effort, json!(4096));
        for wish in [json!({"reasoning_effort": "none"}), json!({"thinking": {"type": "disabled"}})] {
            for (model, expected) in [
                ("claude-opus-5", said("disabled", json!(null))),
                ("claude-haiku-5-5", said("disabled", json!(null))),
                ("claude-sonnet-5-5", said("between_tools", json!(null))),
                ("claude-opus-5-5", said("adaptive", json!("low"))),
                ("claude-fable-5", said("adaptive", json!("low"))),
            ] {
                assert_eq!(told(model, wish.clone()), expected, "{model} {wish}");
            }
        }
        let hard = json!({"thinking": {"type": "disabled"}, "reasoning_effort": "max"});
        assert_eq!(told("claude-opus-5", hard.clone()), said("disabled", json!("high")), "more is refused");
        let own = json!({"thinking": {"type": "disabled"}, "output_config": {"effort": "xhigh"}});
        assert_eq!(told("claude-sonnet-5-5", own), said("between_tools", json!("high")));
        let (kind, effort, _) = told("claude-opus-4-8", hard);
        assert_eq!((kind, effort), (json!("disabled"), json!("max")), "it takes that");
    }

    #[test]
    fn a_budget_of_the_callers_own_does_not_reach_a_model_that_refuses_it() {
        let own = json!({"messages": [], "max_tokens": 9, "thinking": {"type": "enabled", "budget_tokens": 2048}});
        let got = translate_for("claude-opus-5", own.clone());
        assert_eq!((&got["thinking"]["type"], got.get("output_config")), (&json!("adaptive"), None));
        assert_eq!(translate_for("claude-opus-4-5", own.clone())["thinking"], own["thinking"]);
        let forced = json!({"messages": [], "reasoning_effort": "low", "tool_choice": "required",
            "tools": [{"type": "function", "function": {"name": "f"}}], "output_config": {"task_budget": 1}});
        let got = translate_for("claude-opus-5", forced);
        assert_eq!((got.get("thinking"), &got["output_config"]), (None, &json!({"task_budget": 1, "effort": "low"})));
    }

    #[test]
    fn one_wish_about_sampling_is_left_where_two_are_refused() {
        let of = |model: &str, pivot: Value| {
            let got = translate_for(model, pivot);
            ["temperature", "top_p", "top_k"].map(|field| got.get(field).and_then(Value::as_f64))
        };
        let both = json!({"messages": [], "temperature": 0.2, "top_p": 0.9, "top_k": 3});
        assert_eq!(of("claude-sonnet-4-5", both.clone()), [Some(0.2), None, Some(3.0)]);
        assert_eq!(of("claude-3-7-sonnet", both), [Some(0.2), Some(0.9), Some(3.0)]);
        assert_eq!(of("claude-sonnet-4-5", json!({"messages": [], "top_p": 0.9})), [None, Some(0.9), None]);
        let thinking = |top_p: f64| json!({"messages": [], "reasoning_effort": "low", "temperature": 0.2, "top_p": top_p, "top_k": 3});
        assert_eq!(of("claude-sonnet-4-5", thinking(0.9)), [None, None, None]);
        assert_eq!(of("claude-sonnet-4-5", thinking(0.97)), [None, Some(0.97), None]);
    }

    #[test]
    fn a_call_whose_thoughts_did_not_come_back_is_followed_without_thinking() {
        let calls = json!([{"id": "a", "function": {"name": "f", "arguments": "{}"}}]);
        let thinking = |assistant: Value| {
            let mut turn = json!({"role": "assistant", "tool_calls": calls});
            turn.as_object_mut().expect("an object").extend(assistant.as_object().expect("an object").clone());
            let messages =
                json!([{"role": "user", "content": "go"}, turn, {"role": "tool", "tool_call_id": "a", "content": "1"}]);
            translate_for("claude", json!({"messages": messages, "reasoning_effort": "low", "temperature": 0.5}))["thinking"].clone()
        };
        assert_eq!(thinking(json!({"reasoning_content": "hm"})), json!(null));
        let unsigned = json!({"thinking_blocks": [{"type": "thinking", "thinking": "hm", "signature": ""}]});
        assert_eq!(thinking(unsigned), json!(null));
        let signed = json!({"thinking_blocks": [{"type": "thinking", "thinking": "hm", "signature": "s"}]});
        assert_eq!(thinking(signed)["type"], "enabled");
        assert_eq!(
            thinking(json!({"thinking_blocks": [{"type": "redacted_thinking", "data": "x"}]}))["type"],
            "enabled"
        );
        assert_eq!(thinking(json!({"tool_calls": [], "content": "done"}))["type"], "enabled");
    }
}
