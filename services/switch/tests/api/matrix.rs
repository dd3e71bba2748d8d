//! Every fault of a provider, for callers of either wire, streamed and in JSON: what the caller gets, how often each
//! provider is asked, in which order and not before when, what is billed, and what the caller is told of that.
//!
//! The providers are real ones of the mock provider, which answers [`WORDS`] words for [`PROMPT_TOKENS`] tokens
//! whatever the wire. Limits are short only at providers that are going to exceed them, so that a slow machine changes
//! nothing. For the same reason no time is too late: what is given up too late has been answered meanwhile.

mod caller;
mod cell;
mod flapping;
mod row;
mod stage;

use std::time::Duration;

use caller::Wire;
use row::Plan::{Always, InTurn, Never, Once};
use row::{Kind, Row, broken_off, declined, failed, late, refused, rejected, row, whole};
use stage::Stage;

/// What is asked for.
const PROMPT: &str = "tokens: 20";
/// Tokens of the whole answer, each a word.
const WORDS: u64 = 20;
/// Tokens of the prompt as every provider counts them.
const PROMPT_TOKENS: u64 = 7;
/// Tokens that they count for a message besides its text.
const MESSAGE_TOKENS: u64 = 4;

/// A model's targets. `first` and `spare` are patient, and the spare one is well. `hasty` waits but shortly for an
/// answer to begin, `restless` for it to go on; both are where `first` is. `prefilling` is `spare`, and declares that
/// it goes on from a beginning.
const ALONE: &[&str] = &["first"];
const SPARE: &[&str] = &["first", "spare"];
const HASTY: &[&str] = &["hasty", "spare"];
const HASTY_ALONE: &[&str] = &["hasty"];
const RESTLESS: &[&str] = &["restless", "spare"];
const RESTLESS_ALONE: &[&str] = &["restless"];
const PREFILL: &[&str] = &["first", "prefilling"];

/// How long the hasty one and the restless one wait.
const SHORT_LIMIT: Duration = Duration::from_secs(1);

const TOO_LONG: &str = "context_length_exceeded";
const FILTERED: &str = "content_filter";
const POLICY: &str = "content_policy_violation";

/// `whole(2, 1)`: a whole answer, for which `first` was asked twice and `spare` once. It is billed as the provider
/// reports it that gave it; `and(3)` is billed besides: calls that came to nothing after three tokens in all.
#[rustfmt::skip]
const MATRIX: &[Row] = &[
    // what goes wrong            what the first provider does            targets         streamed
    // in JSON
    row("nothing",                 Never,                                  SPARE,          whole(1, 0),                        whole(1, 0)),

    row("429 once",                Once("status=429"),                     SPARE,          whole(2, 0),                        whole(2, 0)),
    row("429, soon again",         Once("status=429,retry_after_ms=300"),  SPARE,          whole(2, 0),                        whole(2, 0)),
    row("429, soon, for ever",     Always("status=429,retry_after_ms=200"), SPARE,         whole(3, 1),                        whole(3, 1)),
    row("503, in a second",        Once("status=503,retry_after=1"),       SPARE,          whole(2, 0),                        whole(2, 0)),
    row("429, much later",         Always("status=429,retry_after=60"),    SPARE,          whole(1, 1),                        whole(1, 1)),
    row("429 for ever",            Always("status=429"),                   SPARE,          whole(3, 1),                        whole(3, 1)),
    row("429, as it is",           Always("status=429,retry_after=60"),    ALONE,          refused(429, "mock_fault", 1),      refused(429, "mock_fault", 1)).at(Kind::OpenAi),
    row("429, in other words",     Always("status=429,retry_after=60"),    ALONE,          refused(429, "", 1),                refused(429, "", 1)).at(Kind::Anthropic),
    row("413, tokens a minute",    Always("tokens_per_minute"),            SPARE,          whole(1, 1),                        whole(1, 1)).at(Kind::OpenAi),
    row("413, as it is",           Always("tokens_per_minute"),            ALONE,          refused(413, "rate_limit_exceeded", 1), refused(413, "rate_limit_exceeded", 1)).at(Kind::OpenAi),
    row("500 once",                Once("status=500"),                     SPARE,          whole(2, 0),                        whole(2, 0)),
    row("503 for ever",            Always("status=503"),                   SPARE,          whole(3, 1),                        whole(3, 1)),
    row("503, as it is",           Always("status=503"),                   ALONE,          refused(503, "mock_fault", 3),      refused(503, "mock_fault", 3)).at(Kind::OpenAi),
    row("503, in other words",     Always("status=503"),                   ALONE,          refused(503, "", 3),                refused(503, "", 3)).at(Kind::Anthropic),
    row("no such model",           Always("status=404"),                   SPARE,          whole(1, 1),                        whole(1, 1)),
    row("no such model, as it is", Always("status=404"),                   ALONE,          refused(404, "mock_fault", 1),      refused(404, "mock_fault", 1)).at(Kind::OpenAi),
    row("no such model, in other words", Always("status=404"),             ALONE,          refused(404, "", 1),                refused(404, "", 1)).at(Kind::Anthropic),
    row("reset once",              Once("reset"),                          SPARE,          whole(2, 0),                        whole(2, 0)),
    row("reset for ever",          Always("reset"),                        SPARE,          whole(3, 1),                        whole(3, 1)),
    row("reset alone",             Always("reset"),                        ALONE,          failed(3),                          failed(3)),
    row("flapping",                InTurn(&["status=503", "reset"]),       SPARE,          whole(3, 0),                        whole(3, 0)),

    row("silence",                 Always("hang"),                         HASTY,          whole(1, 1).and(0),                 whole(1, 1).and(0)),
    row("silence, then an answer", Always("latency=10s"),                  HASTY,          whole(1, 1).and(0),                 whole(1, 1).and(0)),
    row("silence alone",           Always("hang"),                         HASTY_ALONE,    late(1).and(0),                     late(1).and(0)),
    row("slow first token",        Always("first_token=20ms"),             SPARE,          whole(1, 0),                        whole(1, 0)),
    row("first token too slow",    Always("first_token=10s"),              HASTY,          whole(1, 1).and(0),                 whole(1, 1).and(0)),

    row("a page",                  Always("html"),                         SPARE,          whole(1, 1),                        whole(1, 1)),
    row("an empty body",           Always("empty"),                        SPARE,          whole(1, 1),                        whole(1, 1)),
    row("429 under 200, once",     Once("status=429,in_body"),             SPARE,          whole(2, 0),                        whole(2, 0)),
    row("502 under 200",           Always("status=502,in_body"),           SPARE,          whole(3, 1),                        whole(3, 1)),
    row("404 under 200",           Always("status=404,in_body"),           SPARE,          whole(1, 1),                        whole(1, 1)),
    row("half a body",             Always("truncate"),                     SPARE,          whole(1, 0),                        whole(3, 1).and(0)),

    row("cut at once",             Always("cut=0"),                        SPARE,          whole(3, 1).and(0),                 whole(3, 1).and(0)),
    row("cut before a token",      Once("opened,cut=0"),                   SPARE,          whole(2, 0).and(0),                 whole(2, 0).and(0)).at(Kind::OpenAi),
    row("opened and silent",       Always("opened,first_token=10s"),       HASTY,          whole(1, 1).and(0),                 whole(1, 1).and(0)).at(Kind::OpenAi),
    row("overloaded after 200",    Always("error_frame=0,frame_status=529"), SPARE,        whole(3, 1),                        whole(1, 0)),
    row("429 after the role",      Once("opened,error_frame=0,frame_status=429"), SPARE,   whole(2, 0),                        whole(1, 0)).at(Kind::OpenAi),

    row("cut",                     Always("cut=3"),                        SPARE,          whole(1, 1).and(3),                 whole(3, 1).and(0)),
    row("cut once",                Once("cut=3"),                          SPARE,          whole(1, 1).and(3),                 whole(2, 0).and(0)),
    row("cut once, alone",         Once("cut=3"),                          ALONE,          whole(2, 0).and(3),                 whole(2, 0).and(0)),
    row("cut alone",               Always("cut=3"),                        ALONE,          broken_off(3).again(3),             failed(3).and(0)),
    row("cut before the end",      Always("cut=20"),                       SPARE,          whole(1, 1).and(20),                whole(3, 1).and(0)),
    row("stall",                   Always("stall=3"),                      RESTLESS,       whole(1, 1).and(3),                 whole(1, 1).and(0)),
    row("stall alone",             Always("stall=3"),                      RESTLESS_ALONE, broken_off(3),                      late(1).and(0)),
    row("a token now and then",    Always("drip=10s"),                     RESTLESS,       whole(1, 1).and(1),                 whole(1, 1).and(0)),
    row("an error in the stream",  Always("error_frame=3"),                SPARE,          whole(1, 1).and(3),                 whole(1, 0)),
    row("one malformed chunk",     Always("malformed=3"),                  SPARE,          whole(1, 0),                        whole(1, 1)),
    row("malformed from there on", Always("garbled=3"),                    SPARE,          whole(1, 1).and(3),                 whole(1, 1)),
    row("malformed alone",         Always("garbled=3"),                    ALONE,          broken_off(3),                      failed(1)),
    row("no mark at the end",      Always("no_done"),                      SPARE,          whole(1, 0),                        whole(1, 0)),

    row("too long",                Always("context_length"),               SPARE,          rejected(TOO_LONG),                 rejected(TOO_LONG)),
    row("too long, larger model",  Always("context_length"),               ALONE,          whole(1, 1),                        whole(1, 1)).with_larger("spare"),
    row("content filter",          Always("content_filter"),               SPARE,          rejected(FILTERED),                 rejected(FILTERED)).at(Kind::OpenAi),
    row("content policy, error",   Always("content_policy"),               SPARE,          rejected(POLICY),                   rejected(POLICY)).at(Kind::OpenAi),
    row("content policy, answer",  Always("content_policy"),               SPARE,          declined(1),                        declined(1)).at(Kind::Anthropic),

    row("spare goes on",           Always("cut=3"),                        PREFILL,        whole(1, 1).and(3).prefilled(3),    whole(3, 1).and(0)).spare("prefill=accept"),
    row("spare rejects prefill",   Always("cut=3"),                        PREFILL,        whole(1, 2).and(3),                 whole(3, 1).and(0)).spare("prefill=reject"),
];

/// Plays the whole table for callers of `wire`, with providers of two kinds.
async fn holds(wire: Wire, kinds: (Kind, Kind)) {
    let stage = Stage::start(MATRIX, kinds).await;
    let rows = MATRIX.iter().filter(|row| row.happens_at(kinds.0));
    let cells: Vec<_> = rows.flat_map(|row| [true, false].map(|stream| cell::Cell { row, stream, wire })).collect();
    let (mut wrong, mut played) = (Vec::new(), Vec::new());
    for cell in &cells {
        match cell.play(&stage).await {
            Ok(told) => played.push((cell, told)),
            Err(problem) => wrong.push(problem),
        }
    }
    let ledger = stage.ledger(cells.len() as u64).await;
    wrong.extend(played.iter().filter_map(|(cell, told)| cell.audit(told, &ledger, kinds.0)));
    assert!(wrong.is_empty(), "{} of {} cells, {wire:?}, {kinds:?}:\n{}", wrong.len(), cells.len(), wrong.join("\n"));
}

#[tokio::test]
async fn callers_of_openais_wire_are_served_by_openai_and_anthropic() {
    holds(Wire::OpenAi, (Kind::OpenAi, Kind::Anthropic)).await;
}

#[tokio::test]
async fn callers_of_openais_wire_are_served_by_anthropic_and_openai() {
    holds(Wire::OpenAi, (Kind::Anthropic, Kind::OpenAi)).await;
}

#[tokio::test]
async fn callers_of_anthropics_wire_are_served_by_openai_and_anthropic() {
    holds(Wire::Anthropic, (Kind::OpenAi, Kind::Anthropic)).await;
}

#[tokio::test]
async fn callers_of_anthropics_wire_are_served_by_anthropic_and_openai() {
    holds(Wire::Anthropic, (Kind::Anthropic, Kind::OpenAi)).await;
}
