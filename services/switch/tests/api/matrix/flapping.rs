//! A provider that comes and goes, over many requests: its breaker opens, it is left alone, one probe finds it down and
//! another one well, and it is asked again. Nobody who asks notices.

use std::fmt::Write as _;
use std::time::Duration;

use futures_util::future::join;
use jiff::{SignedDuration, Timestamp};
use vx11_testing::Running;

use super::caller::Wire;
use super::row::Kind;
use super::stage::Stage;
use super::{PROMPT_TOKENS, WORDS};

/// How long a breaker leaves its provider alone: far longer than a few requests take.
const OPEN_FOR: Duration = Duration::from_secs(5);
/// Failures that open it.
const THRESHOLD: usize = 3;
/// What the provider does to its first calls: those that open the breaker, and the first probe.
const DOWN: [&str; THRESHOLD + 1] = ["status=503", "reset", "status=500", "latency=100ms,status=503"];

/// How often the flapping provider and the spare one are asked for a request.
const IN_VAIN: (usize, usize) = (1, 1);
const LEFT_ALONE: (usize, usize) = (0, 1);
const WELL: (usize, usize) = (1, 0);

/// Who asks, and in which form.
struct Asker<'a> {
    stage: &'a Stage,
    wire: Wire,
    stream: bool,
}

impl Asker<'_> {
    /// Sends the request of this number, which is answered as if nothing were wrong. How often either provider was asked
    /// for it, and when the flapping one was.
    async fn ask(&self, number: usize) -> ((usize, usize), Option<Timestamp>) {
        let id = number.to_string();
        let got = self.stage.ask(self.wire.path(), self.wire.ask("m", self.stream), &id).await;
        let told = self.wire.read(&got, self.stream).unwrap();
        let seen = (got.status, told.text.as_str(), told.usage, told.error);
        assert_eq!(seen, (200, self.stage.answer.as_str(), (PROMPT_TOKENS, WORDS), None), "{id}");
        assert_eq!(told.cost, Stage::price(PROMPT_TOKENS, WORDS), "{id}");
        let (first, spare) = self.stage.asked(&id).await;
        assert!(first.last() <= spare.first() || spare.is_empty(), "{id}");
        ((first.len(), spare.len()), first.first().copied())
    }

    /// Sends all requests. How many those were.
    async fn ask_all(&self) -> u64 {
        let mut failed = None;
        for number in 1..=THRESHOLD {
            let (asked, at) = self.ask(number).await;
            assert_eq!(asked, IN_VAIN, "{number}: it is asked until it has failed often enough");
            failed = at;
        }
        for number in [4, 5] {
            assert_eq!(self.ask(number).await.0, LEFT_ALONE, "{number}: its breaker is open");
        }

        self.stage.breaker_is("flapping", "half_open").await;
        // Whether the other one comes while the probe is under way or after it has failed: it is left alone.
        let ((one, one_at), (other, other_at)) = join(self.ask(6), self.ask(7)).await;
        let mut both = [one, other];
        both.sort_unstable();
        assert_eq!(both, [LEFT_ALONE, IN_VAIN], "there is one probe, whoever comes");
        let probed = one_at.or(other_at);
        assert_is_left_alone(failed, probed);
        assert_eq!(self.ask(8).await.0, LEFT_ALONE, "one failure is enough for a probe");

        self.stage.breaker_is("flapping", "half_open").await;
        let (asked, at) = self.ask(9).await;
        assert_eq!(asked, WELL, "the second probe finds it well");
        assert_is_left_alone(probed, at);
        self.stage.breaker_is("flapping", "closed").await;
        for number in [10, 11] {
            assert_eq!(self.ask(number).await.0, WELL, "{number}: it is asked as before");
        }
        11
    }
}

/// Whether it was left alone from its failure to the next call for as long as its breaker says. Clocks that are set
/// meanwhile may be wrong by a hundredth.
fn assert_is_left_alone(failed: Option<Timestamp>, asked: Option<Timestamp>) {
    let passed = asked.unwrap().duration_since(failed.unwrap());
    assert!(passed >= SignedDuration::try_from(OPEN_FOR.mul_f64(0.99)).unwrap(), "asked again after {passed:?}");
}

/// The gateway's configuration. No call is repeated, so that each failure is a request's.
fn config(flapping: (&Running, Kind), spare: (&Running, Kind)) -> String {
    let pause = OPEN_FOR.as_secs();
    let mut text = "[switch.retries]\nattempts = 0\n[switch.prices]\nmock = { input = 1, output = 10 }\n".to_owned();
    text += "[switch.models.m]\ntargets = [\"flapping/mock\", \"spare/mock\"]\n";
    for (name, (mock, kind)) in [("flapping", flapping), ("spare", spare)] {
        let (kind, url) = (kind.as_str(), mock.url("/v1"));
        write!(
            text,
            "[switch.providers.{name}]\nkind = \"{kind}\"\nbase_url = \"{url}\"\nmodels = [\"mock\"]\n\
             breaker = {{ failure_threshold = {THRESHOLD}, open_for = \"{pause}s\" }}\n"
        )
        .unwrap();
    }
    text
}

/// Lets callers of `wire` ask for streams or in JSON, of providers of two kinds, and looks at their bill.
async fn is_survived(wire: Wire, kinds: (Kind, Kind), stream: bool) {
    let stage = Stage::of(|flapping, spare| config((flapping, kinds.0), (spare, kinds.1))).await;
    stage.set_in_turn(&DOWN).await;
    let requests = Asker { stage: &stage, wire, stream }.ask_all().await;
    let bill = stage.ledger(requests).await["m"].clone();
    let (read, written) = (requests * PROMPT_TOKENS, requests * WORDS);
    for (field, expected) in
        [("requests", requests), ("prompt_tokens", read), ("completion_tokens", written), ("estimated_requests", 0)]
    {
        assert_eq!(bill[field], expected, "{field} of {bill}: calls in vain cost nothing");
    }
    assert_eq!(bill["cost_usd"], Stage::price(read, written));
}

/// Both forms, each with providers of its own.
async fn comes_and_goes(wire: Wire, kinds: (Kind, Kind)) {
    join(is_survived(wire, kinds, true), is_survived(wire, kinds, false)).await;
}

#[tokio::test]
async fn callers_of_openais_wire_do_not_notice_that_openai_comes_and_goes() {
    comes_and_goes(Wire::OpenAi, (Kind::OpenAi, Kind::Anthropic)).await;
}

#[tokio::test]
async fn callers_of_openais_wire_do_not_notice_that_anthropic_comes_and_goes() {
    comes_and_goes(Wire::OpenAi, (Kind::Anthropic, Kind::OpenAi)).await;
}

#[tokio::test]
async fn callers_of_anthropics_wire_do_not_notice_that_openai_comes_and_goes() {
    comes_and_goes(Wire::Anthropic, (Kind::OpenAi, Kind::Anthropic)).await;
}

#[tokio::test]
async fn callers_of_anthropics_wire_do_not_notice_that_anthropic_comes_and_goes() {
    comes_and_goes(Wire::Anthropic, (Kind::Anthropic, Kind::OpenAi)).await;
}
