//! Answers that are begun by one provider and finished by another.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::domain::chunk::StreamWatch;

const PREFILL: Manuscript = Manuscript::GoingOn(Manner::Prefill);
const TOLD: Manuscript = Manuscript::GoingOn(Manner::Instruction);

fn delivered(chunks: &[String]) -> Delivered {
    let (mut watch, mut delivered) = (StreamWatch::new(1), Delivered::default());
    for chunk in chunks {
        watch.observe(chunk.as_bytes(), Some(&mut delivered)).expect("well formed");
    }
    delivered
}

fn rewriter(delivered: &Delivered, choices: u32, manuscript: Manuscript) -> Rewriter {
    let finisher = Finisher { provider: "b".to_owned(), model: "m-b".to_owned(), rescued: 1 };
    Rewriter::new(delivered, choices, manuscript, finisher)
}

/// A chunk with this delta of the first choice.
fn chunk(id: &str, delta: &str) -> String {
    format!(r#"{{"id":"{id}","created":1,"model":"real-{id}","choices":[{{"index":0,"delta":{delta}}}]}}"#)
}

fn says(id: &str, text: &str) -> String {
    chunk(id, &format!(r#"{{"content":"{text}"}}"#))
}

fn stop(id: &str) -> String {
    format!(r#"{{"id":"{id}","model":"real-{id}","choices":[{{"index":0,"delta":{{}},"finish_reason":"stop"}}]}}"#)
}

fn rewrite(rewriter: &mut Rewriter, chunk: &str) -> Result<Option<Value>, Misfit> {
    let rewritten = rewriter.rewrite(chunk.as_bytes())?;
    Ok(rewritten.map(|chunk| serde_json::from_slice(&chunk).expect("JSON")))
}

fn rewrite_all(rewriter: &mut Rewriter, chunks: &[String]) -> Result<Vec<Value>, Misfit> {
    chunks.iter().filter_map(|chunk| rewrite(rewriter, chunk).transpose()).collect()
}

#[test]
fn an_answer_given_anew_becomes_the_rest_of_the_first_one() {
    let first = delivered(&[chunk("a", r#"{"role":"assistant","content":""}"#), says("a", "Hel")]);
    let second = [
        chunk("b", r#"{"role":"assistant","content":""}"#),
        says("b", "He"),
        says("b", "llo"),
        stop("b").replacen('{', r#"{"usage":{"prompt_tokens":3},"#, 1),
        r#"{"id":"b","model":"real-b","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}"#.to_owned(),
    ];
    let mut rewriter = rewriter(&first, 1, Manuscript::Anew);
    let mut got = rewrite_all(&mut rewriter, &second).expect("it agrees");
    let last = rewriter.last(&json!({"prompt_tokens": 7})).expect("a chunk");
    got.push(serde_json::from_slice(&last).expect("JSON"));
    let expected = [
        json!({"id": "a", "created": 1, "model": "real-a", "choices": [{"index": 0, "delta": {"content": "lo"}}]}),
        json!({
            "id": "a", "created": 1, "model": "real-b",
            "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}],
            "vx11": {"provider": "b", "model": "m-b", "rescued": 1},
        }),
        json!({
            "id": "a", "object": "chat.completion.chunk", "created": 1, "model": "real-b", "choices": [],
            "usage": {"prompt_tokens": 7},
        }),
    ];
    assert_eq!(got, expected);
}

#[test]
fn a_prefill_that_is_not_heeded_is_no_reason_to_say_things_twice() {
    let first = delivered(&[says("a", "one two three "), says("a", "four five")]);
    let second = [says("b", "one two three"), says("b", " four five six"), stop("b")];
    let mut same = rewriter(&first, 1, PREFILL);
    let got = rewrite_all(&mut same, &second).expect("it agrees");
    assert_eq!(got[0]["choices"][0]["delta"]["content"], " six");
    for other in [vec![says("b", "one two three four six")], vec![says("b", "one two three fo"), stop("b")]] {
        let mut rewriter = rewriter(&first, 1, PREFILL);
        assert_eq!(rewrite_all(&mut rewriter, &other), Err(Misfit::Diverged), "{other:?}");
    }
}

#[test]
fn another_answer_is_told_apart_and_nothing_of_it_is_sent() {
    let first = delivered(&[says("a", "Hello")]);
    let tool = chunk("b", r#"{"tool_calls":[{"index":0}]}"#);
    for second in [vec![says("b", "Hi")], vec![says("b", "Hell"), stop("b")], vec![tool]] {
        let mut rewriter = rewriter(&first, 1, Manuscript::Anew);
        assert_eq!(rewrite_all(&mut rewriter, &second), Err(Misfit::Diverged), "{second:?}");
    }
}

#[test]
fn a_tool_call_behind_the_text_comes_whole() {
    let first = delivered(&[says("a", "Let me")]);
    let call = r#"{"tool_calls":[{"index":0,"id":"c1","function":{"name":"f","arguments":"{\"x\":1.50}"}}]}"#;
    for (manuscript, text) in [(Manuscript::Anew, "Let me see"), (PREFILL, " see"), (TOLD, " see")] {
        let mut rewriter = rewriter(&first, 1, manuscript);
        let got = rewrite_all(&mut rewriter, &[says("b", text), chunk("b", call)]).expect("it agrees");
        assert_eq!(got[0]["choices"][0]["delta"]["content"], " see");
        assert_eq!(got[1]["choices"][0]["delta"], serde_json::from_str::<Value>(call).expect("JSON"));
    }
}

#[test]
fn a_signature_comes_with_the_very_thought_that_it_signs_or_not_at_all() {
    let thinks = |id: &str, text: &str| chunk(id, &format!(r#"{{"reasoning_content":"{text}"}}"#));
    let signed = chunk("b", r#"{"thinking_blocks":[{"type":"thinking","thinking":"","signature":"s"}]}"#);
    let signatures = |first: &[String], second: &str| {
        let mut rewriter = rewriter(&delivered(first), 1, Manuscript::Anew);
        let got = rewrite_all(&mut rewriter, &[thinks("b", second), signed.clone()]).expect("it agrees");
        got.iter().filter(|chunk| !chunk["choices"][0]["delta"]["thinking_blocks"].is_null()).count()
    };
    let begun = [chunk("a", r#"{"role":"assistant"}"#)];
    assert_eq!((signatures(&begun, "so well"), signatures(&[thinks("a", "so w")], "so well")), (1, 1));
    assert_eq!(signatures(&[thinks("a", "so w")], "another"), 0, "the caller has the first one's thought");
    assert_eq!(signatures(&[thinks("a", "so well")], "so"), 0, "the caller has more than was signed");
    assert_eq!(signatures(&[thinks("a", "so well"), says("a", "Hel")], "so well"), 0, "the text has begun");
}

#[test]
fn reasoning_is_sent_once_and_never_a_reason_to_break() {
    let thinks = |text: &str| chunk("b", &format!(r#"{{"reasoning_content":"{text}","reasoning":"{text}"}}"#));
    let thought = delivered(&[chunk("a", r#"{"reasoning_content":"so w"}"#)]);
    let mut agreeing = rewriter(&thought, 1, Manuscript::Anew);
    let got = rewrite_all(&mut agreeing, &[thinks("so "), thinks("well"), says("b", "Hi")]).expect("it agrees");
    assert_eq!(got[0]["choices"][0]["delta"], json!({"reasoning_content": "ell", "reasoning": "ell"}));
    assert_eq!((got.len(), &got[1]["choices"][0]["delta"]), (2, &json!({"content": "Hi"})));
    let mut other = rewriter(&thought, 1, Manuscript::Anew);
    let got = rewrite_all(&mut other, &[thinks("hm"), thinks("m"), says("b", "Hi")]).expect("the text is new");
    assert_eq!((got.len(), &got[0]["choices"][0]["delta"]), (1, &json!({"content": "Hi"})));
    let said = delivered(&[says("a", "H")]);
    let mut late = rewriter(&said, 1, Manuscript::Anew);
    let got = rewrite_all(&mut late, &[thinks("hm"), says("b", "Hi")]).expect("it agrees");
    assert_eq!((got.len(), &got[0]["choices"][0]["delta"]), (1, &json!({"content": "i"})));
}

#[test]
fn choices_are_joined_one_by_one() {
    let two = |id: &str, first: &str, second: &str| {
        format!(
            r#"{{"id":"{id}","choices":[{{"index":1,"delta":{{"content":"{second}"}},"finish_reason":null}},{{"index":0,"delta":{{"content":"{first}"}}}}]}}"#
        )
    };
    let first = delivered(&[two("a", "red", "gr"), stop("a")]);
    let mut rewriter = rewriter(&first, 2, Manuscript::Anew);
    let got = rewrite_all(&mut rewriter, &[two("b", "other", "gre"), two("b", "", "en"), stop("b")]).expect("fits");
    let texts: Vec<&Value> = got.iter().map(|chunk| &chunk["choices"]).collect();
    let says = |text: &str| json!([{"index": 1, "delta": {"content": text}, "finish_reason": null}]);
    assert_eq!(texts, [&says("e"), &says("en")], "the first one was whole already");
    let third = r#"{"choices":[{"index":2,"delta":{"content":"x"}}]}"#;
    assert_eq!(rewrite(&mut rewriter, third), Err(Misfit::Inseparable));
}

#[test]
fn probabilities_stay_with_their_tokens() {
    let with = |text: &str| {
        let logprobs = format!(r#"{{"content":[{{"token":"{text}","logprob":-0.5}}]}}"#);
        format!(r#"{{"choices":[{{"index":0,"delta":{{"content":"{text}"}},"logprobs":{logprobs}}}]}}"#)
    };
    let first = delivered(&[with("Hel")]);
    let mut same = rewriter(&first, 1, Manuscript::Anew);
    let got = rewrite_all(&mut same, &[with("Hel"), with("lo")]).expect("token by token");
    assert_eq!((got.len(), &got[0]["choices"][0]["logprobs"]["content"][0]["token"]), (1, &json!("lo")));
    let mut other = rewriter(&first, 1, Manuscript::Anew);
    assert_eq!(rewrite_all(&mut other, &[with("Hello")]), Err(Misfit::Inseparable));
    let mut going_on = rewriter(&first, 1, TOLD);
    assert_eq!(rewrite_all(&mut going_on, &[with("lo")]).expect("as it comes").len(), 1);
}

/// `units` in chunks that end at `cuts`, even within a character, and escaped as `escape` says.
fn stream(id: &str, units: &[u16], cuts: &[usize], escape: bool) -> Vec<String> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (units.len() + 1)).collect();
    cuts.extend([0, units.len()]);
    cuts.sort_unstable();
    let text = |units: &[u16]| match escape {
        true => units.iter().map(|unit| format!("\\u{unit:04X}")).collect(),
        false => {
            let quoted = json_text::quoted(units);
            quoted[1..quoted.len() - 1].to_owned()
        }
    };
    cuts.windows(2).map(|pair| says(id, &text(&units[pair[0]..pair[1]]))).chain([stop(id)]).collect()
}

proptest! {
    #[test]
    fn the_caller_has_the_finishing_targets_answer_exactly(
        answer in prop_oneof![any::<String>(), "[a😀\"\\\\\n]{0,20}"],
        broken_after in prop::collection::vec(any::<usize>(), 1..4),
        cuts in prop::collection::vec(prop::collection::vec(any::<usize>(), 0..8), 4),
        escape in any::<bool>(),
    ) {
        let units: Vec<u16> = answer.encode_utf16().collect();
        let mut sent = StreamWatch::new(1);
        let mut caller = Delivered::default();
        let first = stream("0", &units, &cuts[0], escape);
        for chunk in &first[..broken_after[0] % first.len()] {
            sent.observe(chunk.as_bytes(), Some(&mut caller)).expect("well formed");
        }
        // Every further provider breaks as well, but for the last one.
        for (round, cuts) in cuts.iter().enumerate().skip(1).take(broken_after.len()) {
            let chunks = stream(&round.to_string(), &units, cuts, escape != (round % 2 == 0));
            let until = broken_after.get(round).map_or(chunks.len(), |at| at % chunks.len());
            let mut rewriter = rewriter(&caller.clone(), 1, Manuscript::Anew);
            for chunk in &chunks[..until] {
                let rewritten = rewriter.rewrite(chunk.as_bytes()).expect("it agrees");
                if let Some(rewritten) = rewritten {
                    sent.observe(&rewritten, Some(&mut caller)).expect("well formed");
                }
            }
        }
        prop_assert_eq!(caller.content(0), units);
        prop_assert!(sent.is_complete() && caller.has_finished(0));
    }

    #[test]
    fn no_chunk_makes_the_rewriter_panic(chunk in "[{}\\[\\]\",:a-z\\\\ 0-9]{0,60}") {
        let mut rewriter = rewriter(&delivered(&[says("a", "Hel")]), 1, Manuscript::Anew);
        let _ = rewriter.rewrite(chunk.as_bytes());
    }
}
