//! How hard a model is to think, in the words of its generation: older ones take tokens, newer ones a level, and not
//! every model can be kept from thinking.
//!
//! Sources: Google's documentation, "Gemini thinking", "OpenAI compatibility" and what is new in each model.

use serde_json::{Value, json};

/// The generations, by how they are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scale {
    /// They do not think, and refuse to be told.
    None,
    /// In tokens, from the fewest to the most.
    Budget { least: u64, most: u64 },
    /// In words. All know `low` and `high`.
    Level { least: &'static str, middle: &'static str },
}

/// Those that come down to `minimal`.
const MINIMAL: [&str; 4] = ["gemini-3-flash", "gemini-3.1-flash-lite", "gemini-3.5-flash", "gemini-3.6-flash"];

/// The `thinkingConfig` for an effort of OpenAI's wire; `None` where there is nothing to say.
pub(super) fn config(effort: &str, model: &str) -> Option<Value> {
    let (name, amount): (&str, Value) = match Scale::of(model) {
        Scale::None => return None,
        Scale::Budget { least, most } => ("thinkingBudget", budget(effort, least, most)?.into()),
        Scale::Level { least, middle } => ("thinkingLevel", level(effort, least, middle)?.into()),
    };
    Some(json!({name: amount, "includeThoughts": effort != "none"}))
}

/// Whether `model` is of a generation before the third. Only their own names say so.
pub(super) fn is_older(model: &str) -> bool {
    ["gemini-1", "gemini-2", "gemma-"].iter().any(|older| own_name(model).starts_with(older))
}

impl Scale {
    fn of(model: &str) -> Self {
        let name = own_name(model);
        let begins = |beginning: &&str| name.starts_with(beginning);
        if begins(&"gemini-2.5-flash") {
            Self::Budget { least: 0, most: 24_576 }
        } else if begins(&"gemini-2.5") {
            Self::Budget { least: 128, most: 32_768 }
        } else if is_older(model) {
            Self::None
        } else {
            let least = if MINIMAL.iter().any(begins) { "minimal" } else { "low" };
            Self::Level { least, middle: if begins(&"gemini-3-pro") { "high" } else { "medium" } }
        }
    }
}

fn own_name(model: &str) -> &str {
    model.rsplit('/').next().unwrap_or(model)
}

fn budget(effort: &str, least: u64, most: u64) -> Option<u64> {
    Some(match effort {
        "none" => least,
        "minimal" => 512,
        "low" => 1024,
        "medium" => 8192,
        "high" => 24_576,
        "xhigh" | "max" => most,
        _ => return None,
    })
}

fn level(effort: &str, least: &'static str, middle: &'static str) -> Option<&'static str> {
    Some(match effort {
        "none" | "minimal" => least,
        "low" => "low",
        "medium" => middle,
        "high" | "xhigh" | "max" => "high",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const EFFORTS: [&str; 7] = ["none", "minimal", "low", "medium", "high", "xhigh", "max"];

    fn amounts(model: &str, name: &str) -> Vec<Value> {
        EFFORTS.iter().map(|effort| config(effort, model).expect("it thinks")[name].clone()).collect()
    }

    #[test]
    fn older_models_are_told_in_tokens_that_they_take() {
        let of = |model| amounts(model, "thinkingBudget");
        assert_eq!(of("gemini-2.5-flash"), [0, 512, 1024, 8192, 24_576, 24_576, 24_576]);
        assert_eq!(of("models/gemini-2.5-flash-lite"), of("gemini-2.5-flash"));
        assert_eq!(of("gemini-2.5-pro"), [128, 512, 1024, 8192, 24_576, 32_768, 32_768], "it always thinks");
    }

    #[test]
    fn newer_models_are_told_in_words_that_they_know() {
        let of = |model| amounts(model, "thinkingLevel");
        let all = ["minimal", "minimal", "low", "medium", "high", "high", "high"];
        for model in ["gemini-3-flash-preview", "gemini-3.1-flash-lite", "gemini-3.5-flash-lite", "gemini-3.6-flash"] {
            assert_eq!(of(model), all, "{model}");
        }
        let from_low = ["low", "low", "low", "medium", "high", "high", "high"];
        for model in
            ["publishers/google/models/gemini-3.1-pro-preview", "gemini-3.8-flash", "gemini-pro-latest", "ours"]
        {
            assert_eq!(of(model), from_low, "{model}");
        }
        assert_eq!(of("gemini-3-pro-preview"), ["low", "low", "low", "high", "high", "high", "high"]);
    }

    #[test]
    fn thoughts_are_shown_unless_none_are_wanted() {
        for model in ["gemini-2.5-pro", "gemini-3.1-pro"] {
            let shown = |effort| config(effort, model).expect("it thinks")["includeThoughts"].clone();
            assert_eq!((shown("none"), shown("minimal")), (json!(false), json!(true)));
        }
    }

    #[test]
    fn who_does_not_think_is_told_nothing_and_what_is_no_effort_is_left_out() {
        for model in ["gemini-2.0-flash", "gemini-1.5-pro", "gemma-3-27b-it"] {
            assert_eq!(config("high", model), None, "{model}");
        }
        assert_eq!((config("very", "gemini-2.5-pro"), config("very", "gemini-3.1-pro")), (None, None));
    }
}
