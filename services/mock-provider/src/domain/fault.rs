//! Faults: what can go wrong with a request, and when.
//!
//! `error_rate`, `flap` and `fail_first` are *triggers*: with one of them, the plan's other faults happen only when it
//! fires, and a plan of triggers alone answers 500. What says how a provider *is* (`prefill`, `cached_tokens`,
//! `reasoning_tokens`) holds always.

mod grammar;

use std::time::Duration;

pub(crate) use grammar::BadFault;

/// What goes wrong with a request; the default is nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct FaultPlan {
    /// Wait before anything is answered.
    pub(crate) latency: Option<Span>,
    /// Wait before the first token.
    pub(crate) first_token: Option<Duration>,
    /// Wait before every token.
    pub(crate) drip: Option<Duration>,
    /// Answer with this status.
    pub(crate) status: Option<u16>,
    /// Say so in the body alone, under the status of an answer.
    pub(crate) in_body: bool,
    /// Whole seconds for `Retry-After`.
    pub(crate) retry_after: Option<u64>,
    /// Milliseconds for `retry-after-ms`.
    pub(crate) retry_after_ms: Option<u64>,
    /// One of the faults that need no number.
    pub(crate) kind: Option<Kind>,
    /// Close the connection after this many tokens.
    pub(crate) cut: Option<u64>,
    /// Say nothing more after this many tokens.
    pub(crate) stall: Option<u64>,
    /// Send a chunk that is not JSON after this many tokens.
    pub(crate) malformed: Option<u64>,
    /// Send nothing but chunks that are not JSON after this many tokens.
    pub(crate) garbled: Option<u64>,
    /// Send an error frame after this many tokens, and close.
    pub(crate) error_frame: Option<u64>,
    /// The status that the error frame stands for.
    pub(crate) frame_status: Option<u16>,
    /// Send what opens a stream before anything goes wrong in it.
    pub(crate) opened: bool,
    /// Say nothing of tokens used.
    pub(crate) no_usage: bool,
    /// Say that this many tokens of the prompt came from a cache.
    pub(crate) cached_tokens: Option<u64>,
    /// Think for this many tokens first.
    pub(crate) reasoning_tokens: Option<u64>,
    /// What to do with an answer that the caller has begun.
    pub(crate) prefill: Option<Prefill>,
    /// Happen in this part of the requests, 0 to 1.
    pub(crate) error_rate: Option<f64>,
    /// Be well for the first time, ill for the second, and so on, by the clock since the start.
    pub(crate) flap: Option<(Duration, Duration)>,
    /// Happen to this many requests, then never again.
    pub(crate) fail_first: Option<u64>,
}

/// A duration, or any between two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) from: Duration,
    pub(crate) to: Duration,
}

/// What a provider makes of a conversation that ends with the model's own message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Prefill {
    /// The answer goes on where the message ends.
    Accept,
    /// It is refused.
    Reject,
    /// It is answered as any other message.
    Ignore,
}

impl Prefill {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Reject => "reject",
            Self::Ignore => "ignore",
        }
    }
}

macro_rules! kinds {
    ($($variant:ident, $name:literal, $meaning:literal;)+) => {
        /// The faults that need no number.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Kind { $(#[doc = $meaning] $variant,)+ }

        impl Kind {
            pub(crate) const ALL: &'static [Self] = &[$(Self::$variant),+];

            pub(crate) const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }
        }
    };
}

kinds! {
    Reset, "reset", "Reset the connection before the headers.";
    Hang, "hang", "Never answer.";
    NoDone, "no_done", "End a stream without its end mark.";
    Truncate, "truncate", "Close the connection in the middle of a JSON body.";
    Html, "html", "Answer 200 with an HTML page.";
    Empty, "empty", "Answer 200 with an empty body.";
    ContextLength, "context_length", "Refuse the prompt as too long: 400 `context_length_exceeded`.";
    TokensPerMinute, "tokens_per_minute", "Refuse the prompt as more than may be spent in a minute: 413 `rate_limit_exceeded`, or 429.";
    ContentFilter, "content_filter", "Refuse the prompt: 400 `content_filter`.";
    ContentPolicy, "content_policy", "Refuse to answer: 400 `content_policy_violation`, `refusal` or `SAFETY`.";
}

impl FaultPlan {
    /// Whether the faults wait for a trigger.
    pub(crate) fn has_trigger(&self) -> bool {
        self.error_rate.is_some() || self.flap.is_some() || self.fail_first.is_some()
    }

    /// The plan without its triggers, as it happens when they fire.
    pub(crate) fn fired(&self) -> Self {
        let mut plan = Self { error_rate: None, flap: None, fail_first: None, ..self.clone() };
        if plan == self.well() {
            plan.status = Some(500);
        }
        plan
    }

    /// The plan when its triggers do not fire: only how the provider is.
    pub(crate) fn well(&self) -> Self {
        let Self { prefill, cached_tokens, reasoning_tokens, .. } = *self;
        Self { prefill, cached_tokens, reasoning_tokens, ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn triggers_alone_mean_status_500() {
        let plan: FaultPlan = "fail_first=2".parse().expect("a plan");
        assert_eq!(plan.fired().status, Some(500));
        let plan: FaultPlan = "error_rate=0.5,reset".parse().expect("a plan");
        assert_eq!((plan.fired().status, plan.fired().kind), (None, Some(Kind::Reset)));
    }

    #[test]
    fn how_a_provider_is_waits_for_no_trigger() {
        let plan: FaultPlan = "fail_first=1,prefill=accept,cached_tokens=3".parse().expect("a plan");
        assert_eq!((plan.fired().status, plan.fired().prefill), (Some(500), Some(Prefill::Accept)));
        assert_eq!(plan.well().to_string(), "cached_tokens=3,prefill=accept");
    }
}
