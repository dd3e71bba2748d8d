//! How a plan is written: one grammar for model names, the header `x-mock-fault` and the admin endpoint.
//!
//! A plan is `name` or `name=value`, separated by commas. Durations are `200ms`, `2s`, `1m`; a span is `50ms..300ms`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::{FaultPlan, Kind, Prefill, Span};

const WITH_VALUE: [&str; 18] = [
    "latency",
    "first_token",
    "drip",
    "status",
    "retry_after",
    "retry_after_ms",
    "cut",
    "stall",
    "malformed",
    "garbled",
    "error_frame",
    "frame_status",
    "cached_tokens",
    "reasoning_tokens",
    "prefill",
    "error_rate",
    "flap",
    "fail_first",
];

const NO_USAGE: &str = "no_usage";
const OPENED: &str = "opened";
const IN_BODY: &str = "in_body";

/// Why a plan cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadFault {
    #[error("there is no fault `{0}`; the faults are {known}", known = known())]
    Unknown(String),
    #[error("`{0}` needs {1}")]
    Value(String, &'static str),
    #[error("`{0}` cannot be combined with `{1}`")]
    Twice(&'static str, &'static str),
}

fn known() -> String {
    let kinds = Kind::ALL.iter().map(|kind| kind.as_str());
    WITH_VALUE.iter().copied().chain([NO_USAGE, OPENED, IN_BODY]).chain(kinds).collect::<Vec<_>>().join(", ")
}

impl FaultPlan {
    fn set(&mut self, item: &str) -> Result<(), BadFault> {
        let (name, value) =
            item.split_once('=').map_or((item, None), |(name, value)| (name.trim(), Some(value.trim())));
        if let Some(kind) = Kind::ALL.iter().find(|kind| kind.as_str() == name) {
            return match self.kind.replace(*kind) {
                Some(other) if other != *kind => Err(BadFault::Twice(kind.as_str(), other.as_str())),
                _ => Ok(()),
            };
        }
        if name == NO_USAGE {
            self.no_usage = true;
            return Ok(());
        }
        if name == OPENED {
            self.opened = true;
            return Ok(());
        }
        if name == IN_BODY {
            self.in_body = true;
            return Ok(());
        }
        if !WITH_VALUE.contains(&name) {
            return Err(BadFault::Unknown(name.to_owned()));
        }
        self.set_value(name, value.unwrap_or_default()).ok_or_else(|| BadFault::Value(name.to_owned(), expected(name)))
    }

    /// `None` where the value does not fit.
    fn set_value(&mut self, name: &str, value: &str) -> Option<()> {
        match name {
            "latency" => self.latency = Some(span(value)?),
            "first_token" => self.first_token = Some(duration(value)?),
            "drip" => self.drip = Some(duration(value)?),
            "status" => self.status = Some(status(value)?),
            "retry_after" => self.retry_after = Some(value.parse().ok()?),
            "retry_after_ms" => self.retry_after_ms = Some(value.parse().ok()?),
            "cut" => self.cut = Some(value.parse().ok()?),
            "stall" => self.stall = Some(value.parse().ok()?),
            "malformed" => self.malformed = Some(value.parse().ok()?),
            "garbled" => self.garbled = Some(value.parse().ok()?),
            "error_frame" => self.error_frame = Some(value.parse().ok()?),
            "frame_status" => self.frame_status = Some(status(value)?),
            "cached_tokens" => self.cached_tokens = Some(value.parse().ok()?),
            "reasoning_tokens" => self.reasoning_tokens = Some(value.parse().ok()?),
            "prefill" => {
                let all = [Prefill::Accept, Prefill::Reject, Prefill::Ignore];
                self.prefill = Some(all.into_iter().find(|prefill| prefill.as_str() == value)?);
            }
            "error_rate" => self.error_rate = Some(value.parse().ok().filter(|rate| (0.0..=1.0).contains(rate))?),
            "flap" => {
                let (well, ill) = value.split_once('/')?;
                let times = (duration(well)?, duration(ill)?);
                self.flap = Some(times).filter(|(well, ill)| !(*well + *ill).is_zero());
                self.flap?;
            }
            "fail_first" => self.fail_first = Some(value.parse().ok()?),
            _ => return None,
        }
        Some(())
    }
}

fn expected(name: &str) -> &'static str {
    match name {
        "latency" => "a duration such as 200ms, or a span such as 50ms..300ms",
        "first_token" | "drip" => "a duration such as 200ms",
        "status" | "frame_status" => "a status from 200 to 599",
        "prefill" => "accept, reject or ignore",
        "error_rate" => "a number from 0 to 1",
        "flap" => "two durations such as 10s/5s: well, then ill",
        _ => "a whole number",
    }
}

impl FromStr for FaultPlan {
    type Err = BadFault;

    fn from_str(text: &str) -> Result<Self, BadFault> {
        let mut plan = Self::default();
        for item in text.split(',').map(str::trim).filter(|item| !item.is_empty()) {
            plan.set(item)?;
        }
        Ok(plan)
    }
}

impl fmt::Display for FaultPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = |duration: Duration| format!("{}ms", duration.as_millis());
        let items = [
            self.latency.map(|Span { from, to }| match from == to {
                true => format!("latency={}", millis(from)),
                false => format!("latency={}..{}", millis(from), millis(to)),
            }),
            self.first_token.map(|wait| format!("first_token={}", millis(wait))),
            self.drip.map(|wait| format!("drip={}", millis(wait))),
            self.status.map(|status| format!("status={status}")),
            self.in_body.then(|| IN_BODY.to_owned()),
            self.retry_after.map(|seconds| format!("retry_after={seconds}")),
            self.retry_after_ms.map(|ms| format!("retry_after_ms={ms}")),
            self.kind.map(|kind| kind.as_str().to_owned()),
            self.cut.map(|n| format!("cut={n}")),
            self.stall.map(|n| format!("stall={n}")),
            self.malformed.map(|n| format!("malformed={n}")),
            self.garbled.map(|n| format!("garbled={n}")),
            self.error_frame.map(|n| format!("error_frame={n}")),
            self.frame_status.map(|status| format!("frame_status={status}")),
            self.opened.then(|| OPENED.to_owned()),
            self.no_usage.then(|| NO_USAGE.to_owned()),
            self.cached_tokens.map(|n| format!("cached_tokens={n}")),
            self.reasoning_tokens.map(|n| format!("reasoning_tokens={n}")),
            self.prefill.map(|prefill| format!("prefill={}", prefill.as_str())),
            self.error_rate.map(|rate| format!("error_rate={rate}")),
            self.flap.map(|(well, ill)| format!("flap={}/{}", millis(well), millis(ill))),
            self.fail_first.map(|n| format!("fail_first={n}")),
        ];
        f.write_str(&items.into_iter().flatten().collect::<Vec<_>>().join(","))
    }
}

fn status(text: &str) -> Option<u16> {
    text.parse().ok().filter(|status| (200..=599).contains(status))
}

fn span(text: &str) -> Option<Span> {
    let (from, to) = match text.split_once("..") {
        Some((from, to)) => (duration(from)?, duration(to)?),
        None => (duration(text)?, duration(text)?),
    };
    (from <= to).then_some(Span { from, to })
}

/// The longest wait that can be asked for.
const LONGEST: Duration = Duration::from_secs(3600);

fn duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let ms = match unit {
        "ms" => number,
        "s" => number.checked_mul(1000)?,
        "m" => number.checked_mul(60_000)?,
        _ => return None,
    };
    Some(Duration::from_millis(ms)).filter(|duration| *duration <= LONGEST)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_plan_reads_as_it_is_written() {
        let plan: FaultPlan = "status=503, retry_after=2,latency=50ms..2s".parse().expect("a plan");
        assert_eq!((plan.status, plan.retry_after), (Some(503), Some(2)));
        assert_eq!(plan.latency.expect("a span").to, Duration::from_secs(2));
        assert_eq!(plan.to_string(), "latency=50ms..2000ms,status=503,retry_after=2");
    }

    #[test]
    fn mistakes_are_named() {
        let error = |text: &str| text.parse::<FaultPlan>().expect_err(text).to_string();
        assert!(error("statu=503").contains("`statu`") && error("statu=503").contains("status"));
        assert!(error("status=99").contains("200 to 599"));
        assert!(error("latency=200").contains("duration"));
        assert!(error("latency=2s..1s").contains("span"));
        assert!(error("flap=0s/0s").contains("two durations"));
        assert!(error("prefill=maybe").contains("accept, reject or ignore"));
        assert!(error("reset,hang").contains("cannot be combined"));
        assert!(error("latency=99999999999999m").contains("duration"));
    }

    proptest! {
        #[test]
        fn what_is_written_can_be_read(
            latency in prop::option::of((0..5000_u64, 0..5000_u64)),
            status in prop::option::of(200..=599_u16),
            kind in prop::option::of(0..Kind::ALL.len()),
            cut in prop::option::of(any::<u64>()),
            no_usage in any::<bool>(),
            opened in any::<bool>(),
            in_body in any::<bool>(),
            prefill in prop::option::of(prop::sample::select(vec![Prefill::Accept, Prefill::Reject, Prefill::Ignore])),
            rate in prop::option::of(0.0..=1.0),
            flap in prop::option::of((1..9000_u64, 0..9000_u64)),
        ) {
            let ms = Duration::from_millis;
            let plan = FaultPlan {
                latency: latency.map(|(a, b)| Span { from: ms(a.min(b)), to: ms(a.max(b)) }),
                status,
                kind: kind.map(|at| Kind::ALL[at]),
                cut,
                no_usage,
                opened,
                in_body,
                prefill,
                error_rate: rate,
                flap: flap.map(|(well, ill)| (ms(well), ms(ill))),
                ..FaultPlan::default()
            };
            prop_assert_eq!(plan.to_string().parse::<FaultPlan>(), Ok(plan));
        }

        #[test]
        fn no_text_is_too_strange(text in "\\PC{0,60}") {
            let _ = text.parse::<FaultPlan>();
        }
    }
}
